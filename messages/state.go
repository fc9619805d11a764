package messages

import "fmt"

// State is where a disbursement stands. The zero value is no state, so that a
// record that was never written cannot pass for a draft.
type State byte

// The states of a disbursement, in the order of its life.
const (
	Draft State = iota + 1
	Voting
	Queued
	Timelocked
	Executed
	Finalized
	RolledBack
)

var stateLabels = []string{
	Draft:      "draft",
	Voting:     "voting",
	Queued:     "queued",
	Timelocked: "timelocked",
	Executed:   "executed",
	Finalized:  "finalized",
	RolledBack: "rolled_back",
}

// States lists every state in the order of a life.
func States() []State {
	return []State{Draft, Voting, Queued, Timelocked, Executed, Finalized, RolledBack}
}

// String gives the state's label on the wire and in metrics.
func (s State) String() string {
	if s >= Draft && s <= RolledBack {
		return stateLabels[s]
	}
	return fmt.Sprintf("state(%d)", byte(s))
}

// Final reports whether no move leads out of s.
func (s State) Final() bool { return s == Finalized || s == RolledBack }

// ParseState finds the state with the given label.
func ParseState(label string) (State, bool) {
	for _, s := range States() {
		if s.String() == label {
			return s, true
		}
	}
	return 0, false
}
