package demo_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

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

// expected is what the files say must happen, counted without the demo's help.
type expected struct {
	direct, proposals  int
	votes              int
	carried, noQuorum  int      // proposals
	withdrawn          int      // of those carried
	recalled           string   // id of the grant most expenses name
	recalledFor        string   // dollars
	failed             []string // dollars of the expenses that fall with it
	dangling           int
	submitted, paidFor []string // dollars
}

func readExpected(t *testing.T) expected {
	t.Helper()
	grants, expenses := columns(t, "grants.csv"), columns(t, "expenses.csv")
	var s expected
	named := make(map[string]int)
	for _, id := range expenses["proposal_id"] {
		named[id]++
		if named[id] > named[s.recalled] && slices.Contains(grants["id"], id) {
			s.recalled = id
		}
	}
	for i, id := range grants["id"] {
		dollars, status := grants["amount_usd"][i], grants["status"][i]
		if dollars == "0" {
			continue
		}
		s.submitted = append(s.submitted, dollars)
		switch {
		case status == "enacted" && grants["started"][i] < "2022":
			s.direct++
			s.paidFor = append(s.paidFor, dollars)
			continue
		case status == "active":
			s.votes += 3
			s.noQuorum++
		case status == "rejected":
			s.votes += 6
			s.noQuorum++
		default:
			s.votes += 6
			s.carried++
			switch {
			case status == "out_of_budget":
				s.withdrawn++
			case id == s.recalled:
				s.recalledFor = dollars
			default:
				s.paidFor = append(s.paidFor, dollars)
			}
		}
		s.proposals++
	}
	for i, id := range expenses["proposal_id"] {
		switch dollars := expenses["amount"][i]; {
		case !slices.Contains(grants["id"], id):
			s.dangling++
			continue
		case id == s.recalled:
			s.submitted, s.failed = append(s.submitted, dollars), append(s.failed, dollars)
		default:
			s.submitted, s.paidFor = append(s.submitted, dollars), append(s.paidFor, dollars)
		}
	}
	return s
}

// run plays the whole demo in virtual time.
func run(t *testing.T, node *treasury) *demo.Tally {
	t.Helper()
	book, err := demo.Load()
	if err != nil {
		t.Fatal(err)
	}
	var tally *demo.Tally
	synctest.Test(t, func(t *testing.T) {
		tally, err = demo.Run(t.Context(), node, book, batch.DefaultConfig(), func(*demo.Tally) {})
	})
	if err != nil {
		t.Fatal(err)
	}
	return tally
}

func TestOnlyEnactedGrantsHaveExpenses(t *testing.T) {
	grants, expenses := columns(t, "grants.csv"), columns(t, "expenses.csv")
	for i, id := range grants["id"] {
		if grants["status"][i] != "enacted" && slices.Contains(expenses["proposal_id"], id) {
			t.Errorf("expenses name %s, which is %s", id, grants["status"][i])
		}
		if slices.Contains(expenses["proposal_id"], id) && grants["started"][i] < "2022" {
			t.Errorf("expenses name %s, which is paid without a vote", id)
		}
	}
}

func TestTheStoryIsWhatTheDAODecided(t *testing.T) {
	want := readExpected(t)
	if want.direct != 40 || want.carried != 193 || want.noQuorum != 409 || want.withdrawn != 3 ||
		len(want.failed) != 80 || want.dangling != 18 {
		t.Fatalf("the files say %d direct, %d carried, %d without quorum, %d withdrawn, %d failed, %d dangling",
			want.direct, want.carried, want.noQuorum, want.withdrawn, len(want.failed), want.dangling)
	}
	node := newTreasury()
	got := run(t, node)
	if got.Grants != want.direct+want.proposals || got.Submitted() != len(want.submitted) ||
		got.Sum != exactCents(t, want.submitted) || got.Votes != want.votes || got.Late != 0 || got.Withdrawn != want.withdrawn {
		t.Errorf("%d grants of %d submitted over %d cents, %d votes, %d late, %d withdrawn, want %+v",
			got.Grants, got.Submitted(), got.Sum, got.Votes, got.Late, got.Withdrawn, want)
	}
	refused := map[messages.Code]int{messages.CodeValidationFailed: 1, messages.CodeMissingDependency: want.dangling}
	if diff := cmp.Diff(got.Refused, refused); diff != "" {
		t.Errorf("refused (-got +want):\n%s", diff)
	}
	paid := exactCents(t, want.paidFor)
	end := &demo.End{
		Epoch:     got.End.Epoch,
		Finalized: len(want.paidFor), Paid: paid,
		NoQuorum: want.noQuorum, Failed: len(want.failed), Cancelled: want.withdrawn + 1,
		Accrued: got.Accrued, Spent: paid, Balance: got.Accrued - paid,
	}
	if diff := cmp.Diff(got.End, end); diff != "" {
		t.Errorf("end (-got +want):\n%s", diff)
	}
	if node.balance != end.Balance {
		t.Errorf("the node holds %d, want %d", node.balance, end.Balance)
	}
	if last := got.End.Epoch; last < 41 || last > 80 {
		t.Errorf("the demo ends at epoch %d", last)
	}
}

