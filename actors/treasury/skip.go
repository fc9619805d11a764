package treasury

import (
	"fmt"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// SkipIntent is an operator's decision about the intent at which the executor has
// paused.
type SkipIntent struct {
	Request
	ID messages.DisbursementID
	// Retry tries the same bytes again. Otherwise a null transaction is sent on their
	// nonce, and the disbursement is rolled back once that is confirmed.
	Retry bool

	result *transitionResult
}

// skip carries an operator's decision out.
func (x *executor) skip(ctx *actors.Context, c *SkipIntent) error {
	if x.fence == 0 {
		c.Fail(notOwner(x.cfg.ExecutorShard()))
		return nil
	}
	if c.expired(time.Now()) {
		c.Fail(expired())
		return nil
	}
	if answered, err := x.answerRepeat(&c.Request, c.ID); answered || err != nil {
		return err
	}
	r, ok, err := load(x.store, c.ID)
	if err != nil {
		return err
	}
	if !ok {
		c.Fail(notFound(c.ID))
		return nil
	}
	intent, refusal := x.outside.skippable(c)
	if refusal != nil {
		c.Fail(refusal.With("state", r.record.State.String()))
		return nil
	}
	c.result = &transitionResult{c.ID, r.record.State}
	if c.Retry {
		x.watch(ctx)
		return x.outside.retry(x, c, intent)
	}
	_, why, _ := x.outside.window.Paused()
	d, ok := x.outside.window.GiveUp(fmt.Sprintf("skipped by an operator: %s", why))
	if !ok {
		c.Fail(errStale)
		return nil
	}
	x.watch(ctx)
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
	case i.Kind == payout.Fill:
		return refuse("disbursement %d is rolled back already; retry the null transaction on its nonce", i.ID)
	}
	return i, nil
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
	c.identify(txn, persistence.KeepRecent)
	if !c.Stamped {
		txn.Reply = c.result.remember()
	}
	if err := x.propose(persistence.Proposal{Txn: txn, Deadline: c.Deadline}, &retrial{c}); err != nil {
		c.Fail(errorOf(err))
	}
	return nil
}

// retrial is an order to try again on its way into the log.
type retrial struct{ call *SkipIntent }

func (t *retrial) abandon(*executor) { t.call.Fail(outcomeUnknown()) }

func (t *retrial) finish(x *executor, _ *actors.Context, o persistence.Outcome) error {
	if o.Err == nil && o.Result.Status == persistence.Committed {
		x.outside.window.Retry()
		t.call.Reply(t.call.result.answer(false))
		return nil
	}
	t.call.settle(o)
	return nil
}

// settle answers an order that was not carried out now.
func (c *SkipIntent) settle(o persistence.Outcome) {
	switch refusal := refusalOf(o); {
	case refusal != nil:
		c.Fail(refusal)
	case o.Result.Status == persistence.Duplicate:
		repeat(&c.Request, c.ID, o.Result.Reply)
	default:
		c.Fail(errStale)
	}
}
