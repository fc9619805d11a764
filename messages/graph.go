package messages

import "slices"

// The methods of the dependency graph.
const (
	MethodDependents   = "gov.treasury.dependents"
	MethodReady        = "gov.treasury.ready"
	MethodHasPending   = "gov.treasury.has_pending"
	MethodOrder        = "gov.treasury.order"
	MethodWaves        = "gov.treasury.waves"
	MethodCriticalPath = "gov.treasury.critical_path"
	MethodImpact       = "gov.treasury.impact"
	MethodGraph        = "gov.treasury.graph"
)

var graphMethods = []*Method{
	reads[DependentsParams, IDsResult](MethodDependents,
		"What depends on a disbursement, the disbursement itself not among them: nearest first, then by id.", CodeNotFound),
	reads[ReadyParams, IDsResult](MethodReady,
		"Disbursements whose dependencies are all met and that are not yet executed, ascending."),
	reads[HasPendingParams, HasPendingResult](MethodHasPending, "Whether a dependency is not met yet.", CodeNotFound),
	reads[SubsetParams, IDsResult](MethodOrder, "Topological order: dependencies first, ties by id.", CodeNotFound),
	reads[SubsetParams, WavesResult](MethodWaves,
		"Waves that could be paid in parallel, each depending on those before it only.", CodeNotFound),
	reads[SubsetParams, CriticalPathResult](MethodCriticalPath,
		"The chain of dependencies with the largest amount.", CodeNotFound),
	reads[ImpactParams, ImpactResult](MethodImpact, "What would fail if this disbursement did.", CodeNotFound),
	reads[NoParams, GraphResult](MethodGraph, "The size of the dependency graph."),
}

// DependentsParams are the parameters of dependents.
type DependentsParams struct {
	Options
	Page
	ID DisbursementID
	// Transitive asks for dependents of dependents too.
	Transitive bool
}

func (p *DependentsParams) fields(f *fields) {
	p.idFields(f)
	f.disbursement(&p.ID)
	f.may("false").bool("transitive", &p.Transitive, "Dependents of dependents too.")
}

// ReadyParams are the parameters of ready.
type ReadyParams struct {
	Options
	Page
}

func (p *ReadyParams) fields(f *fields) { p.idFields(f) }

// IDsResult answers dependents, ready and order.
type IDsResult struct {
	IDs          []DisbursementID
	NextCursor   Cursor
	AppliedIndex uint64
}

func (r *IDsResult) fields(f *fields) {
	f.ids("ids", &r.IDs, 0, "In the order told above.")
	f.nextCursor(&r.NextCursor)
	f.applied(&r.AppliedIndex)
}

// ImpactParams are the parameters of impact.
type ImpactParams struct {
	Options
	Page
	ID DisbursementID
}

func (p *ImpactParams) fields(f *fields) {
	p.idFields(f)
	f.disbursement(&p.ID)
}

// ImpactResult answers impact: what fails if this disbursement does, itself not
// counted. Count, Amount and Capped are those of all, not of the page.
type ImpactResult struct {
	IDs          []DisbursementID
	Count        uint64
	Amount       Amount
	Capped       bool
	NextCursor   Cursor
	AppliedIndex uint64
}

func (r *ImpactResult) fields(f *fields) {
	f.ids("ids", &r.IDs, 0, "Transitive dependents, nearest first, then by id.")
	f.uint("count", &r.Count, "Of all, not of this page.")
	f.uint("amount", (*uint64)(&r.Amount), "Of all, not of this page.").bound(uint64(AmountMax))
	f.capped(&r.Capped)
	f.nextCursor(&r.NextCursor)
	f.applied(&r.AppliedIndex)
}

// capped tells of a sum that stops at AmountMax.
func (f *fields) capped(v *bool) {
	f.may("").bool("capped", v, "True where the amount would be more than 2^63-1, and stops there.")
}

// HasPendingParams are the parameters of has_pending. ID 0 asks about the whole
// graph.
type HasPendingParams struct {
	Options
	ID DisbursementID
}

func (p *HasPendingParams) fields(f *fields) {
	f.may("any").uint("id", (*uint64)(&p.ID), "The disbursement whose dependencies are meant.")
}

// HasPendingResult answers has_pending: whether a dependency is not met yet.
type HasPendingResult struct {
	HasPending   bool
	AppliedIndex uint64
}

func (r *HasPendingResult) fields(f *fields) {
	f.bool("has_pending", &r.HasPending, "True while one is not met.")
	f.applied(&r.AppliedIndex)
}

// SubsetParams are the parameters of order, waves and critical_path: the
// disbursements to look at, all of them where IDs is empty.
type SubsetParams struct {
	Options
	Page
	IDs []DisbursementID
}

func (p *SubsetParams) fields(f *fields) {
	p.idFields(f)
	f.may("all").ids("ids", &p.IDs, IDsMax, "The disbursements to look at; what links them may pass through others.")
	if f.got {
		slices.Sort(p.IDs)
		p.IDs = slices.Compact(p.IDs)
	}
}

// WavesResult answers waves: each wave depends only on those before it.
type WavesResult struct {
	Waves [][]DisbursementID
	// FirstWave numbers the page's first wave, from 0: a page may begin inside a
	// wave.
	FirstWave    uint64
	NextCursor   Cursor
	AppliedIndex uint64
}

func (r *WavesResult) fields(f *fields) {
	listOf(f, "waves", &r.Waves, 0, "list of integer", "Ids, ascending in each wave.", f.bareIDs)
	f.uint("first_wave", &r.FirstWave, "Number of the page's first wave, from 0; a page may begin inside a wave.")
	f.nextCursor(&r.NextCursor)
	f.applied(&r.AppliedIndex)
}

// CriticalPathResult answers critical_path: the chain with the largest amount,
// dependencies first.
type CriticalPathResult struct {
	IDs          []DisbursementID
	Amount       Amount
	Capped       bool
	NextCursor   Cursor
	AppliedIndex uint64
}

func (r *CriticalPathResult) fields(f *fields) {
	f.ids("ids", &r.IDs, 0, "Dependencies first.")
	f.uint("amount", (*uint64)(&r.Amount), "The sum of the whole chain.").bound(uint64(AmountMax))
	f.capped(&r.Capped)
	f.nextCursor(&r.NextCursor)
	f.applied(&r.AppliedIndex)
}

// GraphResult answers graph.
type GraphResult struct {
	Nodes        uint64
	Edges        uint64
	AppliedIndex uint64
}

func (r *GraphResult) fields(f *fields) {
	f.uint("nodes", &r.Nodes, "Disbursements.")
	f.uint("edges", &r.Edges, "Dependencies between them.")
	f.applied(&r.AppliedIndex)
}
