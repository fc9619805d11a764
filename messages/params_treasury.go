package messages

import (
	"slices"

	"github.com/the-block/bursar/messages/internal/pack"
)

// SubmitDisbursementParams are the parameters of submit_disbursement.
type SubmitDisbursementParams struct {
	Options
	Payload Payload
}

func (p *SubmitDisbursementParams) decodeField(d *pack.Decoder, name []byte) bool {
	if string(name) != "payload" {
		return false
	}
	decodePayload(d, &p.Payload)
	return true
}

func (p *SubmitDisbursementParams) appendFields(obj *object) {
	obj.key("payload")
	obj.b = AppendPayload(obj.b, &p.Payload)
}

// PlanItem is one disbursement of a plan. Refs name items within the plan only.
type PlanItem struct {
	Ref     string
	Payload Payload
	// After lists the refs of items this one depends on.
	After []string
}

// PlanParams are the parameters of submit_plan and check_plan.
type PlanParams struct {
	Options
	Items []PlanItem
}

func (p *PlanParams) decodeField(d *pack.Decoder, name []byte) bool {
	if string(name) != "items" {
		return false
	}
	n := d.List()
	if n > PlanItemsMax {
		d.Refuse("%d items are more than %d", n, PlanItemsMax)
		return true
	}
	p.Items = make([]PlanItem, 0, n)
	for d.Next() {
		p.Items = append(p.Items, PlanItem{})
		decodePlanItem(d, &p.Items[len(p.Items)-1])
	}
	return true
}

func decodePlanItem(d *pack.Decoder, item *PlanItem) {
	d.Map()
	for d.Next() {
		switch string(d.Key()) {
		case "ref":
			item.Ref = decodeRef(d)
		case "payload":
			decodePayload(d, &item.Payload)
		case "after":
			item.After = decodeRefs(d)
		default:
			d.Skip()
		}
	}
}

func decodeRef(d *pack.Decoder) string {
	ref := d.Text()
	if len(ref) > RefMax {
		d.Refuse("%d bytes are more than %d", len(ref), RefMax)
	}
	return ref
}

func decodeRefs(d *pack.Decoder) []string {
	n := d.List()
	if n > PlanItemsMax {
		d.Refuse("%d refs are more than %d", n, PlanItemsMax)
	}
	var refs []string
	for d.Next() {
		refs = append(refs, decodeRef(d))
	}
	return refs
}

func (p *PlanParams) appendFields(obj *object) {
	obj.key("items")
	obj.b = pack.AppendArray(obj.b, len(p.Items))
	for i := range p.Items {
		obj.b = appendPlanItem(obj.b, &p.Items[i])
	}
}

func appendPlanItem(b []byte, item *PlanItem) []byte {
	obj := openObject(b)
	obj.text("ref", item.Ref)
	obj.key("payload")
	obj.b = AppendPayload(obj.b, &item.Payload)
	obj.key("after")
	obj.b = pack.AppendArray(obj.b, len(item.After))
	for _, ref := range item.After {
		obj.b = pack.AppendString(obj.b, ref)
	}
	return obj.close()
}

// StatusFilter chooses disbursements by what became of them: a state's label, or
// one of the two groups.
type StatusFilter string

// The filters besides the states' labels. The empty filter takes all.
const (
	// FilterScheduled: not yet executed.
	FilterScheduled StatusFilter = "scheduled"
	// FilterCancelled: rolled back.
	FilterCancelled StatusFilter = "cancelled"
)

// States lists the states that pass f, all of them for the empty filter and none
// for an unknown one.
func (f StatusFilter) States() []State {
	switch f {
	case "":
		return States()
	case FilterScheduled:
		return []State{Draft, Voting, Queued, Timelocked}
	case FilterCancelled:
		return []State{RolledBack}
	}
	if s, ok := ParseState(string(f)); ok {
		return []State{s}
	}
	return nil
}

// Range is a closed interval. Max 0 is no upper bound.
type Range struct{ Min, Max uint64 }

// Holds reports whether v lies in r.
func (r Range) Holds(v uint64) bool { return v >= r.Min && (r.Max == 0 || v <= r.Max) }

