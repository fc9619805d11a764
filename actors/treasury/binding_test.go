package treasury_test

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/actors/treasury/executor"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
)

func unbound(w *world) { w.unbound = true }

func (w *world) rebind(to payout.Binding, hows ...how) *reply {
	w.t.Helper()
	request, r := w.ask([]any{"rebind", to}, hows)
	w.Append([]treasury.Appendable{&treasury.Rebind{Request: request, To: to, Reason: "a new account"}})
	return r
}

// TestTheFirstPaymentBindsATreasury to its submitter; a node with another pays nothing.
func TestTheFirstPaymentBindsATreasury(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		w.epochs(1)
		if status, _ := w.Executor(); status.BoundTo != "" {
			t.Errorf("bound to %q before its first payment", status.BoundTo)
		}
		id := result[*messages.SubmitDisbursementResult](w.submit(payment(10, 1))).ID
		w.quiet()
		w.is(id, messages.Executed)
		if status, _ := w.Executor(); status.BoundTo != "ledger" {
			t.Errorf("bound to %q", status.BoundTo)
		}
	}, unbound)
}

func TestANodeThatIsConfiguredOtherwisePaysNothing(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(1000)
		first := a.payments(1)[0]
		a.quiet()
		time.Sleep(time.Minute)
		a.is(first, messages.Executed)
		chain := a.cfg.Outside
		other, err := payout.NewSigner(ed25519.NewKeyFromSeed([]byte("another key, of thirty-two bytes")))
		a.ok(err)
		for name, outside := range map[string]*executor.Outside{
			"the ledger": nil, "another key": {Chain: chain.Chain, Signer: other},
			"another chain": {Chain: chain.Chain, Signer: chain.Signer, ChainID: func() string { return "fork" }},
		} {
			a.cfg.Outside = chain
			if name == "another chain" { // the treasury knows the name of its own
				named := *chain
				named.ChainID = func() string { return "main" }
				a.ok(a.rebound(payout.Binding{Submitter: "http", Account: a.account, Chain: "main"}))
				chain = &named
			}
			a.cfg.Outside = outside
			a.crash(true)
			id := a.payments(1)[0]
			time.Sleep(time.Minute)
			a.quiet()
			a.is(id, messages.Draft)
			a.execute(id).refused(messages.CodeUnavailable, "the treasury is bound to http with account "+a.account)
			if status := a.status(); !strings.Contains(status.LastError, "this node is configured for") {
				t.Errorf("%s: the executor says %+v", name, status)
			}
			a.cfg.Outside = chain
			a.crash(true)
			time.Sleep(time.Minute)
			a.quiet()
			a.is(id, messages.Executed)
		}
	})
}

// rebound rebinds the treasury, and says what went wrong.
func (a *abroad) rebound(to payout.Binding) error {
	a.t.Helper()
	time.Sleep(time.Minute)
	a.quiet()
	_, refusal := a.rebind(to).wait()
	if refusal != nil {
		return refusal
	}
	return nil
}

// TestATreasuryIsReboundWhileNothingIsInFlight, and never to another account than its own.
func TestATreasuryIsReboundWhileNothingIsInFlight(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		w.epochs(1)
		id := result[*messages.SubmitDisbursementResult](w.submit(payment(10, 1))).ID
		w.quiet()
		w.is(id, messages.Executed)
		w.rebind(payout.Binding{Submitter: "http", Account: "tb1short"}).refused(messages.CodeValidationFailed, "account is")
		account := "tb1" + strings.Repeat("0a", 32)
		got := result[*messages.RebindResult](w.rebind(payout.Binding{Submitter: "http", Account: account}, as("order")))
		if got.BoundTo != "http with account "+account {
			t.Errorf("got %+v", got)
		}
		late := result[*messages.SubmitDisbursementResult](w.submit(payment(10, 1))).ID
		time.Sleep(time.Minute)
		w.quiet()
		w.is(late, messages.Draft) // this node pays by the ledger
		if got := result[*messages.RebindResult](w.rebind(payout.Binding{Submitter: "http", Account: account}, as("order"))); !got.Duplicate {
			t.Errorf("the repeat got %+v", got)
		}
		result[*messages.RebindResult](w.rebind(payout.Binding{Submitter: "ledger"}))
		time.Sleep(time.Minute)
		w.quiet()
		w.is(late, messages.Executed)
	})
	liveAbroad(t, func(a *abroad) {
		a.begin(1000)
		a.node.Manual(true)
		id := a.payments(1)[0]
		a.quiet()
		a.is(id, messages.Executed)
		a.rebind(payout.Binding{Submitter: "ledger"}).refused(messages.CodeInvalidTransition, "not final on their chain yet")
		a.node.Manual(false)
		a.node.Confirm()
		a.ok(a.rebound(payout.Binding{Submitter: "http", Account: a.account, Chain: "main"}))
		other := payout.Binding{Submitter: "http", Account: "tb1" + strings.Repeat("0a", 32)}
		a.rebind(other).refused(messages.CodeInvalidTransition, "the treasury cannot go on under another")
		a.ok(a.rebound(payout.Binding{Submitter: "ledger"}))
		a.rebind(other).refused(messages.CodeInvalidTransition, "the treasury cannot go on under another")
		a.ok(a.rebound(payout.Binding{Submitter: "http", Account: a.account}))
	})
}
