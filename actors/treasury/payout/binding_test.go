package payout_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/treasury/payout"
)

func TestABindingIsKeptAsItIs(t *testing.T) {
	text := rapid.StringN(0, 60, 255)
	rapid.Check(t, func(t *rapid.T) {
		b := payout.Binding{Submitter: text.Draw(t, "submitter"), Account: text.Draw(t, "account"), Chain: text.Draw(t, "chain")}
		data := payout.AppendBinding(nil, b)
		if got, err := payout.DecodeBinding(data); err != nil || got != b {
			t.Fatalf("got %+v, %v, want %+v", got, err, b)
		}
		if _, err := payout.DecodeBinding(data[:len(data)-1]); err == nil {
			t.Fatal("cut short, and read")
		}
		if _, err := payout.DecodeBinding(append(data, 0)); err == nil {
			t.Fatal("too long, and read")
		}
	})
}

func TestOnlyTheSameSubmitterAccountAndChainMatch(t *testing.T) {
	ledger := payout.Binding{Submitter: "ledger"}
	one := payout.Binding{Submitter: "http", Account: "tb1one", Chain: "main"}
	unnamed, other, fork := one, one, one
	unnamed.Chain, other.Account, fork.Chain = "", "tb1two", "fork"
	for _, test := range []struct {
		bound, mine payout.Binding
		may         bool
	}{
		{ledger, ledger, true}, {one, one, true}, {one, unnamed, true}, {unnamed, one, true},
		{ledger, one, false}, {one, ledger, false}, {one, other, false}, {one, fork, false},
	} {
		if got := test.bound.Mismatch(test.mine); (got == "") != test.may {
			t.Errorf("bound to %s, configured for %s: %q", test.bound, test.mine, got)
		}
	}
}

func TestABindingThatIsAskedForIsChecked(t *testing.T) {
	account := "tb1" + strings.Repeat("0a", 32)
	for b, want := range map[payout.Binding]string{
		{Submitter: "ledger"}:                                                 "",
		{Submitter: "http", Account: account}:                                 "",
		{Submitter: "http", Account: account, Chain: "main"}:                  "",
		{Submitter: "ledger", Account: account}:                               "neither account",
		{Submitter: "http"}:                                                   "account is",
		{Submitter: "http", Account: "xx1" + account[3:]}:                     "account is",
		{Submitter: "paper", Account: account}:                                "want ledger or http",
		{Submitter: "http", Account: account, Chain: strings.Repeat("x", 65)}: "chain_id has 65",
	} {
		refusal := b.Check()
		if (refusal == nil) != (want == "") || refusal != nil && !strings.Contains(refusal.Message, want) {
			t.Errorf("%+v: %v, want %q", b, refusal, want)
		}
	}
}
