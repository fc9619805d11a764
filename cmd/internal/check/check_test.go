package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/the-block/bursar/actors/treasury/audit"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/persistence/persistencetest"
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
	if err := found(check); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		spoil func(k []kept)
		want  string
	}{
		{func(k []kept) { k[2].digest[0] = 1 }, "n3"},
		{func(k []kept) { k[1].index = 6 }, "n2 at index 6"},
		{func(k []kept) {
			k[1].books = audit.Report{FaultCount: 1, Faults: []string{"nonce 3 was used twice"}}
		}, "the books of n2 are wrong: nonce 3"},
		{func(k []kept) { k[2].books.FaultCount = 1 }, "whether something was executed twice cannot be told"},
		{func(k []kept) { k[0].books.Accruals = 1 }, "not so: the books balance"},
		{func(k []kept) { k[1].missing, k[1].firstBad = 1, "n2: request a" }, "1 acknowledged submissions are not as they were acknowledged; n2"},
	} {
		broken := New(new(Ledger))
		broken.kept = slices.Clone(check.kept)
		c.spoil(broken.kept)
		if err := found(broken); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// keep makes a Store with one payment for each amount, each submitted under a request id
// r1, r2, ...
func keep(t *testing.T, amounts ...messages.Amount) *persistence.Store {
	t.Helper()
	cfg := persistence.DefaultStoreConfig()
	cfg.Columns = rows.Columns()
	store, err := persistence.Open(t.TempDir(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	log := persistencetest.NewLog(persistence.NewFSM(store))
	for i, amount := range amounts {
		record := disbursement.New(payment(amount), nil, disbursement.Facts{Epoch: 1, Node: "n1"})
		results, err := log.Commit(&persistence.Txn{RequestID: fmt.Sprint("r", i+1), Appends: []persistence.Append{{
			Table: rows.TableDisbursements, Tag: record.Tag(), Value: disbursement.AppendRecord(nil, &record),
			Slots: []persistence.Slot{{Offset: disbursement.IndexOffset, Number: persistence.SlotIndex}},
		}}})
		if err != nil || results[0].Status != persistence.Committed {
			t.Fatalf("commit: %+v, %v", results, err)
		}
	}
	return store
}

func payment(amount messages.Amount) messages.Payload {
	return messages.Payload{Disbursement: messages.Disbursement{Destination: "tb1payee", Amount: amount, ScheduledEpoch: 9}}
}

func TestWhatWasAcknowledgedIsLookedForInEachStore(t *testing.T) {
	told := func(amounts ...messages.Amount) *Ledger {
		l := new(Ledger)
		for i, amount := range amounts {
			l.Note(&messages.SubmitDisbursementParams{
				Options: messages.Options{RequestID: fmt.Sprint("r", i+1)}, Payload: payment(amount),
			}, &messages.SubmitDisbursementResult{ID: messages.DisbursementID(i + 1)})
		}
		return l
	}
	for name, c := range map[string]struct {
		told   *Ledger
		stores [][]messages.Amount
		want   string
	}{
		"all is there":          {told(5, 6), [][]messages.Amount{{5, 6}, {5, 6}}, ""},
		"one more was not told": {told(5), [][]messages.Amount{{5, 6}, {5, 6}}, ""},
		"one is lost on one":    {told(5, 6), [][]messages.Amount{{5, 6}, {5}}, "n2: request r2, acknowledged as disbursement 2, is not there"},
		"another amount":        {told(5, 7), [][]messages.Amount{{5, 6}}, "pays 6 to tb1payee, not 7 to tb1payee"},
		"stores that differ":    {told(), [][]messages.Amount{{5}, {6}}, "n1 at index 1 has the digest"},
	} {
		t.Run(name, func(t *testing.T) {
			all := New(c.told)
			for i, amounts := range c.stores {
				if err := all.Look(t.Context(), fmt.Sprint("n", i+1), keep(t, amounts...)); err != nil {
					t.Fatal(err)
				}
			}
			err := found(all)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestAPlanIsHeldToEachOfItsItems(t *testing.T) {
	l := new(Ledger)
	l.Note(&messages.PlanParams{
		Options: messages.Options{RequestID: "r1"},
		Items:   []messages.PlanItem{{Ref: "a", Payload: payment(5)}, {Ref: "b", Payload: payment(6)}},
	}, &messages.SubmitPlanResult{IDs: messages.PlanIDs{{Ref: "a", ID: 1}, {Ref: "b", ID: 2}}})
	all := New(l)
	if err := all.Look(t.Context(), "n1", keep(t, 5, 6)); err != nil { // by two requests, not one
		t.Fatal(err)
	}
	if err := found(all); err == nil || !strings.Contains(err.Error(), "2 acknowledged submissions are not as they were") {
		t.Errorf("got %v", err)
	}
}

// found is what a check found, nil if every promise was kept.
func found(c *Check) error {
	var errs []error
	for _, v := range c.Verdicts() {
		if !v.Kept {
			errs = append(errs, errors.New(v.Text))
		}
	}
	return errors.Join(errs...)
}
