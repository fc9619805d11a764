package messages

import "github.com/the-block/bursar/messages/internal/pack"

// SubmitDisbursementResult answers submit_disbursement: committed by a majority
// and fsynced.
type SubmitDisbursementResult struct {
	ID        DisbursementID `msgpack:"id"`
	CreatedAt uint64         `msgpack:"created_at"` // Unix seconds
	Duplicate bool           `msgpack:"duplicate"`
}

// AppendMsgpack appends r's bytes on the wire.
func (r *SubmitDisbursementResult) AppendMsgpack(b []byte) []byte {
	b = pack.AppendMap(b, 3)
	b = pack.AppendString(b, "id")
	b = pack.AppendUint(b, uint64(r.ID))
	b = pack.AppendString(b, "created_at")
	b = pack.AppendUint(b, r.CreatedAt)
	b = pack.AppendString(b, "duplicate")
	return pack.AppendBool(b, r.Duplicate)
}

func (r *SubmitDisbursementResult) decode(d *pack.Decoder) {
	d.Map()
	for d.Next() {
		switch string(d.Key()) {
		case "id":
			r.ID = DisbursementID(d.Uint())
		case "created_at":
			r.CreatedAt = d.Uint()
		case "duplicate":
			r.Duplicate = d.Bool()
		default:
			d.Skip()
		}
	}
}

// PlanID is the id that a plan's item became.
type PlanID struct {
	Ref string
	ID  DisbursementID
}

// PlanIDs are a plan's ids in the order of its items; a map from ref to id on the
// wire.
type PlanIDs []PlanID

// SubmitPlanResult answers submit_plan.
type SubmitPlanResult struct {
	IDs       PlanIDs `msgpack:"ids"`
	CreatedAt uint64  `msgpack:"created_at"` // Unix seconds
	Duplicate bool    `msgpack:"duplicate"`
}

// AppendMsgpack appends r's bytes on the wire.
func (r *SubmitPlanResult) AppendMsgpack(b []byte) []byte {
	b = pack.AppendMap(b, 3)
	b = pack.AppendString(b, "ids")
	b = pack.AppendMap(b, len(r.IDs))
	for _, id := range r.IDs {
		b = pack.AppendString(b, id.Ref)
		b = pack.AppendUint(b, uint64(id.ID))
	}
	b = pack.AppendString(b, "created_at")
	b = pack.AppendUint(b, r.CreatedAt)
	b = pack.AppendString(b, "duplicate")
	return pack.AppendBool(b, r.Duplicate)
}

func (r *SubmitPlanResult) decode(d *pack.Decoder) {
	d.Map()
	for d.Next() {
		switch string(d.Key()) {
		case "ids":
			d.Map()
			for d.Next() {
				ref := string(d.Key())
				r.IDs = append(r.IDs, PlanID{Ref: ref, ID: DisbursementID(d.Uint())})
			}
		case "created_at":
			r.CreatedAt = d.Uint()
		case "duplicate":
			r.Duplicate = d.Bool()
		default:
			d.Skip()
		}
	}
}

// CheckPlanResult answers check_plan: the refs of a cycle in order, or none.
type CheckPlanResult struct {
	Cycle List[string] `msgpack:"cycle"`
}

// Status is where a disbursement stands: its state, and the fields that belong to
// that state only.
type Status struct {
	State State `msgpack:"state"`
	// VoteDeadlineEpoch, and what the houses have approved so far: voting.
	VoteDeadlineEpoch Epoch `msgpack:"vote_deadline_epoch,omitempty"`
	OperatorsPPM      PPM   `msgpack:"operators_ppm,omitempty"`
	BuildersPPM       PPM   `msgpack:"builders_ppm,omitempty"`
	// ActivationEpoch is when the timelock is entered: queued.
	ActivationEpoch Epoch `msgpack:"activation_epoch,omitempty"`
	// ReadyEpoch is when it falls due: timelocked.
	ReadyEpoch Epoch `msgpack:"ready_epoch,omitempty"`
	// TxHash, ExecutedAt (Unix seconds) and ExecutedEpoch: executed, finalized.
	TxHash        string `msgpack:"tx_hash,omitempty"`
	ExecutedAt    uint64 `msgpack:"executed_at,omitempty"`
	ExecutedEpoch Epoch  `msgpack:"executed_epoch,omitempty"`
	// FinalizedAt is in Unix seconds: finalized.
	FinalizedAt uint64 `msgpack:"finalized_at,omitempty"`
	// Reason, RolledBackAt (Unix seconds) and the hash of the transaction that had
	// paid, if any: rolled_back.
	Reason       string `msgpack:"reason,omitempty"`
	RolledBackAt uint64 `msgpack:"rolled_back_at,omitempty"`
	PriorTx      string `msgpack:"prior_tx,omitempty"`
}

