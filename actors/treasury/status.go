package treasury

import (
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/actors/treasury/executor"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/actors/treasury/readmodel"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Balance answers balance.
func (t *Treasury) Balance() (*messages.BalanceResult, *messages.Error) {
	result := &messages.BalanceResult{}
	err := t.host.Store.View(func(v *persistence.View) error {
		result.Balance = messages.Amount(v.Counter(rows.CounterTreasury))
		result.AppliedIndex = v.Applied()
		for _, row := range v.History(rows.CounterTreasury, 0, 1) {
			snapshot := readmodel.SnapshotOf(row)
			result.LastSnapshot = &snapshot
		}
		result.Executor = t.executorStatus(v)
		return nil
	})
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	return result, nil
}

// Executor answers executor.
func (t *Treasury) Executor() (*messages.ExecutorResult, *messages.Error) {
	result := &messages.ExecutorResult{}
	err := t.host.Store.View(func(v *persistence.View) error {
		result.ExecutorStatus, result.AppliedIndex = t.executorStatus(v), v.Applied()
		return nil
	})
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	return result, nil
}

// noExecutor says why nobody pays.
const noExecutor = "no node owns the executor yet"

func (t *Treasury) executorStatus(v *persistence.View) messages.ExecutorStatus {
	status := messages.ExecutorStatus{
		Node:      string(v.Owner(t.cfg.ExecutorShard()).Owner),
		NextNonce: uint64(v.Counter(executor.NonceCounter(t.cfg.Outside))) + 1,
		Staged:    uint64(t.model.InState(graph.Staged)),
		Submitter: executor.Submitter(t.cfg.Outside),

		LastExecutedAt: t.model.ExecutedAt(),
	}
	if value, ok := v.Get(rows.BindingKey); ok {
		if bound, err := payout.DecodeBinding(value.Data); err == nil {
			status.BoundTo = bound.String()
		}
	}
	switch {
	case t.Owns(t.cfg.ExecutorShard()):
	case status.Node == "":
		status.Unknown = noExecutor
		return status
	default:
		status.Unknown = "only " + status.Node + " knows more; it is asked unless consistency is local"
		return status
	}
	status.Due, status.Breaker = uint64(t.due()), t.Breaker().String()
	if text, at, ok := t.stats.LastError(); ok {
		status.LastError, status.LastErrorAt = text, uint64(at.Unix())
	}
	if p := t.stats.Chain(); p != nil {
		status.ConfirmedNonce, status.LostNonce = p.Confirmed, p.Lost
	}
	if p := t.stats.Paused(); p != nil {
		status.PausedID, status.PausedReason = &p.ID, p.Reason
	}
	return status
}
