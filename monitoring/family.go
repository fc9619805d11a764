package monitoring

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Family is one metric family.
type Family struct {
	Name   string   `json:"name"`
	Help   string   `json:"help"`
	Type   string   `json:"type"` // counter, gauge or histogram
	Labels []string `json:"labels"`
	// SeriesMax is the most series the family can have on one node. A histogram's
	// buckets, sum and count are series.
	SeriesMax int `json:"series_max"`

	desc *prometheus.Desc
}

func newFamily(kind, name, help string, seriesMax int, labels ...string) Family {
	return Family{
		Name: name, Help: help, Type: kind, Labels: labels, SeriesMax: seriesMax,
		desc: prometheus.NewDesc(name, help, labels, nil),
	}
}

func counter(name, help string, seriesMax int, labels ...string) Family {
	return newFamily("counter", name, help, seriesMax, labels...)
}

func gauge(name, help string, seriesMax int, labels ...string) Family {
	return newFamily("gauge", name, help, seriesMax, labels...)
}

// histogram declares a family of one histogram per label value, each with at most
// BoundsMax bounds.
func histogram(name, help string, values int, labels ...string) Family {
	return newFamily("histogram", name, help, values*(BoundsMax+3), labels...)
}

// double declares a histogram with a native one beside it.
func double(name, help string, values int, labels ...string) Family {
	return newFamily("histogram", name, help, values*(BoundsMax+4), labels...)
}

// The limits that make the families' ceilings.
const (
	// SeriesMax is the most series a node exports, whatever is thrown at it.
	SeriesMax = 2000
	// BoundsMax is how many bounds of a histogram are exported; more are merged.
	BoundsMax = 18
	// MethodsMax is how many methods have series of their own; the method table is
	// shorter.
	MethodsMax = 96
	// KindsMax is how many kinds of actors have series of their own.
	KindsMax = 12
	// BusiestMax is how many single actors have series of their own.
	BusiestMax = 50
)

// other replaces a label value outside its list.
const other = "other"

// restActor is the label of all actors that have no series of their own.
const restActor = "_other"

// The values of the labels that come from outside this package.
var (
	executionReasons = []string{
		"insufficient_funds", "invalid_target", "stale_dependency", "circular_dependency", "execution_failed",
		"quorum_not_reached", "epoch_expired",
	}
	dependencyFailures = []string{"circular", "missing", "stale", "rolled_back_dependency"}
	roles              = []string{"primary", "replica", "observer"}
)

// catalog declares every family that has no file of its own, once. Counters begin at 0
// with the process. What every node has is to be taken once, as the max over nodes;
// what one node of the cluster counts, as the sum: each family says so.
type catalog struct {
	disbursements, executionErrors, balance, backlog, states, dependencyFailures, epoch Family
	recoveries, recoveriesFailed                                                        Family
	executorActive, breakerState, breakerFailures, breakerSuccesses, lag, tick          Family
	executorInFlight                                                                    Family
	rpcRequests, rpcRefusals, rpcInFlight, rpcConnections                               Family
	journalTxns, journalBatches, journalOverloaded, journalUnfinished                   Family
	journalQueued, journalQueuedBytes, journalLagging, journalBatchTxns, journalCommit  Family
	kindActive, kindMessages, kindDepth, kindRejected, kindRestarts, kindDead           Family
	kindWait, kindProcessing, actorDepth, actorMessages, actorProcessing                Family
	info, ready                                                                         Family
}

