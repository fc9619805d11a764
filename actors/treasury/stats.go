package treasury

import (
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/supervision/breaker"
)

// Stats counts what this node's actors decided. A transition is counted once in the
// cluster: by the node whose actor committed it.
type Stats struct {
	transitions [messages.RolledBack + 1]atomic.Uint64
	refusals    [refusals]atomic.Uint64

	insufficientFunds atomic.Uint64
	unfunded          atomic.Int64
	lastErrorAt       atomic.Uint64
	lastErrorText     atomic.Pointer[string]

	quorumsMissed   atomic.Uint64
	cascaded        atomic.Uint64
	retrieved       [2]atomic.Uint64 // failed, succeeded
	paymentsRefused atomic.Uint64
	paused          atomic.Pointer[pause] // nil while the executor has not paused
	paying          atomic.Int64
	lag, tick       Durations

	breaker          atomic.Pointer[breaker.Breaker] // the executor's; nil before its start
	breakerFailures  atomic.Uint64
	breakerSuccesses atomic.Uint64
}

// Refusal is why a submission's dependencies were refused.
type Refusal int

// The refusals that are counted apart.
const (
	RefusedMissing Refusal = iota
	RefusedRolledBack
	RefusedCircular
	RefusedOther

	refusals
)

func (s *Stats) entered(state messages.State, n uint64) { s.transitions[state].Add(n) }

// failedDependency counts records that a cascade rolled back.
func (s *Stats) failedDependency(n int) { s.cascaded.Add(uint64(n)) }

// recovered counts that an actor took up its state from the Store.
func (s *Stats) recovered(err error) {
	if err != nil {
		s.retrieved[0].Add(1)
	} else {
		s.retrieved[1].Add(1)
	}
}

// Recoveries counts how often an actor that was loaded, restarted or became active took
// up its state from the Store, and how often it could not.
func (s *Stats) Recoveries() (succeeded, failed uint64) {
	return s.retrieved[1].Load(), s.retrieved[0].Load()
}

// ExecutionErrors counts why records were not executed, by the reasons that dashboards
// know. Four of them cannot come up here and stay 0: a destination is judged when it is
// submitted (invalid_target), a plan with a cycle too (circular_dependency), a dependency
// that is final stays so (stale_dependency), and what is scheduled never expires
// (epoch_expired).
func (s *Stats) ExecutionErrors() map[string]uint64 {
	return map[string]uint64{
		"insufficient_funds":  s.insufficientFunds.Load(),
		"quorum_not_reached":  s.quorumsMissed.Load(),
		"execution_failed":    s.paymentsRefused.Load(),
		"invalid_target":      0,
		"circular_dependency": 0,
		"stale_dependency":    0,
		"epoch_expired":       0,
	}
}

// DependencyFailures counts submissions that were refused because of what they depend
// on (a cycle, something that does not exist, something stale: rolled back before), and
// records that failed because a dependency was rolled back after they were submitted.
func (s *Stats) DependencyFailures() map[string]uint64 {
	return map[string]uint64{
		"circular":               s.Refusals(RefusedCircular),
		"missing":                s.Refusals(RefusedMissing),
		"stale":                  s.Refusals(RefusedRolledBack),
		"rolled_back_dependency": s.cascaded.Load(),
	}
}

// stepped counts a state that a disbursement entered because it was due.
func (s *Stats) stepped(state messages.State, due bool) {
	s.entered(state, 1)
	if due && state == messages.RolledBack { // a vote has ended
		s.quorumsMissed.Add(1)
	}
}

// Transitions is how many disbursements entered a state.
func (s *Stats) Transitions(state messages.State) uint64 { return s.transitions[state].Load() }

func (s *Stats) refusedSubmission(err *messages.Error) {
	kind := RefusedOther
	switch err.Code {
	case messages.CodeMissingDependency:
		kind = RefusedMissing
	case messages.CodeDependencyFailed:
		kind = RefusedRolledBack
	case messages.CodeDependencyCycle:
		kind = RefusedCircular
	default:
	}
	s.refusals[kind].Add(1)
}

// Refusals is how many submissions were refused for a reason.
func (s *Stats) Refusals(kind Refusal) uint64 { return s.refusals[kind].Load() }

// executionError notes why a payment could not be made.
func (s *Stats) executionError(err *messages.Error, now time.Time) {
	if err.Code == messages.CodeInsufficientFunds {
		s.insufficientFunds.Add(1)
	}
	text := err.Error()
	s.lastErrorText.Store(&text)
	s.lastErrorAt.Store(uint64(now.Unix()))
}

// paymentRefused notes why a payment will never be made.
func (s *Stats) paymentRefused(err *messages.Error, now time.Time) {
	s.paymentsRefused.Add(1)
	s.executionError(err, now)
}

// PaymentsRefused is how many payments an outside chain refused, or an operator
// skipped.
func (s *Stats) PaymentsRefused() uint64 { return s.paymentsRefused.Load() }

// pause is where the executor has paused, and why.
type pause struct {
	id     messages.DisbursementID
	reason string
}

func (s *Stats) pause(p *pause) { s.paused.Store(p) }

func (s *Stats) lastError() string {
	if text := s.lastErrorText.Load(); text != nil {
		return *text
	}
	return ""
}

// InsufficientFunds is how often a due disbursement began to wait for funds.
func (s *Stats) InsufficientFunds() uint64 { return s.insufficientFunds.Load() }

// QuorumsMissed is how many votes ended without quorum.
func (s *Stats) QuorumsMissed() uint64 { return s.quorumsMissed.Load() }

// Paying is how many payments are on their way through the log.
func (s *Stats) Paying() int { return int(s.paying.Load()) }

// Lag is the time from becoming payable to being executed.
func (s *Stats) Lag() *Durations { return &s.lag }

// Tick is the time of one round of the executor.
func (s *Stats) Tick() *Durations { return &s.tick }

// Breaker is the state of the executor's breaker now.
func (s *Stats) Breaker() breaker.State { return s.breaker.Load().State() }

// BreakerFailures and BreakerSuccesses are how many submissions ended so.
func (s *Stats) BreakerFailures() uint64 { return s.breakerFailures.Load() }

// BreakerSuccesses is the other half of BreakerFailures.
func (s *Stats) BreakerSuccesses() uint64 { return s.breakerSuccesses.Load() }

// durationBuckets holds up to 2^26 ms, the better part of a day.
const durationBuckets = 28

// Durations is a histogram of durations: bucket i holds those of at most 2^i
// milliseconds, the last all others. It may be read while it is written.
type Durations struct {
	buckets [durationBuckets]atomic.Uint64
	sum     atomic.Int64 // microseconds
}

func (d *Durations) observe(took time.Duration) {
	i := 0
	for i < durationBuckets-1 && took > time.Millisecond<<i {
		i++
	}
	d.buckets[i].Add(1)
	d.sum.Add(took.Microseconds())
}

// Buckets gives the upper bounds of the buckets but the last, in seconds, the count
// of each bucket and the sum in seconds.
func (d *Durations) Buckets() (bounds []float64, counts []uint64, sum float64) {
	for i := range durationBuckets - 1 {
		bounds = append(bounds, (time.Millisecond << i).Seconds())
	}
	for i := range d.buckets {
		counts = append(counts, d.buckets[i].Load())
	}
	return bounds, counts, float64(d.sum.Load()) / 1e6
}
