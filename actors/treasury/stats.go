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
	lastExecutedAt    atomic.Uint64 // Unix seconds
	lastErrorAt       atomic.Uint64
	lastErrorText     atomic.Pointer[string]

	breakerState  atomic.Uint32
	breakerTrips  atomic.Uint64
	breakerResets atomic.Uint64
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

func (s *Stats) lastError() string {
	if text := s.lastErrorText.Load(); text != nil {
		return *text
	}
	return ""
}

// InsufficientFunds is how often a due disbursement began to wait for funds.
func (s *Stats) InsufficientFunds() uint64 { return s.insufficientFunds.Load() }

// breakerEvent notes a transition of the executor's breaker; nil is none.
func (s *Stats) breakerEvent(e *breaker.Event) {
	if e == nil {
		return
	}
	s.breakerState.Store(uint32(e.To))
	switch e.To {
	case breaker.Open:
		s.breakerTrips.Add(1)
	case breaker.Closed:
		s.breakerResets.Add(1)
	}
}

// Breaker is the state of the executor's breaker.
func (s *Stats) Breaker() breaker.State { return breaker.State(s.breakerState.Load()) }
