package main

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/messages"
)

// A plan is submitted in parts, each all or nothing. A part's size in bytes leaves
// room for the frame around it.
const (
	partItemsMax = messages.PlanItemsMax
	partBytesMax = 900 << 10
	idBytes      = 9 // the longest id on the wire
)

// plan is a file of disbursements that depend on one another, judged to be sound.
type plan struct {
	items []messages.PlanItem
	deps  [][]messages.DisbursementID // that each item's payload names
	waits [][]int                     // places of the items that each item waits for
	parts [][]int                     // places, dependencies first
}

// newPlan judges the items as the node will, and more than one call's worth of
// them, before any is submitted.
func newPlan(items []messages.PlanItem) (*plan, error) {
	p := &plan{items: items, deps: make([][]messages.DisbursementID, len(items))}
	order := make([]graph.Item, len(items))
	for i := range items {
		order[i] = graph.Item{Ref: items[i].Ref, After: items[i].After}
		if n := len(items[i].Ref); n == 0 || n > messages.RefMax {
			return nil, fmt.Errorf("item %d: its ref has %d bytes; want 1 to %d", i+1, n, messages.RefMax)
		}
		var refusal *messages.Error
		if p.deps[i], refusal = disbursement.Check(items[i].Payload); refusal != nil {
			return nil, fmt.Errorf("item %s: %w", items[i].Ref, refusal)
		}
	}
	var err error
	if p.waits, err = graph.ResolvePlan(order); err != nil {
		return nil, err
	}
	for i := range items {
		if n := len(p.deps[i]) + len(p.waits[i]); n > disbursement.DependenciesMax {
			return nil, fmt.Errorf("item %s: %d dependencies, at most %d are allowed", items[i].Ref, n, disbursement.DependenciesMax)
		}
	}
	p.parts, err = p.split()
	return p, err
}

// split cuts the items, dependencies first, into parts that fit one call each. An
// item of an earlier part is cited by its id, which is not known yet: the longest
// id stands in for it.
func (p *plan) split() ([][]int, error) {
	var parts [][]int
	var part []int
	size := 0
	ids := slices.Repeat([]messages.DisbursementID{math.MaxUint64}, len(p.items))
	for _, place := range p.order() {
		item := p.item(place, func(int) bool { return false }, ids)
		if _, refusal := disbursement.Check(item.Payload); refusal != nil {
			return nil, fmt.Errorf("item %s, citing what it waits for: %w", item.Ref, refusal)
		}
		need := itemBytes(&p.items[place]) + len(item.Payload.Disbursement.Memo) + idBytes*len(p.waits[place])
		if len(part) == partItemsMax || len(part) > 0 && size+need > partBytesMax {
			parts, part, size = append(parts, part), nil, 0
		}
		part, size = append(part, place), size+need
	}
	return append(parts, part), nil
}

// itemBytes is what an item takes in a call, not less.
func itemBytes(item *messages.PlanItem) int {
	const names = 64
	n := names + len(item.Ref) + len(messages.AppendPayload(nil, &item.Payload))
	for _, ref := range item.After {
		n += len(ref) + 5
	}
	return n
}

// order is a topological order: dependencies first, otherwise as in the file, so
// that items added at the end of a file change nothing in front of them.
func (p *plan) order() []int {
	left := make([]int, len(p.items))
	dependents := make([][]int, len(p.items))
	var free places
	for i, waits := range p.waits {
		if left[i] = len(waits); left[i] == 0 {
			free = append(free, i) // ascending: a heap already
		}
		for _, w := range waits {
			dependents[w] = append(dependents[w], i)
		}
	}
	order := make([]int, 0, len(p.items))
	for len(free) > 0 {
		place := heap.Pop(&free).(int)
		order = append(order, place)
		for _, d := range dependents[place] {
			if left[d]--; left[d] == 0 {
				heap.Push(&free, d)
			}
		}
	}
	return order
}

// places is a heap of places in a file, the first on top.
type places []int

func (p places) Len() int           { return len(p) }
func (p places) Less(i, j int) bool { return p[i] < p[j] }
func (p places) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *places) Push(x any)        { *p = append(*p, x.(int)) }
func (p *places) Pop() any {
	last := (*p)[len(*p)-1]
	*p = (*p)[:len(*p)-1]
	return last
}

