package wire

import (
	"sync"
	"time"

	"github.com/the-block/bursar/messages"
)

// turns keeps the order of changes that one connection, or one batch over HTTP, makes
// to one record: each is handed to the Handler when those before it are answered. Else
// the last of two votes might not be the one that counts. Changes of other records, and
// reads, do not wait.
type turns struct {
	mu    sync.Mutex
	lines map[messages.Record]*line
}

// line is what is done to one record: the call in hand, and those behind it.
type line struct {
	hand    *turn
	waiting []*turn
	// handing is set while one goroutine hands calls on: those that are answered at
	// once are followed by its loop, not by a deeper call.
	handing bool
	free    bool // the call in hand is answered
}

// turn is a call's place.
type turn struct {
	record messages.Record
	call   *Call
	// late fails the call at its deadline while it waits; nil once it need not wait.
	late *time.Timer
	gone bool // it has failed while it waited
}

// enter gives a call its place and reports whether its turn has come.
func (t *turns) enter(one *turn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	l, busy := t.lines[one.record]
	if !busy {
		if t.lines == nil {
			t.lines = make(map[messages.Record]*line)
		}
		t.lines[one.record] = &line{hand: one}
		return true
	}
	l.waiting = append(l.waiting, one)
	one.late = time.AfterFunc(time.Until(one.call.Deadline), func() { t.expire(one) })
	return false
}

// expire fails a call whose turn has not come by its deadline: it is certainly not done.
func (t *turns) expire(one *turn) {
	t.mu.Lock()
	waits := one.late != nil
	one.gone = waits
	t.mu.Unlock()
	if waits {
		one.call.Fail(messages.Errorf(messages.CodeUnavailable,
			"not done: the change of the same record that came before it on this connection is not decided yet"))
	}
}

// done says that a call is answered, and has serve take the next one of its record.
func (t *turns) done(one *turn, serve func([]*Call)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one.gone {
		return
	}
	l := t.lines[one.record]
	if l.hand != one { // its caller has gone while it waited
		one.gone = true
		one.late.Stop()
		return
	}
	l.free = true
	if l.handing {
		return
	}
	for l.handing = true; l.free; {
		next := l.next()
		if next == nil {
			delete(t.lines, one.record)
			return
		}
		l.hand, l.free = next, false
		t.mu.Unlock()
		serve([]*Call{next.call})
		t.mu.Lock()
	}
	l.handing = false
}

// next takes the first call that still waits, or nil.
func (l *line) next() *turn {
	for len(l.waiting) > 0 {
		one := l.waiting[0]
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
		if !one.gone {
			one.late.Stop()
			one.late = nil
			return one
		}
	}
	return nil
}