var metrics = catalog{
	disbursements: counter("governance_disbursements_total",
		"Moves of disbursements into a status, each counted once in the cluster, by the node that made it. Sum over nodes.",
		7, "status"),
	executionErrors: counter("treasury_execution_errors_total",
		"Disbursements that could not be executed, by reason. Sum over nodes.", len(executionReasons)+1, "reason"),
	balance: gauge("treasury_balance",
		"Balance of the treasury in the smallest unit of BLOCK. Every node has it: take max over nodes.", 1),
	backlog: gauge("treasury_disbursement_backlog",
		"Disbursements that are not final, by status. Every node has it: take max over nodes.", 5, "status"),
	states: gauge("bursar_treasury_disbursements",
		"Disbursements by the status they are in now, final ones included. Every node has it: take max over nodes.",
		7, "status"),
	dependencyFailures: counter("treasury_dependency_failures_total",
		"Submissions refused for a dependency, and disbursements that a rolled-back one failed (rolled_back_dependency). Sum over nodes.",
		len(dependencyFailures)+1, "failure_type"),
	epoch: gauge("bursar_epoch", "The treasury's clock.", 1),
	recoveries: counter("storage_retrieval_success_total",
		"Actors that took up their state from the Store when they were loaded, restarted or became active.", 1),
	recoveriesFailed: counter("storage_retrieval_failure_total",
		"Actors that could not read their state from the Store, and failed.", 1),

	executorActive: gauge("treasury_executor_active",
		"1 if this node runs the executor, by the node's role.", len(roles), "role"),
	breakerState: gauge("treasury_circuit_breaker_state",
		"The executor's breaker: 0 closed, 1 open, 2 half-open. Exported by the executor's owner only.", 1),
	breakerFailures: gauge("treasury_circuit_breaker_failures",
		"Submissions of payments that failed since the executor's node started.", 1),
	breakerSuccesses: gauge("treasury_circuit_breaker_successes",
		"Submissions of payments that did not fail since the executor's node started.", 1),
	lag:              histogram("treasury_disbursement_lag_seconds", "Time from due to executed.", 1),
	tick:             histogram("treasury_executor_tick_duration_seconds", "Time of one round of the executor.", 1),
	executorInFlight: gauge("bursar_executor_intents_in_flight", "Intents staged and not yet recorded.", 1),

	rpcRequests: counter("bursar_rpc_requests_total", "Requests over both wires, by method and outcome.",
		3*(MethodsMax+1), "method", "outcome"),
	rpcRefusals:    counter("bursar_rpc_refusals_total", "Refused requests, by the name of the error.", 40, "code"),
	rpcInFlight:    gauge("bursar_rpc_in_flight", "Requests being answered.", 1),
	rpcConnections: gauge("bursar_rpc_connections", "Open MessagePack-RPC connections.", 1),

	journalTxns:       counter("bursar_journal_txns_total", "Txns the journal proposed.", 1),
	journalBatches:    counter("bursar_journal_batches_total", "Batches the journal proposed, one log entry each.", 1),
	journalOverloaded: counter("bursar_journal_overloaded_total", "Txns refused because the queue was full.", 1),
	journalUnfinished: counter("bursar_journal_unfinished_total",
		"Txns that got no verdict: certainly not done (unavailable), or nobody can tell (unknown).", 2, "outcome"),
	journalQueued:      gauge("bursar_journal_queued", "Txns that wait to be proposed.", 1),
	journalQueuedBytes: gauge("bursar_journal_queued_bytes", "Bytes of the Txns that wait to be proposed.", 1),
	journalLagging: gauge("bursar_journal_lagging",
		"Txns with a verdict that this node's Store does not show yet.", 1),
	journalBatchTxns: histogram("bursar_journal_batch_txns", "Txns in a batch.", 1),
	journalCommit: histogram("bursar_journal_commit_seconds",
		"Time from proposing a batch to its outcome: log, fsync, majority and apply.", 1),

	kindActive:   gauge("bursar_actors_active", "Loaded actors, by kind.", KindsMax+1, "kind"),
	kindMessages: counter("bursar_actors_messages_total", "Messages processed, by kind.", KindsMax+1, "kind"),
	kindDepth:    gauge("bursar_actors_mailbox_depth", "Messages that wait in mailboxes, by kind.", KindsMax+1, "kind"),
	kindRejected: counter("bursar_actors_rejected_total",
		"Messages refused because the mailbox was full or the breaker open, by kind.", KindsMax+1, "kind"),
	kindRestarts: counter("bursar_actors_restarts_total", "Restarts by supervisors, by kind.", KindsMax+1, "kind"),
	kindDead:     counter("bursar_actors_dead_letters_total", "Messages nobody took, by kind.", KindsMax+1, "kind"),
	kindWait: double("bursar_actors_wait_seconds",
		"Time of messages in mailboxes, by kind. Sampled; a native histogram, its bounds 4.6 % lower, beside the classic one.", KindsMax+1, "kind"),
	kindProcessing: double("bursar_actors_processing_seconds",
		"Time actors take for a message, by kind. Sampled; a native histogram, its bounds 4.6 % lower, beside the classic one.", KindsMax+1, "kind"),
	actorDepth: gauge("bursar_actor_mailbox_depth",
		`Messages that wait for one of the busiest actors; "_other" sums the rest.`, BusiestMax+1, "actor"),
	actorMessages: counter("bursar_actor_messages_total",
		`Messages processed by one of the busiest actors; "_other" sums the rest.`, BusiestMax+1, "actor"),
	actorProcessing: counter("bursar_actor_processing_seconds_total",
		`Time spent by one of the busiest actors; "_other" sums the rest. Extrapolated from samples.`,
		BusiestMax+1, "actor"),

	info:  gauge("bursar_info", "Always 1; says which node and version this is.", 1, "node", "role", "version"),
	ready: gauge("bursar_ready", "1 if the node serves linearizable reads and writes.", 1),
}

// Families lists every family this package exports, in the order of the page they
// are documented on. Go's and the process's own families are extra: RuntimeSeriesMax.
func Families() []Family {
	m := &metrics
	return slices.Concat([]Family{
		m.disbursements, m.executionErrors, m.balance, m.backlog, m.states, m.dependencyFailures, m.epoch,
		m.recoveries, m.recoveriesFailed,
		m.executorActive, m.breakerState, m.breakerFailures, m.breakerSuccesses, m.lag, m.tick, m.executorInFlight,
		m.rpcRequests, m.rpcRefusals, m.rpcInFlight, m.rpcConnections,
		m.journalTxns, m.journalBatches, m.journalOverloaded, m.journalUnfinished,
		m.journalQueued, m.journalQueuedBytes, m.journalLagging, m.journalBatchTxns, m.journalCommit,
		m.kindActive, m.kindMessages, m.kindDepth, m.kindRejected, m.kindRestarts, m.kindDead,
		m.kindWait, m.kindProcessing, m.actorDepth, m.actorMessages, m.actorProcessing,
		m.info, m.ready,
	}, clusterFamilies(), breakerFamilies())
}

// RuntimeSeriesMax is the most series of Go's runtime and of the process that are
// exported beside Families.
const RuntimeSeriesMax = 60
