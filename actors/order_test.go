package actors_test

import (
	"testing"

	"github.com/the-block/bursar/actors"
)

// step is one message of a pair: the outcome is told before the call.
type step struct {
	pair    int
	outcome bool
}

// ordered notes the pairs whose call came before their outcome.
type ordered struct {
	told  int // newest pair whose outcome came
	early int
	done  chan int
	last  int
}

func (o *ordered) Receive(_ *actors.Context, msg any) error {
	s, ok := msg.(step)
	switch {
	case !ok: // traffic that keeps the mailbox in motion
	case s.outcome:
		o.told = s.pair
	case o.told < s.pair:
		o.early++
	}
	if ok && !s.outcome && s.pair == o.last {
		o.done <- o.early
	}
	return nil
}

func TestWhatWasToldInternallyFirstIsServedFirst(t *testing.T) {
	const pairs = 100_000
	sys := newSystem(t)
	o := &ordered{done: make(chan int, 1), last: pairs}
	ref, err := sys.Spawn(actors.Spec{
		Name: "ordered", MailboxLimit: 4 * pairs, New: func() actors.Actor { return o },
	})
	if err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = ref.Tell("traffic") // refused or not
			}
		}
	}()
	for pair := 1; pair <= pairs; pair++ {
		if err := ref.TellInternal(step{pair, true}); err != nil {
			t.Fatal(err)
		}
		for ref.Tell(step{pair, false}) != nil { // the traffic fills the mailbox at times
		}
	}
	if early := <-o.done; early > 0 {
		t.Errorf("%d of %d calls were served before the outcome told before them", early, pairs)
	}
	close(stop)
	<-stopped
}
