package messages

import "github.com/the-block/bursar/messages/internal/pack"

// The methods of the treasury.
const (
	MethodSubmitDisbursement   = "gov.treasury.submit_disbursement"
	MethodSubmitPlan           = "gov.treasury.submit_plan"
	MethodCheckPlan            = "gov.treasury.check_plan"
	MethodGetDisbursement      = "gov.treasury.get_disbursement"
	MethodStatement            = "gov.treasury.statement"
	MethodDisbursements        = "gov.treasury.disbursements"
	MethodVote                 = "gov.treasury.vote"
	MethodQueueDisbursement    = "gov.treasury.queue_disbursement"
	MethodExecuteDisbursement  = "gov.treasury.execute_disbursement"
	MethodRollbackDisbursement = "gov.treasury.rollback_disbursement"
	MethodAccrue               = "gov.treasury.accrue"
	MethodBalance              = "gov.treasury.balance"
	MethodBalanceHistory       = "gov.treasury.balance_history"
	MethodAccount              = "gov.treasury.account"
	MethodExecutor             = "gov.treasury.executor"
	MethodSkipIntent           = "gov.treasury.skip_intent"
	MethodResend               = "gov.treasury.resend"
	MethodRebind               = "gov.treasury.rebind"
	MethodResume               = "gov.treasury.resume"
)

var treasuryMethods = []*Method{
	changes[SubmitDisbursementParams, SubmitDisbursementResult](Submitter, MethodSubmitDisbursement,
		"Submits one disbursement. A result means: committed by a majority, fsynced.",
		CodeMemoTooLong, CodeTooManyDependencies, CodeMissingDependency, CodeDependencyFailed),
	changes[PlanParams, SubmitPlanResult](Submitter, MethodSubmitPlan,
		"Submits up to 1,000 disbursements that may depend on one another: all or nothing.",
		CodeDependencyCycle, CodeMemoTooLong, CodeTooManyDependencies, CodeMissingDependency, CodeDependencyFailed),
	reads[PlanParams, CheckPlanResult](MethodCheckPlan, "Judges a plan without submitting it.",
		CodeMemoTooLong, CodeTooManyDependencies, CodeMissingDependency, CodeDependencyFailed),
	reads[IDParams, GetDisbursementResult](MethodGetDisbursement,
		"One disbursement with its state and its canonical dependencies.", CodeNotFound),
	reads[StatementParams, StatementResult](MethodStatement,
		"One disbursement, every transition of its life, and why it is not paid yet. The executor's node answers.", CodeNotFound),
	reads[DisbursementsParams, DisbursementsResult](MethodDisbursements,
		"Disbursements, newest first; at most 10,000 rows are examined a page."),
	changes[VoteParams, VoteResult](Voter, MethodVote,
		"Votes on a disbursement. One vote a voter and house; the last one counts. At most 1,000 votes a disbursement.",
		CodeNotFound, CodeInvalidTransition),
	moves[IDParams](MethodQueueDisbursement, "Takes the next step now, if its condition holds."),
	moves[IDParams](MethodExecuteDisbursement, "Asks the executor to take it now, if it is due, met and funded.",
		CodeInsufficientFunds),
	moves[RollbackParams](MethodRollbackDisbursement, "Cancels a disbursement, or rolls an executed one back.",
		CodeInsufficientFunds),
	changes[AccrueParams, AccrueResult](Operator, MethodAccrue, "Credits the treasury."),
	reads[NoParams, BalanceResult](MethodBalance, "The treasury's balance and the executor's condition."),
	reads[PageParams, BalanceHistoryResult](MethodBalanceHistory,
		"Every change of the treasury's balance, newest first."),
	reads[AccountParams, AccountResult](MethodAccount, "The balance of one account."),
	reads[NoParams, ExecutorResult](MethodExecutor, "The executor's condition."),
	moves[SkipIntentParams](MethodSkipIntent, "Decides about the intent at which the executor has paused. "+
		"The state is the one before the intent's outcome is known."),
	changes[RebindParams, RebindResult](Operator, MethodRebind, "Binds the treasury to another submitter, account or chain, "+
		"while nothing is in flight.", CodeInvalidTransition),
	changes[ResumeParams, ResumeResult](Operator, MethodResume, "Ends the rest in which payments are after a restore or a recovery. "+
		"Refused while the outside chain knows of payments that this log does not.", CodeInvalidTransition),
	changes[ResendParams, ResendResult](Operator, MethodResend, "Sends the very same bytes to the outside chain again, "+
		"of all nonces from one on, for a chain that has lost them.", CodeInvalidTransition),
}

