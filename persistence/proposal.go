package persistence

import (
	"context"
	"fmt"
	"time"
)

// Proposal is a Txn on its way to the log.
type Proposal struct {
	Txn *Txn
	// Priority Low is for sweeps, which keep at least an eighth of each entry.
	Priority Priority
	// Deadline, if not zero, is when the caller who waits gives up: a Txn still queued then
	// is not proposed and ends with ErrUnavailable. With high priority it is refused at once
	// if the queue is too long for it (JournalConfig.QueueDelayMax). Without a deadline it is
	// the node's own work, which only a full queue refuses.
	Deadline time.Time
	// Received, if not zero, is when the caller's request arrived: what it has waited
	// before this counts as if it had waited in the queue.
	Received time.Time
	// Sink is told the outcome. It must be comparable, such as a pointer.
	Sink Sink
	// Token comes back in the Outcome.
	Token uint64
	// Early asks for the outcome Committed as soon as it is certain, even if this
	// node's Store has not applied it yet: for proposers that need the verdict alone.
	// Every other outcome is told once the Store shows it.
	Early bool
}

// Priority is a class of the journal's queue.
type Priority byte

// The classes.
const (
	High Priority = iota
	Low
)

// Outcome is what became of a proposal.
type Outcome struct {
	Token  uint64
	Result Result
	// Err is nil if the log gave a verdict. errors.Is(Err, ErrUnavailable): certainly
	// not proposed. errors.Is(Err, ErrUnknown): proposed, and not known.
	Err error
}

// Sink receives outcomes. Committed is called with all outcomes of a batch that belong to
// the sink, in the order they were proposed within their class: once per batch, or twice
// where some are told early and the others wait for this node's Store. It must not block.
// The slice belongs to the sink.
type Sink interface {
	Committed([]Outcome)
}

// Log takes entries, in the order of the calls, and has them committed and applied.
// Apply must not block for longer than it takes to hand the entry over; entry belongs
// to the Log from then on.
type Log interface {
	Apply(entry []byte) Future
}

// Future is an entry on its way. Results may be called once Done is closed. Its error
// is ErrUnavailable (wrapped or not) if the entry was certainly not taken; any other
// error means that it may still commit. Applied is closed, at Done or later, once this
// node's Store has applied the entry, or will not any more: where another node leads,
// this one learns of a commit a moment after it is certain.
type Future interface {
	Done() <-chan struct{}
	Results() ([]Result, error)
	Applied() <-chan struct{}
}

// Commit has one Txn judged and waits for the verdict, for whoever has a goroutine to wait
// on. The error is the journal's: ErrUnavailable is certainly not done; ErrUnknown, and the
// end of ctx, may be.
func Commit(ctx context.Context, journal interface{ Propose(Proposal) error }, p Proposal) (Result, error) {
	if p.Txn.StampedAt == 0 {
		p.Txn.StampedAt = time.Now().UnixMilli()
	}
	verdict := make(verdict, 1)
	p.Sink = verdict
	p.Deadline, _ = ctx.Deadline()
	if err := journal.Propose(p); err != nil {
		return Result{}, err
	}
	select {
	case o := <-verdict:
		return o.Result, o.Err
	case <-ctx.Done():
		return Result{}, fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	}
}

// verdict takes the outcome of one proposal.
type verdict chan Outcome

// Committed implements Sink.
func (v verdict) Committed(outcomes []Outcome) { v <- outcomes[0] }
