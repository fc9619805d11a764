package treasury

import (
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/metrics"
)

// Stats counts what this node's actors decided. A transition is counted once in the
// cluster: by the node whose actor committed it.
type Stats struct {
	InsufficientFunds atomic.Uint64 `metric:"treasury_execution_errors_total{reason=insufficient_funds}" help:"Disbursements that could not be executed, by reason. Sum over nodes. Four reasons cannot come up and stay 0: what they stand for is refused at the submission (invalid_target, circular_dependency), or never happens to what is scheduled (stale_dependency, epoch_expired)."`
	QuorumsMissed     atomic.Uint64 `metric:"treasury_execution_errors_total{reason=quorum_not_reached}"`
	PaymentsRefused   atomic.Uint64 `metric:"treasury_execution_errors_total{reason=execution_failed}"` // by an outside chain, or skipped by an operator
	Impossible        struct {
		Target   uint64 `metric:"treasury_execution_errors_total{reason=invalid_target}"`
		Stale    uint64 `metric:"treasury_execution_errors_total{reason=stale_dependency}"`
		Circular uint64 `metric:"treasury_execution_errors_total{reason=circular_dependency}"`
		Expired  uint64 `metric:"treasury_execution_errors_total{reason=epoch_expired}"`
	}
	CircularDependencies   atomic.Uint64 `metric:"treasury_dependency_failures_total{failure_type=circular}" help:"Submissions refused for a dependency (on itself, on what does not exist, on what was rolled back), and disbursements that failed because one was rolled back later (rolled_back_dependency). Sum over nodes."`
	MissingDependencies    atomic.Uint64 `metric:"treasury_dependency_failures_total{failure_type=missing}"`
	StaleDependencies      atomic.Uint64 `metric:"treasury_dependency_failures_total{failure_type=stale}"`
	RolledBackDependencies atomic.Uint64 `metric:"treasury_dependency_failures_total{failure_type=rolled_back_dependency}"`
	Recoveries             atomic.Uint64 `metric:"storage_retrieval_success_total" help:"Actors that took up their state from the Store when they were loaded, restarted or became active."`
	RecoveriesFailed       atomic.Uint64 `metric:"storage_retrieval_failure_total" help:"Actors that could not read their state from the Store, and failed."`

	transitions [messages.RolledBack + 1]atomic.Uint64
	executor    ExecutorStats
	unfunded    atomic.Int64
	lastError   atomic.Pointer[lastError]
	paused      atomic.Pointer[pause] // nil while the executor has not paused
	chain       atomic.Pointer[chainProgress]
}

// ExecutorStats counts what this node's executor did.
type ExecutorStats struct {
	BreakerFailures  atomic.Uint64     `metric:"treasury_circuit_breaker_failures" help:"Submissions of payments that failed since the executor's node started."`
	BreakerSuccesses atomic.Uint64     `metric:"treasury_circuit_breaker_successes" help:"Submissions of payments that did not fail since the executor's node started."`
	Lag              metrics.Histogram `metric:"treasury_disbursement_lag_seconds" help:"Time from due to executed." le:"-7..4,4..17/4"`
	Tick             metrics.Histogram `metric:"treasury_executor_tick_duration_seconds" help:"Time of one round of the executor." le:"-15..4"`

	InTime atomic.Uint64 `metric:"bursar_executor_payments_total{in_time=yes}" help:"Payments executed, by whether that was within three epochs of their being due, met and funded: the objective is 99.9 %. Sum over nodes."`
	Late   atomic.Uint64 `metric:"bursar_executor_payments_total{in_time=no}"`

	paying atomic.Int64
}

// inTimeEpochs is how many epochs a payment may take once nothing keeps it back.
const inTimeEpochs = 3

// executed counts a payment.
func (s *ExecutorStats) executed(p *Payable, epoch time.Duration, now time.Time) {
	s.Lag.ObserveTime(now.Sub(p.Since))
	since := p.Since
	if p.Funded.After(since) {
		since = p.Funded
	}
	if now.Sub(since) <= inTimeEpochs*epoch {
		s.InTime.Add(1)
	} else {
		s.Late.Add(1)
	}
}

// Figures are what a scrape is told of the treasury.
type Figures struct {
	*Stats
	Balance  int64            `metric:"treasury_balance" help:"Balance of the treasury in the smallest unit of BLOCK. Every node has it: take max over nodes."`
	Epoch    messages.Epoch   `metric:"bursar_epoch" help:"The treasury's clock. Every node has it: take max over nodes."`
	States   []stateFigures   `max:"7"`
	Executor *executorFigures // nil where it does not run
}

type stateFigures struct {
	Status  messages.State `label:"status"`
	Entered uint64         `metric:"governance_disbursements_total" help:"Moves of disbursements into a status, each counted once in the cluster, by the node that made it. Sum over nodes."`
	Now     int            `metric:"bursar_treasury_disbursements" help:"Disbursements by the status they are in now, final ones included. Every node has it: take max over nodes."`
	Backlog *int           `metric:"treasury_disbursement_backlog" help:"Disbursements that are not final, by status. Every node has it: take max over nodes."`
}