// DisbursementsParams are the parameters of disbursements.
type DisbursementsParams struct {
	Options
	Page
	Status      StatusFilter
	Destination string
	Epoch       Range // the scheduled epoch
	Amount      Range
	CreatedAt   Range // Unix seconds
}

func (p *DisbursementsParams) decodeField(d *pack.Decoder, name []byte) bool {
	switch string(name) {
	case "status":
		if p.Status = StatusFilter(d.Text()); p.Status.States() == nil {
			d.Refuse("no such status")
		}
	case "destination":
		p.Destination = d.Text()
	case "min_epoch":
		p.Epoch.Min = d.Uint()
	case "max_epoch":
		p.Epoch.Max = d.Uint()
	case "min_amount":
		p.Amount.Min = d.Uint()
	case "max_amount":
		p.Amount.Max = d.Uint()
	case "min_created_at":
		p.CreatedAt.Min = d.Uint()
	case "max_created_at":
		p.CreatedAt.Max = d.Uint()
	default:
		return p.Page.decodeField(d, name)
	}
	return true
}

func (p *DisbursementsParams) appendFields(obj *object) {
	p.Page.appendFields(obj)
	obj.optText("status", string(p.Status))
	obj.optText("destination", p.Destination)
	obj.optUint("min_epoch", p.Epoch.Min)
	obj.optUint("max_epoch", p.Epoch.Max)
	obj.optUint("min_amount", p.Amount.Min)
	obj.optUint("max_amount", p.Amount.Max)
	obj.optUint("min_created_at", p.CreatedAt.Min)
	obj.optUint("max_created_at", p.CreatedAt.Max)
}

// House is one of the two that vote. The zero value is none.
type House byte

// The houses.
const (
	Operators House = iota + 1
	Builders
)

// String gives the wire's word.
func (h House) String() string {
	switch h {
	case Operators:
		return "operators"
	case Builders:
		return "builders"
	default:
		return "no house"
	}
}

// VoteParams are the parameters of vote.
type VoteParams struct {
	Options
	ID        DisbursementID
	House     House
	Voter     string
	WeightPPM PPM
	Approve   bool
}

func (p *VoteParams) decodeField(d *pack.Decoder, name []byte) bool {
	switch string(name) {
	case "id":
		p.ID = DisbursementID(d.Uint())
	case "house":
		p.House = decodeHouse(d)
	case "voter":
		p.Voter = d.Text()
	case "weight_ppm":
		p.WeightPPM = PPM(d.Uint())
	case "approve":
		p.Approve = d.Bool()
	default:
		return false
	}
	return true
}

func decodeHouse(d *pack.Decoder) House {
	switch string(d.Bytes()) {
	case "operators":
		return Operators
	case "builders":
		return Builders
	default:
		d.Refuse("want \"operators\" or \"builders\"")
		return 0
	}
}

func (p *VoteParams) appendFields(obj *object) {
	obj.uint("id", uint64(p.ID))
	obj.text("house", p.House.String())
	obj.text("voter", p.Voter)
	obj.uint("weight_ppm", uint64(p.WeightPPM))
	obj.bool("approve", p.Approve)
}

// RollbackParams are the parameters of rollback_disbursement.
type RollbackParams struct {
	Options
	ID     DisbursementID
	Reason string
	// ReversingTx is the hash of the confirmed transfer back, which an executed
	// disbursement needs where an outside chain booked it.
	ReversingTx string
}

func (p *RollbackParams) decodeField(d *pack.Decoder, name []byte) bool {
	switch string(name) {
	case "id":
		p.ID = DisbursementID(d.Uint())
	case "reason":
		p.Reason = d.Text()
	case "reversing_tx":
		p.ReversingTx = d.Text()
	default:
		return false
	}
	return true
}

func (p *RollbackParams) appendFields(obj *object) {
	obj.uint("id", uint64(p.ID))
	obj.text("reason", p.Reason)
	obj.optText("reversing_tx", p.ReversingTx)
}

// AccrueParams are the parameters of accrue.
type AccrueParams struct {
	Options
	Amount Amount
	Source string
}

