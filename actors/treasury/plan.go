package treasury

import (
	"errors"
	"slices"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Plan asks for several disbursements, all or none.
type Plan struct {
	durable.Request
	Items []messages.PlanItem

	deps      []messages.DisbursementID // that existed before, distinct
	createdAt uint64
}

// JudgePlan judges a plan by itself, without looking at any state. For each item it
// gives the canonical dependencies and the places of the items that it waits for.
func JudgePlan(items []messages.PlanItem) (deps [][]messages.DisbursementID, after [][]int, refusal *messages.Error) {
	if len(items) == 0 {
		return nil, nil, messages.Errorf(messages.CodeValidationFailed, "items is empty")
	}
	order := make([]graph.Item, len(items))
	deps = make([][]messages.DisbursementID, len(items))
	for i := range items {
		order[i] = graph.Item{Ref: items[i].Ref, After: items[i].After}
		if items[i].Ref == "" {
			return nil, nil, messages.Errorf(messages.CodeValidationFailed, "items[%d].ref is blank", i)
		}
		if deps[i], refusal = disbursement.Check(items[i].Payload); refusal != nil {
			refusal.Message = "item " + items[i].Ref + ": " + refusal.Message
			return nil, nil, refusal
		}
	}
	after, err := graph.ResolvePlan(order)
	if err != nil {
		return nil, nil, planRefusal(err)
	}
	for i := range items {
		if n := len(deps[i]) + len(after[i]); n > disbursement.DependenciesMax {
			return nil, nil, messages.Errorf(messages.CodeTooManyDependencies,
				"item %s: %d dependencies with those in after, at most %d are allowed",
				items[i].Ref, n, disbursement.DependenciesMax)
		}
	}
	return deps, after, nil
}

func planRefusal(err error) *messages.Error {
	var cycle *graph.CycleError
	if errors.As(err, &cycle) {
		return messages.Errorf(messages.CodeDependencyCycle, "%v", err).With("cycle", cycle.Refs)
	}
	return messages.Errorf(messages.CodeValidationFailed, "%v", err)
}

func (r *Plan) fail(*shard) { r.Fail(durable.OutcomeUnknown()) }

func (r *Plan) txn(s *shard) (*persistence.Txn, *messages.Error) {
	deps, after, refusal := JudgePlan(r.Items)
	if refusal != nil {
		s.stats.RefusedSubmission(refusal)
		return nil, refusal
	}
	facts, err := s.facts()
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	r.createdAt = facts.Now
	txn := &persistence.Txn{Appends: make([]persistence.Append, len(r.Items))}
	for i := range r.Items {
		txn.Appends[i] = appendItem(r.Items[i].Payload, deps[i], after[i], facts)
		r.deps = append(r.deps, deps[i]...)
	}
	slices.Sort(r.deps)
	r.deps = slices.Compact(r.deps)
	for _, dep := range r.deps {
		txn.Conditions = append(txn.Conditions, liveDependency(dep))
	}
	r.Identify(txn, persistence.KeepForever)
	return txn, nil
}

// appendItem makes a plan's item a record whose last dependencies are its siblings,
// to be numbered by the commit.
func appendItem(
	p messages.Payload, deps []messages.DisbursementID, after []int, facts disbursement.Facts,
) persistence.Append {
	slots := slices.Clone(rows.IndexSlot)
	all := slices.Clone(deps)
	for _, place := range after {
		slots = append(slots, persistence.Slot{
			Offset: uint32(disbursement.DepsOffset + 8*len(all)), Number: uint16(place),
		})
		all = append(all, messages.DisbursementID(persistence.SlotID(uint16(place))))
	}
	record := disbursement.New(p, all, facts)
	return persistence.Append{
		Table: rows.TableDisbursements, Tag: record.Tag(), Value: disbursement.AppendRecord(nil, &record), Slots: slots,
	}
}

func (r *Plan) conclude(s *shard, _ durable.Context, o persistence.Outcome) {
	if refusal := durable.RefusalOf(o); refusal != nil {
		r.Fail(refusal)
		return
	}
	switch o.Result.Status {
	case persistence.Committed:
		s.stats.Entered(messages.Draft, uint64(len(r.Items)))
		r.Reply(r.result(o.Result.First, r.createdAt, false))
	case persistence.Duplicate:
		first, ok, err := s.load(messages.DisbursementID(o.Result.First))
		if err != nil || !ok {
			r.Fail(messages.Errorf(messages.CodeInternal, "the first result of this request_id cannot be read: %v", err))
			return
		}
		r.Reply(r.result(o.Result.First, first.Record.CreatedAt, true))
	default:
		refusal := s.deadDependency(r.deps[o.Result.Failed.Position])
		s.stats.RefusedSubmission(refusal)
		r.Fail(refusal)
	}
}

func (r *Plan) result(first, createdAt uint64, duplicate bool) *messages.SubmitPlanResult {
	ids := make(messages.PlanIDs, len(r.Items))
	for i := range r.Items {
		ids[i] = messages.PlanID{Ref: r.Items[i].Ref, ID: messages.DisbursementID(first + uint64(i))}
	}
	return &messages.SubmitPlanResult{IDs: ids, CreatedAt: createdAt, Duplicate: duplicate}
}

// CheckPlan answers check_plan: as submit_plan would be refused now, were it not for
// a cycle, which is the answer.
func (t *Treasury) CheckPlan(items []messages.PlanItem) (*messages.CheckPlanResult, *messages.Error) {
	deps, _, refusal := JudgePlan(items)
	if refusal != nil {
		if cycle, ok := refusal.Data["cycle"].([]string); ok {
			return &messages.CheckPlanResult{Cycle: cycle}, nil
		}
		return nil, refusal
	}
	all := slices.Concat(deps...)
	slices.Sort(all)
	for _, id := range slices.Compact(all) {
		value, ok, err := t.host.Store.Get(rows.RecordKey(id))
		if err != nil || !ok || messages.State(value.Tag) == messages.RolledBack {
			return nil, t.deadDependency(id)
		}
	}
	return &messages.CheckPlanResult{}, nil
}
