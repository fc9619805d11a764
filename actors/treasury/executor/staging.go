package executor

import (
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// staging is an intent on its way into the log.
type staging struct {
	*payment
	intent payout.Intent
}

// stage decides about one payment and proposes its intent.
func (s *outside) stage(x *executor, ctx durable.Context, r rows.Stored, p *payment, facts disbursement.Facts) {
	txn, intent, refusal := s.stageTxn(x, r, p.nonce, facts)
	if refusal != nil {
		x.refuse(costly{p.Payable, p.amount}, refusal)
		return
	}
	txn.Adds = append(txn.Adds, persistence.Add{
		Counter: rows.CounterChainNonce, Delta: 1, Min: int64(p.nonce), Max: int64(p.nonce),
	})
	x.submit(ctx, &staging{p, intent}, p, txn)
}

// stageTxn takes a record's amount out of the balance and writes the intent to pay it.
func (s *outside) stageTxn(
	x *executor, r rows.Stored, nonce uint64, facts disbursement.Facts,
) (*persistence.Txn, payout.Intent, *messages.Error) {
	intent := s.Signer.Pay(r.ID, nonce, &r.Record)
	move, refusal := disbursement.Stage(r.Record, facts, disbursement.Intent{Nonce: nonce, TxHash: intent.Hash})
	if refusal != nil {
		return nil, intent, refusal
	}
	txn := x.moveTxn(rows.Write{ID: r.ID, Version: r.Version, Move: move})
	txn.Conditions = append(append(txn.Conditions, s.condition()), rows.Finalized(r.Record.Deps)...)
	txn.Writes = append(txn.Writes, rows.IntentWrite(&intent))
	return txn, intent, nil
}

func (g *staging) fail(x *executor) { x.model.PutPayable(g.Payable) }

// conclude puts a staged intent into the window. One that did not commit takes all
// behind it along.
func (g *staging) conclude(x *executor, ctx durable.Context, o persistence.Outcome) error {
	delete(x.paying, g.ID)
	if o.Err == nil && o.Result.Status == persistence.Committed {
		x.rest.Reset()
		if x.outside.drawn { // else the window is filled from the log
			x.outside.window.Add(g.intent, true)
			x.outside.staged[g.ID] = g.payment
		}
		return nil
	}
	x.broken = true
	x.model.PutPayable(g.Payable)
	if o.Err != nil {
		x.callers.fail(g.ID, durable.ErrorOf(o.Err))
		x.rest.BackOff(ctx, x.Chance())
	}
	x.callers.requeued(g.ID)
	return nil
}
