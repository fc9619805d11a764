package graph_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/messages"
)

const shards = 4

// TestGraphAgreesWithItsTwin grows a graph by single births and plans, moves
// states about, and asks everything.
func TestGraphAgreesWithItsTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, w := graph.New(shards), newTwin()
		var earlier []graph.View
		var earlierOrder [][]id
		t.Repeat(map[string]func(*rapid.T){
			"birth": func(t *rapid.T) { addPlan(t, g, w, 1) },
			"plan":  func(t *rapid.T) { addPlan(t, g, w, rapid.IntRange(2, 6).Draw(t, "items")) },
			"state": func(t *rapid.T) { moveState(t, g, w) },
			"view": func(*rapid.T) {
				v := g.View()
				earlier = append(earlier, v)
				earlierOrder = append(earlierOrder, v.Order(graph.All).IDs)
			},
			"": func(t *rapid.T) {
				checkStates(t, g, w)
				for i, v := range earlier {
					same(t, "order of an earlier view", v.Order(graph.All).IDs, earlierOrder[i])
					same(t, "the view taken again", g.ViewAt(v.Mark()).Order(graph.All).IDs, earlierOrder[i])
				}
			},
		})
		if len(w.deps) > 0 {
			checkView(t, g.View(), w)
		}
	})
}

// addPlan adds items that cite one another and older ones without a cycle.
func addPlan(t *rapid.T, g *graph.Graph, w *twin, items int) {
	base := id(g.Nodes())
	rank := rapid.Permutation(seq(items)).Draw(t, "rank")
	for i := range items {
		var can []id
		for n := id(1); n <= base; n++ {
			can = append(can, n)
		}
		for j := range items {
			if rank[j] < rank[i] {
				can = append(can, base+1+id(j))
			}
		}
		var deps []id
		if len(can) > 0 {
			deps = distinct(rapid.SliceOfN(rapid.SampledFrom(can), 0, 4).Draw(t, "deps"))
		}
		s := rapid.SampledFrom(append(messages.States(), graph.Staged, messages.Draft, messages.Draft)).Draw(t, "state")
		amount := messages.Amount(rapid.OneOf(rapid.Uint64Range(0, 5), rapid.Uint64Range(0, uint64(messages.AmountMax))).
			Draw(t, "amount"))
		if err := g.Add(base+1+id(i), deps, s, amount); err != nil {
			t.Fatal(err)
		}
		w.add(base+1+id(i), deps, s, amount)
	}
	g.Advance(g.Index() + 1)
}

