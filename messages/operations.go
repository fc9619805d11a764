package messages

import "strings"

// The methods about breakers, actors and what operators did.
const (
	MethodSupervisionBreakers = "supervision.breakers"
	MethodForceOpen           = "supervision.force_open"
	MethodForceClose          = "supervision.force_close"
	MethodReset               = "supervision.reset"
	MethodInject              = "supervision.inject"
	MethodActorsTree          = "actors.tree"
	MethodActorsTop           = "actors.top"
	MethodActorsGet           = "actors.get"
)

var operationMethods = []*Method{
	reads[BreakersParams, BreakersResult](MethodSupervisionBreakers, "The answering node's circuit breakers, by path."),
	changes[ForceParams, ForceResult](Operator, MethodForceOpen,
		"Holds an actor's breakers open: it and its children get no call, until reset.", CodeNotFound),
	changes[ForceParams, ForceResult](Operator, MethodForceClose,
		"Holds an actor's breakers closed, whatever fails, until reset.", CodeNotFound),
	changes[ResetParams, ForceResult](Operator, MethodReset,
		"Removes the force from an actor's breakers, if there is one, and clears what they remember.", CodeNotFound),
	changes[InjectParams, InjectResult](Operator, MethodInject, "Makes trouble for the next messages of an actor or a kind, "+
		"on the answering node, if it was started with --fault-injection."),
	reads[TreeParams, ActorsTreeResult](MethodActorsTree,
		"The answering node's actors, parents before children.", CodeNotFound),
	reads[TopParams, ActorsTopResult](MethodActorsTop, "The answering node's busiest actors within the last seconds."),
	reads[PathParams, ActorResult](MethodActorsGet, "One actor of the answering node.", CodeNotFound),
}

var (
	breakerStates = []string{"closed", "open", "half_open", "forced_open", "forced_closed"}
	breakerForces = []string{"forced_open", "forced_closed"}
	breakerKinds  = []string{"own", "cell"}
	injectModes   = []string{"panic", "error", "stall", "slow"}
)

// answeredBy names the answering node.
func (f *fields) answeredBy(node *string) { f.text("node", node, "The answering node.") }

// BreakersParams are the parameters of supervision.breakers.
type BreakersParams struct {
	Options
	Page
	// Path takes only breakers at or under this path.
	Path string
	// NotClosed takes only breakers that are open, half-open or forced.
	NotClosed bool
}

func (p *BreakersParams) fields(f *fields) {
	p.Page.fields(f)
	f.may("all").text("path", &p.Path, "Only at or under this path.")
	f.may("false").bool("not_closed", &p.NotClosed, "Only open, half-open and forced ones.")
}

// BreakerInfo is one breaker.
type BreakerInfo struct {
	Path         string
	Kind         string
	State        string
	Forced       string
	Failures     uint64 // within the window
	Successes    uint64
	Trips        uint64
	RetryAfterMS uint64
	Cause        string // of the last trip
}

func (i *BreakerInfo) fields(f *fields) {
	f.text("path", &i.Path, "Whose it is.")
	f.text("kind", &i.Kind, "`own`: over its children and what it guards itself; `cell`: over the actor.").oneOf(breakerKinds)
	f.text("state", &i.State, "").oneOf(breakerStates)
	f.may("").text("forced", &i.Forced, "Where an operator forced it.").oneOf(breakerForces)
	f.uint("failures", &i.Failures, "Within the window.")
	f.uint("successes", &i.Successes, "Within the window.")
	f.uint("trips", &i.Trips, "Since the node's start.")
	f.may("").uint("retry_after_ms", &i.RetryAfterMS, "Milliseconds until it may let a call through.")
	f.may("").text("cause", &i.Cause, "Of the last trip.")
}

// BreakersResult answers supervision.breakers for the answering node.
type BreakersResult struct {
	Breakers   []BreakerInfo
	NextCursor Cursor
	Node       string
}

func (r *BreakersResult) fields(f *fields) {
	objects(f, "breakers", &r.Breakers, 0, "The breakers.")
	f.nextCursor(&r.NextCursor)
	f.answeredBy(&r.Node)
}

// PathParams are for methods about one actor.
type PathParams struct {
	Options
	// Path is the actor's place, such as "/treasury/executor".
	Path string
}

