package messages

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// The methods about who may do what.
const (
	MethodAuthCall         = "auth.call"
	MethodOperatorsList    = "operators.list"
	MethodOperatorsAdd     = "operators.add"
	MethodOperatorsRotate  = "operators.rotate"
	MethodOperatorsRevoke  = "operators.revoke"
	MethodApprovalsList    = "approvals.list"
	MethodApprovalsGet     = "approvals.get"
	MethodApprovalsApprove = "approvals.approve"
	MethodWithdraw         = "approvals.withdraw"
	MethodPolicy           = "approvals.policy"
	MethodSetPolicy        = "approvals.set_policy"
	MethodSettingsGet      = "settings.get"
	MethodSettingsSet      = "settings.set"
	MethodPause            = "admin.pause"
	MethodUnpause          = "admin.unpause"
)

var authorityMethods = []*Method{
	changes[AuthCallParams, AuthCallResult](Submitter, MethodAuthCall,
		"Makes the call that an operator has signed, and answers what that call answers; where more than one approval "+
			"is needed, `{pending, have, need}`."),
	reads[PageParams, OperatorsResult](MethodOperatorsList, "The operators by name, those who were revoked too."),
	changes[AddOperatorParams, OperatorResult](Admin, MethodOperatorsAdd,
		"Adds an operator. The first one is an admin, added by an operator's certificate or from this machine; that door shuts for good.",
		CodeInvalidTransition),
	changes[RotateOperatorParams, OperatorResult](Admin, MethodOperatorsRotate,
		"Gives an operator another key. An admin, or the operator with the present key.", CodeNotFound, CodeInvalidTransition),
	changes[RevokeOperatorParams, OperatorResult](Admin, MethodOperatorsRevoke,
		"Ends what an operator may do, for good. Those it added stay, and are listed.", CodeNotFound, CodeInvalidTransition),
	reads[PageParams, PendingListResult](MethodApprovalsList, "Calls that wait for approvals, oldest first."),
	reads[PendingParams, PendingResult](MethodApprovalsGet, "One call that waits, or waited, for approvals.", CodeNotFound),
	changes[ApproveParams, ApproveResult](Operator, MethodApprovalsApprove,
		"Approves a call that waits; signed by another operator than its author. The last approval that is needed carries the call out.",
		CodeNotFound, CodeInvalidTransition),
	changes[WithdrawParams, ApproveResult](Operator, MethodWithdraw,
		"Takes back a call that waits, as its author, or one's own approval of it.", CodeNotFound, CodeInvalidTransition),
	reads[NoParams, PoliciesResult](MethodPolicy, "How many approvals each action needs; what is not listed needs one."),
	changes[SetPolicyParams, PoliciesResult](Admin, MethodSetPolicy,
		"Says how many approvals an action needs.", CodeInvalidTransition),
	reads[NoParams, SettingsResult](MethodSettingsGet, "The cluster's settings."),
	changes[SettingsParams, SettingsResult](Admin, MethodSettingsSet, "Changes the cluster's settings.", CodeInvalidTransition),
	changes[PauseParams, PauseResult](Operator, MethodPause, "Stops new payments at once, on every node."),
	changes[UnpauseParams, PauseResult](Operator, MethodUnpause, "Ends a pause.", CodeInvalidTransition),
}

// CallPrefix comes before the envelope in what an operator signs.
const CallPrefix = "bursar-call-1\n"

// Limits of what operators are and sign.
const (
	OperatorNameMax  = 64
	OperatorsMax     = 1_000
	EnvelopeMax      = 512 << 10
	SettingTextMax   = 255
	PendingMax       = 10_000
	ExpiresAheadMax  = 3_600 // seconds that a signed call's expires_at may lie ahead
	ApprovalSeconds  = 7 * 24 * 3_600
	policyApprovals  = 100
	operatorVotesMax = 2
)

// The words of the authority.
var (
	operatorRoles  = []string{"operator", "voter", "admin", "monitor"}
	operatorStates = []string{"active", "expired", "revoked"}
	pendingStates  = []string{"waiting", "done", "withdrawn", "expired"}
	// PolicyActions are what approvals may be needed for.
	PolicyActions = []string{"pay_without_vote", "accrue", "rollback_executed", "skip_intent", "resume", "force_breaker",
		"settings", "operators", "remove_node", "epoch_advance"}
	// PauseScopes are what can be paused.
	PauseScopes = []string{"executor", "treasury", "market"}
)

// operatorRole gives the role of a word.
var operatorRole = map[string]Role{"operator": Operator, "voter": Voter, "admin": Admin, "monitor": Reader}