// AppendMsgpack appends the state and all of that state's fields.
func (s *Status) AppendMsgpack(b []byte) []byte {
	obj := openObject(b)
	obj.text("state", s.State.String())
	switch s.State {
	case Draft:
	case Voting:
		obj.uint("vote_deadline_epoch", uint64(s.VoteDeadlineEpoch))
		obj.uint("operators_ppm", uint64(s.OperatorsPPM))
		obj.uint("builders_ppm", uint64(s.BuildersPPM))
	case Queued:
		obj.uint("activation_epoch", uint64(s.ActivationEpoch))
	case Timelocked:
		obj.uint("ready_epoch", uint64(s.ReadyEpoch))
	case Executed:
		s.appendExecuted(&obj)
	case Finalized:
		s.appendExecuted(&obj)
		obj.uint("finalized_at", s.FinalizedAt)
	case RolledBack:
		obj.text("reason", s.Reason)
		obj.uint("rolled_back_at", s.RolledBackAt)
		obj.optText("prior_tx", s.PriorTx)
	}
	return obj.close()
}

func (s *Status) appendExecuted(obj *object) {
	obj.text("tx_hash", s.TxHash)
	obj.uint("executed_at", s.ExecutedAt)
	obj.uint("executed_epoch", uint64(s.ExecutedEpoch))
}

// DisbursementView is a disbursement as a reader sees it.
type DisbursementView struct {
	ID               DisbursementID `msgpack:"id"`
	Destination      string         `msgpack:"destination"`
	Amount           Amount         `msgpack:"amount"`
	Memo             string         `msgpack:"memo"`
	ScheduledEpoch   Epoch          `msgpack:"scheduled_epoch"`
	CreatedAt        uint64         `msgpack:"created_at"` // Unix seconds
	Status           Status         `msgpack:"status"`
	ExpectedReceipts []Receipt      `msgpack:"expected_receipts"`
	// Proposal is nil, and absent, where the treasury itself initiated it.
	Proposal *Proposal `msgpack:"proposal,omitempty"`
}

// AppendMsgpack appends v's bytes on the wire.
func (v *DisbursementView) AppendMsgpack(b []byte) []byte {
	n := 8
	if v.Proposal != nil {
		n++
	}
	b = pack.AppendMap(b, n)
	b = pack.AppendString(b, "id")
	b = pack.AppendUint(b, uint64(v.ID))
	b = pack.AppendString(b, "destination")
	b = pack.AppendString(b, v.Destination)
	b = pack.AppendString(b, "amount")
	b = pack.AppendUint(b, uint64(v.Amount))
	b = pack.AppendString(b, "memo")
	b = pack.AppendString(b, v.Memo)
	b = pack.AppendString(b, "scheduled_epoch")
	b = pack.AppendUint(b, uint64(v.ScheduledEpoch))
	b = pack.AppendString(b, "created_at")
	b = pack.AppendUint(b, v.CreatedAt)
	b = pack.AppendString(b, "status")
	b = v.Status.AppendMsgpack(b)
	b = pack.AppendString(b, "expected_receipts")
	b = appendReceipts(b, v.ExpectedReceipts)
	if v.Proposal != nil {
		b = pack.AppendString(b, "proposal")
		b = appendProposal(b, v.Proposal)
	}
	return b
}

// DisbursementRow is a disbursement with its canonical dependencies.
type DisbursementRow struct {
	Disbursement DisbursementView `msgpack:"disbursement"`
	Deps         []DisbursementID `msgpack:"deps"`
}

// AppendMsgpack appends r's bytes on the wire.
func (r *DisbursementRow) AppendMsgpack(b []byte) []byte {
	return r.appendEntries(pack.AppendMap(b, 2))
}

func (r *DisbursementRow) appendEntries(b []byte) []byte {
	b = pack.AppendString(b, "disbursement")
	b = r.Disbursement.AppendMsgpack(b)
	b = pack.AppendString(b, "deps")
	return appendIDs(b, r.Deps)
}

// GetDisbursementResult answers get_disbursement.
type GetDisbursementResult struct {
	DisbursementRow `msgpack:",inline"`
	AppliedIndex    uint64 `msgpack:"applied_index"`
}

// AppendMsgpack appends r's bytes on the wire.
func (r *GetDisbursementResult) AppendMsgpack(b []byte) []byte {
	b = r.appendEntries(pack.AppendMap(b, 3))
	b = pack.AppendString(b, "applied_index")
	return pack.AppendUint(b, r.AppliedIndex)
}

// Transition is one step of a disbursement's life, as its statement tells it.
type Transition struct {
	From   string `msgpack:"from"` // a state's label; empty for the submission
	To     string `msgpack:"to"`
	At     uint64 `msgpack:"at"`    // Unix seconds
	Epoch  Epoch  `msgpack:"epoch"` // the treasury's epoch then
	Index  uint64 `msgpack:"index"` // in the log
	Node   string `msgpack:"node"`
	Reason string `msgpack:"reason,omitempty"`
}

