package check

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/messages"
)

func TestTheLedgerTakesEachAnswerOnce(t *testing.T) {
	l := new(Ledger)
	note := func(request string, id messages.DisbursementID) {
		l.Note(&messages.SubmitDisbursementParams{
			Options: messages.Options{RequestID: request},
			Payload: messages.Payload{Disbursement: messages.Disbursement{Destination: "tb1x", Amount: 5}},
		}, &messages.SubmitDisbursementResult{ID: id})
	}
	note("a", 1)
	note("a", 1)
	note("b", 2)
	l.Note(&messages.NoParams{}, &messages.BalanceResult{})
	if len(l.taken) != 2 || l.fault != nil {
		t.Errorf("%d taken, fault %v, want 2 and none", len(l.taken), l.fault)
	}
	note("a", 3)
	if l.fault == nil {
		t.Error("two ids for one request are no fault")
	}
	check := Check{ledger: l}
	if _, err := check.nothingLost(); err == nil || !strings.Contains(err.Error(), "request a was answered with disbursement 1, and then with 3") {
		t.Errorf("the check says %v", err)
	}
	l = new(Ledger)
	note("a", 1)
	note("b", 1)
	check = Check{ledger: l}
	if _, err := check.nothingLost(); err == nil || !strings.Contains(err.Error(), "disbursement 1 was acknowledged to") {
		t.Errorf("one id for two requests: %v", err)
	}
}

func TestNodesThatDifferFailTheCheck(t *testing.T) {
	check := New(new(Ledger))
	check.kept = []kept{{name: "n1", index: 7}, {name: "n2", index: 7}, {name: "n3", index: 7}}
	if err := check.Err(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		spoil func(k []kept)
		want  string
	}{
		{func(k []kept) { k[2].digest[0] = 1 }, "n3"},
		{func(k []kept) { k[1].index = 6 }, "n2 at index 6"},
		{func(k []kept) {
			k[1].books = treasury.Report{FaultCount: 1, Faults: []string{"nonce 3 was used twice"}}
		}, "the books of n2 are wrong: nonce 3"},
		{func(k []kept) { k[2].books.FaultCount = 1 }, "whether something was executed twice cannot be told"},
		{func(k []kept) { k[0].books.Accruals = 1 }, "not so: the books balance"},
		{func(k []kept) { k[1].missing, k[1].firstBad = 1, "n2: request a" }, "1 acknowledged submissions are not as they were acknowledged; n2"},
	} {
		broken := New(new(Ledger))
		broken.kept = slices.Clone(check.kept)
		c.spoil(broken.kept)
		if err := broken.Err(); !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}
