package executor

import (
	"context"
	"errors"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/readmodel"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision/breaker"
)

// payment is one disbursement on its way through the log.
type payment struct {
	readmodel.Payable
	amount messages.Amount
	nonce  uint64
	token  breaker.Token
	// call is whose request id the payment carries, nil if nobody asked for it: what was
	// paid and what was answered are one commit.
	call *Execute
}

// start decides about one payment and proposes it.
func (x *executor) start(ctx durable.Context, due readmodel.Payable) error {
	if x.under(due.ID) {
		return nil
	}
	r, ok, err := rows.Load(x.Store, due.ID)
	if err != nil || !ok {
		return err
	}
	facts, err := x.funds()
	if err != nil {
		return err
	}
	p := &payment{Payable: due, amount: r.Record.Payload.Disbursement.Amount, nonce: x.nonce + 1}
	if x.outside != nil {
		x.outside.stage(x, ctx, r, p, facts)
		return nil
	}
	_, hash := disbursement.LedgerTx(due.ID, p.nonce, r.Record)
	move, refusal := disbursement.Execute(r.Record, facts, disbursement.Intent{Nonce: p.nonce, TxHash: hash})
	if refusal != nil {
		x.refuse(costly{due, p.amount}, refusal)
		return nil
	}
	if p.token, ok = x.breaker.Admit(); !ok {
		x.hold(ctx, due)
		return nil
	}
	p.call = x.callers.first(due.ID)
	x.submit(ctx, p, p, x.txn(r, move, p))
	return nil
}

// txn pays: it needs the fence, the record as it was decided on, final
// dependencies, the balance and the next nonce, or nothing of it happens.
func (x *executor) txn(r rows.Stored, move disbursement.Move, p *payment) *persistence.Txn {
	txn := x.moveTxn(rows.Write{ID: r.ID, Version: r.Version, Move: move})
	txn.Conditions = append(txn.Conditions, rows.Finalized(r.Record.Deps)...)
	txn.Adds = append(txn.Adds, persistence.Add{
		Counter: rows.CounterNonce, Delta: 1, Min: int64(p.nonce), Max: int64(p.nonce),
	})
	if p.call != nil {
		p.call.Remember(txn, rows.TransitionReply.Encode(executedResult(r.ID)))
	}
	return txn
}

// submit hands a payment to the log, as work.
func (x *executor) submit(ctx durable.Context, work executorWork, p *payment, txn *persistence.Txn) {
	x.callers.proposed(p.ID)
	if err := x.Propose(persistence.Proposal{Txn: txn}, work); err != nil {
		x.breaker.Cancel(p.token)
		x.callers.fail(p.ID, durable.ErrorOf(err))
		if errors.Is(err, persistence.ErrInvalid) || errors.Is(err, persistence.ErrTooLarge) {
			// It will never be taken: it must not keep the payments behind it waiting.
			x.stats.ExecutionError(durable.ErrorOf(err), x.Steady())
			x.log.ErrorContext(context.Background(), "a payment that the log cannot hold is passed over", "id", p.ID, "err", err)
			return
		}
		x.model.PutPayable(p.Payable)
		x.rest.BackOff(ctx, x.Chance())
		return
	}
	x.nonce = p.nonce
	x.reserved += p.amount
	x.chain = append(x.chain, p)
	x.paying[p.ID] = p
}

// refuse files a payment that cannot be made now. What waits for funds stays here;
// all else comes back by itself when its record, its epoch or a dependency changes.
func (x *executor) refuse(p costly, refusal *messages.Error) {
	if refusal.Code == messages.CodeInsufficientFunds {
		x.unfunded.add(p)
		x.stats.ExecutionError(refusal, x.Steady())
	}
	x.callers.fail(p.ID, refusal)
}

// hold keeps a payment back while the breaker lets nothing through.
func (x *executor) hold(ctx durable.Context, due readmodel.Payable) {
	x.model.PutPayable(due)
	refusal := x.circuitOpen()
	x.stats.ExecutionError(refusal, x.Steady())
	x.callers.fail(due.ID, refusal)
	x.rest.Begin(ctx, min(x.breaker.RetryAfter(x.Steady()), holdMax))
}

func (x *executor) circuitOpen() *messages.Error {
	return messages.Errorf(messages.CodeCircuitOpen, "the executor's circuit breaker is open").
		With("retry_after_ms", x.breaker.RetryAfter(x.Steady()).Milliseconds())
}

func (p *payment) fail(x *executor) {
	x.breaker.Cancel(p.token)
	x.model.PutPayable(p.Payable)
}

// conclude notes what a payment came to. One that did not commit is decided anew, after
// those behind it have failed with it.
func (p *payment) conclude(x *executor, ctx durable.Context, o persistence.Outcome) error {
	delete(x.paying, p.ID)
	now := x.Steady()
	if o.Err != nil {
		x.broken = true
		x.model.PutPayable(p.Payable)
		x.stats.ExecutionError(durable.ErrorOf(o.Err), now)
		x.callers.fail(p.ID, durable.ErrorOf(o.Err))
		x.failure(ctx, p.token, o.Err)
		return nil
	}
	ctx.Outcome(p.token, true)
	x.stats.Executor().BreakerSuccesses.Add(1)
	x.paid = true
	x.rest.Reset()
	if o.Result.Status == persistence.Committed {
		x.stats.Entered(messages.Executed, 1)
		x.stats.Executor().Executed(&p.Payable, x.cfg.EpochInterval, now)
		x.answerCallers(p)
		return nil
	}
	x.broken = true
	x.model.PutPayable(p.Payable)
	switch o.Result.Status {
	case persistence.Fenced:
		x.callers.fail(p.ID, durable.RefusalOf(o))
	case persistence.Duplicate: // the id that it carried was used for something else
		durable.Repeat(p.call, o.Result.Reply)
		x.callers.removeOne(p.call)
	case persistence.Conflict:
		p.call.Fail(durable.RequestIDConflict())
		x.callers.removeOne(p.call)
	case persistence.Refused, persistence.Committed:
	}
	x.callers.requeued(p.ID)
	return nil
}

// failure notes that the submitter, here the log, did not say what became of a
// payment. Deciding anew is safe: version and nonce let at most one commit. A batch
// fails as a whole and counts as one failure; what was certainly not proposed is none.
func (x *executor) failure(ctx durable.Context, token breaker.Token, err error) {
	if errors.Is(err, persistence.ErrUnavailable) || x.blamed {
		x.breaker.Cancel(token)
	} else {
		x.blamed = true
		x.stats.Executor().BreakerFailures.Add(1)
		ctx.Outcome(token, false)
	}
	x.rest.BackOff(ctx, x.Chance())
}
