package executor

import (
	"time"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/actors/treasury/readmodel"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// recording is a decision of the window on its way through the log.
type recording struct {
	payout.Decision
	// fill is the intent that takes the nonce which the decision leaves free, or that
	// replaces the one it was about; for is whom it pays, nil for a null transaction.
	fill  *payout.Intent
	payee *payment
	// call is whose request id the Txn carries: one who asked for the payment.
	call *Execute
	// skip is the operator's order behind the decision, if it is one.
	skip *SkipIntent
	// taken says that the decision's nonce is taken by what the chain has.
	taken bool
}

// fillTries is how many payable disbursements are looked at to find one that takes a
// free nonce, before a null transaction does.
const fillTries = 16

// carry proposes what the window decided.
func (s *outside) carry(x *executor, ctx durable.Context, d payout.Decision) error {
	return s.propose(x, ctx, &recording{Decision: d})
}

func (s *outside) propose(x *executor, ctx durable.Context, w *recording) error {
	var txn *persistence.Txn
	var err error
	switch w.Do {
	case payout.Wait:
		return nil
	case payout.Pause:
		x.log.Warn("the executor has paused; an operator decides", "component", "executor",
			"disbursement", w.Intent.ID, "nonce", w.Intent.Nonce, "reason", w.Reason)
		return nil
	case payout.Execute:
		txn, err = s.executeTxn(x, w)
	case payout.RollBack:
		txn, err = s.rollBackTxn(x, w)
	case payout.Drop:
		txn = s.txn(x, w)
		w.sent(txn)
		w.remember(txn)
	case payout.Forget:
		return nil
	case payout.GiveUp:
		txn = s.giveUpTxn(x, w)
	}
	if err != nil {
		return err
	}
	if txn == nil {
		err = errStale
	} else {
		err = x.Propose(persistence.Proposal{Txn: txn}, w)
	}
	if err != nil {
		if w.skip != nil {
			w.skip.Fail(durable.ErrorOf(err))
		}
		w.fail(x)
		x.broken = true
		x.rest.BackOff(ctx, x.Chance())
		return nil
	}
	s.recording++
	return nil
}

// errStale says that the Store of this node is behind or ahead of the window.
var errStale = messages.Errorf(messages.CodeUnavailable, "not done: the intent has changed; look again")

// txn is an empty Txn about an intent that is still what it was.
func (s *outside) txn(x *executor, w *recording) *persistence.Txn {
	return &persistence.Txn{
		Fences: []persistence.ShardFence{x.Held()},
		Conditions: []persistence.Condition{
			s.condition(), persistence.TagIn(rows.IntentKey(w.Intent.Nonce), byte(w.Intent.Kind)),
		},
	}
}

// move adds a move of the decision's record to txn; nil if the rule refuses it,
// because this node's Store is behind or ahead of the window.
func (s *outside) move(
	x *executor, w *recording,
	rule func(disbursement.Record, disbursement.Facts) (disbursement.Move, *messages.Error),
) (*persistence.Txn, error) {
	r, ok, err := rows.Load(x.Store, w.Intent.ID)
	if err != nil || !ok {
		return nil, err
	}
	facts, err := x.model.FactsOf(x.Store, x.Wall(), x.cfg.Node)
	if err != nil {
		return nil, err
	}
	move, refusal := rule(r.Record, facts)
	if refusal != nil {
		return nil, nil
	}
	txn := s.txn(x, w)
	(&rows.Write{ID: r.ID, Version: r.Version, Move: move}).AppendTo(txn)
	if epoch, opens := move.OpensWindow(); opens {
		txn.Conditions = append(txn.Conditions, rows.EpochBefore(epoch+1))
	}
	return txn, nil
}

// executeTxn records a payment, with the request id of one who asked for it.
func (s *outside) executeTxn(x *executor, w *recording) (*persistence.Txn, error) {
	txn, err := s.move(x, w, disbursement.Confirm)
	if txn == nil || err != nil {
		return nil, err
	}
	w.sent(txn)
	if w.call = x.callers.first(w.Intent.ID); w.call != nil {
		w.call.Remember(txn, rows.TransitionReply.Encode(executedResult(w.Intent.ID)))
	}
	return txn, nil
}

// sent drops the decision's intent, whose nonce is taken, and remembers what took it.
func (w *recording) sent(txn *persistence.Txn) {
	w.taken = true
	s := w.Intent.Sent(w.Do)
	txn.Deletes = []persistence.Key{rows.IntentKey(s.Nonce)}
	txn.Writes = append(txn.Writes, persistence.Write{
		Key: rows.SentKey(s.Nonce), Tag: byte(s.Kind), Value: payout.AppendSent(nil, &s),
	})
}

// rollBackTxn rolls a record back. If its payment was refused the nonce is free, and
// the same commit fills it.
func (s *outside) rollBackTxn(x *executor, w *recording) (*persistence.Txn, error) {
	txn, err := s.move(x, w, func(r disbursement.Record, f disbursement.Facts) (disbursement.Move, *messages.Error) {
		return disbursement.Refuse(r, f, w.Reason)
	})
	if txn == nil || err != nil {
		return nil, err
	}
	if w.Intent.Kind != payout.Pay {
		w.sent(txn)
		return txn, nil
	}
	return txn, s.fillNonce(x, w, txn)
}

// fillNonce adds an intent for the decision's nonce to txn: the next payment, or a
// null transaction.
func (s *outside) fillNonce(x *executor, w *recording, txn *persistence.Txn) error {
	for range fillTries {
		due, ok := x.model.TakePayable()
		if !ok {
			break
		}
		staged, err := s.fillWith(x, w, due)
		if err != nil {
			x.model.PutPayable(due)
			return err
		}
		if staged != nil {
			txn.Conditions = append(txn.Conditions, staged.Conditions...)
			txn.Writes = append(txn.Writes, staged.Writes...)
			txn.Adds = append(txn.Adds, staged.Adds...)
			return nil
		}
	}
	fill := s.Signer.Fill(w.Intent.ID, w.Intent.Nonce)
	w.fill = &fill
	txn.Writes = append(txn.Writes, rows.IntentWrite(&fill))
	return nil
}

// fillWith stages a payment under the nonce that comes free; nil if it cannot be
// made now, and then it is filed under what it waits for.
func (s *outside) fillWith(x *executor, w *recording, due readmodel.Payable) (*persistence.Txn, error) {
	if x.under(due.ID) {
		return nil, nil
	}
	r, ok, err := rows.Load(x.Store, due.ID)
	if err != nil || !ok {
		return nil, err
	}
	facts, err := x.funds()
	if err != nil {
		return nil, err
	}
	amount := r.Record.Payload.Disbursement.Amount
	txn, intent, refusal := s.stageTxn(x, r, w.Intent.Nonce, facts)
	if refusal != nil {
		x.refuse(costly{due, amount}, refusal)
		return nil, nil
	}
	w.fill = &intent
	w.payee = &payment{Payable: due, amount: amount, nonce: intent.Nonce}
	x.paying[due.ID] = w.payee
	x.callers.proposed(due.ID)
	return txn, nil
}

// giveUpTxn replaces the intent to pay by one to skip. The record stays staged.
func (s *outside) giveUpTxn(x *executor, w *recording) *persistence.Txn {
	skip := s.Signer.Skip(&w.Intent, w.Reason)
	w.fill = &skip
	txn := s.txn(x, w)
	txn.Writes = []persistence.Write{rows.IntentWrite(&skip)}
	w.remember(txn)
	return txn
}

// remember keeps the answer to the operator's order, if there is one behind the decision.
func (w *recording) remember(txn *persistence.Txn) {
	if w.skip != nil {
		w.skip.Remember(txn, rows.TransitionReply.Encode(w.skip.result))
	}
}

func (w *recording) fail(x *executor) {
	if w.payee != nil {
		delete(x.paying, w.payee.ID)
		x.model.PutPayable(w.payee.Payable)
		x.callers.requeued(w.payee.ID)
	}
	if w.skip != nil {
		w.skip.Fail(durable.OutcomeUnknown())
	}
}

// conclude lets the window follow what the log holds now. If the log did not take the
// decision, the window is filled anew.
func (w *recording) conclude(x *executor, ctx durable.Context, o persistence.Outcome) error {
	s := x.outside
	s.recording--
	if w.payee != nil {
		delete(x.paying, w.payee.ID)
	}
	if o.Err != nil || o.Result.Status != persistence.Committed {
		return w.failed(x, ctx, o)
	}
	x.rest.Reset()
	if s.drawn && w.taken {
		s.confirming.taken(w.Intent.Nonce, x.Steady())
	}
	switch {
	case !s.drawn: // forgotten meanwhile, and to be filled from the log
	case w.fill != nil:
		s.window.Add(*w.fill, true)
	default:
		s.window.Remove(w.Intent.Nonce)
	}
	switch w.Do {
	case payout.Execute:
		w.executed(x, x.Steady())
	case payout.RollBack:
		w.rolledBack(x, x.Steady())
	case payout.GiveUp, payout.Drop:
		if w.skip != nil {
			w.skip.Reply(w.skip.result)
		}
	case payout.Wait, payout.Pause, payout.Forget:
	}
	return nil
}

func (w *recording) executed(x *executor, now time.Time) {
	id := w.Intent.ID
	x.stats.Entered(messages.Executed, 1)
	if p := x.outside.staged[id]; p != nil {
		x.stats.Executor().Executed(&p.Payable, x.cfg.EpochInterval, now)
	}
	delete(x.outside.staged, id)
	x.answerCallers(&payment{Payable: readmodel.Payable{ID: id}, call: w.call})
}

func (w *recording) rolledBack(x *executor, now time.Time) {
	id := w.Intent.ID
	x.stats.Entered(messages.RolledBack, 1)
	refusal := messages.Errorf(messages.CodeInvalidTransition, "the payment was refused: %s", w.Reason).
		With("state", messages.RolledBack.String())
	x.stats.PaymentRefused(refusal, now)
	delete(x.outside.staged, id)
	x.callers.fail(id, refusal)
	if w.payee != nil && x.outside.drawn {
		x.outside.staged[w.payee.ID] = w.payee
	}
}

func (w *recording) failed(x *executor, ctx durable.Context, o persistence.Outcome) error {
	x.broken = true
	if w.payee != nil {
		x.model.PutPayable(w.payee.Payable)
		if o.Err == nil {
			x.callers.requeued(w.payee.ID)
		}
	}
	if w.skip != nil {
		w.skip.conclude(o)
	}
	switch {
	case o.Err != nil:
		x.stats.ExecutionError(durable.ErrorOf(o.Err), x.Steady())
		x.rest.BackOff(ctx, x.Chance())
	case o.Result.Status == persistence.Duplicate && w.call != nil: // its id was used for something else
		durable.Repeat(w.call, o.Result.Reply)
		x.callers.removeOne(w.call)
	case o.Result.Status == persistence.Conflict && w.call != nil:
		w.call.Fail(durable.RequestIDConflict())
		x.callers.removeOne(w.call)
	}
	return nil
}