func moveState(t *rapid.T, g *graph.Graph, w *twin) {
	if g.Nodes() == 0 {
		t.Skip("nothing to move")
	}
	n := rapid.SampledFrom(w.ids()).Draw(t, "id")
	to := rapid.SampledFrom([]state{
		messages.Voting, messages.Executed, messages.Finalized, messages.Finalized, messages.RolledBack, graph.Staged,
	}).Draw(t, "to")
	ready, failing := w.where(w.ready), w.where(w.failing)
	effects, err := g.SetState(n, to)
	if w.state[n].Final() && w.state[n] != to {
		same(t, "leaving a final state", err, graph.ErrFinal)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	w.state[n] = to
	others := func(before []id) func(id) bool {
		return func(d id) bool { return d == n || slices.Contains(before, d) }
	}
	same(t, "newly ready", effects.Ready, slices.DeleteFunc(w.where(w.ready), others(ready)))
	same(t, "newly failing", effects.Failing, slices.DeleteFunc(w.where(w.failing), others(failing)))
}

// checkStates compares everything that rests on states.
func checkStates(t *rapid.T, g *graph.Graph, w *twin) {
	same(t, "nodes", g.Nodes(), len(w.deps))
	same(t, "edges", g.Edges(), w.edges())
	same(t, "ready", g.Ready(0, 1000), w.where(w.ready))
	same(t, "ready count", g.ReadyCount(), len(w.where(w.ready)))
	same(t, "failing", g.Failing(0, 1000), w.where(w.failing))
	same(t, "failing count", g.FailingCount(), len(w.where(w.failing)))
	for shard := range messages.ShardID(shards + 1) {
		after := id(rapid.IntRange(0, len(w.deps)+1).Draw(t, "after"))
		limit := rapid.IntRange(0, 3).Draw(t, "limit")
		mine := func(is func(id) bool) []id {
			list := w.where(func(n id) bool { return n > after && id(shard) == n%shards && is(n) })
			return list[:min(limit, len(list))]
		}
		same(t, "ready in shard", g.ReadyIn(shard, after, limit), mine(w.ready))
		same(t, "failing in shard", g.FailingIn(shard, after, limit), mine(w.failing))
	}
	snapshot := g.Snapshot()
	open := 0
	inState := map[state]int{}
	for _, n := range w.ids() {
		pending, err := g.Pending(n)
		same(t, "error", err, nil)
		same(t, "pending", pending, w.pending(n))
		has, _ := g.HasPending(n)
		same(t, "has pending", has, w.pending(n) > 0)
		same(t, "is ready", g.IsReady(n), w.ready(n))
		same(t, "shard", g.Shard(n), messages.ShardID(n%shards))
		now, _ := g.State(n)
		kept, _ := snapshot.State(n)
		same(t, "state", []state{now, kept}, []state{w.state[n], w.state[n]})
		inState[w.state[n]]++
		if !w.state[n].Final() {
			open++
		}
	}
	same(t, "any pending", g.AnyPending(), open > 0)
	for s := messages.Draft; s <= graph.Staged; s++ {
		same(t, "in state", g.InState(s), inState[s])
	}
}

// checkView compares everything that rests on edges and amounts.
func checkView(t *rapid.T, v graph.View, w *twin) {
	all := w.ids()
	page := graph.Page{
		Offset: rapid.IntRange(-1, len(all)+1).Draw(t, "offset"),
		Limit:  rapid.IntRange(-1, len(all)+1).Draw(t, "limit"),
	}
	same(t, "nodes", v.Nodes(), len(all))
	same(t, "edges", v.Edges(), w.edges())
	for _, n := range all {
		deps, err := v.Dependencies(n)
		same(t, "error", err, nil)
		same(t, "dependencies", deps, w.deps[n])
		amount, _ := v.Amount(n)
		same(t, "amount", amount, w.amount[n])
		direct, _ := v.Dependents(n, page)
		same(t, "dependents", direct, paged(page, w.dependents(n)))
		reach, _ := v.TransitiveDependents(n, page)
		same(t, "transitive dependents", reach, paged(page, w.reach(n)))
		impact, _ := v.Impact(n, page)
		same(t, "impact", impact, graph.Impact{List: paged(page, w.reach(n)), Sum: w.sum(w.reach(n))})
	}
	same(t, "order", v.Order(page), paged(page, w.order(all)))
	sameWaves(t, v.Waves(page), page, w.waves(all))
	path := w.criticalPath(all)
	same(t, "critical path", v.CriticalPath(page), graph.Path{List: paged(page, path), Sum: w.sum(path)})

	given := rapid.SliceOfN(rapid.SampledFrom(all), 1, -1).Draw(t, "given")
	order, err := v.OrderOf(given, page)
	same(t, "error", err, nil)
	same(t, "order of some", order, paged(page, w.order(given)))
	waves, err := v.WavesOf(given, page)
	same(t, "error", err, nil)
	sameWaves(t, waves, page, w.waves(given))
	some, err := v.CriticalPathOf(given, page)
	same(t, "error", err, nil)
	path = w.criticalPath(given)
	same(t, "critical path of some", some, graph.Path{List: paged(page, path), Sum: w.sum(path)})
}

// sameWaves flattens the page with the number of each id's wave.
func sameWaves(t *rapid.T, got graph.WaveList, page graph.Page, want [][]id) {
	type member struct {
		Wave int
		ID   id
	}
	var all, listed []member
	for l, wave := range want {
		for _, n := range wave {
			all = append(all, member{l, n})
		}
	}
	for l, wave := range got.Waves {
		if len(wave) == 0 {
			t.Errorf("wave %d of the page is empty", l)
		}
		for _, n := range wave {
			listed = append(listed, member{got.First + l, n})
		}
	}
	from := min(max(page.Offset, 0), len(all))
	same(t, "waves", listed, all[from:from+min(max(page.Limit, 0), len(all)-from)])
	same(t, "ids and waves", []int{got.Total, got.Count}, []int{len(all), len(want)})
}

func paged(page graph.Page, list []id) graph.List {
	from := min(max(page.Offset, 0), len(list))
	return graph.List{IDs: list[from : from+min(max(page.Limit, 0), len(list)-from)], Total: len(list)}
}

// fataler is what *testing.T and *rapid.T have in common here.
type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

func same(t fataler, what string, got, want any) {
	t.Helper()
	if reflect.DeepEqual(got, want) {
		return // spares most comparisons the cost of a diff
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateErrors()); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func seq(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}
