package treasury

import (
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Get answers get_disbursement from the Store.
func (t *Treasury) Get(id messages.DisbursementID) (*messages.GetDisbursementResult, *messages.Error) {
	result, record, refusal := t.Reader.Get(id)
	if refusal != nil {
		return nil, refusal
	}
	result.WaitingFor, refusal = t.waitingFor(&record)
	return result, refusal
}

// Statement answers statement: the disbursement, every step of its life, every vote, and why
// it is not paid yet.
func (t *Treasury) Statement(p *messages.StatementParams) (*messages.StatementResult, *messages.Error) {
	result, record, refusal := t.Reader.Statement(p)
	if refusal != nil {
		return nil, refusal
	}
	result.WaitingFor, refusal = t.waitingFor(&record)
	return result, refusal
}

// waitingFor tells why a record is not paid yet, as far as this node knows.
func (t *Treasury) waitingFor(r *disbursement.Record) ([]messages.Waiting, *messages.Error) {
	if _, executed := r.Entered(messages.Executed); executed || r.State == messages.RolledBack {
		return nil, nil
	}
	s := disbursement.Surroundings{Now: t.host.Wall(), EpochInterval: t.cfg.EpochInterval}
	err := t.host.Store.View(func(v *persistence.View) error {
		s.Epoch, s.Treasury = messages.Epoch(v.Counter(rows.CounterEpoch)), messages.Amount(v.Counter(rows.CounterTreasury))
		for _, dep := range r.Deps {
			if value, ok := v.Get(rows.RecordKey(dep)); !ok || messages.State(value.Tag) != messages.Finalized {
				s.Unmet = append(s.Unmet, dep)
			}
		}
		if v.Owner(t.cfg.ExecutorShard()).Owner == "" {
			s.NoExecutor = noExecutor
		}
		return nil
	})
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	if t.Owns(t.cfg.ExecutorShard()) {
		if p := t.stats.Paused(); p != nil {
			s.PausedAt, s.PauseReason = p.ID, p.Reason
		}
		s.RetryAfter = t.host.Runtime.RetryAfter(t.host.Address(t.ExecutorShard()).Path(), s.Now)
	}
	return disbursement.WaitingFor(r, &s), nil
}