func (p *AccrueParams) decodeField(d *pack.Decoder, name []byte) bool {
	switch string(name) {
	case "amount":
		p.Amount = Amount(d.Uint())
	case "source":
		p.Source = d.Text()
	default:
		return false
	}
	return true
}

func (p *AccrueParams) appendFields(obj *object) {
	obj.uint("amount", uint64(p.Amount))
	obj.optText("source", p.Source)
}

// AccountParams are the parameters of account.
type AccountParams struct {
	Options
	Account string
}

func (p *AccountParams) decodeField(d *pack.Decoder, name []byte) bool {
	if string(name) != "account" {
		return false
	}
	p.Account = d.Text()
	return true
}

func (p *AccountParams) appendFields(obj *object) { obj.text("account", p.Account) }

// SkipIntentParams are the parameters of skip_intent: what to do with the intent
// at which the executor has paused.
type SkipIntentParams struct {
	Options
	ID DisbursementID
	// Retry submits the same bytes again instead of replacing them by a null
	// transaction.
	Retry bool
}

func (p *SkipIntentParams) decodeField(d *pack.Decoder, name []byte) bool {
	switch string(name) {
	case "id":
		p.ID = DisbursementID(d.Uint())
	case "retry":
		p.Retry = d.Bool()
	default:
		return false
	}
	return true
}

func (p *SkipIntentParams) appendFields(obj *object) {
	obj.uint("id", uint64(p.ID))
	obj.optBool("retry", p.Retry)
}

// DependentsParams are the parameters of dependents.
type DependentsParams struct {
	Options
	Page
	ID DisbursementID
	// Transitive asks for dependents of dependents too.
	Transitive bool
}

func (p *DependentsParams) decodeField(d *pack.Decoder, name []byte) bool {
	switch string(name) {
	case "id":
		p.ID = DisbursementID(d.Uint())
	case "transitive":
		p.Transitive = d.Bool()
	default:
		return p.Page.decodeField(d, name)
	}
	return true
}

func (p *DependentsParams) settlePage() { p.settleIDs() }

func (p *DependentsParams) appendFields(obj *object) {
	p.Page.appendFields(obj)
	obj.uint("id", uint64(p.ID))
	obj.optBool("transitive", p.Transitive)
}

// ImpactParams are the parameters of impact.
type ImpactParams struct {
	Options
	Page
	ID DisbursementID
}

func (p *ImpactParams) decodeField(d *pack.Decoder, name []byte) bool {
	if string(name) != "id" {
		return p.Page.decodeField(d, name)
	}
	p.ID = DisbursementID(d.Uint())
	return true
}

func (p *ImpactParams) settlePage() { p.settleIDs() }

func (p *ImpactParams) appendFields(obj *object) {
	p.Page.appendFields(obj)
	obj.uint("id", uint64(p.ID))
}

// HasPendingParams are the parameters of has_pending. ID 0 asks about the whole
// graph.
type HasPendingParams struct {
	Options
	ID DisbursementID
}

func (p *HasPendingParams) decodeField(d *pack.Decoder, name []byte) bool {
	if string(name) != "id" {
		return false
	}
	p.ID = DisbursementID(d.Uint())
	return true
}

func (p *HasPendingParams) appendFields(obj *object) { obj.optUint("id", uint64(p.ID)) }

// SubsetParams are the parameters of order, waves and critical_path: the
// disbursements to look at, all of them where IDs is empty.
type SubsetParams struct {
	Options
	Page
	IDs []DisbursementID
}

func (p *SubsetParams) decodeField(d *pack.Decoder, name []byte) bool {
	if string(name) != "ids" {
		return p.Page.decodeField(d, name)
	}
	ids := decodeIDs(d)
	if len(ids) > IDsMax {
		d.Refuse("more than %d ids", IDsMax)
	}
	slices.Sort(ids)
	p.IDs = slices.Compact(ids)
	return true
}

func (p *SubsetParams) settlePage() { p.settleIDs() }

func (p *SubsetParams) appendFields(obj *object) {
	p.Page.appendFields(obj)
	if len(p.IDs) > 0 {
		obj.ids("ids", p.IDs)
	}
}