// moves is a method that moves one disbursement and answers with its state.
func moves[P any, PP interface {
	*P
	Params
}](name, summary string, errors ...Code) *Method {
	return changes[P, TransitionResult, PP](Operator, name, summary, append(errors, CodeNotFound, CodeInvalidTransition)...)
}

// SubmitDisbursementParams are the parameters of submit_disbursement.
type SubmitDisbursementParams struct {
	Options
	Payload Payload
}

func (p *SubmitDisbursementParams) fields(f *fields) {
	f.must().payload("payload", &p.Payload)
}

// SubmitDisbursementResult answers submit_disbursement: committed by a majority
// and fsynced.
type SubmitDisbursementResult struct {
	ID        DisbursementID
	CreatedAt uint64 // Unix seconds
	Duplicate bool
}

func (r *SubmitDisbursementResult) fields(f *fields) {
	f.uint("id", (*uint64)(&r.ID), "1, 2, 3 ... in the order of commits, without gaps.")
	f.uint("created_at", &r.CreatedAt, "Unix seconds.")
	f.duplicate(&r.Duplicate)
}

// AppendMsgpack appends r by hand: every submission is answered with it.
func (r *SubmitDisbursementResult) AppendMsgpack(b []byte) []byte {
	b = pack.AppendMap(b, 3)
	b = pack.AppendString(b, "id")
	b = pack.AppendUint(b, uint64(r.ID))
	b = pack.AppendString(b, "created_at")
	b = pack.AppendUint(b, r.CreatedAt)
	b = pack.AppendString(b, "duplicate")
	return pack.AppendBool(b, r.Duplicate)
}

// PlanItem is one disbursement of a plan. Refs name items within the plan only.
type PlanItem struct {
	Ref     string
	Payload Payload
	// After lists the refs of items this one depends on.
	After []string
}

func (i *PlanItem) fields(f *fields) {
	f.defaults("").text("ref", &i.Ref, "Names the item within the plan.").max(RefMax).identity(i.Ref)
	f.defaults("").payload("payload", &i.Payload)
	f.defaults("[]").texts("after", &i.After, PlanItemsMax, "Refs of items it depends on.")
}

// PlanParams are the parameters of submit_plan and check_plan.
type PlanParams struct {
	Options
	Items []PlanItem
}

func (p *PlanParams) fields(f *fields) {
	objects(f.must(), "items", &p.Items, PlanItemsMax, "The disbursements.")
}

// PlanID is the id that a plan's item became.
type PlanID struct {
	Ref string
	ID  DisbursementID
}

// PlanIDs are a plan's ids in the order of its items; a map from ref to id on the
// wire.
type PlanIDs []PlanID

func (ids *PlanIDs) field(f *fields, name, text string) {
	switch f.mode {
	case decoding:
		if f.here(name) {
			f.in.Map()
			for f.in.Next() {
				ref := string(f.in.Key())
				*ids = append(*ids, PlanID{Ref: ref, ID: DisbursementID(f.in.Uint())})
			}
		}
	case appending:
		f.writes(name, false)
		f.b = pack.AppendMap(f.b, len(*ids))
		for _, id := range *ids {
			f.b = pack.AppendString(f.b, id.Ref)
			f.b = pack.AppendUint(f.b, uint64(id.ID))
		}
	case describing:
		f.describe(name, "map", text)
	}
}