// RolesOf adds up the roles of an operator; what any reader may, all of them may.
func RolesOf(words []string) Role {
	roles := Reader
	for _, w := range words {
		if roles |= operatorRole[w]; w == "operator" || w == "admin" {
			roles |= Submitter
		}
	}
	return roles
}

// KeyID names a key for people: the first 8 bytes of its SHA-256, in hex.
func KeyID(key PublicKey) string {
	sum := sha256.Sum256(key[:])
	return hex.EncodeToString(sum[:8])
}

// reason is why an operator does something.
func (f *fields) reason(v *string, required bool) {
	if required {
		f.must()
	} else {
		f.may("none")
	}
	f.text("reason", v, "Why; it is kept with who did it.").bound(AuditReasonMax)
}

// AuthCallParams are the parameters of auth.call.
type AuthCallParams struct {
	Options
	// Envelope is exactly what was signed.
	Envelope  []byte
	Operator  string
	Signature Signature
}

func (p *AuthCallParams) fields(f *fields) {
	f.must().bytesOrText("envelope", &p.Envelope, "The exact bytes of a MessagePack map, or of a JSON text, "+
		"`{cluster, method, request_id, expires_at, params}`; in JSON the text itself, as a string.").max(EnvelopeMax)
	f.must().text("operator", &p.Operator, "Who signed it.").max(OperatorNameMax)
	f.must().raw("signature", p.Signature[:], "Ed25519 over `bursar-call-1`, a line feed, and the envelope.")
}

// AuthCallResult stands for the result of the call that was signed.
type AuthCallResult struct{}

func (*AuthCallResult) fields(*fields) {}

// Envelope is what an operator signs.
type Envelope struct {
	Cluster   string
	Method    string
	RequestID string
	ExpiresAt uint64 // Unix seconds
	Params    []byte // a map
}

func (e *Envelope) fields(f *fields) {
	f.must().text("cluster", &e.Cluster, "The cluster's id.")
	f.must().text("method", &e.Method, "The method to be called.")
	f.must().text("request_id", &e.RequestID, "Makes a repeat harmless.").max(RequestIDMax)
	f.must().uint("expires_at", &e.ExpiresAt, "Unix seconds.")
	f.must().verbatim("params", &e.Params, "The method's parameters, a map.")
}

// AppendEnvelope writes an envelope as a MessagePack map.
func AppendEnvelope(b []byte, e *Envelope) []byte { return appendMessage(b, e) }

// DecodeEnvelope reads an envelope from a MessagePack map, strictly; form says what it was
// before.
func DecodeEnvelope(b []byte, form Form) (*Envelope, *Error) {
	var d Decoder
	e := new(Envelope)
	d.in.Reset(b, "envelope", form == JSON)
	d.f = fields{mode: decoding, in: &d.in, judge: true, strict: true}
	d.in.KeepNil()
	d.in.Map()
	d.f.entries(e, nil)
	switch f := d.in.Fault(); {
	case f != nil:
		return nil, faultError(f)
	case len(d.in.Rest()) > 0:
		return nil, Errorf(CodeInvalidParams, "envelope: %d bytes behind its end", len(d.in.Rest()))
	case e.RequestID == "":
		return nil, Errorf(CodeInvalidParams, "envelope.request_id: empty; a signed call needs one, so that a replay is a repeat")
	}
	return e, nil
}

// Signed is an operator's signature under a call, and what was found of it where the call
// arrived. A nil one is that of a call nobody signed.
type Signed struct {
	Operator  string
	Envelope  []byte
	Signature []byte
	Cluster   string // of the envelope
	ExpiresAt uint64
	// Version is that of the operator's row by which the signature was judged, 0 before that.
	Version uint64
	KeyID   string
	// Granted is the call's number among those that waited for approvals, 0 for none;
	// GrantedVersion is that of its row, and By are those who approved.
	Granted        uint64
	GrantedVersion uint64
	GrantedRow     []byte // what the row becomes
	By             []Approver
}

// Approver is an operator by whose row, of that version, an approval was judged.
type Approver struct {
	Operator string
	Version  uint64
}

func (a *Approver) fields(f *fields) {
	f.text("operator", &a.Operator, "")
	f.uint("version", &a.Version, "")
}

