package messages

// The methods' names.
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
	MethodDependents           = "gov.treasury.dependents"
	MethodReady                = "gov.treasury.ready"
	MethodHasPending           = "gov.treasury.has_pending"
	MethodOrder                = "gov.treasury.order"
	MethodWaves                = "gov.treasury.waves"
	MethodCriticalPath         = "gov.treasury.critical_path"
	MethodImpact               = "gov.treasury.impact"
	MethodGraph                = "gov.treasury.graph"
	MethodEpochGet             = "epoch.get"
	MethodEpochAdvance         = "epoch.advance"
	MethodClusterStatus        = "cluster.status"
	MethodClusterMembers       = "cluster.members"
	MethodClusterPlacement     = "cluster.placement"
	MethodClusterDrain         = "cluster.drain"
	MethodTransferLeader       = "cluster.transfer_leader"
	MethodDiscover             = "rpc.discover"
	MethodSupervisionBreakers  = "supervision.breakers"
	MethodForceOpen            = "supervision.force_open"
	MethodForceClose           = "supervision.force_close"
	MethodReset                = "supervision.reset"
	MethodInject               = "supervision.inject"
	MethodActorsTree           = "actors.tree"
	MethodActorsTop            = "actors.top"
	MethodActorsGet            = "actors.get"
	MethodAudit                = "admin.audit"
)

// CommonErrors are the codes that any method may answer with.
func CommonErrors() []Code {
	return []Code{CodeParse, CodeInvalidRequest, CodeMethodNotFound, CodeInvalidParams, CodeInternal,
		CodeValidationFailed, CodeUnauthorized, CodeOverloaded, CodeUnavailable, CodeCircuitOpen}
}

// The codes that submissions, moves and changes add to the common ones.
var (
	changeErrors = []Code{CodeRequestIDConflict, CodeOutcomeUnknown}
	submitErrors = append([]Code{CodeMemoTooLong, CodeTooManyDependencies, CodeMissingDependency,
		CodeDependencyFailed}, changeErrors...)
	moveErrors = append([]Code{CodeNotFound, CodeInvalidTransition}, changeErrors...)
)

