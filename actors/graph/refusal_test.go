package graph_test

import (
	"math"
	"testing"

	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/messages"
)

func TestAddRefuses(t *testing.T) {
	tests := []struct {
		name  string
		id    id
		deps  []id
		state state
		err   error
	}{
		{"the id before", 2, nil, messages.Draft, graph.ErrGap},
		{"an id too far", 4, nil, messages.Draft, graph.ErrGap},
		{"no id", 0, nil, messages.Draft, graph.ErrGap},
		{"the largest id", math.MaxUint64, nil, messages.Draft, graph.ErrGap},
		{"no state", 3, nil, 0, graph.ErrState},
		{"a state beyond the last", 3, nil, graph.Staged + 1, graph.ErrState},
		{"itself", 3, []id{1, 3}, messages.Draft, graph.ErrDependency},
		{"dependency 0", 3, []id{0, 1}, messages.Draft, graph.ErrDependency},
		{"a repeat", 3, []id{1, 1}, messages.Draft, graph.ErrDependency},
		{"a descent", 3, []id{2, 1}, messages.Draft, graph.ErrDependency},
		{"too far ahead", 3, []id{3 + graph.PlanItemsMax}, messages.Draft, graph.ErrDependency},
		{"far beyond", 3, []id{math.MaxUint64}, messages.Draft, graph.ErrDependency},
		{"too many", 3, ascending(4, 3+graph.DependenciesMax+1), messages.Draft, graph.ErrDependency},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := graph.New(shards)
			add(t, g, 1)
			add(t, g, 2, 1)
			same(t, "error", g.Add(tt.id, tt.deps, tt.state, 1), tt.err)
			same(t, "nodes and edges", []int{g.Nodes(), g.Edges()}, []int{2, 1})
			add(t, g, 3, 2)
			same(t, "edges", g.View().Edges(), 2)
		})
	}
}

func TestMostDependencies(t *testing.T) {
	g := graph.New(shards)
	for n := id(1); n <= graph.DependenciesMax; n++ {
		add(t, g, n)
	}
	add(t, g, graph.DependenciesMax+1, ascending(1, graph.DependenciesMax)...)
	for n := id(1); n <= graph.DependenciesMax; n++ {
		same(t, "ready", g.IsReady(graph.DependenciesMax+1), false)
		set(t, g, n, messages.Finalized)
	}
	same(t, "ready", g.IsReady(graph.DependenciesMax+1), true)
}

func TestSetStateRefuses(t *testing.T) {
	g := graph.New(shards)
	add(t, g, 1)
	add(t, g, 2, 1)
	set(t, g, 1, messages.Finalized)
	for _, tt := range []struct {
		name string
		id   id
		to   state
		err  error
	}{
		{"an unknown id", 3, messages.Voting, graph.ErrUnknown},
		{"no id", 0, messages.Voting, graph.ErrUnknown},
		{"no state", 2, 0, graph.ErrState},
		{"a state beyond the last", 2, graph.Staged + 1, graph.ErrState},
		{"to leave a final state", 1, messages.RolledBack, graph.ErrFinal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			effects, err := g.SetState(tt.id, tt.to)
			same(t, "error", err, tt.err)
			same(t, "effects", effects, graph.Effects{})
		})
	}
	same(t, "staying in a final state", set(t, g, 1, messages.Finalized), graph.Effects{})
	same(t, "ready", g.Ready(0, 10), []id{2})
}

