package stats

import (
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/actors/treasury/readmodel"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/monitoring/metrics"
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

	transitions      [messages.RolledBack + 1]atomic.Uint64
	executor         Executor
	paying, unfunded atomic.Int64
	lastError        atomic.Pointer[lastError]
	paused           atomic.Pointer[Pause] // nil while the executor has not paused
	chain            atomic.Pointer[Chain]
}

// Executor counts what this node's executor did.
type Executor struct {
	BreakerFailures  atomic.Uint64     `metric:"treasury_circuit_breaker_failures" help:"Submissions of payments that failed since the executor's node started."`
	BreakerSuccesses atomic.Uint64     `metric:"treasury_circuit_breaker_successes" help:"Submissions of payments that did not fail since the executor's node started."`
	Lag              metrics.Histogram `metric:"treasury_disbursement_lag_seconds" help:"Time from due to executed." le:"-7..4,4..17/4"`
	Tick             metrics.Histogram `metric:"treasury_executor_tick_duration_seconds" help:"Time of one round of the executor." le:"-15..4"`

	InTime atomic.Uint64 `metric:"bursar_executor_payments_total{in_time=yes}" help:"Payments executed, by whether that was within three epochs of their being due, met and funded: the objective is 99.9 %. Sum over nodes."`
	Late   atomic.Uint64 `metric:"bursar_executor_payments_total{in_time=no}"`
}

// inTimeEpochs is how many epochs a payment may take once nothing keeps it back.
const inTimeEpochs = 3

// Executed counts a payment.
func (s *Executor) Executed(p *readmodel.Payable, epoch time.Duration, now time.Time) {
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

// Entered counts disbursements that entered a state.
func (s *Stats) Entered(state messages.State, n uint64) { s.transitions[state].Add(n) }

// Recovered counts that an actor took up its state from the Store.
func (s *Stats) Recovered(err error) {
	if err != nil {
		s.RecoveriesFailed.Add(1)
	} else {
		s.Recoveries.Add(1)
	}
}

// Stepped counts a state that a disbursement entered because it was due.
func (s *Stats) Stepped(state messages.State, due bool) {
	s.Entered(state, 1)
	if due && state == messages.RolledBack { // a vote has ended
		s.QuorumsMissed.Add(1)
	}
}

// Transitions is how many disbursements entered a state.
func (s *Stats) Transitions(state messages.State) uint64 { return s.transitions[state].Load() }

// Executor counts what this node's executor did.
func (s *Stats) Executor() *Executor { return &s.executor }

// RefusedSubmission counts a submission that was refused because of what it depends on.
func (s *Stats) RefusedSubmission(err *messages.Error) {
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

// ExecutionError notes why a payment could not be made.
func (s *Stats) ExecutionError(err *messages.Error, now time.Time) {
	if err.Code == messages.CodeInsufficientFunds {
		s.InsufficientFunds.Add(1)
	}
	s.lastError.Store(&lastError{err.Error(), now, err.Code})
}

// PaymentRefused notes why a payment will never be made.
func (s *Stats) PaymentRefused(err *messages.Error, now time.Time) {
	s.PaymentsRefused.Add(1)
	s.ExecutionError(err, now)
}

// EndError forgets the last error once it is over.
func (s *Stats) EndError(paid bool, unfunded int, passes bool) {
	if e := s.lastError.Load(); e != nil && e.isOver(paid, unfunded, passes) {
		s.lastError.Store(nil)
	}
}

// Pause is where the executor has paused, and why.
type Pause struct {
	ID     messages.DisbursementID
	Reason string
}

// SetPaused notes where the executor has paused; nil if it has not.
func (s *Stats) SetPaused(p *Pause) { s.paused.Store(p) }

// Paused tells where the executor has paused; nil if it has not.
func (s *Stats) Paused() *Pause { return s.paused.Load() }

// SetWaiting notes how many payments are on their way, and how many wait for funds.
func (s *Stats) SetWaiting(paying, unfunded int) {
	s.paying.Store(int64(paying))
	s.unfunded.Store(int64(unfunded))
}

// Paying is how many payments are on their way through the log.
func (s *Stats) Paying() int { return int(s.paying.Load()) }

// Unfunded is how many payments wait for funds.
func (s *Stats) Unfunded() int { return int(s.unfunded.Load()) }

// LastError tells why a payment could not be made, and when that was so last. ok is false
// if nothing keeps one back.
func (s *Stats) LastError() (text string, at time.Time, ok bool) {
	if e := s.lastError.Load(); e != nil {
		return e.text, e.at, true
	}
	return "", time.Time{}, false
}

// SetChain notes how far the outside chain is; nil where there is none.
func (s *Stats) SetChain(c *Chain) { s.chain.Store(c) }

// Chain tells how far the outside chain is; nil where there is none.
func (s *Stats) Chain() *Chain { return s.chain.Load() }

// Chain is the newest nonce that is final on the outside chain, and the one that the chain
// has lost, 0 if none.
type Chain struct{ Confirmed, Lost uint64 }
