package graph

import (
	"fmt"
	"slices"

	"github.com/the-block/bursar/messages"
)

// Effects are what a change of state brought about among the direct dependents of
// the node that changed; ids ascend.
type Effects struct {
	// Ready lists nodes whose last unmet dependency was just met and that are not
	// executed yet.
	Ready []messages.DisbursementID
	// Failing lists nodes, not final yet, that just got their first rolled-back
	// dependency.
	Failing []messages.DisbursementID
}

// SetState moves id to another state and returns what that brought about. Moving
// to the state it has is no change. Which moves a life may take is not judged
// here, except that nothing leaves a final state. A move to a final state costs a
// step for each direct dependent, any other is constant.
// Errors: ErrUnknown, ErrState, ErrFinal; they change nothing.
func (g *Graph) SetState(id messages.DisbursementID, to messages.State) (Effects, error) {
	n, err := g.find(id)
	if err != nil {
		return Effects{}, err
	}
	from := *g.states.at(uint32(n))
	switch {
	case !known(to):
		return Effects{}, fmt.Errorf("move %d to %v: %w", id, to, ErrState)
	case from == to:
		return Effects{}, nil
	case from.Final():
		return Effects{}, fmt.Errorf("move %d from %v to %v: %w", id, from, to, ErrFinal)
	}
	return g.settle(n, from, to), nil
}

// settle carries a change of state through counts, sets and dependents. A node
// that is just born comes from state 0.
func (g *Graph) settle(n ordinal, from, to messages.State) Effects {
	*g.states.at(uint32(n)) = to
	if from != 0 {
		g.inState[from]--
	}
	g.inState[to]++
	if to.Final() {
		g.failing.remove(n)
	}
	if waits(to) && *g.unmet.at(uint32(n)) == 0 {
		g.ready.add(n)
	} else {
		g.ready.remove(n)
	}
	switch to {
	case messages.Finalized:
		return Effects{Ready: g.eachDependent(n, g.meet)}
	case messages.RolledBack:
		return Effects{Failing: g.eachDependent(n, g.fail)}
	default:
		return Effects{}
	}
}

// eachDependent applies change to the direct dependents of n and lists, in
// ascending order, those for which it reports true.
func (g *Graph) eachDependent(n ordinal, change func(ordinal) bool) []messages.DisbursementID {
	g.affected = g.affected[:0]
	g.dependents(n, g.born, func(d ordinal) {
		if change(d) {
			g.affected = append(g.affected, d)
		}
	})
	if len(g.affected) == 0 {
		return nil
	}
	slices.Sort(g.affected)
	return ids(g.affected)
}

// meet records that one more dependency of n is met and reports whether that made
// it ready.
func (g *Graph) meet(n ordinal) bool {
	unmet := g.unmet.at(uint32(n))
	*unmet--
	return *unmet == 0 && waits(*g.states.at(uint32(n))) && g.ready.add(n)
}

// fail records that a dependency of n was rolled back and reports whether that
// condemned it.
func (g *Graph) fail(n ordinal) bool {
	return !g.states.at(uint32(n)).Final() && g.failing.add(n)
}

// waits reports whether a node in state s is still to be executed. A staged one
// is: it is shown in the state before it, and its outcome is not known.
func waits(s messages.State) bool {
	switch s {
	case messages.Draft, messages.Voting, messages.Queued, messages.Timelocked, Staged:
		return true
	case messages.Executed, messages.Finalized, messages.RolledBack:
		return false
	default:
		return false
	}
}

// IsReady reports whether all dependencies of id are met and it is not executed
// yet. An unknown id is not ready.
func (g *Graph) IsReady(id messages.DisbursementID) bool {
	n, err := g.find(id)
	return err == nil && g.ready.all.has(uint32(n))
}

// Ready lists up to limit ready nodes above after, ascending.
func (g *Graph) Ready(after messages.DisbursementID, limit int) []messages.DisbursementID {
	return g.ready.page(after, limit)
}

// ReadyIn is Ready within one shard; it costs nothing for the nodes of others.
func (g *Graph) ReadyIn(shard messages.ShardID, after messages.DisbursementID, limit int) []messages.DisbursementID {
	return g.ready.pageIn(shard, after, limit)
}

// ReadyCount gives the number of ready nodes.
func (g *Graph) ReadyCount() int { return g.ready.all.count }

// Failing lists up to limit nodes above after, ascending, that are not final and
// have a rolled-back dependency: the unfinished work of cascades, which a new
// owner takes up again.
func (g *Graph) Failing(after messages.DisbursementID, limit int) []messages.DisbursementID {
	return g.failing.page(after, limit)
}

// FailingIn is Failing within one shard.
func (g *Graph) FailingIn(shard messages.ShardID, after messages.DisbursementID, limit int) []messages.DisbursementID {
	return g.failing.pageIn(shard, after, limit)
}

// FailingCount gives the number of nodes that Failing lists.
func (g *Graph) FailingCount() int { return g.failing.all.count }

// Pending gives the number of direct dependencies of id that are not met. A
// rolled-back dependency is never met. Error: ErrUnknown.
func (g *Graph) Pending(id messages.DisbursementID) (int, error) {
	n, err := g.find(id)
	if err != nil {
		return 0, err
	}
	return int(*g.unmet.at(uint32(n))), nil
}

// HasPending reports whether id waits for a dependency. Error: ErrUnknown.
func (g *Graph) HasPending(id messages.DisbursementID) (bool, error) {
	pending, err := g.Pending(id)
	return pending > 0, err
}

// AnyPending reports whether any node is not final yet.
func (g *Graph) AnyPending() bool {
	return g.inState[messages.Finalized]+g.inState[messages.RolledBack] < int(g.born)
}