func (p *PathParams) fields(f *fields) {
	f.must().text("path", &p.Path, "The actor's place, such as `/treasury/executor`.")
}

// CheckReason refuses an operator's reason that says nothing, or more than the audit log
// keeps.
func CheckReason(reason string) *Error {
	switch {
	case strings.TrimSpace(reason) == "":
		return Errorf(CodeValidationFailed, "params.reason: say why")
	case len(reason) > AuditReasonMax:
		return Errorf(CodeValidationFailed, "params.reason: %d bytes are more than %d", len(reason), AuditReasonMax)
	}
	return nil
}

// ForceParams are the parameters of supervision.force_open and force_close.
type ForceParams struct {
	PathParams
	// Reason stands in the audit log.
	Reason string
}

func (p *ForceParams) fields(f *fields) {
	p.PathParams.fields(f)
	f.must().text("reason", &p.Reason, "Why; the audit log keeps it.").bound(AuditReasonMax)
}

// ResetParams are the parameters of supervision.reset.
type ResetParams struct {
	PathParams
	Reason string
}

func (p *ResetParams) fields(f *fields) {
	p.PathParams.fields(f)
	f.may("none").text("reason", &p.Reason, "Why; the audit log keeps it.").bound(AuditReasonMax)
}

// ForceResult answers force_open, force_close and reset.
type ForceResult struct {
	Path      string
	State     string // forced_open, forced_closed, or closed after a reset
	AuditID   uint64
	Duplicate bool
}

func (r *ForceResult) fields(f *fields) {
	f.text("path", &r.Path, "The actor.")
	f.text("state", &r.State, "forced_open, forced_closed, or closed after a reset.")
	f.auditID(&r.AuditID)
	f.duplicate(&r.Duplicate)
}

func (f *fields) auditID(id *uint64) {
	f.uint("audit_id", id, "The row of the audit log; see admin.audit.")
}

// InjectParams are the parameters of supervision.inject.
type InjectParams struct {
	Options
	// Path is one actor, Kind all of a kind; exactly one of them is given.
	Path string
	Kind string
	// Mode is panic, error, stall or slow.
	Mode string
	// Times is how many messages it happens to; 0 is 1.
	Times uint64
	// DelayMS is how long stall and slow take.
	DelayMS uint64
}

func (p *InjectParams) fields(f *fields) {
	f.may("none").text("path", &p.Path, "One actor; exactly one of path and kind is given.")
	f.may("none").text("kind", &p.Kind, "All actors of a kind, such as `shard`.")
	f.must().text("mode", &p.Mode, "What happens.").oneOf(injectModes)
	f.may("1").uint("times", &p.Times, "Messages it happens to.").bound(1_000_000)
	f.may("0").uint("delay_ms", &p.DelayMS, "How long stall and slow take, in milliseconds.").bound(600_000)
}

// InjectResult answers supervision.inject.
type InjectResult struct {
	Node      string // where it happens
	AuditID   uint64
	Duplicate bool
}

func (r *InjectResult) fields(f *fields) {
	f.text("node", &r.Node, "Where it happens.")
	f.auditID(&r.AuditID)
	f.duplicate(&r.Duplicate)
}

// TreeParams are the parameters of actors.tree.
type TreeParams struct {
	Options
	Page
	// Path is the root of the part asked for.
	Path string
	// Depth is how many levels under Path to show; 0 is all.
	Depth uint64
}

func (p *TreeParams) fields(f *fields) {
	p.Page.fields(f)
	f.may("/").text("path", &p.Path, "The root of the part asked for.")
	f.may("all").uint("depth", &p.Depth, "Levels below it; 0 is all.")
}

// ActorInfo is one actor of the tree. Parents come before their children; the path
// tells who belongs to whom.
type ActorInfo struct {
	Path         string
	Kind         string
	State        string
	Children     uint64
	MailboxDepth uint64
	Messages     uint64 // processed so far
	Restarts     uint64
	Failures     uint64
	// OldestMS is the age of the oldest waiting message in milliseconds.
	OldestMS uint64
	Breaker  string
	// StalledMS is how long the message in hand has taken, where that is too long.
	StalledMS uint64
}