func (s *Signed) fields(f *fields) {
	f.text("operator", &s.Operator, "Who signed the call.")
	f.binary("envelope", &s.Envelope, "What was signed.")
	f.binary("signature", &s.Signature, "The signature.")
	f.uint("version", &s.Version, "Of the operator's row, by which the signature was judged.")
	f.text("key_id", &s.KeyID, "Of the key.")
	f.may("").uint("granted", &s.Granted, "The call's number among those that waited for approvals.")
	f.may("").uint("granted_version", &s.GrantedVersion, "Of its row.")
	f.may("").binary("granted_row", &s.GrantedRow, "What the row becomes.")
	objects(f.may(""), "by", &s.By, policyApprovals, "Who approved it.")
}

// HouseVotes is an operator's weight in one house.
type HouseVotes struct {
	House     House
	WeightPPM PPM
}

func (v *HouseVotes) fields(f *fields) {
	word(f.must(), "house", &v.House, houses, "The house.")
	f.must().uint("weight_ppm", (*uint64)(&v.WeightPPM), "Its weight in parts per million; a house's add up to at most 1,000,000.").max(uint64(PPMMax))
}

// AddOperatorParams are the parameters of operators.add.
type AddOperatorParams struct {
	Options
	Name     string
	Key      PublicKey
	Roles    []string
	Votes    []HouseVotes
	NotAfter uint64
	Reason   string
}

func (p *AddOperatorParams) fields(f *fields) {
	f.must().text("name", &p.Name, "Its name, for good.").max(OperatorNameMax).identity(p.Name)
	f.must().raw("key", p.Key[:], "Its Ed25519 public key.")
	f.must().roles(&p.Roles)
	objects(f.may("none"), "votes", &p.Votes, operatorVotesMax, "Its votes.")
	f.must().uint("not_after", &p.NotAfter, "Unix seconds until which its key is good.")
	f.reason(&p.Reason, false)
}

// roles is a list of an operator's roles.
func (f *fields) roles(v *[]string) {
	f.texts("roles", v, len(operatorRoles), "What it may do: `"+strings.Join(operatorRoles, "`, `")+"`.")
	if f.got && f.judge && f.mode == decoding {
		for _, w := range *v {
			if operatorRole[w] == 0 {
				f.in.Refuse("%s is no role; want %s", quoted(w), choice(operatorRoles))
				return
			}
		}
	}
}

// RotateOperatorParams are the parameters of operators.rotate.
type RotateOperatorParams struct {
	Options
	Name     string
	Key      PublicKey
	NotAfter uint64
	Reason   string
}

func (p *RotateOperatorParams) fields(f *fields) {
	f.must().text("name", &p.Name, "Whose key it is.").max(OperatorNameMax)
	f.must().raw("key", p.Key[:], "The new Ed25519 public key.")
	f.may("as before").uint("not_after", &p.NotAfter, "Unix seconds until which the new key is good.")
	f.reason(&p.Reason, false)
}

// needs implements what Allowed asks: an operator may change its own key.
func (p *RotateOperatorParams) needs(c Caller) Role {
	if c.Signed != nil && c.Signed.Operator == p.Name {
		return Reader
	}
	return Admin
}

// RevokeOperatorParams are the parameters of operators.revoke.
type RevokeOperatorParams struct {
	Options
	Name   string
	Reason string
}

func (p *RevokeOperatorParams) fields(f *fields) {
	f.must().text("name", &p.Name, "Who.").max(OperatorNameMax)
	f.reason(&p.Reason, true)
}

// OperatorInfo is one operator.
type OperatorInfo struct {
	Name     string
	Key      PublicKey
	KeyID    string
	Roles    []string
	Votes    []HouseVotes
	NotAfter uint64
	State    string
	AddedBy  string
}

func (i *OperatorInfo) fields(f *fields) {
	f.text("name", &i.Name, "Its name.")
	f.raw("key", i.Key[:], "Its Ed25519 public key.")
	f.text("key_id", &i.KeyID, "The first 8 bytes of the key's SHA-256, in hex.")
	f.texts("roles", &i.Roles, 0, "What it may do.")
	objects(f, "votes", &i.Votes, 0, "Its votes.")
	f.uint("not_after", &i.NotAfter, "Unix seconds until which its key is good.")
	f.text("state", &i.State, "").oneOf(operatorStates)
	f.text("added_by", &i.AddedBy, "Who added it.")
}

// OperatorsResult answers operators.list.
type OperatorsResult struct {
	Operators    []OperatorInfo
	NextCursor   Cursor
	AppliedIndex uint64
}

func (r *OperatorsResult) fields(f *fields) {
	objects(f, "operators", &r.Operators, 0, "The operators.")
	f.nextCursor(&r.NextCursor)
	f.applied(&r.AppliedIndex)
}

// OperatorResult answers operators.add, rotate and revoke.
type OperatorResult struct {
	Name  string
	State string
	KeyID string
	// Added are those whom a revoked operator has added.
	Added     []string
	Duplicate bool
}

