package supervision

import (
	"fmt"
	"strings"
	"time"

	"github.com/the-block/bursar/supervision/breaker"
)

// ActionKind is what to do. The zero value is nothing.
type ActionKind uint8

// The kinds of an Action.
const (
	// Start begins the first incarnation of a child.
	Start ActionKind = iota + 1
	// Restart begins a new incarnation behind the same ref. The mailbox is kept: the
	// message that failed has been answered and is not redelivered, the others are
	// processed.
	Restart
	// Suspend leaves a child down until its Restart, which is due at Until. Its
	// mailbox is kept and accepts messages up to its limit; nothing is processed.
	Suspend
	// Refuse leaves a child down while a breaker is open, until its Restart. What is
	// in its mailbox and what arrives is answered circuit_open. Until is when the
	// breaker turns half-open, zero if only an operator ends it.
	Refuse
	// Stop ends a child: it finishes its message and is abandoned after Timeout; one
	// that is down ends at once. The next action waits for its end. With Keep it will restart: its
	// mailbox is kept. Without, its messages are dead letters.
	Stop
	// StopOthers stops every child made from the Template, the youngest first, each
	// within Timeout. The next action waits for their end.
	StopOthers
	// Remove forgets a child that has ended and is not started again. Messages left
	// in its mailbox are dead letters.
	Remove
	// Attach gives the child's gate its cell. Cell is nil where it has none any more.
	Attach
	// Report publishes the breaker transition in Event.
	Report
	// Escalate fails the supervisor: its parent decides. Every child has been
	// stopped by the actions before it, and no further event causes an action.
	Escalate
)

var actionNames = [...]string{
	Start: "start", Restart: "restart", Suspend: "suspend", Refuse: "refuse", Stop: "stop",
	StopOthers: "stop_others", Remove: "remove", Attach: "attach", Report: "report", Escalate: "escalate",
}

// String gives the kind's name in logs and tests.
func (k ActionKind) String() string {
	if k >= Start && k <= Escalate {
		return actionNames[k]
	}
	return fmt.Sprintf("action(%d)", uint8(k))
}

// Action is one thing for the runtime to do. Actions of one answer are carried
// out in their order. Fields that a kind does not name are zero.
type Action struct {
	Kind    ActionKind
	Child   string           // name; empty for StopOthers, Report and Escalate
	Until   time.Time        // Suspend, Refuse
	Timeout time.Duration    // Stop, StopOthers
	Keep    bool             // Stop
	Cell    *breaker.Breaker // Attach
	Event   *breaker.Event   // Report
}

// String gives the action on one line without its times, for logs and tests.
func (a Action) String() string {
	words := []string{a.Kind.String()}
	if a.Child != "" {
		words = append(words, a.Child)
	}
	switch a.Kind {
	case Stop:
		if a.Keep {
			words = append(words, "keep")
		}
	case Attach:
		if a.Cell == nil {
			words = append(words, "none")
		}
	case Report:
		words = append(words, a.Event.String())
	case Start, Restart, Suspend, Refuse, StopOthers, Remove, Escalate:
	}
	return strings.Join(words, " ")
}
