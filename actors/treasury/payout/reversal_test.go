package payout_test

import (
	"strings"
	"testing"

	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
)

func TestOnlyTheWholeAmountBackIsAReversal(t *testing.T) {
	good := payout.Transfer{Confirmed: true, Destination: "tb1treasury", Amount: 10}
	pending, elsewhere, less, more := good, good, good, good
	pending.Confirmed = false
	elsewhere.Destination = "tb1treasur"
	less.Amount, more.Amount = 9, 11
	if refusal := payout.CheckReversal(good, "tb1treasury", 10); refusal != nil {
		t.Errorf("refused: %v", refusal)
	}
	for name, transfer := range map[string]payout.Transfer{
		"nothing": {}, "pending": pending, "to somebody else": elsewhere, "too little": less, "too much": more,
	} {
		refusal := payout.CheckReversal(transfer, "tb1treasury", 10)
		if refusal == nil || refusal.Code != messages.CodeValidationFailed || !strings.HasPrefix(refusal.Message, "reversing_tx ") {
			t.Errorf("%s: %v", name, refusal)
		}
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
