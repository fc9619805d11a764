package payfile

import (
	"bytes"
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
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

// Plan is a file of disbursements that depend on one another, judged to be sound.
type Plan struct {
	Items []messages.PlanItem
	deps  [][]messages.DisbursementID // that each item's payload names
	waits [][]int                     // places of the items that each item waits for
	Parts [][]int                     // places, dependencies first
	Notes []string                    // how it was read, where that may surprise
}

// newPlan judges the items as the node will, and more than one call's worth of
// them, before any is submitted.
func newPlan(items []planItem, faults *Faults) *Plan {
	p := &Plan{Items: make([]messages.PlanItem, len(items)), deps: make([][]messages.DisbursementID, len(items))}
	for i := range items {
		item := &items[i].PlanItem
		p.Items[i] = *item
		if n := len(item.Ref); n == 0 || n > messages.RefMax {
			faults.add("%s: its ref has %d bytes; want 1 to %d", items[i].place(), n, messages.RefMax)
		}
		var refusal *messages.Error
		if p.deps[i], refusal = disbursement.Check(item.Payload); refusal != nil {
			faults.add("%s: %v", items[i].place(), refusal)
		}
	}
	p.waits = resolve(items, faults)
	for i := range items {
		if n := len(p.deps[i]) + len(p.waits[i]); n > disbursement.DependenciesMax {
			faults.add("%s: %d dependencies, at most %d are allowed", items[i].place(), n, disbursement.DependenciesMax)
		}
	}
	if faults.Count > 0 {
		return nil
	}
	p.split(faults)
	return p
}

// resolve turns refs into places, and tells every ref that is there twice or not at all, and
// every cycle.
func resolve(items []planItem, faults *Faults) [][]int {
	place := make(map[string]int, len(items))
	for i := range items {
		if first, taken := place[items[i].Ref]; taken {
			faults.add("%s: line %d has that ref already", items[i].place(), items[first].line)
			continue
		}
		place[items[i].Ref] = i
	}
	waits := make([][]int, len(items))
	for i := range items {
		for _, ref := range items[i].After {
			if at, ok := place[ref]; ok {
				waits[i] = append(waits[i], at)
				continue
			}
			faults.add("%s waits for %q, which is not in the file", items[i].place(), ref)
		}
		slices.Sort(waits[i])
		waits[i] = slices.Compact(waits[i])
	}
	for _, group := range graph.CycleGroups(waits) {
		faults.cycle(items, cycleOf(waits, group))
	}
	return waits
}

// cycleOf finds a minimal cycle within a group of items that lie on cycles together.
func cycleOf(waits [][]int, group []int) []int {
	within := make(map[int]int, len(group))
	for k, i := range group {
		within[i] = k
	}
	own := make([][]int, len(group))
	for k, i := range group {
		for _, w := range waits[i] {
			if at, ok := within[w]; ok {
				own[k] = append(own[k], at)
			}
		}
	}
	cycle := graph.Cycle(own)
	for k := range cycle {
		cycle[k] = group[cycle[k]]
	}
	return cycle
}

// cycleEnds is how many refs of a long cycle are told at its begin and at its end.
const cycleEnds = 10

// cycle tells a cycle: each waits for the next, the last for the first.
func (f *Faults) cycle(items []planItem, cycle []int) {
	refs := make([]string, len(cycle), len(cycle)+1)
	for k, i := range cycle {
		refs[k] = items[i].Ref
	}
	refs = append(refs, refs[0])
	if len(refs) <= 2*cycleEnds {
		f.add("cycle: %s", strings.Join(refs, " -> "))
		return
	}
	f.Cycles = append(f.Cycles, refs)
	f.add("cycle of %d: %s -> ... -> %s", len(cycle),
		strings.Join(refs[:cycleEnds], " -> "), strings.Join(refs[len(refs)-cycleEnds:], " -> "))
}

// split cuts the items, dependencies first, into parts that fit one call each. An
// item of an earlier part is cited by its id, which is not known yet: the longest
// id stands in for it.
func (p *Plan) split(faults *Faults) {
	var part []int
	size := 0
	ids := slices.Repeat([]messages.DisbursementID{math.MaxUint64}, len(p.Items))
	for _, place := range p.order() {
		item := p.item(place, func(int) bool { return false }, ids)
		if _, refusal := disbursement.Check(item.Payload); refusal != nil {
			faults.add("item %s, citing what it waits for: %v", item.Ref, refusal)
		}
		need := itemBytes(&p.Items[place]) + len(item.Payload.Disbursement.Memo) + idBytes*len(p.waits[place])
		if len(part) == partItemsMax || len(part) > 0 && size+need > partBytesMax {
			p.Parts, part, size = append(p.Parts, part), nil, 0
		}
		part, size = append(part, place), size+need
	}
	p.Parts = append(p.Parts, part)
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
func (p *Plan) order() []int {
	left := make([]int, len(p.Items))
	dependents := make([][]int, len(p.Items))
	var free places
	for i, waits := range p.waits {
		if left[i] = len(waits); left[i] == 0 {
			free = append(free, i) // ascending: a heap already
		}
		for _, w := range waits {
			dependents[w] = append(dependents[w], i)
		}
	}
	order := make([]int, 0, len(p.Items))
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
func (p *Plan) item(place int, inside func(int) bool, ids []messages.DisbursementID) messages.PlanItem {
	item := messages.PlanItem{Ref: p.Items[place].Ref, Payload: p.Items[place].Payload}
	var cited []messages.DisbursementID
	for _, w := range p.waits[place] {
		if inside(w) {
			item.After = append(item.After, p.Items[w].Ref)
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

// Outcome is what became of a plan so far.
type Outcome struct {
	IDs               []messages.DisbursementID // by place; 0 is not submitted
	Fresh, Duplicates int
	Parts             int
}

// Done counts the items that are in.
func (o *Outcome) Done() int { return o.Fresh + o.Duplicates }

// Line tells what became of them.
func (o *Outcome) Line() string {
	return terminal.Group(uint64(o.Fresh)) + " new, " + terminal.Group(uint64(o.Duplicates)) + " duplicates"
}

// Submit submits the parts one after the other. The error names the part that was
// not taken; those before it are in.
func (p *Plan) Submit(
	ctx context.Context, client batch.Client, name string, retryFor time.Duration, progress func(*Outcome),
) (*Outcome, error) {
	outcome := &Outcome{IDs: make([]messages.DisbursementID, len(p.Items))}
	partOf := make([]int, len(p.Items))
	for n, part := range p.Parts {
		for _, place := range part {
			partOf[place] = n
		}
	}
	for n, part := range p.Parts {
		params := &messages.PlanParams{Options: messages.Options{RequestID: partRequestID(name, n)}}
		for _, place := range part {
			inside := func(w int) bool { return partOf[w] == n }
			params.Items = append(params.Items, p.item(place, inside, outcome.IDs))
		}
		var result messages.SubmitPlanResult
		err := batch.Persist(ctx, retryFor, func() error {
			result = messages.SubmitPlanResult{}
			return client.Call(ctx, messages.MethodSubmitPlan, params, &result)
		})
		if err != nil {
			return outcome, p.partError(n, name, err)
		}
		outcome.take(part, p.Items, &result)
		progress(outcome)
	}
	return outcome, nil
}

func (o *Outcome) take(part []int, items []messages.PlanItem, result *messages.SubmitPlanResult) {
	byRef := make(map[string]messages.DisbursementID, len(result.IDs))
	for _, id := range result.IDs {
		byRef[id.Ref] = id.ID
	}
	for _, place := range part {
		o.IDs[place] = byRef[items[place].Ref]
	}
	o.Parts++
	if result.Duplicate {
		o.Duplicates += len(part)
	} else {
		o.Fresh += len(part)
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

func (p *Plan) partError(n int, name string, err error) error {
	part := p.Parts[n]
	where := fmt.Sprintf("part %d of %d (%s to %s)", n+1, len(p.Parts), p.Items[part[0]].Ref, p.Items[part[len(part)-1]].Ref)
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

// Sum adds up a plan.
func (p *Plan) Sum() *Sum {
	sum := new(Sum)
	for i := range p.Items {
		sum.add(&p.Items[i].Payload, len(p.deps[i])+len(p.waits[i]) > 0)
	}
	return sum
}

// Misspelt tells the items that seem to name dependencies in their memos and name none there.
func (p *Plan) Misspelt() (told []string) {
	for i := range p.Items {
		if words := Misspelt(&p.Items[i].Payload, p.deps[i]); words != "" {
			told = append(told, fmt.Sprintf("%s: %q in its memo names no dependency", p.Items[i].Ref, words))
		}
	}
	return told
}

// Edges counts what the items wait for in the plan.
func (p *Plan) Edges() (count int) {
	for _, waits := range p.waits {
		count += len(waits)
	}
	return count
}