// StatementResult answers statement: the disbursement and how it came there.
type StatementResult struct {
	DisbursementRow `msgpack:",inline"`
	Transitions     List[Transition] `msgpack:"transitions"`
	AppliedIndex    uint64           `msgpack:"applied_index"`
}

// AppendMsgpack appends r's bytes on the wire.
func (r *StatementResult) AppendMsgpack(b []byte) []byte {
	b = r.appendEntries(pack.AppendMap(b, 4))
	b = pack.AppendString(b, "transitions")
	b = pack.AppendArray(b, len(r.Transitions))
	for i := range r.Transitions {
		b = r.Transitions[i].append(b)
	}
	b = pack.AppendString(b, "applied_index")
	return pack.AppendUint(b, r.AppliedIndex)
}

func (t *Transition) append(b []byte) []byte {
	obj := openObject(b)
	obj.text("from", t.From)
	obj.text("to", t.To)
	obj.uint("at", t.At)
	obj.uint("epoch", uint64(t.Epoch))
	obj.uint("index", t.Index)
	obj.text("node", t.Node)
	obj.optText("reason", t.Reason)
	return obj.close()
}

// DisbursementsResult answers disbursements, newest first.
type DisbursementsResult struct {
	Disbursements []*DisbursementRow `msgpack:"disbursements"`
	NextCursor    Cursor             `msgpack:"next_cursor"`
	AppliedIndex  uint64             `msgpack:"applied_index"`
}

// AppendMsgpack appends r's bytes on the wire.
func (r *DisbursementsResult) AppendMsgpack(b []byte) []byte {
	b = pack.AppendMap(b, 3)
	b = pack.AppendString(b, "disbursements")
	b = pack.AppendArray(b, len(r.Disbursements))
	for _, row := range r.Disbursements {
		b = row.AppendMsgpack(b)
	}
	b = pack.AppendString(b, "next_cursor")
	b = appendCursor(b, r.NextCursor)
	b = pack.AppendString(b, "applied_index")
	return pack.AppendUint(b, r.AppliedIndex)
}

// VoteResult answers vote: what each house has approved now.
type VoteResult struct {
	ID           DisbursementID `msgpack:"id"`
	OperatorsPPM PPM            `msgpack:"operators_ppm"`
	BuildersPPM  PPM            `msgpack:"builders_ppm"`
	Duplicate    bool           `msgpack:"duplicate"`
}

// AppendMsgpack appends r's bytes on the wire.
func (r *VoteResult) AppendMsgpack(b []byte) []byte {
	obj := openObject(b)
	obj.uint("id", uint64(r.ID))
	obj.uint("operators_ppm", uint64(r.OperatorsPPM))
	obj.uint("builders_ppm", uint64(r.BuildersPPM))
	obj.bool("duplicate", r.Duplicate)
	return obj.close()
}

// TransitionResult answers queue_disbursement, execute_disbursement,
// rollback_disbursement and skip_intent: the state that was reached.
type TransitionResult struct {
	ID        DisbursementID `msgpack:"id"`
	State     State          `msgpack:"state"`
	Duplicate bool           `msgpack:"duplicate"`
}

// AppendMsgpack appends r's bytes on the wire.
func (r *TransitionResult) AppendMsgpack(b []byte) []byte {
	obj := openObject(b)
	obj.uint("id", uint64(r.ID))
	obj.text("state", r.State.String())
	obj.bool("duplicate", r.Duplicate)
	return obj.close()
}

// AccrueResult answers accrue: the treasury's balance after it.
type AccrueResult struct {
	Balance   Amount `msgpack:"balance"`
	Duplicate bool   `msgpack:"duplicate"`
}

// AppendMsgpack appends r's bytes on the wire.
func (r *AccrueResult) AppendMsgpack(b []byte) []byte {
	obj := openObject(b)
	obj.uint("balance", uint64(r.Balance))
	obj.bool("duplicate", r.Duplicate)
	return obj.close()
}

// BalanceEvent says why the treasury's balance changed.
type BalanceEvent string

// The three events of the balance history.
const (
	EventAccrual   BalanceEvent = "accrual"
	EventExecuted  BalanceEvent = "executed"
	EventCancelled BalanceEvent = "cancelled"
)

// BalanceSnapshot is one row of the balance history.
type BalanceSnapshot struct {
	ID         uint64       `msgpack:"id"` // 1, 2, 3 ... without gaps
	Balance    Amount       `msgpack:"balance"`
	Delta      int64        `msgpack:"delta"`
	Event      BalanceEvent `msgpack:"event"`
	RecordedAt uint64       `msgpack:"recorded_at"` // Unix seconds
	// DisbursementID is nil for an accrual.
	DisbursementID *DisbursementID `msgpack:"disbursement_id"`
}

