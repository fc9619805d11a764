package durable

import (
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Replier takes the one answer to a request, from any goroutine, without blocking.
type Replier interface {
	Reply(result any)
	Fail(err *messages.Error)
}

// Request is what every call that changes something carries beside its own parameters. It
// belongs to one actor at a time, and is answered once: by the actor that has it, or by
// the deadlines of the node, whichever comes first. Copies of it stand for the same
// request once the deadlines know it.
type Request struct {
	To Replier
	// Who is the caller, for audit rows.
	Who string
	// By is what the caller may do, and the name in its certificate.
	By messages.Caller
	// Right is what its caller needs at the commit. It goes into the Txn with the identity.
	Right Right
	// ID makes a repeat harmless; at most 64 bytes.
	ID string
	// Stamped says that the ingress chose ID because the caller gave none: nothing
	// needs to remember it.
	Stamped bool
	// Hash covers method and decoded parameters; a repeat with another is a conflict.
	Hash [16]byte
	// Confirmed says that the Store has applied all that was committed when the request came:
	// a refusal that rests on it is certain. See Change.Unsure.
	Confirmed bool
	// Deadline is when the caller stops waiting; zero if that is never.
	Deadline time.Time

	wait *wait
}

// phase is how far a request has come.
type phase = uint32

const (
	queued phase = iota // certainly not proposed
	proposed
	answered
)

// wait is a caller who waits for the answer to a request.
type wait struct {
	phase atomic.Uint32
	to    Replier // belongs to whoever answers
	// watched is where the deadline is watched, nil if there is none.
	watched    *Deadlines
	list       *waitList // guarded by watched, as are its neighbours; nil once it has left
	prev, next *wait
}

// Base gives the request itself, for those it is embedded in.
func (r *Request) Base() *Request { return r }

// Reply answers the request, unless it was answered before.
func (r *Request) Reply(result any) {
	if w := r.waiting(); w.answer() {
		r.To.Reply(result)
	}
}

// Fail refuses the request, unless it was answered before.
func (r *Request) Fail(err *messages.Error) {
	if w := r.waiting(); w.answer() {
		r.To.Fail(err)
	}
}

// Answered reports whether nobody waits any more.
func (r *Request) Answered() bool { return r.waiting().phase.Load() == answered }

// Undelivered implements actors.Undeliverable.
func (r *Request) Undelivered(err error) { r.Fail(ErrorOf(err)) }

// Propose says that the request is about to be proposed: from here on a deadline that
// passes leaves its outcome unknown. It reports false if the request was answered already
// and must not be proposed any more.
func (r *Request) Propose() bool {
	w := r.waiting()
	return w.phase.CompareAndSwap(queued, proposed) || w.phase.Load() == proposed
}

// Requeue takes Propose back: what was proposed has certainly not happened.
func (r *Request) Requeue() { r.waiting().phase.CompareAndSwap(proposed, queued) }

// Expired reports whether the caller has stopped waiting.
func (r *Request) Expired(now time.Time) bool { return !r.Deadline.IsZero() && !now.Before(r.Deadline) }

// Identify puts the request's identity into a Txn, and its right. It comes last.
func (r *Request) Identify(txn *persistence.Txn, keep persistence.Keep) {
	r.Right.Join(txn)
	if !r.Stamped {
		txn.RequestID, txn.PayloadHash, txn.Keep = r.ID, r.Hash, keep
	}
}

// Remember puts the request's identity into a Txn, and the answer that a repeat is given.
func (r *Request) Remember(txn *persistence.Txn, reply []byte) {
	r.Identify(txn, persistence.KeepRecent)
	if !r.Stamped {
		txn.Reply = reply
	}
}

func (r *Request) waiting() *wait {
	if r.wait == nil {
		r.wait = &wait{to: r.To}
	}
	return r.wait
}

// answer takes the right to answer, which is given once.
func (w *wait) answer() bool {
	if w.phase.Swap(answered) == answered {
		return false
	}
	if w.watched != nil {
		w.watched.forget(w)
	}
	return true
}

// expire answers a caller whose deadline has passed, exactly.
func (w *wait) expire() {
	for {
		phase := w.phase.Load()
		if phase == answered {
			return
		}
		if !w.phase.CompareAndSwap(phase, answered) {
			continue
		}
		if phase == proposed {
			w.to.Fail(OutcomeUnknown())
		} else {
			w.to.Fail(Expired())
		}
		return
	}
}
