package executor

import (
	"fmt"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Resend is an operator's order to send the very same bytes again, for a chain that lost
// them: all nonces from one on that it has taken, in their order and before any other.
type Resend struct {
	durable.Request
	From uint64

	result *messages.ResendResult
}

var resendReply = durable.Reply[messages.ResendResult]{
	Kind: "resend", Repeat: func(r *messages.ResendResult) { r.Duplicate = true },
}

// Recall implements durable.Command.
func (*Resend) Recall(reply []byte) (any, bool) { return resendReply.Recall(reply) }

// resend keeps the order in the log, and then follows it.
func (x *executor) resend(c *Resend) error {
	switch {
	case !x.Active():
		c.Fail(durable.NotOwner(x.Shard))
		return nil
	case x.outside == nil:
		c.Fail(messages.Errorf(messages.CodeInvalidTransition, "the ledger loses nothing: there is no chain to send to"))
		return nil
	case c.Expired(x.Steady()):
		c.Fail(durable.Expired())
		return nil
	}
	if answered, err := x.AnswerRepeat(c); answered || err != nil {
		return err
	}
	if refusal := x.outside.canResend(c.From); refusal != nil {
		c.Fail(refusal)
		return nil
	}
	c.result = &messages.ResendResult{FromNonce: c.From, Nonces: x.outside.confirming.newest - c.From + 1}
	txn := &persistence.Txn{
		Fences:     []persistence.ShardFence{x.Held()},
		Conditions: []persistence.Condition{x.outside.condition()},
	}
	c.Remember(txn, resendReply.Encode(c.result))
	x.ProposeFor(&c.Request, persistence.Proposal{Txn: txn}, &resending{c})
	return nil
}

// canResend says why bytes from a nonce on cannot be sent again; nil if they can.
func (s *outside) canResend(from uint64) *messages.Error {
	newest := s.confirming.newest
	oldest := uint64(1)
	if s.confirming.confirmed > payout.SentKept {
		oldest = s.confirming.confirmed - payout.SentKept + 1
	}
	switch {
	case !s.drawn:
		return messages.Errorf(messages.CodeUnavailable, "not done: the executor is not ready yet")
	case from < oldest || from > newest:
		return messages.Errorf(messages.CodeValidationFailed,
			"from_nonce is %d: the nonces that can be sent again are %d to %d", from, oldest, newest)
	}
	return nil
}

// resending is an order on its way into the log.
type resending struct{ call *Resend }

func (r *resending) fail(*executor) { r.call.Fail(durable.OutcomeUnknown()) }

func (r *resending) conclude(x *executor, _ durable.Context, o persistence.Outcome) error {
	c := r.call
	switch refusal := durable.RefusalOf(o); {
	case refusal != nil:
		c.Fail(refusal)
	case o.Result.Status == persistence.Duplicate:
		durable.Repeat(c, o.Result.Reply)
	case o.Result.Status != persistence.Committed:
		c.Fail(errStale)
	default:
		x.outside.again = c.From
		c.Reply(c.result)
	}
	return nil
}

// sendAgain puts as much into the window of what is to be sent again as there is room for.
func (s *outside) sendAgain(x *executor) error {
	if s == nil || s.again == 0 || !s.drawn {
		return nil
	}
	room := payout.InFlightMax - s.window.Len()
	if room <= 0 {
		return nil
	}
	sent, err := readSent(x.Store, s.again, min(room, persistence.ViewRowsMax))
	if err != nil {
		return err
	}
	for i := range sent {
		intent, err := s.signAgain(x, &sent[i])
		if err != nil {
			return err
		}
		s.window.Resend(intent)
		s.again = sent[i].Nonce + 1
	}
	if len(sent) == 0 {
		s.again = 0
		s.confirming.due = x.Steady()
	}
	return nil
}

// signAgain gives the bytes that were sent under a nonce.
func (s *outside) signAgain(x *executor, sent *payout.Sent) (payout.Intent, error) {
	intent := s.Signer.Fill(sent.ID, sent.Nonce)
	if sent.Kind == payout.Pay {
		r, ok, err := rows.Load(x.Store, sent.ID)
		if err != nil {
			return intent, err
		}
		if !ok {
			return intent, fmt.Errorf("nonce %d was sent for disbursement %d, which does not exist", sent.Nonce, sent.ID)
		}
		intent = s.Signer.Pay(sent.ID, sent.Nonce, &r.Record)
	}
	if intent.Hash != sent.Hash {
		return intent, fmt.Errorf("nonce %d was signed by another key, or for other bytes", sent.Nonce)
	}
	return intent, nil
}
