package graph

import (
	"fmt"
	"math"

	"github.com/the-block/bursar/messages"
)

// DependenciesMax is the largest number of dependencies of one node.
const DependenciesMax = 100

// PlanItemsMax is the largest number of nodes born in one plan, and so the
// farthest that a node may cite ahead of itself.
const PlanItemsMax = 1000

// Staged is the state of a record whose intent is persisted and whose outcome is
// not known yet. Callers are shown the state before it.
const Staged = messages.RolledBack + 1

// idMax is the highest id the tables can hold, with room for those it cites ahead.
const idMax = math.MaxUint32 - PlanItemsMax

// stateCount is the number of values a node's state byte can take, 0 included.
const stateCount = int(Staged) + 1

// Graph is the dependency graph at one applied index. It is not safe for
// concurrent use; a View or Snapshot of it is.
type Graph struct {
	tables
	index uint64
	// born is the highest id; edges counts the edges, and so is the number of the
	// last.
	born  ordinal
	edges uint32

	// whole is the highest id up to which nobody cites an id beyond it. It lags
	// behind born while a plan that cites ahead is being added.
	whole ordinal
	// reach is the highest id cited so far.
	reach ordinal
	plans []plan

	states table[messages.State]
	// unmet counts a node's dependencies that are not finalized.
	unmet    table[uint8]
	inState  [stateCount]int
	ready    shardSet
	failing  shardSet
	affected []ordinal // scratch of settle
}

// New makes an empty graph whose ids are spread over the given number of shards
// (at least 1): id belongs to shard id mod shards.
func New(shards int) *Graph {
	if shards < 1 || shards > math.MaxUint16 {
		panic(fmt.Sprintf("graph: %d shards", shards))
	}
	g := &Graph{ready: newShardSet(shards), failing: newShardSet(shards)}
	g.room(1)
	g.nodes.at(1).edges = 1
	return g
}

// room makes the tables hold nodes up to last.
func (g *Graph) room(last ordinal) {
	g.nodes.grow(uint32(last))
	g.states.grow(uint32(last))
	g.unmet.grow(uint32(last))
}

// Add gives birth to the node id, the one after the last, in the given state.
// Its dependencies are strictly ascending; those above id are siblings of its
// plan that are added next, before anything else is. Amount is what the
// disbursement pays.
//
// Errors: ErrGap, ErrDependency, ErrState, ErrFull change nothing. ErrCyclic is
// returned by the last node of a plan that holds a cycle.
func (g *Graph) Add(
	id messages.DisbursementID, deps []messages.DisbursementID, state messages.State, amount messages.Amount,
) error {
	if err := g.checkBirth(id, deps, state); err != nil {
		return err
	}
	n := ordinal(id)
	g.born = n
	farthest := n
	if len(deps) > 0 {
		farthest = max(n, ordinal(deps[len(deps)-1]))
	}
	g.room(max(farthest, n+1))
	g.links.grow(g.edges + uint32(len(deps)))
	g.nodes.at(uint32(n)).amount = uint64(amount)
	for _, dep := range deps {
		g.link(n, ordinal(dep))
	}
	g.nodes.at(uint32(n) + 1).edges = g.edges + 1
	g.settle(n, 0, state)
	return g.closePlan(n, farthest)
}

// checkBirth reports what forbids the birth of id.
func (g *Graph) checkBirth(id messages.DisbursementID, deps []messages.DisbursementID, state messages.State) error {
	switch {
	case uint64(id) != uint64(g.born)+1:
		return fmt.Errorf("add %d after %d: %w", id, g.born, ErrGap)
	case id > idMax || uint64(g.edges)+uint64(len(deps)) >= math.MaxUint32:
		return fmt.Errorf("add %d: %w", id, ErrFull)
	case !known(state):
		return fmt.Errorf("add %d as %v: %w", id, state, ErrState)
	case len(deps) > DependenciesMax:
		return fmt.Errorf("add %d with %d dependencies: %w", id, len(deps), ErrDependency)
	}
	before := messages.DisbursementID(0)
	for _, dep := range deps {
		if dep <= before || dep == id || dep >= id+PlanItemsMax {
			return fmt.Errorf("add %d that depends on %d: %w", id, dep, ErrDependency)
		}
		before = dep
	}
	return nil
}

// link adds the edge from n to dep.
func (g *Graph) link(n, dep ordinal) {
	g.edges++
	to := g.nodes.at(uint32(dep))
	*g.links.at(g.edges) = edge{from: n, to: dep, older: to.newest.Load()}
	to.newest.Store(g.edges)
	state := *g.states.at(uint32(dep))
	if state != messages.Finalized {
		*g.unmet.at(uint32(n))++
	}
	if state == messages.RolledBack {
		g.failing.add(n) // a node born final leaves the set at once, in settle
	}
}

// Advance names the index of the log that the graph now stands for. It is called
// once all changes of that index have been made.
func (g *Graph) Advance(index uint64) { g.index = index }

// Index gives the index last given to Advance.
func (g *Graph) Index() uint64 { return g.index }

// Nodes gives the number of nodes, which is also the highest id.
func (g *Graph) Nodes() int { return int(g.born) }

// Edges gives the number of edges.
func (g *Graph) Edges() int { return int(g.edges) }

// InState gives the number of nodes in state s.
func (g *Graph) InState(s messages.State) int {
	if !known(s) {
		return 0
	}
	return g.inState[s]
}

// State gives the state of id. Error: ErrUnknown.
func (g *Graph) State(id messages.DisbursementID) (messages.State, error) {
	n, err := g.find(id)
	if err != nil {
		return 0, err
	}
	return *g.states.at(uint32(n)), nil
}

// Shard gives the shard that id belongs to.
func (g *Graph) Shard(id messages.DisbursementID) messages.ShardID {
	return messages.ShardID(uint64(id) % uint64(len(g.ready.shards)))
}

// find turns an id into its ordinal. Error: ErrUnknown.
func (g *Graph) find(id messages.DisbursementID) (ordinal, error) {
	return findUpTo(id, g.born)
}

func findUpTo(id messages.DisbursementID, highest ordinal) (ordinal, error) {
	if id == 0 || uint64(id) > uint64(highest) {
		return 0, fmt.Errorf("%w %d", ErrUnknown, id)
	}
	return ordinal(id), nil
}

// known reports whether s is a state a node can be in.
func known(s messages.State) bool { return s >= messages.Draft && s <= Staged }