func TestTheCascadeNamesItsRoot(t *testing.T) {
	want := readExpected(t)
	node := newTreasury()
	got := run(t, node).Cascade
	if got == nil {
		t.Fatal("no cascade was told")
	}
	wantReason := fmt.Sprintf("dependency_failed: disbursement %d was rolled back", got.Root)
	if got.Failed != len(want.failed) || got.Amount != exactCents(t, want.failed) ||
		got.Returned != exactCents(t, []string{want.recalledFor}) || got.Reason != wantReason {
		t.Errorf("cascade %+v, want %d failed, reason %q", got, len(want.failed), wantReason)
	}
	for _, id := range node.dependents(got.Root) {
		if record := node.record(id); record.State != messages.RolledBack || record.Reason != wantReason {
			t.Errorf("%d is %s: %q", id, record.State, record.Reason)
		}
	}
	root := node.record(got.Root)
	if _, paid := root.PriorTx(); !paid {
		t.Errorf("the root had not been paid: %+v", root.Transitions)
	}
}

func TestRunningAgainChangesNothing(t *testing.T) {
	node := newTreasury()
	first := run(t, node)
	calls, rows := fmt.Sprint(node.calls), len(node.history)
	again := run(t, node)
	if again.Duplicates != first.Submitted() || fmt.Sprint(node.calls) != calls || len(node.history) != rows {
		t.Errorf("%d duplicates of %d, calls %v after %s, %d rows after %d",
			again.Duplicates, first.Submitted(), node.calls, calls, len(node.history), rows)
	}
	again.Duplicates, again.End.Epoch = 0, first.End.Epoch
	if diff := cmp.Diff(again, first); diff != "" {
		t.Errorf("the second run tells something else (-again +first):\n%s", diff)
	}
}

// A run that ends in any month is taken up by the next one.
func TestAnInterruptedStoryIsTakenUp(t *testing.T) {
	want := run(t, newTreasury())
	for _, month := range []messages.Epoch{1, 9, 33, 45} {
		node := newTreasury()
		interrupt(t, node, month)
		got := run(t, node)
		got.Duplicates, got.End.Epoch, got.Cascade.Root = 0, want.End.Epoch, want.Cascade.Root
		got.Cascade.Reason = want.Cascade.Reason
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("taken up after epoch %d (-got +want):\n%s", month, diff)
		}
	}
}

// interrupt runs the demo up to an epoch.
func interrupt(t *testing.T, node *treasury, at messages.Epoch) {
	t.Helper()
	book, err := demo.Load()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	node.onEpoch = func(epoch messages.Epoch) {
		if epoch == at {
			cancel()
		}
	}
	tally, err := demo.Run(ctx, node, book, batch.DefaultConfig(), func(*demo.Tally) {})
	if !errors.Is(err, context.Canceled) || tally.End != nil {
		t.Fatalf("it was not interrupted: %v", err)
	}
	node.onEpoch = func(messages.Epoch) {}
}

// Where the clock runs away from the voters, the rules decide, the sums still add up
// and the demo ends.
func TestVotesThatComeTooLateAreCounted(t *testing.T) {
	node := newTreasury()
	node.onQueue = func() { // the first month's votes end before anybody has voted
		node.onQueue = nil
		for range 10 {
			node.advance()
		}
	}
	got := run(t, node)
	want := readExpected(t)
	var late int
	grants := columns(t, "grants.csv")
	for i, status := range grants["status"] {
		if status == "rejected" && strings.HasPrefix(grants["started"][i], "2021-06") {
			late += 6
		}
	}
	if got.Late != late || late == 0 {
		t.Errorf("%d votes were late, want %d", got.Late, late)
	}
	if got.Votes+got.Late != want.votes || got.End.Accrued != got.End.Balance+got.End.Spent {
		t.Errorf("%d votes and %d late of %d, end %+v", got.Votes, got.Late, want.votes, got.End)
	}
}

func TestPaymentsKeepPayeeMonthAndWords(t *testing.T) {
	grants := columns(t, "grants.csv")
	node := newTreasury()
	run(t, node)
	address := regexp.MustCompile(`^tb1[0-9a-f]{40}$`)
	titles := make(map[string]bool)
	for _, record := range node.records {
		payment := record.Payload.Disbursement
		if !address.MatchString(payment.Destination) || payment.ScheduledEpoch == 0 || payment.ScheduledEpoch > 41+24 {
			t.Fatalf("payment %+v", payment)
		}
		titles[payment.Memo] = true
		proposal := record.Payload.Proposal
		if proposal != nil && (proposal.Title != strings.TrimSpace(payment.Memo) || !strings.Contains(proposal.Summary, "ier")) {
			t.Errorf("proposal %+v", proposal)
		}
	}
	for i, title := range grants["memo"] {
		if grants["amount_usd"][i] != "0" && !titles[title] {
			t.Errorf("no payment carries the title %q", title)
		}
	}
}

func TestPayeesAreAccountsOnce(t *testing.T) {
	book, err := demo.Load()
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]bool)
	for _, payee := range append(columns(t, "grants.csv")["payee"], columns(t, "expenses.csv")["payee"]...) {
		want["tb1"+strings.ToLower(payee[2:])] = true
	}
	got := book.Payees()
	for _, account := range got {
		if !want[account] {
			t.Errorf("%s is no payee, or twice one", account)
		}
		delete(want, account)
	}
	if len(want) > 0 {
		t.Errorf("%d payees are missing", len(want))
	}
}
