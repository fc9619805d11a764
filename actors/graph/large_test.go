package graph_test

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/messages"
)

const million = 1_000_000

// rails reads the ancestry of the commits of Ruby on Rails; see testdata/README.md.
var rails = sync.OnceValues(func() ([][]id, error) {
	file, err := os.Open("testdata/graph_commits_rails.csv.gz")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	plain, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		return nil, err
	}
	rows := csv.NewReader(plain)
	rows.ReuseRecord = true
	if _, err := rows.Read(); err != nil {
		return nil, err
	}
	var deps [][]id
	for {
		row, err := rows.Read()
		if err == io.EOF {
			return deps, nil
		}
		if err != nil {
			return nil, err
		}
		var parents []id
		for _, parent := range strings.Fields(row[1]) {
			p, err := strconv.ParseUint(parent, 10, 32)
			if err != nil {
				return nil, err
			}
			parents = append(parents, id(p)+1)
		}
		deps = append(deps, distinct(parents))
	}
})

// build makes a graph of drafts that pay 1 each.
func build(t testing.TB, deps [][]id) *graph.Graph {
	t.Helper()
	g := graph.New(64)
	for i, of := range deps {
		if err := g.Add(id(i+1), of, messages.Draft, 1); err != nil {
			t.Fatal(err)
		}
	}
	g.Advance(uint64(len(deps)))
	return g
}

func TestRailsHistory(t *testing.T) {
	deps, err := rails()
	if err != nil {
		t.Fatal(err)
	}
	g := build(t, deps)
	v := g.View()
	same(t, "nodes", v.Nodes(), 99_429)
	same(t, "edges", v.Edges(), 125_781)
	same(t, "roots", g.ReadyCount(), 7)
	checkOrder(t, deps, v.Order(graph.All).IDs)

	waves := v.Waves(graph.All)
	widest := 0
	for _, wave := range waves.Waves {
		widest = max(widest, len(wave))
	}
	same(t, "waves", []int{len(waves.Waves), waves.Count}, []int{67_319, 67_319})
	same(t, "widest wave", widest, 17)

	path := v.CriticalPath(graph.All)
	same(t, "longest path", path.Total, 67_319)
	same(t, "its sum", path.Sum, graph.Sum{Amount: 67_319})
	checkChain(t, deps, path.IDs)

	sinks := 0
	for n := range v.Nodes() {
		if direct, _ := v.Dependents(id(n+1), graph.Page{}); direct.Total == 0 {
			sinks++
		}
	}
	same(t, "sinks", sinks, 1)
}

// TestRailsHistoryIsPaidOut finalizes whatever becomes ready until nothing is left.
func TestRailsHistoryIsPaidOut(t *testing.T) {
	deps, err := rails()
	if err != nil {
		t.Fatal(err)
	}
	g := build(t, deps)
	queue := g.Ready(0, len(deps))
	var paid []id
	for ; len(queue) > 0; queue = queue[1:] {
		if _, err := g.SetState(queue[0], messages.Executed); err != nil {
			t.Fatal(err)
		}
		effects, err := g.SetState(queue[0], messages.Finalized)
		if err != nil {
			t.Fatal(err)
		}
		paid = append(paid, queue[0])
		queue = append(queue, effects.Ready...)
	}
	checkOrder(t, deps, paid)
	same(t, "anything pending", g.AnyPending(), false)
	same(t, "ready", g.ReadyCount(), 0)
}

// checkOrder demands every node once, after its dependencies.
func checkOrder(t *testing.T, deps [][]id, order []id) {
	t.Helper()
	same(t, "ids in order", len(order), len(deps))
	seen := make([]bool, len(deps)+1)
	for _, n := range order {
		for _, dep := range deps[n-1] {
			if !seen[dep] {
				t.Fatalf("%d comes before %d, on which it depends", n, dep)
			}
		}
		if seen[n] {
			t.Fatalf("%d comes twice", n)
		}
		seen[n] = true
	}
}

// checkChain demands that each node depends on the one before.
func checkChain(t *testing.T, deps [][]id, chain []id) {
	t.Helper()
	for i := 1; i < len(chain); i++ {
		found := false
		for _, dep := range deps[chain[i]-1] {
			found = found || dep == chain[i-1]
		}
		if !found {
			t.Fatalf("%d does not depend on %d", chain[i], chain[i-1])
		}
	}
}

// chain gives the dependencies of n nodes of which each waits for the one before.
func chain(n int) [][]id {
	deps := make([][]id, n)
	for i := 1; i < n; i++ {
		deps[i] = []id{id(i)}
	}
	return deps
}

// TestChainOfAMillion asks everything of a graph as deep as it is large.
func TestChainOfAMillion(t *testing.T) {
	g := build(t, chain(million))
	v := g.View()
	few := graph.Page{Offset: million / 2, Limit: 2}
	middle := []id{million/2 + 1, million/2 + 2}
	after := []id{million/2 + 2, million/2 + 3}

	same(t, "order", v.Order(few), graph.List{IDs: middle, Total: million})
	same(t, "waves", v.Waves(few), graph.WaveList{
		First: million / 2, Waves: [][]id{middle[:1], middle[1:]}, Total: million, Count: million,
	})
	same(t, "critical path", v.CriticalPath(few), graph.Path{
		List: graph.List{IDs: middle, Total: million}, Sum: graph.Sum{Amount: million},
	})
	reach := graph.List{IDs: after, Total: million - 1}
	dependents, err := v.TransitiveDependents(1, few)
	same(t, "error", err, nil)
	same(t, "transitive dependents", dependents, reach)
	impact, err := v.Impact(1, few)
	same(t, "error", err, nil)
	same(t, "impact", impact, graph.Impact{List: reach, Sum: graph.Sum{Amount: million - 1}})

	ends := []id{million, 1}
	order, err := v.OrderOf(ends, graph.All)
	same(t, "error", err, nil)
	same(t, "order of its ends", order, graph.List{IDs: []id{1, million}, Total: 2})
	waves, err := v.WavesOf(ends, graph.All)
	same(t, "error", err, nil)
	same(t, "waves of its ends", waves, graph.WaveList{Waves: [][]id{{1}, {million}}, Total: 2, Count: 2})
	path, err := v.CriticalPathOf(ends, graph.All)
	same(t, "error", err, nil)
	same(t, "path between its ends", path, graph.Path{
		List: graph.List{IDs: []id{1, million}, Total: 2}, Sum: graph.Sum{Amount: 2},
	})

	for n := id(1); n <= million; n++ {
		effects, err := g.SetState(n, messages.Finalized)
		if err != nil {
			t.Fatal(err)
		}
		if n < million && (len(effects.Ready) != 1 || effects.Ready[0] != n+1) {
			t.Fatalf("after %d ready: %v", n, effects.Ready)
		}
	}
	same(t, "anything pending", g.AnyPending(), false)
}

// TestChainOfAMillionFails lets a failure run down the chain, a step at a time.
func TestChainOfAMillionFails(t *testing.T) {
	g := build(t, chain(million))
	failing, steps := []id{1}, 0
	for ; len(failing) > 0; steps++ {
		if _, err := g.SetState(failing[0], messages.RolledBack); err != nil {
			t.Fatal(err)
		}
		failing = g.Failing(0, 1)
	}
	same(t, "steps", steps, million)
	same(t, "rolled back", g.InState(messages.RolledBack), million)
}
