package executor

import (
	"context"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// binding is the executor's side of what the treasury is bound to.
type binding struct {
	// version is that of the row this node agrees with, 0 before it was compared.
	version   uint64
	proposing bool // the first one is on its way through the log
	mismatch  string
}

// BindingOf is what a node is configured for.
func BindingOf(o *Outside) payout.Binding {
	b := payout.Binding{Submitter: Submitter(o)}
	if o != nil {
		b.Account = o.Signer.Account()
		if o.ChainID != nil {
			b.Chain = o.ChainID()
		}
	}
	return b
}

// Mismatch says why a node that is configured like this must not pay, as far as its Store
// knows; "" if it may.
func Mismatch(store *persistence.Store, o *Outside) (string, error) {
	bound, _, err := rows.Binding(store)
	if err != nil || bound == nil {
		return "", err
	}
	return bound.Mismatch(BindingOf(o)), nil
}

// agree reports whether this node may pay. The first payment of a treasury binds it; every
// payment wants the binding to be the one that was compared.
func (x *executor) agree(ctx durable.Context) (bool, error) {
	if x.binding.version != 0 {
		return true, nil
	}
	rest, _, err := rows.Resting(x.Store)
	if err != nil {
		return false, err
	}
	if rest != nil {
		return false, x.mustNotPay(ctx, rest.String())
	}
	bound, version, err := rows.Binding(x.Store)
	switch {
	case err != nil:
		return false, err
	case bound == nil:
		x.binding.mismatch = ""
		return false, x.bind(ctx)
	}
	mismatch := bound.Mismatch(BindingOf(x.cfg.Outside))
	if mismatch == "" {
		x.binding = binding{version: version}
		return true, nil
	}
	return false, x.mustNotPay(ctx, mismatch)
}

// mustNotPay sends away who waits, says why, and has the executor look again later.
func (x *executor) mustNotPay(ctx durable.Context, why string) error {
	if why != x.binding.mismatch {
		x.log.ErrorContext(context.Background(), "this node must not pay",
			"component", "executor", "reason", why)
	}
	x.binding.mismatch = why
	x.stats.ExecutionError(x.mismatched(), x.Steady())
	for _, id := range x.callers.ids() {
		x.callers.fail(id, x.mismatched())
	}
	x.rest.Begin(ctx, holdMax)
	return nil
}

func (x *executor) mismatched() *messages.Error {
	return messages.Errorf(messages.CodeUnavailable, "not done: %s", x.binding.mismatch)
}

// bind writes what this node is configured for into the log, once there is something to pay
// or to go on with.
func (x *executor) bind(ctx durable.Context) error {
	nonce, err := x.Store.Counter(NonceCounter(x.cfg.Outside))
	if err != nil {
		return err
	}
	if x.binding.proposing || nonce == 0 && x.model.PayableCount() == 0 && x.model.Staged() == 0 {
		return nil
	}
	txn := &persistence.Txn{
		Fences:     []persistence.ShardFence{x.Held()},
		Conditions: []persistence.Condition{persistence.Absent(rows.BindingKey)},
		Writes: []persistence.Write{{
			Key: rows.BindingKey, Value: payout.AppendBinding(nil, BindingOf(x.cfg.Outside)),
		}},
	}
	if err := x.Propose(persistence.Proposal{Txn: txn}, binds{}); err != nil {
		x.rest.BackOff(ctx, x.Chance())
		return nil
	}
	x.binding.proposing = true
	return nil
}

// binds is the first binding on its way through the log.
type binds struct{}

func (binds) fail(x *executor) { x.binding.proposing = false }

func (binds) conclude(x *executor, ctx durable.Context, o persistence.Outcome) error {
	x.binding.proposing = false
	if o.Err != nil || o.Result.Status != persistence.Committed || x.Store.Applied() < o.Result.Index {
		x.rest.BackOff(ctx, x.Chance()) // and look again
		return nil
	}
	x.rest.Reset()
	return nil
}
