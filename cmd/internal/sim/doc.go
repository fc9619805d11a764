// Package sim runs a treasury of five nodes in one thread, from one seed, against
// everything that a network, disks, clocks and clients may do to it, and holds what
// comes of it against the promises of the whole.
//
// What is simulated is what machines do: messages that are lost, late, twice or out of
// order, disks that forget what was not synced, processes that die or stand still, and
// an outside chain that answers badly. What runs on it is the real thing: the state
// machine and its Store on every node, the treasury's actors (their Receive, with timers,
// rests, deadlines, children, parking and passivation), placement, breakers and the payout
// window. What gives the actors their turns is a small runtime of this package's own, and
// consensus is a small Raft, as hostile as Raft may be and no kinder.
//
// A world belongs to one goroutine. It reads no clock and draws no number but from its
// seed, so a seed that fails does so again, and tells the trace when it is asked to:
//
//	go test ./cmd/internal/sim -run Model -seed 42
//
// docs/fault-model.md says what is simulated here and what is not.
package sim
