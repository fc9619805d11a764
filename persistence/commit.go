package persistence

import (
	"context"
	"fmt"
	"time"
)

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
