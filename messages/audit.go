package messages

// The methods about the audit: what was changed, and the proof of it.
const (
	MethodAudit      = "admin.audit"
	MethodCheckpoint = "admin.checkpoint"
)

var auditMethods = []*Method{
	reads[AuditParams, AuditResult](MethodAudit, "What people changed, money that moved, and what breakers did by themselves: "+
		"the rows of the audit, with their proofs if they are asked for."),
	reads[CheckpointParams, CheckpointResult](MethodCheckpoint, "What the audit adds up to: size and root of its tree, as a note signed by the answering node.",
		CodeNotFound),
}

var (
	auditOrders  = []string{NewestFirst: "newest", OldestFirst: "oldest"}
	auditActions = []string{"draft", "voting", "queued", "timelocked", "executed", "finalized", "rolled_back", "change", "vote",
		"accrual", "settlement", "slash", "dispute", "settings", "binding", "operator", "approval", "rule", "call",
		"force_open", "force_close", "reset", "inject", "trip", "recover", "skip_entry", "dropped"}
)

// AuditOrder says which rows of the audit come first.
type AuditOrder byte

// The two orders. The zero value is the default.
const (
	NewestFirst AuditOrder = iota
	OldestFirst
)

// AuditParams are the parameters of admin.audit.
type AuditParams struct {
	Options
	Page
	Order AuditOrder
	// ID takes only the rows of one disbursement, and the signed calls that changed it.
	ID DisbursementID
	// Path takes only rows whose path begins so.
	Path string
	// Leaves asks for leaves and their proofs in the tree of ProofFor rows; 0 is all.
	Leaves   bool
	ProofFor uint64
	// Since is the size of a tree that the present one extends, or that of ProofFor.
	Since uint64
}

func (p *AuditParams) fields(f *fields) {
	p.Page.fields(f)
	word(f.may("newest"), "order", &p.Order, auditOrders, "Which rows come first.")
	f.may("all").uint("id", (*uint64)(&p.ID), "Only the rows of this disbursement, and the signed calls that changed it.")
	f.may("all").text("path", &p.Path, "Only rows whose path begins so, such as `/treasury/executor` or `operator/`. At most 450 rows are examined a page.").bound(PathBeginningMax)
	f.may("false").bool("leaves", &p.Leaves, "With the leaf of each row, and the proof that it is in the tree of the note.")
	f.may("all there are").uint("proof_for", &p.ProofFor, "Size of the tree that the proofs are for, such as a checkpoint tells.")
	f.may("none").uint("since", &p.Since, "Size of an older tree: with the proof that its rows are the first of this one.")
}

// AuditRow is one thing that somebody did, or that came about by itself.
type AuditRow struct {
	ID     uint64
	At     uint64 // Unix seconds
	Who    string
	What   string
	Path   string
	Node   string // that took the call
	Detail string
	// Index is the entry of the log.
	Index uint64
	// Of a signed call: the key and what it has signed; and who has approved it, if more had to.
	KeyID      string
	RequestID  string
	ApprovedBy []string
	Envelope   []byte
	Signature  []byte
	// Leaf is what was hashed, LeafHash its hash, Proof the hashes beside it on the way to the root.
	Leaf     []byte
	LeafHash []byte
	Proof    [][]byte
}

func (r *AuditRow) fields(f *fields) {
	f.uint("id", &r.ID, "1, 2, 3 ... without gaps: its place in the tree, from 1.")
	f.uint("at", &r.At, "Unix seconds; 0 where the row does not say.")
	f.text("who", &r.Who, "The operator, else the caller; itself, of a breaker that no operator moved; empty where the row does not say.")
	f.text("what", &r.What, "The state that a disbursement came to (`change`: it stayed in it, as with a `vote`, which is a row of its own); `call`, an operator's, with its envelope if it is signed; "+
		"`trip` or `recover` of a breaker that opened or closed by itself; `skip_entry` of an entry of the log that all nodes were told to pass over; `dropped`: only its leaf is kept.").oneOf(auditActions)
	f.text("path", &r.Path, "What it was done to: an actor, `disbursement/` and its id, a method ...; for inject perhaps `kind:` and a kind.")
	f.text("node", &r.Node, "The node that took the call, or on which the breaker is.")
	f.may("").text("detail", &r.Detail, "Of a disbursement: amount and destination. Of a force: the reason given. Of inject: mode, times and delay. Of trip and recover: which breaker, why, and what was left out.")
	f.may("").uint("index", &r.Index, "The entry of the log.")
	f.may("").text("key_id", &r.KeyID, "Of a signed call: the key, by the first 8 bytes of its SHA-256.")
	f.may("").text("request_id", &r.RequestID, "Of a signed call.")
	f.may("").texts("approved_by", &r.ApprovedBy, 0, "Of a call that needed approvals: whose it had.")
	f.may("").binary("envelope", &r.Envelope, "Of a signed call: the exact bytes that were signed.")
	f.may("").binary("signature", &r.Signature, "Of a signed call: Ed25519 over `bursar-call-1`, a line feed, and the envelope.")
	f.may("").binary("leaf", &r.Leaf, "The exact bytes that were hashed; missing once the row was written anew, as a later row tells.")
	f.may("").binary("leaf_hash", &r.LeafHash, "SHA-256 of a zero byte and the leaf.")
	f.may("").binaries("proof", &r.Proof, "The hashes that lead from the leaf to the root (RFC 6962, 2.1.1), the nearest first.")
}

// AuditResult answers admin.audit.
type AuditResult struct {
	Rows         []AuditRow
	NextCursor   Cursor
	AppliedIndex uint64
	Size         uint64
	Note         string
	Key          string
	Since        [][]byte
}

func (r *AuditResult) fields(f *fields) {
	objects(f, "rows", &r.Rows, 0, "The rows.")
	f.nextCursor(&r.NextCursor)
	f.applied(&r.AppliedIndex)
	f.may("").uint("size", &r.Size, "Of the tree that the proofs are for.")
	f.may("").text("note", &r.Note, "With `leaves` or `since`: the checkpoint that the proofs are for.")
	f.may("").text("key", &r.Key, "With a note: the answering node's key, as in admin.checkpoint.")
	f.may("").binaries("since_proof", &r.Since, "With `since`: the hashes that lead from the older tree to this (RFC 6962, 2.1.2).")
}

// CheckpointParams are the parameters of admin.checkpoint.
type CheckpointParams struct {
	Options
	// Size is that of the tree; 0 is the present one.
	Size uint64
}

func (p *CheckpointParams) fields(f *fields) {
	f.may("all there are").uint("size", &p.Size, "How many rows it is for.")
}

// CheckpointResult answers admin.checkpoint.
type CheckpointResult struct {
	Note         string
	Key          string
	Node         string
	Size         uint64
	Root         []byte
	AppliedIndex uint64
}

func (r *CheckpointResult) fields(f *fields) {
	f.text("note", &r.Note, "A signed note (C2SP tlog-checkpoint): `bursar/` and the cluster's id, size and root of the tree.")
	f.text("key", &r.Key, "The answering node's key, as signed notes have it: keep it where no node can change it.")
	f.answeredBy(&r.Node)
	f.uint("size", &r.Size, "How many rows there are.")
	f.binary("root", &r.Root, "The root of the tree, as in the note.")
	f.applied(&r.AppliedIndex)
}
