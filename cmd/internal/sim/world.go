package sim

import (
	"container/heap"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// world is everything of one run: the time, what is to happen, and who is there.
type world struct {
	*rand.Rand
	seed   uint64
	mutant Mutant
	dir    string    // for the Stores' files
	trace  io.Writer // nil tells nothing

	now     time.Duration // since the beginning
	agenda  agenda
	entered uint64 // events, to order those of one instant

	network network
	nodes   []*node
	chain   *chain // nil pays in the cluster's own accounts
	clients clients
	monitor monitor
	quiet   bool  // no epoch comes any more
	failed  error // the first promise that was broken
}

// event is something that happens at an instant.
type event struct {
	at    time.Duration
	order uint64
	do    func()
}

// agenda is the events to come, the next one first.
type agenda []event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(event)) }
func (a *agenda) Pop() any {
	last := len(*a) - 1
	e := (*a)[last]
	(*a)[last] = event{}
	*a = (*a)[:last]
	return e
}

// after has do happen once d has passed.
func (w *world) after(d time.Duration, do func()) {
	w.entered++
	heap.Push(&w.agenda, event{at: w.now + d, order: w.entered, do: do})
}

// every has do happen again and again, until it says that it was the last time.
func (w *world) every(d time.Duration, do func() (more bool)) {
	w.after(d, func() {
		if do() {
			w.every(d, do)
		}
	})
}

// run lets time pass until an instant, or until a promise is broken.
func (w *world) run(until time.Duration) {
	for len(w.agenda) > 0 && w.agenda[0].at <= until && w.failed == nil {
		e := heap.Pop(&w.agenda).(event)
		w.now = e.at
		e.do()
	}
	if w.failed == nil {
		w.now = until
	}
}

// chance is true with probability p.
func (w *world) chance(p float64) bool { return p > 0 && w.Float64() < p }

// between draws a duration from low up to high.
func (w *world) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.Int64N(int64(high-low)+1))
}

// note adds a line to the trace.
func (w *world) note(who, format string, args ...any) {
	if w.trace != nil {
		_, _ = fmt.Fprintf(w.trace, "%8.1fms %-8s %s\n", w.now.Seconds()*1000, who, fmt.Sprintf(format, args...))
	}
}

// fail notes that a promise was broken. The first time ends the run.
func (w *world) fail(format string, args ...any) {
	if w.failed == nil {
		w.failed = fmt.Errorf(format, args...)
		w.note("CHECK", "%v", w.failed)
	}
}