func (r *OperatorResult) fields(f *fields) {
	f.text("name", &r.Name, "Who.")
	f.text("state", &r.State, "").oneOf(operatorStates)
	f.text("key_id", &r.KeyID, "The first 8 bytes of the key's SHA-256, in hex.")
	f.may("").texts("added", &r.Added, 0, "Of a revocation: whom it has added, and who can still act; the first 100.")
	f.duplicate(&r.Duplicate)
}

// PendingInfo is a call that waits for approvals, or waited.
type PendingInfo struct {
	ID          uint64
	Method      string
	Action      string
	Amount      Amount
	Operator    string
	Reason      string
	RequestHash []byte
	Approved    []string
	Need        uint64
	Role        string
	CreatedAt   uint64
	ExpiresAt   uint64
	State       string
	Envelope    []byte
}

func (i *PendingInfo) fields(f *fields) {
	f.uint("id", &i.ID, "Its number.")
	f.text("method", &i.Method, "What is to be called.")
	f.text("action", &i.Action, "What approvals are needed for.").oneOf(PolicyActions)
	f.may("").uint("amount", (*uint64)(&i.Amount), "What it moves.")
	f.text("operator", &i.Operator, "Its author, who is the first to approve.")
	f.may("").text("reason", &i.Reason, "The reason that the call gives.")
	f.binary("request_hash", &i.RequestHash, "SHA-256 of the envelope.")
	f.texts("approved", &i.Approved, 0, "Who has approved.")
	f.uint("need", &i.Need, "How many approvals are needed.")
	f.text("role", &i.Role, "Whose approvals count.")
	f.uint("created_at", &i.CreatedAt, "Unix seconds.")
	f.uint("expires_at", &i.ExpiresAt, "Unix seconds; seven days later.")
	f.text("state", &i.State, "").oneOf(pendingStates)
	f.may("").binary("envelope", &i.Envelope, "What was signed; of one that is asked for by its id.")
}

// PendingListResult answers approvals.list.
type PendingListResult struct {
	Pending      []PendingInfo
	NextCursor   Cursor
	AppliedIndex uint64
}

func (r *PendingListResult) fields(f *fields) {
	objects(f, "pending", &r.Pending, 0, "The calls that wait.")
	f.nextCursor(&r.NextCursor)
	f.applied(&r.AppliedIndex)
}

// PendingParams are the parameters of approvals.get.
type PendingParams struct {
	Options
	ID uint64
}

func (p *PendingParams) fields(f *fields) { f.must().uint("id", &p.ID, "The call's number.") }

// PendingResult answers approvals.get.
type PendingResult struct {
	Pending      PendingInfo
	AppliedIndex uint64
}

func (r *PendingResult) fields(f *fields) {
	object(f, "pending", &r.Pending, "As approvals.list answers.")
	f.applied(&r.AppliedIndex)
}

// ApproveParams are the parameters of approvals.approve.
type ApproveParams struct {
	Options
	ID          uint64
	RequestHash [32]byte
	Reason      string
}

func (p *ApproveParams) fields(f *fields) {
	f.must().uint("id", &p.ID, "The call's number.")
	f.must().raw("request_hash", p.RequestHash[:], "SHA-256 of the envelope that one has read.")
	f.reason(&p.Reason, false)
}

// WithdrawParams are the parameters of approvals.withdraw.
type WithdrawParams struct {
	Options
	ID     uint64
	Reason string
}

func (p *WithdrawParams) fields(f *fields) {
	f.must().uint("id", &p.ID, "The call's number.")
	f.reason(&p.Reason, false)
}

// ApproveResult answers approvals.approve and withdraw, and a signed call that needs more
// approvals than its author's.
type ApproveResult struct {
	Pending   uint64
	Have      uint64
	Need      uint64
	State     string
	Result    []byte
	Duplicate bool
}

func (r *ApproveResult) fields(f *fields) {
	f.uint("pending", &r.Pending, "The call's number.")
	f.uint("have", &r.Have, "How many have approved.")
	f.uint("need", &r.Need, "How many must.")
	f.text("state", &r.State, "").oneOf(pendingStates)
	f.may("").verbatim("result", &r.Result, "What the call answered, once it was carried out.")
	f.duplicate(&r.Duplicate)
}

// Policy says how many approvals an action needs from an amount on.
type Policy struct {
	Action    string
	MinAmount Amount
	Role      string
	K         uint64
}