// item is the item at a place as its part submits it: what it waits for is named by
// ref if it is in the same part, and cited by its id otherwise.
func (p *plan) item(place int, inside func(int) bool, ids []messages.DisbursementID) messages.PlanItem {
	item := messages.PlanItem{Ref: p.items[place].Ref, Payload: p.items[place].Payload}
	var cited []messages.DisbursementID
	for _, w := range p.waits[place] {
		if inside(w) {
			item.After = append(item.After, p.items[w].Ref)
		} else {
			cited = append(cited, ids[w])
		}
	}
	if len(cited) > 0 {
		item.Payload = citing(item.Payload, slices.Concat(p.deps[place], cited))
	}
	return item
}

// citing makes a payload depend on deps, all that it depended on among them: in the
// proposal's list, or in the memo where there is no proposal.
func citing(payload messages.Payload, deps []messages.DisbursementID) messages.Payload {
	deps = slices.Compact(slices.Sorted(slices.Values(deps)))
	if payload.Proposal == nil {
		payload.Disbursement.Memo = citingMemo(payload.Disbursement.Memo, deps)
		return payload
	}
	proposal := *payload.Proposal
	proposal.Deps = deps
	payload.Proposal = &proposal
	return payload
}

// citingMemo writes the dependencies where a memo carries them and keeps everything
// else people wrote: other keys of a JSON object, or a text as the key note.
func citingMemo(memo string, deps []messages.DisbursementID) string {
	trimmed := strings.TrimSpace(memo)
	if trimmed == "" || strings.HasPrefix(trimmed, "depends_on=") || strings.HasPrefix(trimmed, "depends_on:") {
		list := make([]string, len(deps))
		for i, id := range deps {
			list[i] = strconv.FormatUint(uint64(id), 10)
		}
		return "depends_on=" + strings.Join(list, ",")
	}
	var keys map[string]json.RawMessage
	if json.Unmarshal([]byte(memo), &keys) != nil || keys == nil {
		keys = map[string]json.RawMessage{"note": compactJSON(memo)}
	}
	keys["depends_on"] = compactJSON(deps)
	return string(compactJSON(keys))
}

// compactJSON encodes what always can be: texts, numbers and raw JSON.
func compactJSON(value any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err)
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// planOutcome is what became of a plan so far.
type planOutcome struct {
	ids               []messages.DisbursementID // by place; 0 is not submitted
	fresh, duplicates int
	parts             int
}

func (o *planOutcome) done() int { return o.fresh + o.duplicates }

func (o *planOutcome) line() string {
	return terminal.Group(uint64(o.fresh)) + " new, " + terminal.Group(uint64(o.duplicates)) + " duplicates"
}

// submit submits the parts one after the other. The error names the part that was
// not taken; those before it are in.
func (p *plan) submit(
	ctx context.Context, client batch.Client, name string, patience time.Duration, progress func(*planOutcome),
) (*planOutcome, error) {
	outcome := &planOutcome{ids: make([]messages.DisbursementID, len(p.items))}
	partOf := make([]int, len(p.items))
	for n, part := range p.parts {
		for _, place := range part {
			partOf[place] = n
		}
	}
	for n, part := range p.parts {
		params := &messages.PlanParams{Options: messages.Options{RequestID: partRequestID(name, n)}}
		for _, place := range part {
			inside := func(w int) bool { return partOf[w] == n }
			params.Items = append(params.Items, p.item(place, inside, outcome.ids))
		}
		var result messages.SubmitPlanResult
		err := batch.Persist(ctx, patience, func() error {
			result = messages.SubmitPlanResult{}
			return client.Call(ctx, messages.MethodSubmitPlan, params, &result)
		})
		if err != nil {
			return outcome, p.partError(n, name, err)
		}
		outcome.take(part, p.items, &result)
		progress(outcome)
	}
	return outcome, nil
}

func (o *planOutcome) take(part []int, items []messages.PlanItem, result *messages.SubmitPlanResult) {
	byRef := make(map[string]messages.DisbursementID, len(result.IDs))
	for _, id := range result.IDs {
		byRef[id.Ref] = id.ID
	}
	for _, place := range part {
		o.ids[place] = byRef[items[place].Ref]
	}
	o.parts++
	if result.Duplicate {
		o.duplicates += len(part)
	} else {
		o.fresh += len(part)
	}
}

