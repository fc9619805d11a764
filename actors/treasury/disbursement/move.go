package disbursement

import (
	"fmt"
	"math"
	"slices"

	"github.com/the-block/bursar/messages"
)

// Facts is what a decision needs to know beyond the record. What a rule does
// not ask for may be left zero.
type Facts struct {
	Epoch messages.Epoch
	Now   uint64          // Unix seconds
	Node  messages.NodeID // who decides

	// Unmet is a dependency that is not finalized, the lowest; 0 if all are.
	Unmet    messages.DisbursementID
	Treasury messages.Amount // the treasury's balance
	Payee    messages.Amount // the balance of the destination's account
	// Confirmed is the newest nonce of the outside chain that is final, with all below it.
	Confirmed uint64
}

// AccountInFlight holds the funds of staged intents. No destination can have
// this name.
const AccountInFlight = "~in_flight"

// Move is a decision: the record as it shall be stored, and the money that goes
// with it. Everything in it is committed together or not at all. The deltas of
// treasury and accounts add up to 0.
type Move struct {
	Record   Record
	From, To messages.State
	Treasury int64 // what the treasury's balance changes by
	Accounts []AccountDelta
	Event    Event // how the balance history calls the change; 0 if Treasury is 0
}

// Transition reports whether the record enters a state, so that IndexOffset of
// its encoding takes the log index of the commit. Staging does not.
func (m *Move) Transition() bool { return m.From != m.To }

// OpensWindow reports whether the move enters a state whose window is counted from
// this epoch: the vote, the timelock, the time in which an execution can be taken back.
func (m *Move) OpensWindow() (epoch messages.Epoch, opens bool) {
	if !m.Transition() {
		return 0, false
	}
	entered, _ := m.Record.Entered(m.To)
	return entered.Epoch, m.To == messages.Voting || m.To == messages.Queued || m.To == messages.Executed
}

// AccountDelta is what one account's balance changes by.
type AccountDelta struct {
	Account string
	Delta   int64
}

// Event says why the treasury's balance changed.
type Event byte

// The events of the balance history.
const (
	EventAccrual Event = iota + 1
	EventExecuted
	EventCancelled
)

// String gives the event's label on the wire.
func (e Event) String() string {
	switch e {
	case EventAccrual:
		return "accrual"
	case EventExecuted:
		return "executed"
	case EventCancelled:
		return "cancelled"
	}
	return fmt.Sprintf("event(%d)", byte(e))
}

// moveTo lets r, a copy, enter a state.
func (r Record) moveTo(to messages.State, f Facts) Move {
	from := r.State
	r.State = to
	r.Transitions = append(slices.Clip(r.Transitions), Transition{State: to, At: f.Now, Epoch: f.Epoch, Node: f.Node})
	return Move{Record: r, From: from, To: to}
}

// fromTreasury takes the amount out of the treasury into an account.
func (m Move) fromTreasury(account string) Move {
	amount := int64(m.Record.Payload.Disbursement.Amount)
	m.Treasury = -amount
	m.Accounts = []AccountDelta{{account, amount}}
	m.Event = EventExecuted
	return m
}

// toTreasury takes the amount back from an account.
func (m Move) toTreasury(account string) Move {
	amount := int64(m.Record.Payload.Disbursement.Amount)
	m.Treasury = amount
	m.Accounts = []AccountDelta{{account, -amount}}
	m.Event = EventCancelled
	return m
}

// illegal refuses a move. It names the state the record is in, and what the
// move would have needed.
func illegal(r *Record, format string, args ...any) *messages.Error {
	state := r.State.String()
	if r.Staged {
		state += " with a staged intent"
	}
	return messages.Errorf(messages.CodeInvalidTransition, "the disbursement is %s: %s",
		state, fmt.Sprintf(format, args...)).With("state", r.State.String())
}

// after gives the epoch a window after another. No sum of epochs wraps: one
// that is out of reach never comes.
func after(epoch, window messages.Epoch) messages.Epoch {
	if epoch > math.MaxUint64-window {
		return math.MaxUint64
	}
	return epoch + window
}
