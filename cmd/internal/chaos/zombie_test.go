package chaos_test

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// TestZombie stops the node that leads and pays in its tracks and lets it go on later,
// when another has taken over: what it still had in hand must come to nothing, or be
// done once.
func TestZombie(t *testing.T) {
	needs(t, "full")
	f := newFleet(t)
	f.attempt = cutTimeout
	f.launch()
	l := f.startLoad()
	took := make([]time.Duration, 20)
	back := make([]time.Duration, len(took))
	for i := range took {
		f.awaitWhole()
		time.Sleep(rand.N(500 * time.Millisecond))
		victim := f.node(f.executor())
		before := f.newestRow(f.others(victim))
		begun := time.Now()
		victim.signal(syscall.SIGSTOP)
		took[i] = f.awaitExecution(begun, before, victim)
		// The first ones come back as soon as they can have lost what they had.
		asleep := max(took[i], time.Second) + rand.N(time.Duration(i+1)*time.Second)
		time.Sleep(time.Until(begun.Add(asleep)))
		victim.signal(syscall.SIGCONT)
		back[i] = victim.awaitReady()
		f.say("%s stood still for %s: executed again after %s, serves again %s after it went on", victim.name,
			asleep.Round(time.Millisecond), took[i].Round(time.Millisecond), back[i].Round(time.Millisecond))
	}
	f.check(l)
	f.distribution("from SIGSTOP to the next executed disbursement", took, 1500*time.Millisecond, 3*time.Second)
	f.distribution("from SIGCONT to serving", back, 0, healMost)
}