// BalanceResult answers balance.
type BalanceResult struct {
	Balance      Amount           `msgpack:"balance"`
	LastSnapshot *BalanceSnapshot `msgpack:"last_snapshot"` // nil before the first
	Executor     ExecutorStatus   `msgpack:"executor"`
	AppliedIndex uint64           `msgpack:"applied_index"`
}

// ExecutorStatus is the executor as an operator wants to see it.
type ExecutorStatus struct {
	// Node owns the executor; empty while nobody does.
	Node string `msgpack:"node"`
	// NextNonce is the nonce watermark; Staged counts the intents in flight, Due the
	// records that wait for funds or their turn.
	NextNonce uint64 `msgpack:"next_nonce"`
	Staged    uint64 `msgpack:"staged"`
	Due       uint64 `msgpack:"due"`
	// PausedID is the record the executor has paused at, PausedReason why.
	PausedID     *DisbursementID `msgpack:"paused_id"`
	PausedReason string          `msgpack:"paused_reason,omitempty"`
	Submitter    string          `msgpack:"submitter"` // ledger or http
	Breaker      string          `msgpack:"breaker"`   // closed, open or half_open
	// LastExecutedAt and LastErrorAt are Unix seconds, 0 for never.
	LastExecutedAt uint64 `msgpack:"last_executed_at"`
	LastError      string `msgpack:"last_error,omitempty"`
	LastErrorAt    uint64 `msgpack:"last_error_at"`
}

// ExecutorResult answers executor.
type ExecutorResult struct {
	ExecutorStatus `msgpack:",inline"`
	AppliedIndex   uint64 `msgpack:"applied_index"`
}

// BalanceHistoryResult answers balance_history, newest first.
type BalanceHistoryResult struct {
	Snapshots      List[BalanceSnapshot] `msgpack:"snapshots"`
	NextCursor     Cursor                `msgpack:"next_cursor"`
	CurrentBalance Amount                `msgpack:"current_balance"`
	AppliedIndex   uint64                `msgpack:"applied_index"`
}

// AccountResult answers account.
type AccountResult struct {
	Account      string `msgpack:"account"`
	Balance      Amount `msgpack:"balance"`
	AppliedIndex uint64 `msgpack:"applied_index"`
}

// IDsResult answers dependents, ready and order.
type IDsResult struct {
	IDs          List[DisbursementID] `msgpack:"ids"`
	NextCursor   Cursor               `msgpack:"next_cursor"`
	AppliedIndex uint64               `msgpack:"applied_index"`
}

// AppendMsgpack appends r's bytes on the wire.
func (r *IDsResult) AppendMsgpack(b []byte) []byte {
	obj := openObject(b)
	obj.ids("ids", r.IDs)
	obj.key("next_cursor")
	obj.b = appendCursor(obj.b, r.NextCursor)
	obj.uint("applied_index", r.AppliedIndex)
	return obj.close()
}

// HasPendingResult answers has_pending: whether a dependency is not met yet.
type HasPendingResult struct {
	HasPending   bool   `msgpack:"has_pending"`
	AppliedIndex uint64 `msgpack:"applied_index"`
}

// WavesResult answers waves: each wave depends only on those before it.
type WavesResult struct {
	Waves List[List[DisbursementID]] `msgpack:"waves"`
	// FirstWave numbers the page's first wave, from 0: a page may begin inside a
	// wave.
	FirstWave    uint64 `msgpack:"first_wave"`
	NextCursor   Cursor `msgpack:"next_cursor"`
	AppliedIndex uint64 `msgpack:"applied_index"`
}

// CriticalPathResult answers critical_path: the chain with the largest amount,
// dependencies first.
type CriticalPathResult struct {
	IDs          List[DisbursementID] `msgpack:"ids"`
	Amount       Amount               `msgpack:"amount"`
	NextCursor   Cursor               `msgpack:"next_cursor"`
	AppliedIndex uint64               `msgpack:"applied_index"`
}

// ImpactResult answers impact: what fails if this disbursement does, itself not
// counted. Count and Amount are those of all, not of the page.
type ImpactResult struct {
	IDs          List[DisbursementID] `msgpack:"ids"`
	Count        uint64               `msgpack:"count"`
	Amount       Amount               `msgpack:"amount"`
	NextCursor   Cursor               `msgpack:"next_cursor"`
	AppliedIndex uint64               `msgpack:"applied_index"`
}

// GraphResult answers graph.
type GraphResult struct {
	Nodes        uint64 `msgpack:"nodes"`
	Edges        uint64 `msgpack:"edges"`
	AppliedIndex uint64 `msgpack:"applied_index"`
}