type executorFigures struct {
	*ExecutorStats
	Breaker  int  `metric:"treasury_circuit_breaker_state" help:"The executor's breaker: 0 closed, 1 open, 2 half-open; forced open is 1, forced closed 0. Exported by the executor's owner only."`
	InFlight int  `metric:"bursar_executor_intents_in_flight" help:"Intents staged and not yet recorded."`
	Due      int  `metric:"bursar_executor_due" help:"Disbursements that wait for funds or their turn."`
	Paused   bool `metric:"bursar_executor_paused" help:"1 if the executor has paused at a payment that an operator must judge."`
}

// Figures reads what a scrape is told.
func (t *Treasury) Figures() *Figures {
	f := &Figures{Stats: t.stats, Epoch: t.model.Epoch()}
	if balance, err := t.host.Store.Counter(rows.CounterTreasury); err == nil {
		f.Balance = balance
	}
	for _, state := range messages.States() {
		now := t.model.InState(state)
		row := stateFigures{Status: state, Entered: t.stats.Transitions(state), Now: now}
		if !state.Final() {
			row.Backlog = &now
		}
		f.States = append(f.States, row)
	}
	if t.Owns(t.ExecutorShard()) {
		x := &t.stats.executor
		f.Executor = &executorFigures{
			ExecutorStats: x, Breaker: t.Breaker().Gauge(), InFlight: t.model.InState(graph.Staged) + int(x.paying.Load()),
			Due: t.due(), Paused: t.stats.paused.Load() != nil,
		}
	}
	return f
}

// due is how many disbursements wait for funds or their turn. The executor's owner alone
// knows.
func (t *Treasury) due() int { return int(t.stats.unfunded.Load()) + t.model.PayableCount() }

func (s *Stats) entered(state messages.State, n uint64) { s.transitions[state].Add(n) }

// Recovered counts that an actor took up its state from the Store.
func (s *Stats) Recovered(err error) {
	if err != nil {
		s.RecoveriesFailed.Add(1)
	} else {
		s.Recoveries.Add(1)
	}
}

// stepped counts a state that a disbursement entered because it was due.
func (s *Stats) stepped(state messages.State, due bool) {
	s.entered(state, 1)
	if due && state == messages.RolledBack { // a vote has ended
		s.QuorumsMissed.Add(1)
	}
}

// Transitions is how many disbursements entered a state.
func (s *Stats) Transitions(state messages.State) uint64 { return s.transitions[state].Load() }

// Executor counts what this node's executor did.
func (s *Stats) Executor() *ExecutorStats { return &s.executor }

// refusedSubmission counts a submission that was refused because of what it depends on.
func (s *Stats) refusedSubmission(err *messages.Error) {
	switch err.Code {
	case messages.CodeMissingDependency:
		s.MissingDependencies.Add(1)
	case messages.CodeDependencyFailed:
		s.StaleDependencies.Add(1)
	case messages.CodeDependencyCycle:
		s.CircularDependencies.Add(1)
	default:
	}
}

// lastError is why a payment could not be made, and when that was so last.
type lastError struct {
	text string
	at   time.Time
	code messages.Code
}

// isOver reports whether what kept a payment back does so no more: something was paid, or
// there is no one left who waits for funds, or the breaker lets payments through.
func (e *lastError) isOver(paid bool, unfunded int, passes bool) bool {
	switch e.code {
	case messages.CodeInsufficientFunds:
		return unfunded == 0
	case messages.CodeCircuitOpen:
		return passes
	default:
		return paid
	}
}

// executionError notes why a payment could not be made.
func (s *Stats) executionError(err *messages.Error, now time.Time) {
	if err.Code == messages.CodeInsufficientFunds {
		s.InsufficientFunds.Add(1)
	}
	s.lastError.Store(&lastError{err.Error(), now, err.Code})
}

// paymentRefused notes why a payment will never be made.
func (s *Stats) paymentRefused(err *messages.Error, now time.Time) {
	s.PaymentsRefused.Add(1)
	s.executionError(err, now)
}

// endError forgets the last error once it is over.
func (s *Stats) endError(paid bool, unfunded int, passes bool) {
	if e := s.lastError.Load(); e != nil && e.isOver(paid, unfunded, passes) {
		s.lastError.Store(nil)
	}
}

// pause is where the executor has paused, and why.
type pause struct {
	id     messages.DisbursementID
	reason string
}

// chainProgress is the newest nonce that is final on the outside chain, and the one that
// the chain has lost, 0 if none.
type chainProgress struct{ confirmed, lost uint64 }

func (s *Stats) pause(p *pause) { s.paused.Store(p) }
