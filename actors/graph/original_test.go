package graph_test

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/messages"
)

// The tests in this file each hold the opposite of a fault that the system Bursar
// replaces was measured to have.

// There, a topological order listed dependents first and differed from run to run.
func TestOrderListsDependenciesFirstAndAlwaysTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, w := graph.New(shards), newTwin()
		for range rapid.IntRange(1, 8).Draw(t, "plans") {
			addPlan(t, g, w, rapid.IntRange(1, 5).Draw(t, "items"))
		}
		order := g.View().Order(graph.All).IDs
		same(t, "ids in order", len(order), len(w.deps))
		for i, n := range order {
			for _, dep := range w.deps[n] {
				if !slices.Contains(order[:i], dep) {
					t.Fatalf("%d comes before %d, on which it depends", n, dep)
				}
			}
		}
		again := graph.New(shards)
		for _, n := range w.ids() {
			if err := again.Add(n, w.deps[n], messages.Draft, 1); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "order of another run", again.View().Order(graph.All).IDs, order)
	})
}

// There, the reported cycle was wrong for 31 % of cyclic graphs.
func TestReportedCycleIsAlwaysReal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		waits := drawWaits(t)
		ring := rapid.Permutation(seq(len(waits))).Draw(t, "ring")
		ring = ring[:rapid.IntRange(1, len(ring)).Draw(t, "ring size")]
		for i, from := range ring { // never without a cycle
			waits[from] = distinctInts(append(waits[from], ring[(i+1)%len(ring)]))
		}
		items := make([]graph.Item, len(waits))
		ref := func(i int) string { return string(rune('a' + i)) }
		for i, of := range waits {
			items[i].Ref = ref(i)
			for _, to := range of {
				items[i].After = append(items[i].After, ref(to))
			}
		}
		_, err := graph.ResolvePlan(items)
		var cycle *graph.CycleError
		if !errors.As(err, &cycle) {
			t.Fatalf("error = %v, want a cycle", err)
		}
		places := make([]int, len(cycle.Refs))
		for i, name := range cycle.Refs {
			places[i] = int(name[0] - 'a')
		}
		checkCycle(t, waits, places)
	})
}

// There, chains of 12,000 to 48,000 nodes overflowed the stack and ended the
// process. TestChainOfAMillion and TestCycleOfAMillion ask everything of a longer
// one; here is the plan that has the most to recurse on.
func TestLongestPlanThatCitesOnlyAhead(t *testing.T) {
	g := graph.New(shards)
	for n := id(1); n <= graph.PlanItemsMax; n++ {
		deps := []id{n + 1}
		if n == graph.PlanItemsMax {
			deps = nil
		}
		if err := g.Add(n, deps, messages.Draft, 1); err != nil {
			t.Fatal(err)
		}
	}
	order := g.View().Order(graph.All).IDs
	slices.Reverse(order)
	for i, n := range order {
		same(t, "place in reverse", n, id(i+1))
	}
	same(t, "ready", g.Ready(0, 10), []id{graph.PlanItemsMax})
}

// There, status was guessed from words of the memo; real status and explicit
// dependencies were ignored. Here nothing but the state moves readiness.
func TestReadinessFollowsStatesAndNothingElse(t *testing.T) {
	g := graph.New(shards)
	add(t, g, 1)
	add(t, g, 2, 1)
	same(t, "ready", g.Ready(0, 10), []id{1})
	for _, s := range []state{messages.Voting, messages.Queued, messages.Timelocked, graph.Staged} {
		set(t, g, 1, s)
		same(t, "ready while 1 is "+s.String(), g.Ready(0, 10), []id{1})
	}
	set(t, g, 1, messages.Executed)
	same(t, "ready while 1 can still be rolled back", g.Ready(0, 10), []id(nil))
	same(t, "newly ready", set(t, g, 1, messages.Finalized).Ready, []id{2})
	same(t, "ready", g.Ready(0, 10), []id{2})
	set(t, g, 2, messages.Executed)
	same(t, "ready", g.Ready(0, 10), []id(nil))
}

// There, a rolled-back dependency counted as met.
func TestRolledBackDependencyIsNeverMet(t *testing.T) {
	g := graph.New(shards)
	add(t, g, 1)
	add(t, g, 2, 1)
	add(t, g, 3, 2)
	effects := set(t, g, 1, messages.RolledBack)
	same(t, "effects", effects, graph.Effects{Failing: []id{2}})
	same(t, "ready", g.Ready(0, 10), []id(nil))
	same(t, "failing", g.Failing(0, 10), []id{2})
	pending, err := g.HasPending(2)
	same(t, "error", err, nil)
	same(t, "has pending", pending, true)
	same(t, "next step", set(t, g, 2, messages.RolledBack).Failing, []id{3})
}

// There, only the first 500 records by position were looked at, finished ones
// included. Here the finished are in nobody's way.
func TestFinishedNodesDoNotHideReadyOnes(t *testing.T) {
	g := graph.New(shards)
	const finished = 5000
	for n := id(1); n <= finished; n++ {
		add(t, g, n)
		set(t, g, n, messages.Finalized)
	}
	add(t, g, finished+1, finished)
	same(t, "ready", g.Ready(0, 1), []id{finished + 1})
	same(t, "ready in its shard", g.ReadyIn(g.Shard(finished+1), 0, 1), []id{finished + 1})
}

// add gives birth to a draft that pays 1.
func add(t testing.TB, g *graph.Graph, n id, deps ...id) {
	t.Helper()
	if err := g.Add(n, deps, messages.Draft, 1); err != nil {
		t.Fatal(err)
	}
}

func set(t testing.TB, g *graph.Graph, n id, to state) graph.Effects {
	t.Helper()
	effects, err := g.SetState(n, to)
	if err != nil {
		t.Fatal(err)
	}
	return effects
}