// methods is the table. Its order is the order of docs/api.md.
var methods = register([]Method{
	{
		Name: MethodSubmitDisbursement, Who: Submitter, Mutates: true,
		Summary: "Submits one disbursement. A result means: committed by a majority, fsynced.",
		Params: []Field{{Name: "payload", Type: "object", Required: true,
			Text: "Who is paid how much and when, and what is voted on.", Fields: payloadFields}},
		Result: []Field{
			out("id", "integer", "1, 2, 3 ... in the order of commits, without gaps."),
			out("created_at", "integer", "Unix seconds."), duplicate},
		Errors:    submitErrors,
		newParams: func() Params { return new(SubmitDisbursementParams) },
		newResult: func() Result { return new(SubmitDisbursementResult) },
	},
	{
		Name: MethodSubmitPlan, Who: Submitter, Mutates: true,
		Summary: "Submits up to 1,000 disbursements that may depend on one another: all or nothing.",
		Params:  []Field{itemsParam},
		Result: []Field{
			out("ids", "map", "From each item's ref to its id."),
			out("created_at", "integer", "Unix seconds."), duplicate},
		Errors:    append([]Code{CodeDependencyCycle}, submitErrors...),
		newParams: func() Params { return new(PlanParams) },
		newResult: func() Result { return new(SubmitPlanResult) },
	},
	{
		Name: MethodCheckPlan, Who: Reader,
		Summary: "Judges a plan without submitting it.",
		Params:  []Field{itemsParam},
		Result: []Field{
			out("cycle", "list of string", "The refs of a cycle in their order; empty where there is none.")},
		Errors:    []Code{CodeMemoTooLong, CodeTooManyDependencies, CodeMissingDependency, CodeDependencyFailed},
		newParams: func() Params { return new(PlanParams) },
		newResult: func() Result { return new(CheckPlanResult) },
	},
	{
		Name: MethodGetDisbursement, Who: Reader,
		Summary:   "One disbursement with its state and its canonical dependencies.",
		Params:    []Field{idParam},
		Result:    with(rowFields, appliedIndex),
		Errors:    []Code{CodeNotFound},
		newParams: func() Params { return new(IDParams) },
		newResult: func() Result { return new(GetDisbursementResult) },
	},
	{
		Name: MethodStatement, Who: Reader,
		Summary: "One disbursement and every transition of its life.",
		Params:  []Field{idParam},
		Result: with(rowFields, out("transitions", "list of object", "Oldest first.",
			out("from", "string", "The state before; empty for the submission."),
			out("to", "string", "The state after."),
			out("at", "integer", "Unix seconds."),
			out("epoch", "integer", "The treasury's epoch then."),
			out("index", "integer", "The index in the log."),
			out("node", "string", "The node that proposed it."),
			out("reason", "string", "Why, where there is more to say.")), appliedIndex),
		Errors:    []Code{CodeNotFound},
		newParams: func() Params { return new(IDParams) },
		newResult: func() Result { return new(StatementResult) },
	},
	{
		Name: MethodDisbursements, Who: Reader,
		Summary: "Disbursements, newest first; at most 10,000 rows are examined a page.",
		Params: []Field{cursorParam, limitParam,
			may("status", "string", "all", "A state's label, `scheduled` (not yet executed) or `cancelled` (rolled back)."),
			may("destination", "string", "all", "The payee."),
			may("min_epoch", "integer", "0", "Least scheduled epoch."),
			may("max_epoch", "integer", "none", "Greatest scheduled epoch; 0 is none."),
			may("min_amount", "integer", "0", "Least amount."),
			may("max_amount", "integer", "none", "Greatest amount; 0 is none."),
			may("min_created_at", "integer", "0", "Not created before; Unix seconds."),
			may("max_created_at", "integer", "none", "Not created after; Unix seconds; 0 is none.")},
		Result: []Field{
			out("disbursements", "list of object", "As get_disbursement answers.", rowFields...),
			nextCursor, appliedIndex},
		newParams: func() Params { return new(DisbursementsParams) },
		newResult: func() Result { return new(DisbursementsResult) },
	},
	{
		Name: MethodVote, Who: Voter, Mutates: true,
		Summary: "Votes on a disbursement. One vote a voter; the last one counts.",
		Params: []Field{idParam,
			must("house", "string", "`operators` or `builders`."),
			must("voter", "string", "Who votes."),
			must("weight_ppm", "integer", "The voter's weight in parts per million of the house."),
			must("approve", "boolean", "For or against.")},
		Result: []Field{
			out("id", "integer", "The disbursement's id."),
			out("operators_ppm", "integer", "What the operators have approved now."),
			out("builders_ppm", "integer", "What the builders have approved now."), duplicate},
		Errors:    moveErrors,
		newParams: func() Params { return new(VoteParams) },
		newResult: func() Result { return new(VoteResult) },
	},
	move(MethodQueueDisbursement, "Takes the next step now, if its condition holds.", []Field{idParam}, nil,
		func() Params { return new(IDParams) }),
	move(MethodExecuteDisbursement, "Asks the executor to take it now, if it is due, met and funded.",
		[]Field{idParam}, []Code{CodeInsufficientFunds}, func() Params { return new(IDParams) }),
	move(MethodRollbackDisbursement, "Cancels a disbursement, or rolls an executed one back.",
		[]Field{idParam, must("reason", "string", "Why."),
			may("reversing_tx", "string", "none", "Hash of the confirmed transfer back, where an outside chain booked it.")},
		[]Code{CodeInsufficientFunds}, func() Params { return new(RollbackParams) }),
	{
		Name: MethodAccrue, Who: Operator, Mutates: true,
		Summary: "Credits the treasury.",
		Params: []Field{must("amount", "integer", "In the smallest unit of BLOCK."),
			may("source", "string", "none", "Where it comes from.")},
		Result:    []Field{out("balance", "integer", "The treasury's balance after it."), duplicate},
		Errors:    changeErrors,
		newParams: func() Params { return new(AccrueParams) },
		newResult: func() Result { return new(AccrueResult) },
	},
	{
		Name: MethodBalance, Who: Reader,
		Summary: "The treasury's balance and the executor's condition.",
		Result: []Field{
			out("balance", "integer", "In the smallest unit of BLOCK."),
			out("last_snapshot", "object", "The newest row of the balance history, or nil.", snapshotFields...),
			out("executor", "object", "As executor answers.", executorFields...), appliedIndex},
		newParams: func() Params { return new(NoParams) },
		newResult: func() Result { return new(BalanceResult) },
	},
	{
		Name: MethodBalanceHistory, Who: Reader,
		Summary: "Every change of the treasury's balance, newest first.",
		Params:  []Field{cursorParam, limitParam},
		Result: []Field{
			out("snapshots", "list of object", "The rows.", snapshotFields...), nextCursor,
			out("current_balance", "integer", "The balance now."), appliedIndex},
		newParams: func() Params { return new(PageParams) },
		newResult: func() Result { return new(BalanceHistoryResult) },
	},
	{
		Name: MethodAccount, Who: Reader,
		Summary: "The balance of one account.",
		Params:  []Field{must("account", "string", "Its name.")},
		Result: []Field{out("account", "string", "Its name."),
			out("balance", "integer", "In the smallest unit of BLOCK; 0 for one never paid."), appliedIndex},
		newParams: func() Params { return new(AccountParams) },
		newResult: func() Result { return new(AccountResult) },
	},
	{
		Name: MethodExecutor, Who: Reader,
		Summary:   "The executor's condition.",
		Result:    with(executorFields, appliedIndex),
		newParams: func() Params { return new(NoParams) },
		newResult: func() Result { return new(ExecutorResult) },
	},
	move(MethodSkipIntent, "Decides about the intent at which the executor has paused. The state is the one before the intent's outcome is known.",
		[]Field{idParam, may("retry", "boolean", "false", "Submit the same bytes again. Otherwise a null transaction is sent on their nonce, "+
			"and whichever of the two is confirmed decides whether the disbursement is rolled back or executed.")},
		nil, func() Params { return new(SkipIntentParams) }),
	{
		Name: MethodDependents, Who: Reader,
		Summary: "What depends on a disbursement, nearest first, then by id.",
		Params: []Field{idParam, cursorParam, idsLimitParam,
			may("transitive", "boolean", "false", "Dependents of dependents too.")},
		Result:    []Field{out("ids", "list of integer", "The dependents, the disbursement itself not among them."), nextCursor, appliedIndex},
		Errors:    []Code{CodeNotFound},
		newParams: func() Params { return new(DependentsParams) },
		newResult: func() Result { return new(IDsResult) },
	},
	{
		Name: MethodReady, Who: Reader,
		Summary:   "Disbursements whose dependencies are all met and that are not yet executed.",
		Params:    []Field{cursorParam, idsLimitParam},
		Result:    []Field{out("ids", "list of integer", "Ascending."), nextCursor, appliedIndex},
		newParams: func() Params { return new(ReadyParams) },
		newResult: func() Result { return new(IDsResult) },
	},
	{
		Name: MethodHasPending, Who: Reader,
		Summary:   "Whether a dependency is not met yet.",
		Params:    []Field{may("id", "integer", "any", "The disbursement whose dependencies are meant.")},
		Result:    []Field{out("has_pending", "boolean", "True while one is not met."), appliedIndex},
		Errors:    []Code{CodeNotFound},
		newParams: func() Params { return new(HasPendingParams) },
		newResult: func() Result { return new(HasPendingResult) },
	},
	{
		Name: MethodOrder, Who: Reader,
		Summary:   "Topological order: dependencies first, ties by id.",
		Params:    []Field{subsetParam, cursorParam, idsLimitParam},
		Result:    []Field{out("ids", "list of integer", "In order."), nextCursor, appliedIndex},
		Errors:    []Code{CodeNotFound},
		newParams: func() Params { return new(SubsetParams) },
		newResult: func() Result { return new(IDsResult) },
	},
	{
		Name: MethodWaves, Who: Reader,
		Summary: "Waves that could be paid in parallel, each depending on those before it only.",
		Params:  []Field{subsetParam, cursorParam, idsLimitParam},
		Result: []Field{out("waves", "list of list of integer", "Ids, ascending in each wave."),
			out("first_wave", "integer", "Number of the page's first wave, from 0; a page may begin inside a wave."),
			nextCursor, appliedIndex},
		Errors:    []Code{CodeNotFound},
		newParams: func() Params { return new(SubsetParams) },
		newResult: func() Result { return new(WavesResult) },
	},
	{
		Name: MethodCriticalPath, Who: Reader,
		Summary: "The chain of dependencies with the largest amount.",
		Params:  []Field{subsetParam, cursorParam, idsLimitParam},
		Result: []Field{out("ids", "list of integer", "Dependencies first."),
			out("amount", "integer", "The sum of the whole chain."), nextCursor, appliedIndex},
		Errors:    []Code{CodeNotFound},
		newParams: func() Params { return new(SubsetParams) },
		newResult: func() Result { return new(CriticalPathResult) },
	},
	{
		Name: MethodImpact, Who: Reader,
		Summary: "What would fail if this disbursement did.",
		Params:  []Field{idParam, cursorParam, idsLimitParam},
		Result: []Field{out("ids", "list of integer", "Transitive dependents, nearest first, then by id."),
			out("count", "integer", "Of all, not of this page."),
			out("amount", "integer", "Of all, not of this page."), nextCursor, appliedIndex},
		Errors:    []Code{CodeNotFound},
		newParams: func() Params { return new(ImpactParams) },
		newResult: func() Result { return new(ImpactResult) },
	},
	{
		Name: MethodGraph, Who: Reader,
		Summary: "The size of the dependency graph.",
		Result: []Field{out("nodes", "integer", "Disbursements."),
			out("edges", "integer", "Dependencies between them."), appliedIndex},
		newParams: func() Params { return new(NoParams) },
		newResult: func() Result { return new(GraphResult) },
	},
	{
		Name: MethodEpochGet, Who: Reader,
		Summary: "The treasury's epoch.",
		Result: []Field{out("epoch", "integer", "The epoch."), appliedIndex,
			out("duplicate", "boolean", "Always false; epoch.advance answers the same way.")},
		newParams: func() Params { return new(NoParams) },
		newResult: func() Result { return new(EpochResult) },
	},
	{
		Name: MethodEpochAdvance, Who: Operator, Mutates: true,
		Summary: "Adds one epoch at once and restarts the interval.",
		Result: []Field{out("epoch", "integer", "The new epoch."), appliedIndex,
			duplicate},
		Errors:    changeErrors,
		newParams: func() Params { return new(NoParams) },
		newResult: func() Result { return new(EpochResult) },
	},
	{
		Name: MethodDiscover, Who: Reader,
		Summary: "This table, as an OpenRPC document.",
		Result: []Field{out("openrpc", "string", "The version of OpenRPC."),
			out("info", "object", "What is described.",
				out("title", "string", "Its name."),
				out("version", "string", "The version of the wire."),
				out("description", "string", "One sentence.")),
			out("methods", "list of object", "The methods.")},
		newParams: func() Params { return new(NoParams) },
		newResult: func() Result { return new(DiscoverResult) },
	},
}, clusterMethods, operationMethods)

// move is a method that moves one disbursement and answers with its state.
func move(name, summary string, params []Field, errors []Code, newParams func() Params) Method {
	return Method{
		Name: name, Who: Operator, Mutates: true, Summary: summary, Params: params,
		Result: []Field{out("id", "integer", "The disbursement's id."),
			out("state", "string", "The state reached."), duplicate},
		Errors:    append(errors, moveErrors...),
		newParams: newParams,
		newResult: func() Result { return new(TransitionResult) },
	}
}