// SubmitPlanResult answers submit_plan.
type SubmitPlanResult struct {
	IDs       PlanIDs
	CreatedAt uint64 // Unix seconds
	Duplicate bool
}

func (r *SubmitPlanResult) fields(f *fields) {
	r.IDs.field(f, "ids", "From each item's ref to its id.")
	f.uint("created_at", &r.CreatedAt, "Unix seconds.")
	f.duplicate(&r.Duplicate)
}

// CheckPlanResult answers check_plan: the refs of a cycle in order, or none.
type CheckPlanResult struct {
	Cycle []string
}

func (r *CheckPlanResult) fields(f *fields) {
	f.texts("cycle", &r.Cycle, 0, "The refs of a cycle in their order; empty where there is none.")
}

// IDParams is for methods about one disbursement.
type IDParams struct {
	Options
	ID DisbursementID
}

func (p *IDParams) fields(f *fields) { f.disbursement(&p.ID) }

// disbursement is the id that a call is about.
func (f *fields) disbursement(id *DisbursementID) {
	f.must().uint("id", (*uint64)(id), "The disbursement's id.")
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

var statusFilters = append(append([]string(nil), stateLabels...), string(FilterScheduled), string(FilterCancelled))

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

func (p *DisbursementsParams) fields(f *fields) {
	p.Page.fields(f)
	f.may("all").text("status", (*string)(&p.Status), "A state's label, `scheduled` (not yet executed) or `cancelled` (rolled back).").
		chosen(string(p.Status), statusFilters)
	f.may("all").text("destination", &p.Destination, "The payee.")
	f.may("0").uint("min_epoch", &p.Epoch.Min, "Least scheduled epoch.")
	f.may("none").uint("max_epoch", &p.Epoch.Max, "Greatest scheduled epoch; 0 is none.")
	f.may("0").uint("min_amount", &p.Amount.Min, "Least amount.")
	f.may("none").uint("max_amount", &p.Amount.Max, "Greatest amount; 0 is none.")
	f.may("0").uint("min_created_at", &p.CreatedAt.Min, "Not created before; Unix seconds.")
	f.may("none").uint("max_created_at", &p.CreatedAt.Max, "Not created after; Unix seconds; 0 is none.")
}

// Status is where a disbursement stands: its state, and the fields that belong to
// that state only.
type Status struct {
	State State
	// VoteDeadlineEpoch, and what the houses have approved so far: voting.
	VoteDeadlineEpoch Epoch
	OperatorsPPM      PPM
	BuildersPPM       PPM
	// ActivationEpoch is when the timelock is entered: queued.
	ActivationEpoch Epoch
	// ReadyEpoch is when it falls due: timelocked.
	ReadyEpoch Epoch
	// TxHash, ExecutedAt (Unix seconds) and ExecutedEpoch: executed, finalized.
	TxHash        string
	ExecutedAt    uint64
	ExecutedEpoch Epoch
	// FinalizedAt is in Unix seconds: finalized.
	FinalizedAt uint64
	// Reason, RolledBackAt (Unix seconds) and the hash of the transaction that had
	// paid, if any: rolled_back.
	Reason       string
	RolledBackAt uint64
	PriorTx      string
}

func (s *Status) fields(f *fields) {
	word(f, "state", &s.State, stateLabels, "")
	voting, executed := s.State == Voting, s.State == Executed || s.State == Finalized
	f.only(voting).uint("vote_deadline_epoch", (*uint64)(&s.VoteDeadlineEpoch), "Of voting.")
	f.only(voting).uint("operators_ppm", (*uint64)(&s.OperatorsPPM), "Of voting: approval so far.")
	f.only(voting).uint("builders_ppm", (*uint64)(&s.BuildersPPM), "Of voting: approval so far.")
	f.only(s.State == Queued).uint("activation_epoch", (*uint64)(&s.ActivationEpoch), "Of queued.")
	f.only(s.State == Timelocked).uint("ready_epoch", (*uint64)(&s.ReadyEpoch), "Of timelocked.")
	f.only(executed).text("tx_hash", &s.TxHash, "Of executed, finalized.")
	f.only(executed).uint("executed_at", &s.ExecutedAt, "Of executed, finalized: Unix seconds.")
	f.only(executed).uint("executed_epoch", (*uint64)(&s.ExecutedEpoch), "Of executed, finalized.")
	f.only(s.State == Finalized).uint("finalized_at", &s.FinalizedAt, "Of finalized: Unix seconds.")
	rolledBack := s.State == RolledBack
	f.only(rolledBack).text("reason", &s.Reason, "Of rolled_back.")
	f.only(rolledBack).uint("rolled_back_at", &s.RolledBackAt, "Of rolled_back: Unix seconds.")
	f.only(rolledBack && s.PriorTx != "").text("prior_tx", &s.PriorTx, "Of rolled_back: the transaction that had paid, if any.")
}

// DisbursementView is a disbursement as a reader sees it.
type DisbursementView struct {
	ID               DisbursementID
	Destination      string
	Amount           Amount
	Memo             string
	ScheduledEpoch   Epoch
	CreatedAt        uint64 // Unix seconds
	Status           Status
	ExpectedReceipts []Receipt
	// Proposal is nil, and absent, where the treasury itself initiated it.
	Proposal *Proposal
}

func (v *DisbursementView) fields(f *fields) {
	f.uint("id", (*uint64)(&v.ID), "Its id.")
	f.text("destination", &v.Destination, "The payee.")
	f.uint("amount", (*uint64)(&v.Amount), "In the smallest unit of BLOCK.").bound(uint64(AmountMax))
	f.text("memo", &v.Memo, "As submitted.")
	f.uint("scheduled_epoch", (*uint64)(&v.ScheduledEpoch), "As submitted.")
	f.uint("created_at", &v.CreatedAt, "Unix seconds.")
	object(f, "status", &v.Status, "The state and that state's fields.")
	objects(f, "expected_receipts", &v.ExpectedReceipts, 0, "As submitted.")
	optional(f.may(""), "proposal", &v.Proposal, newProposal, "As submitted; absent where there is none.")
}

// DisbursementRow is a disbursement with its canonical dependencies.
type DisbursementRow struct {
	Disbursement DisbursementView
	Deps         []DisbursementID
}

func (r *DisbursementRow) fields(f *fields) {
	object(f, "disbursement", &r.Disbursement, "The disbursement.")
	f.ids("deps", &r.Deps, 0, "The canonical dependencies.")
}

// GetDisbursementResult answers get_disbursement.
type GetDisbursementResult struct {
	DisbursementRow
	WaitingFor   []Waiting
	AppliedIndex uint64
}

func (r *GetDisbursementResult) fields(f *fields) {
	r.DisbursementRow.fields(f)
	f.waitingFor(&r.WaitingFor, "Why it is not paid yet, as far as the node asked knows: breaker and pause are the executor's node's to tell, "+
		"which a statement asks. Absent where nothing is known to keep it back.")
	f.applied(&r.AppliedIndex)
}

func (f *fields) waitingFor(list *[]Waiting, text string) {
	objects(f.only(len(*list) > 0), "waiting_for", list, 0, text)
}

// Transition is one step of a disbursement's life, as its statement tells it.
type Transition struct {
	From   string // a state's label; empty for the submission
	To     string
	At     uint64 // Unix seconds
	Epoch  Epoch  // the treasury's epoch then
	Index  uint64 // in the log
	Node   string
	Reason string
}

func (t *Transition) fields(f *fields) {
	f.text("from", &t.From, "The state before; empty for the submission.")
	f.text("to", &t.To, "The state after.")
	f.uint("at", &t.At, "Unix seconds.")
	f.uint("epoch", (*uint64)(&t.Epoch), "The treasury's epoch then.")
	f.uint("index", &t.Index, "The index in the log.")
	f.text("node", &t.Node, "The node that proposed it.")
	f.may("").text("reason", &t.Reason, "Why, where there is more to say.")
}

// StatementParams are the parameters of statement.
type StatementParams struct {
	Options
	ID DisbursementID
	// Cursor is where the votes begin.
	Cursor Cursor
}

func (p *StatementParams) fields(f *fields) {
	f.disbursement(&p.ID)
	f.may("first votes").uint("cursor", (*uint64)(&p.Cursor), "The `next_cursor` of the votes before.")
}

// CastVote is a vote as it was cast.
type CastVote struct {
	House     House
	Voter     string
	WeightPPM PPM
	Approve   bool
	Replaced  bool
	At        uint64
	Node      string
	Who       string
	Reason    string
}

func (v *CastVote) fields(f *fields) {
	word(f, "house", &v.House, houses, "The voter's house.")
	f.text("voter", &v.Voter, "Who votes.")
	f.uint("weight_ppm", (*uint64)(&v.WeightPPM), "The voter's weight.").bound(uint64(PPMMax))
	f.bool("approve", &v.Approve, "For or against.")
	f.bool("replaced", &v.Replaced, "A later vote of the same voter took its place.")
	f.only(v.At != 0).uint("at", &v.At, "Unix seconds; absent, like what follows, of a vote from before this was kept.")
	f.may("").text("node", &v.Node, "The node that took it.")
	f.may("").text("who", &v.Who, "Who sent it: the name in its certificate, else `loopback` or its address.")
	f.may("").text("reason", &v.Reason, "Why.")
}

// StatementResult answers statement: the disbursement and how it came there.
type StatementResult struct {
	DisbursementRow
	WaitingFor   []Waiting
	Transitions  []Transition
	Votes        []CastVote
	NextCursor   Cursor
	AppliedIndex uint64
}

func (r *StatementResult) fields(f *fields) {
	r.DisbursementRow.fields(f)
	f.waitingFor(&r.WaitingFor, "Why it is not paid yet; absent where nothing keeps it back, and where it is paid or rolled back.")
	objects(f, "transitions", &r.Transitions, 0, "Oldest first.")
	objects(f, "votes", &r.Votes, 0, "Every vote that was cast, oldest first, also those that others took the place of; at most 500.")
	f.nextCursor(&r.NextCursor)
	f.applied(&r.AppliedIndex)
}

// DisbursementsResult answers disbursements, newest first.
type DisbursementsResult struct {
	Disbursements []*DisbursementRow
	NextCursor    Cursor
	AppliedIndex  uint64
}

func (r *DisbursementsResult) fields(f *fields) {
	pointers(f, "disbursements", &r.Disbursements, "As get_disbursement answers.")
	f.nextCursor(&r.NextCursor)
	f.applied(&r.AppliedIndex)
}

// House is one of the two that vote. The zero value is none.
type House byte

// The houses.
const (
	Operators House = iota + 1
	Builders
)

var houses = []string{Operators: "operators", Builders: "builders"}

// String gives the wire's word.
func (h House) String() string {
	if h == Operators || h == Builders {
		return houses[h]
	}
	return "no house"
}

// VoteParams are the parameters of vote.
type VoteParams struct {
	Options
	ID        DisbursementID
	House     House
	Voter     string
	WeightPPM PPM
	Approve   bool
	Reason    string
}

func (p *VoteParams) fields(f *fields) {
	f.disbursement(&p.ID)
	word(f.must(), "house", &p.House, houses, "The house that the voter belongs to.")
	f.must().text("voter", &p.Voter, "Who votes.").bound(VoterMax).identity(p.Voter)
	f.must().uint("weight_ppm", (*uint64)(&p.WeightPPM), "The voter's weight in parts per million of the house; not 0.").bound(uint64(PPMMax))
	f.must().bool("approve", &p.Approve, "For or against.")
	f.may("").text("reason", &p.Reason, "Why; the statement shows it.").max(AuditReasonMax)
}

// VoteResult answers vote: what each house has approved now.
type VoteResult struct {
	ID           DisbursementID
	OperatorsPPM PPM
	BuildersPPM  PPM
	Duplicate    bool
}

func (r *VoteResult) fields(f *fields) {
	f.uint("id", (*uint64)(&r.ID), "The disbursement's id.")
	f.uint("operators_ppm", (*uint64)(&r.OperatorsPPM), "What the operators have approved now.")
	f.uint("builders_ppm", (*uint64)(&r.BuildersPPM), "What the builders have approved now.")
	f.duplicate(&r.Duplicate)
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

func (p *RollbackParams) fields(f *fields) {
	f.disbursement(&p.ID)
	f.must().text("reason", &p.Reason, "Why.").bound(ReasonMax)
	f.may("none").text("reversing_tx", &p.ReversingTx, "Hash of the confirmed transfer back, where an outside chain booked it.").bound(ReversingTxMax)
}

// SkipIntentParams are the parameters of skip_intent: what to do with the intent
// at which the executor has paused.
type SkipIntentParams struct {
	Options
	ID DisbursementID
	// Retry submits the same bytes again instead of replacing them by a null
	// transaction.
	Retry  bool
	Reason string
}

func (p *SkipIntentParams) fields(f *fields) {
	f.disbursement(&p.ID)
	f.may("false").bool("retry", &p.Retry, "Submit the same bytes again. Otherwise a null transaction is sent on their nonce, "+
		"and whichever of the two is confirmed decides whether the disbursement is rolled back or executed.")
	f.must().text("reason", &p.Reason, "Why; of a disbursement that is rolled back its history keeps it.").bound(AuditReasonMax)
}

// TransitionResult answers queue_disbursement, execute_disbursement,
// rollback_disbursement and skip_intent: the state that was reached.
type TransitionResult struct {
	ID        DisbursementID
	State     State
	Duplicate bool
}

func (r *TransitionResult) fields(f *fields) {
	f.uint("id", (*uint64)(&r.ID), "The disbursement's id.")
	word(f, "state", &r.State, stateLabels, "The state reached.")
	f.duplicate(&r.Duplicate)
}

// DisbursementOf gives the one disbursement that a call is about, if it names one.
func DisbursementOf(p Params) (DisbursementID, bool) {
	switch p := p.(type) {
	case *IDParams:
		return p.ID, true
	case *VoteParams:
		return p.ID, true
	case *RollbackParams:
		return p.ID, true
	case *SkipIntentParams:
		return p.ID, true
	}
	return 0, false
}

// AccrueParams are the parameters of accrue.
type AccrueParams struct {
	Options
	Amount Amount
	Source string
}

func (p *AccrueParams) fields(f *fields) {
	f.must().uint("amount", (*uint64)(&p.Amount), "In the smallest unit of BLOCK; not 0.").bound(uint64(AmountMax))
	f.may("none").text("source", &p.Source, "Where it comes from.").identity(p.Source)
}

// ResendParams are the parameters of resend.
type ResendParams struct {
	Options
	FromNonce uint64
}

func (p *ResendParams) fields(f *fields) {
	f.must().uint("from_nonce", &p.FromNonce, "The lowest nonce to send again: `lost_nonce` of the executor's condition.")
}

// ResendResult answers resend.
type ResendResult struct {
	FromNonce uint64
	Nonces    uint64
	Duplicate bool
}

func (r *ResendResult) fields(f *fields) {
	f.uint("from_nonce", &r.FromNonce, "The lowest nonce that is sent again.")
	f.uint("nonces", &r.Nonces, "How many are, in their order and before any other.")
	f.duplicate(&r.Duplicate)
}

// RebindParams are the parameters of rebind.
type RebindParams struct {
	Options
	Submitter string
	Account   string
	ChainID   string
	Reason    string
}

func (p *RebindParams) fields(f *fields) {
	f.must().text("submitter", &p.Submitter, "`ledger` or `http`.")
	f.may("").text("account", &p.Account, "The treasury's account on the outside chain, the one that it has used if it has; none for the ledger.")
	f.may("").text("chain_id", &p.ChainID, "The outside chain's id, where its node tells one.")
	f.must().text("reason", &p.Reason, "Why.").bound(ReasonMax)
}

// RebindResult answers rebind.
type RebindResult struct {
	BoundTo   string
	Duplicate bool
}

func (r *RebindResult) fields(f *fields) {
	f.text("bound_to", &r.BoundTo, "What payments leave the treasury by, from now on.")
	f.duplicate(&r.Duplicate)
}

// ResumeParams are the parameters of resume.
type ResumeParams struct {
	Options
	Reason string
}

func (p *ResumeParams) fields(f *fields) {
	f.must().text("reason", &p.Reason, "Why it is certain that nothing was paid after what this log holds.").bound(ReasonMax)
}

// ResumeResult answers resume.
type ResumeResult struct {
	Resumed   bool
	Duplicate bool
}

func (r *ResumeResult) fields(f *fields) {
	f.bool("resumed", &r.Resumed, "Whether payments rested, and go on now.")
	f.duplicate(&r.Duplicate)
}

// AccrueResult answers accrue: the treasury's balance after it.
type AccrueResult struct {
	Balance   Amount
	Duplicate bool
}

func (r *AccrueResult) fields(f *fields) {
	f.uint("balance", (*uint64)(&r.Balance), "The treasury's balance after it.").bound(uint64(AmountMax))
	f.duplicate(&r.Duplicate)
}

// BalanceEvent says why the treasury's balance changed.
type BalanceEvent string

// The three events of the balance history.
const (
	EventAccrual   BalanceEvent = "accrual"
	EventExecuted  BalanceEvent = "executed"
	EventCancelled BalanceEvent = "cancelled"
)

var balanceEvents = []string{string(EventAccrual), string(EventExecuted), string(EventCancelled)}

// BalanceSnapshot is one row of the balance history.
type BalanceSnapshot struct {
	ID         uint64 // 1, 2, 3 ... without gaps
	Balance    Amount
	Delta      int64
	Event      BalanceEvent
	RecordedAt uint64 // Unix seconds
	// DisbursementID is nil for an accrual.
	DisbursementID *DisbursementID
}

func (s *BalanceSnapshot) fields(f *fields) {
	f.uint("id", &s.ID, "1, 2, 3 ... without gaps.")
	f.uint("balance", (*uint64)(&s.Balance), "After the change.").bound(uint64(AmountMax))
	f.int("delta", &s.Delta, "The change; signed.")
	f.text("event", (*string)(&s.Event), "").oneOf(balanceEvents)
	f.uint("recorded_at", &s.RecordedAt, "Unix seconds.")
	f.optionalID("disbursement_id", &s.DisbursementID, "Nil for an accrual.")
}

// BalanceResult answers balance.
type BalanceResult struct {
	Balance      Amount
	LastSnapshot *BalanceSnapshot // nil before the first
	Executor     ExecutorStatus
	AppliedIndex uint64
}

func (r *BalanceResult) fields(f *fields) {
	f.uint("balance", (*uint64)(&r.Balance), "In the smallest unit of BLOCK.").bound(uint64(AmountMax))
	optional(f, "last_snapshot", &r.LastSnapshot, func() *BalanceSnapshot { return new(BalanceSnapshot) },
		"The newest row of the balance history, or nil.")
	object(f, "executor", &r.Executor, "As executor answers.")
	f.applied(&r.AppliedIndex)
}

// ExecutorStatus is the executor as an operator wants to see it.
type ExecutorStatus struct {
	// Node owns the executor; empty while nobody does.
	Node string
	// Unknown is why the answer knows no more than what every node does: node, next_nonce,
	// staged, submitter and last_executed_at. Empty in an answer of the executor's node.
	Unknown string
	// NextNonce is the nonce watermark; Staged counts the intents in flight, Due the
	// records that wait for funds or their turn.
	NextNonce uint64
	Staged    uint64
	Due       uint64
	// PausedID is the record the executor has paused at, PausedReason why.
	PausedID     *DisbursementID
	PausedReason string
	// ConfirmedNonce is the newest nonce of the outside chain that is final; LostNonce one
	// that the chain took and does not have any more, 0 if there is none.
	ConfirmedNonce uint64
	BoundTo        string // submitter, account and chain; empty before the first payment
	LostNonce      uint64
	Submitter      string // ledger or http
	Breaker        string // closed, open or half_open
	// LastExecutedAt and LastErrorAt are Unix seconds, 0 for never.
	LastExecutedAt uint64
	LastError      string
	LastErrorAt    uint64
}

func (s *ExecutorStatus) fields(f *fields) {
	f.text("node", &s.Node, "Its owner; empty while there is none.")
	f.uint("next_nonce", &s.NextNonce, "The nonce watermark.")
	f.uint("staged", &s.Staged, "Intents in flight.")
	f.uint("due", &s.Due, "Records that wait for funds or their turn.")
	f.optionalID("paused_id", &s.PausedID, "The record it has paused at, or nil.")
	f.may("").text("paused_reason", &s.PausedReason, "Why.")
	f.may("").uint("confirmed_nonce", &s.ConfirmedNonce, "The newest nonce that the outside chain has confirmed for good.")
	f.may("").uint("lost_nonce", &s.LostNonce, "A nonce that the chain took and has lost: see resend.")
	f.may("").text("bound_to", &s.BoundTo, "What the treasury has been bound to since its first payment: see rebind.")
	f.text("submitter", &s.Submitter, "`ledger` or `http`.")
	f.text("breaker", &s.Breaker, "What stands between it and the next payment.").oneOf(breakerStates)
	f.uint("last_executed_at", &s.LastExecutedAt, "Unix seconds; 0 for never.")
	f.may("").text("last_error", &s.LastError, "The last one.")
	f.uint("last_error_at", &s.LastErrorAt, "Unix seconds; 0 for never.")
	f.may("").text("unknown", &s.Unknown, "Why due, breaker, pause and error are not known; absent in an answer of the owner.")
}

// ExecutorResult answers executor.
type ExecutorResult struct {
	ExecutorStatus
	AppliedIndex uint64
}

func (r *ExecutorResult) fields(f *fields) {
	r.ExecutorStatus.fields(f)
	f.applied(&r.AppliedIndex)
}

// BalanceHistoryResult answers balance_history, newest first.
type BalanceHistoryResult struct {
	Snapshots      []BalanceSnapshot
	NextCursor     Cursor
	CurrentBalance Amount
	AppliedIndex   uint64
}

func (r *BalanceHistoryResult) fields(f *fields) {
	objects(f, "snapshots", &r.Snapshots, 0, "The rows.")
	f.nextCursor(&r.NextCursor)
	f.uint("current_balance", (*uint64)(&r.CurrentBalance), "The balance now.").bound(uint64(AmountMax))
	f.applied(&r.AppliedIndex)
}

// AccountParams are the parameters of account.
type AccountParams struct {
	Options
	Account string
}

func (p *AccountParams) fields(f *fields) {
	f.must().text("account", &p.Account, "Its name.").bound(DestinationMax)
}

// AccountResult answers account.
type AccountResult struct {
	Account      string
	Balance      Amount
	AppliedIndex uint64
}

func (r *AccountResult) fields(f *fields) {
	f.text("account", &r.Account, "Its name.")
	f.uint("balance", (*uint64)(&r.Balance), "In the smallest unit of BLOCK; 0 for one never paid.").bound(uint64(AmountMax))
	f.applied(&r.AppliedIndex)
}