func TestUnknownIDs(t *testing.T) {
	g := graph.New(shards)
	add(t, g, 1)
	v, snapshot := g.View(), g.Snapshot()
	add(t, g, 2)
	for _, n := range []id{0, 2, math.MaxUint64} {
		answers := map[string]func() error{
			"amount":                func() error { _, err := v.Amount(n); return err },
			"dependencies":          func() error { _, err := v.Dependencies(n); return err },
			"dependents":            func() error { _, err := v.Dependents(n, graph.All); return err },
			"transitive dependents": func() error { _, err := v.TransitiveDependents(n, graph.All); return err },
			"impact":                func() error { _, err := v.Impact(n, graph.All); return err },
			"order":                 func() error { _, err := v.OrderOf([]id{1, n}, graph.All); return err },
			"waves":                 func() error { _, err := v.WavesOf([]id{1, n}, graph.All); return err },
			"critical path":         func() error { _, err := v.CriticalPathOf([]id{1, n}, graph.All); return err },
			"state":                 func() error { _, err := snapshot.State(n); return err },
		}
		for what, ask := range answers {
			same(t, what, ask(), graph.ErrUnknown)
		}
	}
	_, err := g.Pending(3)
	same(t, "pending", err, graph.ErrUnknown)
	_, err = g.State(3)
	same(t, "state", err, graph.ErrUnknown)
	same(t, "is ready", g.IsReady(3), false)
}

func TestEmptyGraph(t *testing.T) {
	g := graph.New(shards)
	v := g.View()
	same(t, "nodes and edges", []int{v.Nodes(), v.Edges()}, []int{0, 0})
	same(t, "order", v.Order(graph.All), graph.List{})
	same(t, "waves", v.Waves(graph.All), graph.WaveList{})
	same(t, "critical path", v.CriticalPath(graph.All), graph.Path{})
	some, err := v.OrderOf(nil, graph.All)
	same(t, "error", err, nil)
	same(t, "order of none", some, graph.List{})
	same(t, "ready", g.Ready(0, 10), []id(nil))
	same(t, "ready beyond all", g.Ready(math.MaxUint64, 10), []id(nil))
	same(t, "ready beyond all in a shard", g.ReadyIn(0, math.MaxUint64, 10), []id(nil))
	same(t, "any pending", g.AnyPending(), false)
}

// TestPlanShowsWholeOrNotAtAll takes views while a plan that cites ahead is added.
func TestPlanShowsWholeOrNotAtAll(t *testing.T) {
	g := graph.New(shards)
	add(t, g, 1)
	add(t, g, 2, 1, 4)
	same(t, "nodes within the plan", g.View().Nodes(), 1)
	add(t, g, 3, 1)
	same(t, "nodes within the plan", g.View().Nodes(), 1)
	inside, err := g.View().Dependents(1, graph.All)
	same(t, "error", err, nil)
	same(t, "dependents within the plan", inside, graph.List{})
	add(t, g, 4, 3)
	same(t, "nodes after the plan", g.View().Nodes(), 4)
	same(t, "order", g.View().Order(graph.All).IDs, []id{1, 3, 4, 2})
	same(t, "a mark inside the plan", g.ViewAt(graph.Mark{Nodes: 3}).Nodes(), 1)
	same(t, "a mark ahead of the graph", g.ViewAt(graph.Mark{Nodes: 5}).Nodes(), 4)
	same(t, "a mark of a later index", g.ViewAt(graph.Mark{Index: 9, Nodes: 1}).Nodes(), 4)
}

func TestPlanWithCycleIsFoundAtItsEnd(t *testing.T) {
	g := graph.New(shards)
	add(t, g, 1, 2)
	same(t, "error", g.Add(2, []id{1}, messages.Draft, 1), graph.ErrCyclic)
	same(t, "nodes that show", g.View().Nodes(), 0)
}

func TestViewNamesItsIndex(t *testing.T) {
	g := graph.New(shards)
	add(t, g, 1)
	g.Advance(7)
	v, snapshot := g.View(), g.Snapshot()
	add(t, g, 2)
	set(t, g, 1, messages.Finalized)
	g.Advance(9)
	same(t, "index", []uint64{v.Index(), snapshot.Index(), g.Index()}, []uint64{7, 7, 9})
	same(t, "mark", v.Mark(), graph.Mark{Index: 7, Nodes: 1})
	kept, err := snapshot.State(1)
	same(t, "error", err, nil)
	same(t, "state then", kept, messages.Draft)
}

func ascending(from, to id) []id {
	var list []id
	for n := from; n <= to; n++ {
		list = append(list, n)
	}
	return list
}
