package actors

import (
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

// deadLettersKept is how many dead letters a node remembers.
const deadLettersKept = 256

// DeadLetter is a message nobody took.
type DeadLetter struct {
	At     time.Time
	Path   string // the actor it was for; "" if none is known
	Type   string // the message's Go type
	Reason Reason
}

// deadLetters counts them all and keeps the newest.
type deadLetters struct {
	counts [reasons]atomic.Uint64

	mu   sync.Mutex
	ring [deadLettersKept]DeadLetter
	next uint64
}

func (d *deadLetters) add(l DeadLetter) {
	d.counts[l.Reason].Add(1)
	l.At = time.Now()
	d.mu.Lock()
	d.ring[d.next%deadLettersKept] = l
	d.next++
	d.mu.Unlock()
}

// list returns the newest dead letters, newest first.
func (d *deadLetters) list() []DeadLetter {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(d.next, deadLettersKept)
	out := make([]DeadLetter, 0, n)
	for i := range n {
		out = append(out, d.ring[(d.next-1-i)%deadLettersKept])
	}
	return out
}

// total returns how many there have been, by reason.
func (d *deadLetters) total() map[string]uint64 {
	out := make(map[string]uint64, reasons)
	for r := Reason(1); r < reasons; r++ {
		out[r.String()] = d.counts[r].Load()
	}
	return out
}

func typeName(v any) string {
	if v == nil {
		return "nil"
	}
	return reflect.TypeOf(v).String()
}

// Undeliverable is a message whose sender waits for an answer by other means than
// Ask. The runtime tells it when no actor will answer it: a breaker turned it away
// after it was accepted, its actor ended before its turn, or failed on it. A message
// that Tell refused is not told: its sender has the error.
//
// Undelivered is called once, on a worker, and must not block. err is what an asker
// would get.
type Undeliverable interface {
	Undelivered(err error)
}

// undelivered tells msg, if it wants to know, that nobody will answer it. A panic
// ends here: the actor whose turn it is has no part in it.
func undelivered(msg any, why func() error) {
	if m, ok := msg.(Undeliverable); ok {
		defer func() { _ = recover() }()
		m.Undelivered(why())
	}
}
