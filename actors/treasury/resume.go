package treasury

import (
	"context"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// reconciled is what the outside chain knows that the log does not.
type reconciled struct {
	given, next uint64 // the last nonce that the log has given out, and the chain's next
}

// resume answers resume: payments go on after a restore. On an outside chain they may only if
// the chain knows of no payment that this log does not: each nonce would be given out twice.
func (t *Treasury) resume(ctx context.Context, r *durable.Request, p *messages.ResumeParams) (*messages.ResumeResult, *messages.Error) {
	seat := durable.Seat{Host: t.host, Shard: t.ExecutorShard()}
	fence, owns := seat.Fence()
	if !owns {
		return nil, durable.NotOwner(fence.Shard)
	}
	rest, version, err := rows.Resting(t.host.Store)
	switch {
	case err != nil:
		return nil, durable.ErrorOf(err)
	case rest == nil:
		version = 0
	}
	if version > 0 {
		if refusal := t.mayResume(ctx); refusal != nil {
			return nil, refusal
		}
	}
	txn := &persistence.Txn{
		Fences:     []persistence.ShardFence{fence},
		Conditions: []persistence.Condition{persistence.VersionIs(rows.RestKey, version)},
		Deletes:    []persistence.Key{rows.RestKey},
	}
	if version == 0 {
		txn.Conditions[0] = persistence.Absent(rows.RestKey)
	}
	r.Remember(txn, resumeReply.Encode(&messages.ResumeResult{Resumed: version > 0}))
	result, err := persistence.Commit(ctx, t.host.Journal, persistence.Proposal{Txn: txn})
	if refusal := durable.RefusalOf(persistence.Outcome{Result: result, Err: err}); refusal != nil {
		return nil, refusal
	}
	switch result.Status {
	case persistence.Committed:
		t.log.InfoContext(ctx, "payments go on after a restore", "component", "executor", "reason", p.Reason, "from", r.Who)
		return &messages.ResumeResult{Resumed: version > 0}, nil
	case persistence.Duplicate:
		if answer, ok := resumeReply.Recall(result.Reply); ok {
			return answer, nil
		}
		return nil, durable.RequestIDConflict()
	default:
		return nil, messages.Errorf(messages.CodeUnavailable, "not done: another call has just changed it; try again")
	}
}

var resumeReply = durable.Reply[messages.ResumeResult]{
	Kind: "resume", Repeat: func(r *messages.ResumeResult) { r.Duplicate = true },
}

// mayResume refuses to go on where the chain knows more than the log.
func (t *Treasury) mayResume(ctx context.Context) *messages.Error {
	found, refusal := t.reconcile(ctx)
	if refusal != nil || found == nil {
		return refusal
	}
	if later := found.next - 1 - found.given; found.next-1 > found.given {
		return messages.Errorf(messages.CodeInvalidTransition,
			"the chain has %d payments of this account, under nonces %d to %d, that this log does not know: going on would pay again. "+
				"Restore a later point, one that knows of nonce %d", later, found.given+1, found.next-1, found.next-1)
	}
	return nil
}

// reconcile asks the chain how far its account is; nil for the ledger, whose payments are in
// the log alone.
func (t *Treasury) reconcile(ctx context.Context) (*reconciled, *messages.Error) {
	if t.cfg.Outside == nil {
		bound, _, err := rows.Binding(t.host.Store)
		switch {
		case err != nil:
			return nil, durable.ErrorOf(err)
		case bound != nil && bound.Submitter != "ledger":
			return nil, messages.Errorf(messages.CodeUnavailable,
				"not done: this treasury pays by %s, and this node does not: start it with the right submitter", bound)
		}
		return nil, nil
	}
	given, err := t.host.Store.Counter(rows.CounterChainNonce)
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	next, err := t.cfg.Outside.Chain.NextNonce(ctx)
	if err != nil {
		return nil, messages.Errorf(messages.CodeUnavailable, "not done: the chain cannot be asked for its account's next nonce: %v", err)
	}
	return &reconciled{given: uint64(given), next: max(next, 1)}, nil
}
