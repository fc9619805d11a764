package executor

import (
	"fmt"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// SkipIntent is an operator's decision about the intent at which the executor has
// paused.
type SkipIntent struct {
	durable.Request
	ID messages.DisbursementID
	// Retry tries the same bytes again. Otherwise a null transaction is sent on a payment's
	// nonce, and the disbursement is rolled back once that is confirmed; a null transaction
	// on a nonce that came free is left out, and so are bytes that are sent again.
	Retry bool
	// Reason is the operator's.
	Reason string

	result *messages.TransitionResult
}

// Recall implements durable.Command.
func (c *SkipIntent) Recall(reply []byte) (any, bool) { return rows.RecallTransition(c.ID, reply) }

// skip carries an operator's decision out.
func (x *executor) skip(ctx durable.Context, c *SkipIntent) error {
	if !x.Active() {
		c.Fail(durable.NotOwner(x.Shard))
		return nil
	}
	if c.Expired(x.Steady()) {
		c.Fail(durable.Expired())
		return nil
	}
	if answered, err := x.AnswerRepeat(c); answered || err != nil {
		return err
	}
	if refusal := messages.CheckReason(c.Reason); refusal != nil {
		c.Fail(refusal)
		return nil
	}
	r, ok, err := rows.Load(x.Store, c.ID)
	if err != nil {
		return err
	}
	if !ok {
		c.Fail(rows.NotFound(c.ID))
		return nil
	}
	intent, refusal := x.outside.skippable(c)
	if refusal != nil {
		c.Fail(refusal.With("state", r.Record.State.String()))
		return nil
	}
	c.result = &messages.TransitionResult{ID: c.ID, State: r.Record.State}
	if intent.Kind == payout.Resend { // the log holds nothing of it
		x.outside.decideResend(c.Retry)
		c.Reply(c.result)
		return nil
	}
	if c.Retry {
		return x.outside.retry(x, c, intent)
	}
	_, why, _ := x.outside.window.Paused()
	d, ok := x.outside.window.GiveUp(fmt.Sprintf("skipped by an operator (%s): %s", c.Reason, why))
	if !ok {
		c.Fail(errStale)
		return nil
	}
	if !c.Propose() {
		return nil
	}
	return x.outside.propose(x, ctx, &recording{Decision: d, skip: c})
}

// skippable gives the intent that a decision is about, or says why there is none.
func (s *outside) skippable(c *SkipIntent) (payout.Intent, *messages.Error) {
	refuse := func(format string, args ...any) (payout.Intent, *messages.Error) {
		return payout.Intent{}, messages.Errorf(messages.CodeInvalidTransition, format, args...)
	}
	if s == nil {
		return refuse("the executor has not paused: the ledger settles every intent at once")
	}
	i, _, paused := s.window.Paused()
	switch {
	case !paused:
		return refuse("the executor has not paused")
	case i.ID != c.ID:
		return refuse("the executor has paused at disbursement %d", i.ID)
	case c.Retry:
		return i, nil
	case i.Kind == payout.Skip:
		return refuse("disbursement %d is being skipped already; retry its null transaction", i.ID)
	}
	return i, nil
}

// decideResend tries bytes again that are sent again, or sends them no more.
func (s *outside) decideResend(retry bool) {
	if retry {
		s.window.Retry()
	} else {
		s.window.GiveUp("")
	}
}

// retry remembers the order, and then tries again.
func (s *outside) retry(x *executor, c *SkipIntent, i payout.Intent) error {
	i.Tries = 0
	txn, err := s.rewrite(x, &i)
	if err != nil {
		return err
	}
	if txn == nil {
		c.Fail(errStale)
		return nil
	}
	c.Remember(txn, rows.TransitionReply.Encode(c.result))
	x.ProposeFor(&c.Request, persistence.Proposal{Txn: txn}, &retrial{c})
	return nil
}

// retrial is an order to try again on its way into the log.
type retrial struct{ call *SkipIntent }

func (t *retrial) fail(*executor) { t.call.Fail(durable.OutcomeUnknown()) }

func (t *retrial) conclude(x *executor, _ durable.Context, o persistence.Outcome) error {
	if o.Err == nil && o.Result.Status == persistence.Committed {
		x.outside.window.Retry()
		x.log.Info("an operator has the executor try again", "id", t.call.ID, "reason", t.call.Reason)
		t.call.Reply(t.call.result)
		return nil
	}
	t.call.conclude(o)
	return nil
}

// conclude answers an order that was not carried out now.
func (c *SkipIntent) conclude(o persistence.Outcome) {
	switch refusal := durable.RefusalOf(o); {
	case refusal != nil:
		c.Fail(refusal)
	case o.Result.Status == persistence.Duplicate:
		durable.Repeat(c, o.Result.Reply)
	default:
		c.Fail(errStale)
	}
}
