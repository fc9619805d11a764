package durable

import (
	"context"
	"errors"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// RetryOverload is how long a caller should wait when too much waits already: about what
// a few batches of the journal take.
const RetryOverload = 50 * time.Millisecond

// dataMoved is the fact by which a refusal says that the call is another node's to
// take, or will be this one's in a moment. Such a call was certainly not done: it may be
// made again, under the same request id, at the new owner.
const dataMoved = "moved"

// NotOwner refuses a call because this node does not own the shard it is about.
func NotOwner(shard messages.ShardID) *messages.Error {
	return messages.Errorf(messages.CodeUnavailable, "shard %d has no owner here; try again", shard).
		With(dataMoved, true)
}

// RefusalOf turns an outcome without a verdict, or one that is the same for every
// operation, into what the caller is told; nil if the operation must look itself.
func RefusalOf(o persistence.Outcome) *messages.Error {
	switch {
	case o.Err != nil:
		return ErrorOf(o.Err)
	case o.Result.Status == persistence.Conflict:
		return RequestIDConflict()
	case o.Result.Status == persistence.Fenced:
		return messages.Errorf(messages.CodeUnavailable, "shard %d has moved to another owner; try again", o.Result.Shard).
			With(dataMoved, true)
	case o.Result.Status == persistence.Refused && o.Result.Failed.Kind == persistence.FailedRight:
		return RightLost()
	default:
		return nil
	}
}

// RightLost tells a caller that who signed its call was changed before the commit.
func RightLost() *messages.Error {
	return messages.Errorf(messages.CodeUnauthorized, "not done: an operator who signed or approved this was changed, or the approval "+
		"was given or withdrawn, before the commit; look at operators.list, and sign anew")
}

// ErrorOf turns an error of the journal, the Store or the runtime into what a caller is
// told.
func ErrorOf(err error) *messages.Error {
	var known *messages.Error
	var busy *persistence.OverloadError
	switch {
	case errors.As(err, &busy):
		return messages.Errorf(messages.CodeOverloaded, "not done: the log is too busy; try again").
			With("retry_after_ms", max(busy.RetryAfter, time.Millisecond).Milliseconds())
	case errors.Is(err, persistence.ErrOverloaded):
		return messages.Errorf(messages.CodeOverloaded, "the journal's queue is full; try again").
			With("retry_after_ms", RetryOverload.Milliseconds())
	case errors.Is(err, persistence.ErrUnknown):
		return OutcomeUnknown()
	case errors.Is(err, persistence.ErrUnavailable), errors.Is(err, persistence.ErrClosed),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return messages.Errorf(messages.CodeUnavailable, "not done: the log did not take the request in time")
	case errors.Is(err, actors.ErrStashFull), errors.Is(err, actors.ErrTooManyActors):
		return Overloaded("too much is waiting")
	case errors.Is(err, actors.ErrStopping):
		return messages.Errorf(messages.CodeUnavailable, "not done: the node is stopping")
	case errors.As(err, &known):
		return known
	}
	return messages.Errorf(messages.CodeInternal, "%v", err)
}

// Overloaded refuses a call because of what waits already.
func Overloaded(why string) *messages.Error {
	return messages.Errorf(messages.CodeOverloaded, "%s; try again", why).
		With("retry_after_ms", RetryOverload.Milliseconds())
}

// RequestIDConflict refuses a repeat that asks for something else.
func RequestIDConflict() *messages.Error {
	return messages.Errorf(messages.CodeRequestIDConflict,
		"this request_id was used before with other parameters; choose a new one")
}

// OutcomeUnknown tells a caller that its request was proposed, and no more.
func OutcomeUnknown() *messages.Error {
	return messages.Errorf(messages.CodeOutcomeUnknown,
		"proposed, and the result is not known; ask again with the same request_id")
}

// Expired tells a caller that its deadline passed before anything was proposed.
func Expired() *messages.Error {
	return messages.Errorf(messages.CodeUnavailable, "not done: the deadline passed first")
}
