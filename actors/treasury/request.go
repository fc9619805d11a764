package treasury

import (
	"errors"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Replier takes the one answer to a request, from any goroutine, without blocking.
type Replier interface {
	Reply(result any)
	Fail(err *messages.Error)
}

// Request is what every call that changes something carries beside its own
// parameters. It belongs to one actor at a time.
type Request struct {
	To Replier
	// ID makes a repeat harmless; at most 64 bytes.
	ID string
	// Stamped says that the ingress chose ID because the caller gave none: nothing
	// needs to remember it.
	Stamped bool
	// Hash covers the decoded parameters; a repeat with another is a conflict.
	Hash [16]byte
	// Deadline is when the caller stops waiting.
	Deadline time.Time

	answered bool
}

// Reply answers the request, unless it was answered before.
func (r *Request) Reply(result any) {
	if !r.answered {
		r.answered = true
		r.To.Reply(result)
	}
}

// Fail refuses the request, unless it was answered before.
func (r *Request) Fail(err *messages.Error) {
	if !r.answered {
		r.answered = true
		r.To.Fail(err)
	}
}

// Undelivered implements actors.Undeliverable.
func (r *Request) Undelivered(err error) { r.Fail(errorOf(err)) }

// identify puts the request's identity into a Txn.
func (r *Request) identify(txn *persistence.Txn, keep persistence.Keep) {
	if r.Stamped {
		return
	}
	txn.RequestID, txn.PayloadHash, txn.Keep = r.ID, r.Hash, keep
}

// expired reports whether the caller has stopped waiting.
func (r *Request) expired(now time.Time) bool { return !r.Deadline.IsZero() && !now.Before(r.Deadline) }

// refusalOf turns an outcome without a verdict, or one that is the same for every
// operation, into what the caller is told; nil if the operation must look itself.
func refusalOf(o persistence.Outcome) *messages.Error {
	switch {
	case o.Err != nil:
		return errorOf(o.Err)
	case o.Result.Status == persistence.Conflict:
		return requestIDConflict()
	case o.Result.Status == persistence.Fenced:
		return messages.Errorf(messages.CodeUnavailable, "shard %d has moved to another owner; try again", o.Result.Shard).
			With(dataMoved, true)
	default:
		return nil
	}
}

// retryOverload is how long a caller should wait when the journal is full: about
// what a few batches take.
const retryOverload = 50 * time.Millisecond

// errorOf turns an error of the journal or the runtime into what a caller is told.
func errorOf(err error) *messages.Error {
	var known *messages.Error
	var busy *persistence.OverloadError
	switch {
	case errors.As(err, &busy):
		return messages.Errorf(messages.CodeOverloaded, "not done: the log is too busy; try again").
			With("retry_after_ms", max(busy.RetryAfter, time.Millisecond).Milliseconds())
	case errors.Is(err, persistence.ErrOverloaded):
		return messages.Errorf(messages.CodeOverloaded, "the journal's queue is full; try again").
			With("retry_after_ms", retryOverload.Milliseconds())
	case errors.Is(err, persistence.ErrUnavailable), errors.Is(err, persistence.ErrClosed):
		return messages.Errorf(messages.CodeUnavailable, "not done: the log did not take the request in time")
	case errors.Is(err, persistence.ErrUnknown):
		return outcomeUnknown()
	case errors.Is(err, actors.ErrStashFull), errors.Is(err, actors.ErrTooManyActors):
		return messages.Errorf(messages.CodeOverloaded, "too much is waiting; try again").
			With("retry_after_ms", retryOverload.Milliseconds())
	case errors.Is(err, actors.ErrStopping):
		return messages.Errorf(messages.CodeUnavailable, "not done: the node is stopping")
	case errors.As(err, &known):
		return known
	}
	return messages.Errorf(messages.CodeInternal, "%v", err)
}

func requestIDConflict() *messages.Error {
	return messages.Errorf(messages.CodeRequestIDConflict,
		"this request_id was used before with other parameters; choose a new one")
}

func outcomeUnknown() *messages.Error {
	return messages.Errorf(messages.CodeOutcomeUnknown,
		"proposed, and the result is not known; ask again with the same request_id")
}

func expired() *messages.Error {
	return messages.Errorf(messages.CodeUnavailable, "not done: the deadline passed first")
}