func (p *Policy) fields(f *fields) {
	f.must().text("action", &p.Action, "The action.").chosen(p.Action, PolicyActions)
	f.may("0").uint("min_amount", (*uint64)(&p.MinAmount), "From which amount on, where the action moves one.").max(uint64(AmountMax))
	f.defaults("operator").text("role", &p.Role, "Whose approvals count.")
	if f.got && p.Role != "" {
		f.chosen(p.Role, []string{"operator", "admin"})
	}
	f.must().uint("k", &p.K, "How many, the author among them; 1 is none beside the author's.").max(policyApprovals)
}

// PoliciesResult answers approvals.policy and set_policy.
type PoliciesResult struct {
	Policies  []Policy
	Duplicate bool
}

func (r *PoliciesResult) fields(f *fields) {
	objects(f, "policies", &r.Policies, 0, "The policies.")
	f.duplicate(&r.Duplicate)
}

// SetPolicyParams are the parameters of approvals.set_policy.
type SetPolicyParams struct {
	Options
	Policy
	Reason string
}

func (p *SetPolicyParams) fields(f *fields) {
	p.Policy.fields(f)
	f.reason(&p.Reason, false)
}

// Settings are the cluster's settings.
type Settings struct{ Signatures string }

// SettingsResult answers settings.get and settings.set.
type SettingsResult struct {
	Settings
	Duplicate bool
}

var signatureModes = []string{"off", "required"}

func (r *SettingsResult) fields(f *fields) {
	f.text("signatures", &r.Signatures, "`required`: a certificate or this machine alone reads and submits proposals, nothing more.").oneOf(signatureModes)
	f.duplicate(&r.Duplicate)
}

// SettingsParams are the parameters of settings.set.
type SettingsParams struct {
	Options
	Settings
	Reason string
}

func (p *SettingsParams) fields(f *fields) {
	f.must().text("signatures", &p.Signatures, "Whether changes must be signed.").chosen(p.Signatures, signatureModes)
	f.reason(&p.Reason, false)
}

// PauseParams are the parameters of admin.pause.
type PauseParams struct {
	Options
	Scope  string
	Reason string
	Until  uint64
}

func (p *PauseParams) fields(f *fields) {
	f.must().text("scope", &p.Scope, "What stops: payments (`executor`), payments and what leads to them (`treasury`), settlements and readings (`market`).").
		chosen(p.Scope, PauseScopes)
	f.reason(&p.Reason, true)
	f.may("until it is ended").uint("until", &p.Until, "Unix seconds.")
}

// UnpauseParams are the parameters of admin.unpause.
type UnpauseParams struct {
	Options
	Scope  string
	Reason string
}

func (p *UnpauseParams) fields(f *fields) {
	f.must().text("scope", &p.Scope, "What goes on.").chosen(p.Scope, PauseScopes)
	f.reason(&p.Reason, true)
}

// PauseInfo is a pause.
type PauseInfo struct {
	Scope  string
	Who    string
	Reason string
	Since  uint64
	Until  uint64
}

func (i *PauseInfo) fields(f *fields) {
	f.text("scope", &i.Scope, "What stands still.").oneOf(PauseScopes)
	f.text("who", &i.Who, "Who paused it.")
	f.text("reason", &i.Reason, "Why.")
	f.uint("since", &i.Since, "Unix seconds.")
	f.may("").uint("until", &i.Until, "Unix seconds.")
}

// PauseResult answers admin.pause and unpause.
type PauseResult struct {
	Paused    []PauseInfo
	Duplicate bool
}

func (r *PauseResult) fields(f *fields) {
	objects(f, "paused", &r.Paused, 0, "What is paused now.")
	f.duplicate(&r.Duplicate)
}

// ReasonOf is the reason that a call gives, empty for one that gives none.
func ReasonOf(p Params) string {
	switch p := p.(type) {
	case *RollbackParams:
		return p.Reason
	case *SkipIntentParams:
		return p.Reason
	case *RebindParams:
		return p.Reason
	case *ForceParams:
		return p.Reason
	case *ResetParams:
		return p.Reason
	case interface{ why() string }:
		return p.why()
	}
	return ""
}

func (p *AddOperatorParams) why() string { return p.Reason }

func (p *RotateOperatorParams) why() string { return p.Reason }

func (p *RevokeOperatorParams) why() string { return p.Reason }

func (p *ApproveParams) why() string { return p.Reason }

func (p *WithdrawParams) why() string { return p.Reason }

func (p *SetPolicyParams) why() string { return p.Reason }

func (p *SettingsParams) why() string { return p.Reason }

func (p *PauseParams) why() string { return p.Reason }

func (p *UnpauseParams) why() string { return p.Reason }