func (i *ActorInfo) fields(f *fields) {
	f.text("path", &i.Path, "Its place.")
	f.text("kind", &i.Kind, "Its kind.")
	f.text("state", &i.State, "What it is doing.")
	f.uint("children", &i.Children, "How many it has.")
	f.uint("mailbox_depth", &i.MailboxDepth, "Messages that wait.")
	f.uint("messages", &i.Messages, "Messages processed.")
	f.uint("restarts", &i.Restarts, "Restarts so far.")
	f.uint("failures", &i.Failures, "Failures so far.")
	f.may("").uint("oldest_ms", &i.OldestMS, "Age of the oldest waiting message in milliseconds.")
	f.may("").text("breaker", &i.Breaker, "Of its own breaker or the cell over it, whichever is not closed.").oneOf(breakerStates)
	f.may("").uint("stalled_ms", &i.StalledMS, "How long the message in hand has taken, where that is too long.")
}

// ActorsTreeResult answers actors.tree for the answering node.
type ActorsTreeResult struct {
	Actors     []ActorInfo
	NextCursor Cursor
	Node       string
}

func (r *ActorsTreeResult) fields(f *fields) {
	objects(f, "actors", &r.Actors, 0, "The actors.")
	f.nextCursor(&r.NextCursor)
	f.answeredBy(&r.Node)
}

// TopParams are the parameters of actors.top.
type TopParams struct {
	Options
	// Limit is how many actors to list. The decoder has filled in default and bound.
	Limit uint64
}

func (p *TopParams) fields(f *fields) {
	f.clamped("limit", &p.Limit, DefaultLimit, LimitMax, "How many.")
}

// BusyActor is one of the busiest actors.
type BusyActor struct {
	Path         string
	Kind         string
	MailboxDepth uint64
	Messages     uint64 // processed within the window
}

func (a *BusyActor) fields(f *fields) {
	f.text("path", &a.Path, "Its place.")
	f.text("kind", &a.Kind, "Its kind.")
	f.uint("mailbox_depth", &a.MailboxDepth, "Messages that wait.")
	f.uint("messages", &a.Messages, "Messages processed within the window.")
}

// ActorsTopResult answers actors.top for the answering node.
type ActorsTopResult struct {
	Actors   []BusyActor
	WindowMS uint64
	Node     string
}

func (r *ActorsTopResult) fields(f *fields) {
	objects(f, "actors", &r.Actors, 0, "The busiest first.")
	f.uint("window_ms", &r.WindowMS, "The window's length in milliseconds.")
	f.answeredBy(&r.Node)
}

// ActorResult answers actors.get for the answering node.
type ActorResult struct {
	Actor ActorInfo
	// Refused counts messages turned away, StalledMS is how long the message in hand
	// has taken, where that is too long.
	Refused   uint64
	StalledMS uint64
	// Breakers are the actor's own and its cell, where they are not closed.
	Breakers []BreakerInfo
	// Failures are its last ones, newest first.
	Failures []FailureInfo
	Node     string
}

// FailureInfo is one failure of an actor.
type FailureInfo struct {
	At      uint64 // Unix seconds
	Error   string
	Message string
	Where   string
	Stack   string
}

func (i *FailureInfo) fields(f *fields) {
	f.uint("at", &i.At, "Unix seconds.")
	f.text("error", &i.Error, "What it was.")
	f.may("").text("message", &i.Message, "The Go type of the message it failed on.")
	f.may("").text("where", &i.Where, "Where it panicked: file and line.")
	f.may("").text("stack", &i.Stack, "The stack of the panic, its first 4 KiB.")
}

func (r *ActorResult) fields(f *fields) {
	object(f, "actor", &r.Actor, "As actors.tree answers.")
	f.uint("refused", &r.Refused, "Messages turned away so far.")
	f.may("").uint("stalled_ms", &r.StalledMS, "How long the message in hand has taken, where that is too long.")
	objects(f, "breakers", &r.Breakers, 0, "Its own and its cell, where they are not closed.")
	objects(f, "failures", &r.Failures, 0, "Its last failures, newest first: at most 5, as far as the node remembers them.")
	f.answeredBy(&r.Node)
}
