package actors

import (
	"errors"
	"strconv"
	"time"

	"github.com/the-block/bursar/messages"
)

var (
	// ErrNameTaken is returned by Spawn when the parent has a child of that name,
	// one that is still stopping included.
	ErrNameTaken = errors.New("actors: name taken")
	// ErrInvalidSpec is returned by Spawn for a spec that cannot be run.
	ErrInvalidSpec = errors.New("actors: invalid spec")
	// ErrTooManyActors is returned by Spawn when Config.ActorsMax actors exist.
	ErrTooManyActors = errors.New("actors: too many actors")
	// ErrStopping is returned by Spawn when the parent or the system is stopping.
	ErrStopping = errors.New("actors: stopping")
	// ErrStashFull is returned by Context.Stash when the stash holds a mailbox's worth.
	ErrStashFull = errors.New("actors: stash full")
	// ErrNoReply is what an Ask returns when the actor handled the message without
	// replying or keeping its Replier.
	ErrNoReply = errors.New("actors: no reply")
	// ErrReplyType is returned by Ask when the reply is not of the asked type.
	ErrReplyType = errors.New("actors: reply of another type")
	// ErrGoexit is the failure of an actor that called runtime.Goexit.
	ErrGoexit = errors.New("actors: goexit in an actor")
	// ErrNilActor is the failure of an actor whose Spec.New returned nil.
	ErrNilActor = errors.New("actors: new returned no actor")
	// ErrTooManyReaders is returned by Subscribe beyond 64 subscriptions.
	ErrTooManyReaders = errors.New("actors: too many event readers")
	// ErrTooManyForces is returned by Force beyond 2,000 forced breakers.
	ErrTooManyForces = errors.New("actors: too many forced breakers")
	// ErrNotFound is returned when no actor has the given path.
	ErrNotFound = errors.New("actors: no such actor")
)

// Reason says why a message was not taken.
type Reason uint8

// The reasons of a [Refused] and of a [DeadLetter].
const (
	// MailboxFull: the actor has Limit accepted messages it has not finished.
	MailboxFull Reason = iota + 1
	// CircuitOpen: a breaker above the actor, or its own, lets nothing through.
	CircuitOpen
	// Stopped: the actor has ended or is draining.
	Stopped
	// DeadlinePassed: the asker had given up before the message's turn came.
	DeadlinePassed
	// ReplyUnclaimed: the asker had given up, or had its answer, before this reply.
	ReplyUnclaimed
	// TooManyTimers: the actor has timersMax timers running.
	TooManyTimers

	reasons // new ones go above
)

var reasonNames = [reasons]string{
	MailboxFull:    "mailbox_full",
	CircuitOpen:    "circuit_open",
	Stopped:        "stopped",
	DeadlinePassed: "deadline_passed",
	ReplyUnclaimed: "reply_unclaimed",
	TooManyTimers:  "too_many_timers",
}

// String gives the reason as metrics and logs show it.
func (r Reason) String() string {
	if r == 0 || r >= reasons {
		return "reason(" + strconv.Itoa(int(r)) + ")"
	}
	return reasonNames[r]
}

// Refused is the error of a message that was not accepted: it is certain that
// the actor will never see it.
type Refused struct {
	Reason Reason
	// RetryAfter is how long to wait before another try makes sense; 0 if unknown.
	RetryAfter time.Duration
}

// Error says why.
func (r *Refused) Error() string {
	if r.RetryAfter > 0 {
		return "actors: refused: " + r.Reason.String() + ", retry after " + r.RetryAfter.String()
	}
	return "actors: refused: " + r.Reason.String()
}

// Is reports whether target is a Refused with the same reason.
func (r *Refused) Is(target error) bool {
	t, ok := target.(*Refused)
	return ok && t.Reason == r.Reason
}

// Unwrap gives the refusal as a caller on the wire sees it: overloaded,
// circuit_open or unavailable, with retry_after_ms where it is known.
func (r *Refused) Unwrap() error {
	var e *messages.Error
	switch r.Reason {
	case MailboxFull:
		e = messages.Errorf(messages.CodeOverloaded, "the mailbox is full")
	case CircuitOpen:
		e = messages.Errorf(messages.CodeCircuitOpen, "the circuit breaker is open")
	case Stopped, DeadlinePassed, ReplyUnclaimed, TooManyTimers:
		e = messages.Errorf(messages.CodeUnavailable, "the actor is %s", r.Reason)
	default:
		e = messages.Errorf(messages.CodeUnavailable, "refused")
	}
	if r.RetryAfter > 0 {
		e = e.With("retry_after_ms", r.RetryAfter.Milliseconds())
	}
	return e
}

// Refusals without facts of their own are shared: refusing must be cheap
// exactly when there is too much to do.
var (
	refusedFull    = &Refused{Reason: MailboxFull, RetryAfter: 100 * time.Millisecond}
	refusedStopped = &Refused{Reason: Stopped}
)
