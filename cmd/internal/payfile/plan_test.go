package payfile

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
)

// planBooks takes plans as a node does: all or nothing, a request id once.
type planBooks struct {
	deps   map[messages.DisbursementID][]messages.DisbursementID
	byID   map[string]*messages.SubmitPlanResult
	failAt int // the call that is refused, counted from 1; 0 is none
	calls  int
}

func newPlanBooks() *planBooks {
	return &planBooks{
		deps: make(map[messages.DisbursementID][]messages.DisbursementID),
		byID: make(map[string]*messages.SubmitPlanResult),
	}
}

func (b *planBooks) Call(_ context.Context, _ string, p messages.Params, r messages.Result) error {
	params, result := p.(*messages.PlanParams), r.(*messages.SubmitPlanResult)
	if b.calls++; b.calls == b.failAt {
		return messages.Errorf(messages.CodeDependencyFailed, "not today")
	}
	if known := b.byID[params.RequestID]; known != nil {
		*result = *known
		result.Duplicate = true
		return nil
	}
	first := messages.DisbursementID(len(b.deps) + 1)
	ids := make(map[string]messages.DisbursementID)
	for i, item := range params.Items {
		ids[item.Ref] = first + messages.DisbursementID(i)
		result.IDs = append(result.IDs, messages.PlanID{Ref: item.Ref, ID: ids[item.Ref]})
	}
	for _, item := range params.Items {
		deps, refusal := disbursement.Check(item.Payload)
		if refusal != nil {
			return refusal
		}
		for _, dep := range deps {
			if dep >= first {
				return messages.Errorf(messages.CodeMissingDependency, "%d does not exist", dep)
			}
		}
		for _, ref := range item.After {
			deps = append(deps, ids[ref])
		}
		slices.Sort(deps)
		b.deps[ids[item.Ref]] = deps
	}
	if len(params.Items) > messages.PlanItemsMax {
		return messages.Errorf(messages.CodeValidationFailed, "%d items", len(params.Items))
	}
	b.byID[params.RequestID] = result
	return nil
}

// judgePlan judges items that stand in no file: they count from 1. The error is a *Faults.
func judgePlan(items []messages.PlanItem) (*Plan, error) {
	numbered := make([]planItem, len(items))
	for i := range items {
		numbered[i] = planItem{items[i], i + 1}
	}
	var faults Faults
	p := newPlan(numbered, &faults)
	if faults.Count > 0 {
		return nil, &faults
	}
	return p, nil
}

func submitPlan(t *testing.T, books *planBooks, items []messages.PlanItem) (*Plan, *Outcome, error) {
	t.Helper()
	p, err := judgePlan(items)
	if err != nil {
		t.Fatal(err)
	}
	outcome, err := p.Submit(t.Context(), books, "test", 0, func(*Outcome) {})
	return p, outcome, err
}

// railsPlan is the commit graph of Ruby on Rails as a plan.
func railsPlan(t *testing.T) []messages.PlanItem {
	t.Helper()
	file, err := os.Open("../../../actors/graph/testdata/graph_commits_rails.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var rows bytes.Buffer
	if _, err := rows.ReadFrom(unzipped); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(rows.String(), "committer_unix", "scheduled_epoch")
	p, err := ReadPlan("rails.csv", []byte(text), messages.Disbursement{Destination: "tb1rails", Amount: 1})
	if err != nil {
		t.Fatal(err)
	}
	return p.Items
}

func TestALargePlanKeepsEveryDependencyAndGoesInOnce(t *testing.T) {
	items := railsPlan(t)
	books := newPlanBooks()
	books.failAt = 40
	if _, outcome, err := submitPlan(t, books, items); err == nil || !strings.Contains(err.Error(), "part 40 of 100") ||
		outcome.Done() != 39_000 {
		t.Fatalf("%+v, %v; want a refusal of part 40", outcome, err)
	}
	p, outcome, err := submitPlan(t, books, items)
	if err != nil || outcome.Fresh != 60_429 || outcome.Duplicates != 39_000 || len(books.deps) != 99_429 {
		t.Fatalf("%s, %d in the books, %v", outcome.Line(), len(books.deps), err)
	}
	edges := 0
	for i, waits := range p.waits {
		var want []messages.DisbursementID
		for _, w := range waits {
			want = append(want, outcome.IDs[w])
		}
		slices.Sort(want)
		if got := books.deps[outcome.IDs[i]]; !slices.Equal(got, want) {
			t.Fatalf("item %s depends on %v, want %v", items[i].Ref, got, want)
		}
		edges += len(waits)
	}
	if edges != 125_781 {
		t.Errorf("%d edges, want 125781", edges)
	}
}

// Property: in whatever order a file names its items, dependencies come first, and
// among those that could come next the first of the file does.
func TestPlansAreOrderedAsTheFileAllows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "items")
		rank := rapid.Permutation(slices.Collect(upTo(n))).Draw(t, "rank")
		p := &Plan{Items: make([]messages.PlanItem, n), waits: make([][]int, n)}
		for i := range n {
			for j := range n {
				if rank[j] < rank[i] && rapid.IntRange(0, 4).Draw(t, "edge") == 0 {
					p.waits[i] = append(p.waits[i], j)
				}
			}
		}
		if got, want := p.order(), slowOrder(p.waits); !slices.Equal(got, want) {
			t.Fatalf("order %v, want %v", got, want)
		}
	})
}

