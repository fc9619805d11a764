package treasury

import (
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Rebind is an operator's order that payments leave the treasury by another way from now
// on. Nothing may be in flight: what was paid by the old way is final.
type Rebind struct {
	durable.Request
	To     payout.Binding
	Reason string
}

var rebindReply = durable.Reply[messages.RebindResult]{
	Kind: "rebind", Repeat: func(r *messages.RebindResult) { r.Duplicate = true },
}

func (r *Rebind) fail(*shard) { r.Fail(durable.OutcomeUnknown()) }

func (r *Rebind) txn(s *shard) (*persistence.Txn, *messages.Error) {
	if refusal := r.To.Check(); refusal != nil {
		return nil, refusal
	}
	switch {
	case r.Reason == "":
		return nil, messages.Errorf(messages.CodeValidationFailed, "reason is empty: say why")
	case len(r.Reason) > disbursement.ReasonBytesMax:
		return nil, messages.Errorf(messages.CodeValidationFailed,
			"reason has %d bytes, at most %d are allowed", len(r.Reason), disbursement.ReasonBytesMax)
	}
	txn, refusal := r.move(s.Store)
	if refusal != nil {
		return nil, refusal
	}
	r.Remember(txn, rebindReply.Encode(&messages.RebindResult{BoundTo: r.To.String()}))
	return txn, nil
}

// move writes the binding, provided that nothing is in flight and everything that the chain
// took is final.
func (r *Rebind) move(store *persistence.Store) (*persistence.Txn, *messages.Error) {
	bound, version, err := rows.Binding(store)
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	given, err := store.Counter(rows.CounterChainNonce)
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	confirmed, err := store.Counter(rows.CounterConfirmed)
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	to := r.To
	if bound != nil && bound.Account != "" && given > 0 {
		if to.Submitter == "ledger" {
			to.Account = bound.Account
		}
		if to.Account != bound.Account {
			return nil, messages.Errorf(messages.CodeInvalidTransition, "%d payments were made by account %s, to which their nonces belong: "+
				"the treasury cannot go on under another", given, bound.Account)
		}
	}
	txn := &persistence.Txn{
		Conditions: []persistence.Condition{
			persistence.CounterBelow(rows.CounterAccount(disbursement.AccountInFlight), 1),
			persistence.CounterBelow(rows.CounterChainNonce, confirmed+1),
			persistence.Absent(rows.BindingKey),
		},
		Writes: []persistence.Write{{Key: rows.BindingKey, Value: payout.AppendBinding(nil, to)}},
	}
	if bound != nil {
		txn.Conditions[2] = persistence.VersionIs(rows.BindingKey, version)
	}
	return txn, nil
}

func (r *Rebind) conclude(_ *shard, _ durable.Context, o persistence.Outcome) {
	if refusal := durable.RefusalOf(o); refusal != nil {
		r.Fail(refusal)
		return
	}
	switch o.Result.Status {
	case persistence.Committed:
		r.Reply(&messages.RebindResult{BoundTo: r.To.String()})
	case persistence.Duplicate:
		result, ok := rebindReply.Recall(o.Result.Reply)
		if !ok {
			r.Fail(durable.RequestIDConflict())
			return
		}
		r.Reply(result)
	default:
		r.Fail(messages.Errorf(messages.CodeInvalidTransition,
			"payments are in flight, or not final on their chain yet, or the binding has just changed: "+
				"see gov.treasury.executor, and try again when staged is 0 and confirmed_nonce is next_nonce - 1"))
	}
}