// partRequestID names a part by the batch and its number alone. So the same file
// submits nothing twice, and a file that was changed after its parts went in is
// refused with request_id_conflict instead of being paid once more.
func partRequestID(name string, n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %d", name, n))
	return "plan-" + hex.EncodeToString(sum[:20])
}

// noOutcome are the codes with which the same command may do better later.
var noOutcome = []messages.Code{
	messages.CodeUnavailable, messages.CodeOverloaded, messages.CodeCircuitOpen, messages.CodeOutcomeUnknown,
}

func (p *plan) partError(n int, name string, err error) error {
	part := p.parts[n]
	where := fmt.Sprintf("part %d of %d (%s to %s)", n+1, len(p.parts), p.items[part[0]].Ref, p.items[part[len(part)-1]].Ref)
	var refusal *messages.Error
	switch {
	case errors.Is(err, &messages.Error{Code: messages.CodeRequestIDConflict}):
		return fmt.Errorf("%s went in before under the name %s with other content (%s), and nothing was done now: "+
			"to pay what is new, put it into a file of its own or name another --batch", where, name, messages.CodeRequestIDConflict)
	case !errors.As(err, &refusal), slices.Contains(noOutcome, refusal.Code):
		return fmt.Errorf("%s has no outcome yet; run the same command again: %w", where, err)
	default:
		return fmt.Errorf("%s was refused; mend it and run the same command again: %w", where, err)
	}
}

// plan submits a file of disbursements that depend on one another.
func (s *submission) plan(ctx context.Context, name string, absent messages.Disbursement, checkOnly bool) error {
	in, err := s.open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	items, err := readPlan(name, in, absent)
	if err != nil {
		return usageError{err}
	}
	p, err := newPlan(items)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if checkOnly {
		return s.reportCheck(name, p)
	}
	link := s.to.connect()
	defer link.Close()
	bar := terminal.NewBar(s.std.err, len(items))
	start := time.Now()
	outcome, failure := p.submit(ctx, link, cmp.Or(s.batchName, filepath.Base(name)), s.cfg.Patience, func(o *planOutcome) {
		bar.Show(o.done(), o.line())
	})
	bar.End(outcome.done(), outcome.line())
	if err := s.reportPlan(name, p, outcome, time.Since(start)); err != nil {
		return err
	}
	return failure
}

// reportCheck tells that a plan is sound.
func (s *submission) reportCheck(name string, p *plan) error {
	edges := 0
	for _, waits := range p.waits {
		edges += len(waits)
	}
	return printFacts(s.std.out, s.form, name+" is sound; nothing was submitted", []fact{
		{"items", len(p.items)}, {"dependencies", edges}, {"parts", len(p.parts)},
	})
}

// planIDsShown is how many ids are printed for people.
const planIDsShown = 100

func (s *submission) reportPlan(name string, p *plan, o *planOutcome, took time.Duration) error {
	if s.form.json() {
		ids := make(map[string]messages.DisbursementID, o.done())
		for i, id := range o.ids {
			if id != 0 {
				ids[p.items[i].Ref] = id
			}
		}
		return printJSON(s.std.out, object{
			{"items", len(p.items)}, {"parts", len(p.parts)}, {"new", o.fresh}, {"duplicates", o.duplicates},
			{"ids", ids}, {"seconds", took.Seconds()},
		})
	}
	fmt.Fprintf(s.std.out, "%s: %s in %s: %s, in %s\n", name, terminal.Plural(len(p.items), "item"),
		terminal.Plural(len(p.parts), "part"), o.line(), took.Round(time.Millisecond))
	printPlanIDs(s.std.out, p.items, o)
	return nil
}

func printPlanIDs(w io.Writer, items []messages.PlanItem, o *planOutcome) {
	rows := terminal.Table{{"ref", "id"}}
	for i, id := range o.ids {
		if len(rows) > planIDsShown {
			break
		}
		if id != 0 {
			rows = append(rows, []string{items[i].Ref, strconv.FormatUint(uint64(id), 10)})
		}
	}
	if len(rows) > 1 {
		rows.Print(w)
	}
	if more := o.done() - (len(rows) - 1); more > 0 {
		fmt.Fprintf(w, "  ... and %s more; --output json lists all\n", terminal.Group(uint64(more)))
	}
}