func upTo(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func slowOrder(waits [][]int) []int {
	var order []int
	for len(order) < len(waits) {
		for i := range waits {
			met := func(w int) bool { return slices.Contains(order, w) }
			if !met(i) && !slices.ContainsFunc(waits[i], func(w int) bool { return !met(w) }) {
				order = append(order, i)
				break
			}
		}
	}
	return order
}

func TestCitingKeepsWhatTheMemoSays(t *testing.T) {
	tests := []struct{ name, memo, want string }{
		{"nothing", "", `depends_on=7,9`},
		{"a plain list", "depends_on=7", `depends_on=7,9`},
		{"words", `rent & "more"`, `{"depends_on":[7,9],"note":"rent & \"more\""}`},
		{"an object", `{"note":"<b>","n":1e3}`, `{"depends_on":[7,9],"n":1e3,"note":"<b>"}`},
		{"an object with a list", `{"depends_on":[7],"x":[1]}`, `{"depends_on":[7,9],"x":[1]}`},
		{"what only looks like an object", `{ smile }`, `{"depends_on":[7,9],"note":"{ smile }"}`},
		{"an array", `[1]`, `{"depends_on":[7,9],"note":"[1]"}`},
		{"null", `null`, `{"depends_on":[7,9],"note":"null"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			payload := messages.Payload{Disbursement: messages.Disbursement{
				Destination: "tb1a", Amount: 1, Memo: test.memo, ScheduledEpoch: 1,
			}}
			cited := citing(payload, []messages.DisbursementID{9, 7, 9})
			if got := cited.Disbursement.Memo; got != test.want {
				t.Errorf("memo %s, want %s", got, test.want)
			}
			deps, refusal := disbursement.Check(cited)
			if refusal != nil || !slices.Equal(deps, []messages.DisbursementID{7, 9}) {
				t.Errorf("depends on %v (%v)", deps, refusal)
			}
		})
	}
}

func TestCitingAddsToAProposalsList(t *testing.T) {
	payload := messages.Payload{
		Proposal: &messages.Proposal{
			Title: "t", Summary: "s", Quorum: messages.Quorum{OperatorsPPM: 1}, VoteWindowEpochs: 1,
			TimelockEpochs: 1, RollbackWindowEpochs: 1, Deps: []messages.DisbursementID{7},
		},
		Disbursement: messages.Disbursement{Destination: "tb1a", Amount: 1, Memo: "depends_on=7", ScheduledEpoch: 1},
	}
	cited := citing(payload, []messages.DisbursementID{7, 9})
	deps, refusal := disbursement.Check(cited)
	if refusal != nil || !slices.Equal(deps, []messages.DisbursementID{7, 9}) {
		t.Errorf("depends on %v (%v)", deps, refusal)
	}
	if diff := cmp.Diff([]messages.DisbursementID{7}, payload.Proposal.Deps); diff != "" {
		t.Errorf("the file's own payload changed: %s", diff)
	}
}

// A part of long memos ends before its call would be too long.
func TestPartsAreCutByBytes(t *testing.T) {
	var items []messages.PlanItem
	for i := range 400 {
		item := messages.PlanItem{Ref: fmt.Sprint(i), Payload: messages.Payload{Disbursement: messages.Disbursement{
			Destination: "tb1a", Amount: 1, ScheduledEpoch: 1, Memo: strings.Repeat("m", 8_000),
		}}}
		if i > 0 {
			item.After = []string{"0"}
		}
		items = append(items, item)
	}
	p, outcome, err := submitPlan(t, newPlanBooks(), items)
	if err != nil || outcome.Fresh != 400 || len(p.Parts) < 4 {
		t.Errorf("%s in %d parts, %v", outcome.Line(), len(p.Parts), err)
	}
	items[399].Payload.Disbursement.Memo = strings.Repeat("m", 8_190)
	if _, err := judgePlan(items); err == nil || !strings.Contains(err.Error(), "item 399, citing what it waits for: memo_too_long") {
		t.Errorf("error %v, want that the memo has no room", err)
	}
}
