package treasury

import (
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// staging is an intent on its way into the log.
type staging struct {
	*payment
	intent payout.Intent
}

// stage decides about one payment and proposes its intent.
func (s *outside) stage(x *executor, ctx durable.Context, r stored, p *payment, facts disbursement.Facts) {
	txn, intent, refusal := s.stageTxn(x, r, p.nonce, facts)
	if refusal != nil {
		x.refuse(costly{p.Payable, p.amount}, refusal)
		return
	}
	txn.Adds = append(txn.Adds, persistence.Add{
		Counter: CounterChainNonce, Delta: 1, Min: int64(p.nonce), Max: int64(p.nonce),
	})
	x.submit(ctx, &staging{p, intent}, p, txn)
}

// stageTxn takes a record's amount out of the balance and writes the intent to pay it.
func (s *outside) stageTxn(
	x *executor, r stored, nonce uint64, facts disbursement.Facts,
) (*persistence.Txn, payout.Intent, *messages.Error) {
	intent := s.Signer.Pay(r.id, nonce, &r.record)
	move, refusal := disbursement.Stage(r.record, facts, disbursement.Intent{Nonce: nonce, TxHash: intent.Hash})
	if refusal != nil {
		return nil, intent, refusal
	}
	txn := x.moveTxn(recordWrite{id: r.id, version: r.version, move: move})
	txn.Conditions = append(append(txn.Conditions, s.condition()), finalized(r.record.Deps)...)
	txn.Writes = append(txn.Writes, intentWrite(&intent))
	return txn, intent, nil
}

// finalized wants the dependencies of a payment to be final.
func finalized(deps []messages.DisbursementID) []persistence.Condition {
	conditions := make([]persistence.Condition, len(deps))
	for i, dep := range deps {
		conditions[i] = persistence.TagIn(recordKey(dep), byte(messages.Finalized))
	}
	return conditions
}

func intentWrite(i *payout.Intent) persistence.Write {
	return persistence.Write{Key: intentKey(i.Nonce), Tag: byte(i.Kind), Value: payout.AppendIntent(nil, i)}
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
