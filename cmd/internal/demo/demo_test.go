package demo_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"math/big"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/cmd/internal/demo"
	"github.com/the-block/bursar/messages"
)

// columns reads a data file the plain way: each column by its name.
func columns(t *testing.T, name string) map[string][]string {
	t.Helper()
	file, err := os.Open("data/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string][]string)
	for _, row := range rows[1:] {
		for i, cell := range row {
			byName[rows[0][i]] = append(byName[rows[0][i]], cell)
		}
	}
	return byName
}

// exactCents adds up dollars as fractions, which lose nothing.
func exactCents(t *testing.T, dollars []string) messages.Amount {
	t.Helper()
	sum := new(big.Rat)
	for _, text := range dollars {
		amount, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("amount %q", text)
		}
		sum.Add(sum, amount.Mul(amount, big.NewRat(100, 1)))
	}
	if !sum.IsInt() {
		t.Fatalf("%s cents", sum)
	}
	return messages.Amount(sum.Num().Uint64())
}

func TestTheBookIsWhatTheFilesSay(t *testing.T) {
	grants, expenses := columns(t, "grants.csv"), columns(t, "expenses.csv")
	book, err := demo.Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(book.Grants) != 643 || len(grants["id"]) != 643 {
		t.Errorf("%d grants of %d, want 643", len(book.Grants), len(grants["id"]))
	}
	if len(book.Expenses) != 694 || len(expenses["id"]) != 694 {
		t.Errorf("%d expenses of %d, want 694", len(book.Expenses), len(expenses["id"]))
	}
	var granted, spent messages.Amount
	for _, grant := range book.Grants {
		granted += grant.Amount
	}
	for _, expense := range book.Expenses {
		spent += expense.Amount
	}
	if want := exactCents(t, grants["amount_usd"]); granted != want || want != 4_128_800_000 {
		t.Errorf("grants of %d cents, the file holds %d, want 4128800000", granted, want)
	}
	if want := exactCents(t, expenses["amount"]); spent != want {
		t.Errorf("expenses of %d cents, the file holds %d", spent, want)
	}
	if book.Total() != granted+spent {
		t.Errorf("Total is %d, want %d", book.Total(), granted+spent)
	}
}

// treasury refuses what a node refuses of the demo's payments, and keeps the rest.
type treasury struct {
	mu       sync.Mutex
	accrued  map[string]messages.Amount
	ids      map[string]messages.DisbursementID
	payments []messages.Payload
}

func newTreasury() *treasury {
	return &treasury{accrued: make(map[string]messages.Amount), ids: make(map[string]messages.DisbursementID)}
}

func (n *treasury) Call(_ context.Context, method string, p messages.Params, r messages.Result) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	id := p.Shared().RequestID
	if method == messages.MethodAccrue {
		n.accrued[id] = p.(*messages.AccrueParams).Amount
		return nil
	}
	result := r.(*messages.SubmitDisbursementResult)
	if known := n.ids[id]; known != 0 {
		*result = messages.SubmitDisbursementResult{ID: known, Duplicate: true}
		return nil
	}
	payload := p.(*messages.SubmitDisbursementParams).Payload
	if err := n.refuse(payload.Disbursement); err != nil {
		return err
	}
	n.payments = append(n.payments, payload)
	n.ids[id] = messages.DisbursementID(len(n.payments))
	result.ID = n.ids[id]
	return nil
}

func (n *treasury) refuse(d messages.Disbursement) error {
	if d.Amount == 0 {
		return messages.Errorf(messages.CodeValidationFailed, "amount is 0")
	}
	var memo struct {
		DependsOn []uint64 `json:"depends_on"`
	}
	if json.Unmarshal([]byte(d.Memo), &memo) == nil {
		for _, dep := range memo.DependsOn {
			if dep > uint64(len(n.payments)) {
				return messages.Errorf(messages.CodeMissingDependency, "%d does not exist", dep)
			}
		}
	}
	return nil
}

func run(t *testing.T, node *treasury) *demo.Tally {
	t.Helper()
	book, err := demo.Load()
	if err != nil {
		t.Fatal(err)
	}
	tally, err := demo.Run(t.Context(), node, book, batch.DefaultConfig(), func(*demo.Tally) {})
	if err != nil {
		t.Fatal(err)
	}
	return tally
}

func TestDanglingExpensesAndTheEmptyGrantAreRefusedAndCounted(t *testing.T) {
	grants, expenses := columns(t, "grants.csv"), columns(t, "expenses.csv")
	var linked []string
	for i, grant := range expenses["proposal_id"] {
		if strings.Contains(strings.Join(grants["id"], " "), grant) {
			linked = append(linked, expenses["amount"][i])
		}
	}
	want := &demo.Tally{
		Accrued:  exactCents(t, append(grants["amount_usd"], expenses["amount"]...)),
		Grants:   642,
		Expenses: 676,
		Refused:  map[messages.Code]int{messages.CodeValidationFailed: 1, messages.CodeMissingDependency: 18},
		Sum:      exactCents(t, append(linked, grants["amount_usd"]...)),
	}
	if len(linked) != 676 {
		t.Fatalf("the files link %d expenses, want 676", len(linked))
	}
	if diff := cmp.Diff(run(t, newTreasury()), want); diff != "" {
		t.Errorf("tally (-got +want):\n%s", diff)
	}
}

func TestRunningAgainSubmitsNothingTwice(t *testing.T) {
	node := newTreasury()
	first := run(t, node)
	again := run(t, node)
	if again.Duplicates != first.Submitted() || len(node.payments) != first.Submitted() || len(node.accrued) != 1 {
		t.Errorf("%d duplicates of %d, %d payments, %d accruals",
			again.Duplicates, first.Submitted(), len(node.payments), len(node.accrued))
	}
}

func TestPaymentsKeepPayeeMonthAndWords(t *testing.T) {
	grants := columns(t, "grants.csv")
	node := newTreasury()
	run(t, node)
	address := regexp.MustCompile(`^tb1[0-9a-f]{40}$`)
	titles := make(map[string]bool)
	var last messages.Epoch
	for _, payload := range node.payments {
		payment := payload.Disbursement
		if payload.Proposal != nil || !address.MatchString(payment.Destination) || payment.ScheduledEpoch == 0 {
			t.Fatalf("payment %+v", payment)
		}
		titles[payment.Memo] = true
		last = max(last, payment.ScheduledEpoch)
	}
	for i, title := range grants["memo"] {
		if grants["amount_usd"][i] != "0" && !titles[title] {
			t.Errorf("no payment carries the title %q", title)
		}
	}
	if last < 12 || last > 120 {
		t.Errorf("the last month is epoch %d", last)
	}
}
