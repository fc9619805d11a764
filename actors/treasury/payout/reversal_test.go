package payout_test

import (
	"strings"
	"testing"

	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
)

func TestOnlyThePayeesWholeAmountBackIsAReversal(t *testing.T) {
	payment := payout.Transfer{Confirmed: true, Sender: "tb1treasury", Destination: "tb1payee", Amount: 10, Block: 7}
	good := payout.Transfer{Confirmed: true, Sender: "tb1payee", Destination: "tb1treasury", Amount: 10, Block: 8}
	if refusal := payout.CheckReversal(good, payment, "tb1treasury"); refusal != nil {
		t.Errorf("refused: %v", refusal)
	}
	with := func(change func(*payout.Transfer)) payout.Transfer { c := good; change(&c); return c }
	for name, transfer := range map[string]payout.Transfer{
		"nothing":           {},
		"pending":           with(func(t *payout.Transfer) { t.Confirmed = false }),
		"by a stranger":     with(func(t *payout.Transfer) { t.Sender = "tb1stranger" }),
		"the payment":       payment,
		"to itself":         with(func(t *payout.Transfer) { t.Sender = "tb1treasury" }),
		"to somebody else":  with(func(t *payout.Transfer) { t.Destination = "tb1treasur" }),
		"too little":        with(func(t *payout.Transfer) { t.Amount = 9 }),
		"too much":          with(func(t *payout.Transfer) { t.Amount = 11 }),
		"before it":         with(func(t *payout.Transfer) { t.Block = 6 }),
		"in the same block": with(func(t *payout.Transfer) { t.Block = 7 }),
	} {
		refusal := payout.CheckReversal(transfer, payment, "tb1treasury")
		if refusal == nil || refusal.Code != messages.CodeValidationFailed || !strings.HasPrefix(refusal.Message, "reversing_tx ") {
			t.Errorf("%s: %v", name, refusal)
		}
	}
	payment.Confirmed = false
	if refusal := payout.CheckReversal(good, payment, "tb1treasury"); refusal == nil {
		t.Error("a payment that is not confirmed was taken back")
	}
}

func TestHashesAreReadAsPeopleWriteThem(t *testing.T) {
	digits := strings.Repeat("5e", 32)
	for text, want := range map[string]bool{
		digits: true, strings.ToUpper(digits): true, digits[1:]: false, digits + "0": false, "": false,
		"0x" + digits[2:]: false, "zz" + digits[2:]: false,
	} {
		if _, ok := payout.ParseHash(text); ok != want {
			t.Errorf("%q: %t, want %t", text, ok, want)
		}
	}
}
