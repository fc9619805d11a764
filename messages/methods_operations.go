package messages

// Parts of what is said about actors and breakers.
var (
	pathParam     = must("path", "string", "The actor's place, such as `/treasury/executor`.")
	answeredBy    = out("node", "string", "The answering node.")
	auditID       = out("audit_id", "integer", "The row of the audit log; see admin.audit.")
	breakerFields = []Field{
		out("path", "string", "Whose it is."),
		out("kind", "string", "own: over its children and what it guards itself; cell: over the actor."),
		out("state", "string", "closed, open, half_open, forced_open or forced_closed."),
		out("forced", "string", "forced_open or forced_closed, where an operator forced it."),
		out("failures", "integer", "Within the window."),
		out("successes", "integer", "Within the window."),
		out("trips", "integer", "Since the node's start."),
		out("retry_after_ms", "integer", "Milliseconds until it may let a call through."),
		out("cause", "string", "Of the last trip."),
	}
	actorFields = []Field{
		out("path", "string", "Its place."),
		out("kind", "string", "Its kind."),
		out("state", "string", "What it is doing."),
		out("children", "integer", "How many it has."),
		out("mailbox_depth", "integer", "Messages that wait."),
		out("messages", "integer", "Messages processed."),
		out("restarts", "integer", "Restarts so far."),
		out("failures", "integer", "Failures so far."),
		out("oldest_ms", "integer", "Age of the oldest waiting message in milliseconds."),
		out("breaker", "string", "Its cell's state, where it has one."),
	}
)

// operationMethods are those about breakers, actors and what operators did.
var operationMethods = []Method{
	{
		Name: MethodSupervisionBreakers, Who: Reader,
		Summary: "The answering node's circuit breakers, by path.",
		Params: []Field{may("path", "string", "all", "Only at or under this path."),
			may("not_closed", "boolean", "false", "Only open, half-open and forced ones."),
			cursorParam, limitParam},
		Result: []Field{out("breakers", "list of object", "The breakers.", breakerFields...), nextCursor,
			out("node", "string", "The answering node.")},
		newParams: func() Params { return new(BreakersParams) },
		newResult: func() Result { return new(BreakersResult) },
	},
	force(MethodForceOpen, "Holds an actor's breakers open: it and its children get no call, until reset."),
	force(MethodForceClose, "Holds an actor's breakers closed, whatever fails, until reset."),
	force(MethodReset, "Removes the force from an actor's breakers, if there is one, and clears what they remember."),
	{
		Name: MethodInject, Who: Operator, Mutates: true,
		Summary: "Makes trouble for the next messages of an actor or a kind, on the answering node, if it was started with --fault-injection.",
		Params: []Field{
			may("path", "string", "none", "One actor; exactly one of path and kind is given."),
			may("kind", "string", "none", "All actors of a kind, such as `shard`."),
			must("mode", "string", "`panic`, `error`, `stall` or `slow`."),
			may("times", "integer", "1", "Messages it happens to; at most 1,000,000."),
			may("delay_ms", "integer", "0", "How long stall and slow take, in milliseconds; at most 600,000.")},
		Result:    []Field{out("node", "string", "Where it happens."), auditID, duplicate},
		Errors:    changeErrors,
		newParams: func() Params { return new(InjectParams) },
		newResult: func() Result { return new(InjectResult) },
	},
	{
		Name: MethodActorsTree, Who: Reader,
		Summary: "The answering node's actors, parents before children.",
		Params: []Field{may("path", "string", "/", "The root of the part asked for."),
			may("depth", "integer", "all", "Levels below it; 0 is all."), cursorParam, limitParam},
		Result: []Field{out("actors", "list of object", "The actors.", actorFields...), nextCursor,
			out("node", "string", "The answering node.")},
		Errors:    []Code{CodeNotFound},
		newParams: func() Params { return new(TreeParams) },
		newResult: func() Result { return new(ActorsTreeResult) },
	},
	{
		Name: MethodActorsTop, Who: Reader,
		Summary: "The answering node's busiest actors within the last seconds.",
		Params:  []Field{may("limit", "integer", "100", "How many; at most 1,000.")},
		Result: []Field{out("actors", "list of object", "The busiest first.",
			out("path", "string", "Its place."),
			out("kind", "string", "Its kind."),
			out("mailbox_depth", "integer", "Messages that wait."),
			out("messages", "integer", "Messages processed within the window.")),
			out("window_ms", "integer", "The window's length in milliseconds."), answeredBy},
		newParams: func() Params { return new(TopParams) },
		newResult: func() Result { return new(ActorsTopResult) },
	},
	{
		Name: MethodActorsGet, Who: Reader,
		Summary: "One actor of the answering node.",
		Params:  []Field{pathParam},
		Result: []Field{out("actor", "object", "As actors.tree answers.", actorFields...),
			out("refused", "integer", "Messages turned away so far."),
			out("stalled_ms", "integer", "How long the message in hand has taken, where that is too long."),
			out("breakers", "list of object", "Its own and its cell, where they are not closed.", breakerFields...),
			answeredBy},
		Errors:    []Code{CodeNotFound},
		newParams: func() Params { return new(PathParams) },
		newResult: func() Result { return new(ActorResult) },
	},
	{
		Name: MethodAudit, Who: Reader,
		Summary: "What operators did to breakers, and what breakers did by themselves, newest first; the newest 100,000 rows are kept.",
		Params:  []Field{cursorParam, limitParam},
		Result: []Field{out("rows", "list of object", "The rows.",
			out("id", "integer", "1, 2, 3 ... without gaps."),
			out("at", "integer", "Unix seconds."),
			out("who", "string", "The caller's address; itself, of a breaker that no operator moved."),
			out("what", "string", "force_open, force_close, reset or inject; trip or recover, of a breaker that opened or closed by itself."),
			out("path", "string", "The actor; for inject perhaps `kind:` and a kind."),
			out("node", "string", "The node that took the call, or on which the breaker is."),
			out("detail", "string", "Of inject: mode, times and delay. Of trip and recover: which breaker, why, and what was left out.")), nextCursor, appliedIndex},
		newParams: func() Params { return new(PageParams) },
		newResult: func() Result { return new(AuditResult) },
	},
}

// force is a method that puts an actor's breakers under an operator's force, or ends it.
func force(name, summary string) Method {
	return Method{
		Name: name, Who: Operator, Mutates: true, Summary: summary, Params: []Field{pathParam},
		Result: []Field{out("path", "string", "The actor."),
			out("state", "string", "forced_open, forced_closed, or closed after a reset."), auditID, duplicate},
		Errors:    append([]Code{CodeNotFound}, changeErrors...),
		newParams: func() Params { return new(PathParams) },
		newResult: func() Result { return new(ForceResult) },
	}
}
