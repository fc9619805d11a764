package breaker

import (
	"fmt"
	"time"
)

// State is what a breaker does with calls. The zero value is no state.
type State uint8

// The states of a breaker.
const (
	Closed       State = iota + 1 // every call passes
	Open                          // no call passes
	HalfOpen                      // as many calls pass as there are probes
	ForcedOpen                    // no call passes until an operator resets it
	ForcedClosed                  // every call passes, and outcomes decide nothing
)

var stateNames = [...]string{
	Closed:       "closed",
	Open:         "open",
	HalfOpen:     "half_open",
	ForcedOpen:   "forced_open",
	ForcedClosed: "forced_closed",
}

// String gives the state's name in logs, metrics and replies.
func (s State) String() string {
	if s >= Closed && s <= ForcedClosed {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Gauge gives the state as dashboards chart it: 0 closed, 1 open, 2 half-open.
// A forced state counts as the one it enforces.
func (s State) Gauge() int {
	switch s {
	case Open, ForcedOpen:
		return 1
	case HalfOpen:
		return 2
	case Closed, ForcedClosed:
		return 0
	}
	return 0
}

// Forced reports whether an operator holds the breaker in s.
func (s State) Forced() bool { return s == ForcedOpen || s == ForcedClosed }

// Scope tells the two breakers apart that may stand behind one path.
type Scope uint8

// The scopes of a breaker.
const (
	// Own guards what the actor at the path watches over: its children, its
	// storage, its submitter.
	Own Scope = iota + 1
	// Cell guards the actor at the path itself, on behalf of its supervisor.
	Cell
)

var scopeNames = [...]string{Own: "own", Cell: "cell"}

// String gives the scope's name in logs and replies.
func (s Scope) String() string {
	if s == Own || s == Cell {
		return scopeNames[s]
	}
	return fmt.Sprintf("scope(%d)", uint8(s))
}

// Reason is why a breaker changed its state.
type Reason uint8

// The reasons of a transition.
const (
	FailuresInRow     Reason = iota + 1 // FailureThreshold failures without a success between them
	FailureRate                         // at least half of the window's calls, at least 2 x FailureThreshold
	ChildrenFailed                      // FailureThreshold different children within the window
	RestartsExhausted                   // the child needed more restarts than its intensity allows
	TimeoutPassed                       // open for Timeout: time to probe
	ProbesSucceeded                     // all probes came back well
	ProbeFailed                         // one probe failed
	ProbeExpired                        // one probe did not come back within its deadline
	ByOperator                          // forced
	ResetByOperator                     // force removed, memory cleared
	Forgotten                           // half-open and not called for a whole window
)

var reasonNames = [...]string{
	FailuresInRow:     "failures_in_row",
	FailureRate:       "failure_rate",
	ChildrenFailed:    "children_failed",
	RestartsExhausted: "restarts_exhausted",
	TimeoutPassed:     "timeout_passed",
	ProbesSucceeded:   "probes_succeeded",
	ProbeFailed:       "probe_failed",
	ProbeExpired:      "probe_expired",
	ByOperator:        "by_operator",
	ResetByOperator:   "reset_by_operator",
	Forgotten:         "forgotten",
}

// String gives the reason's name in logs, metrics and replies.
func (r Reason) String() string {
	if r >= FailuresInRow && r <= Forgotten {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// Event is one transition of one breaker. Log line, metric, audit row, console
// and tests are made from it alone. From and To are equal only where an operator
// resets a closed breaker.
type Event struct {
	Path       string // of the actor, as given to New
	Scope      Scope
	From, To   State
	Reason     Reason
	At         time.Time
	RetryAt    time.Time // when an Open breaker turns half-open; zero in the other states
	Generation uint64    // of the period that begins; grows by one with every transition
	Trips      uint64    // how often the breaker has opened by itself, this time included
}

// String gives the transition on one line, for tests and the console.
func (e Event) String() string {
	return fmt.Sprintf("%s %s: %s -> %s (%s)", e.Scope, e.Path, e.From, e.To, e.Reason)
}
