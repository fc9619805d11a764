package graph_test

import (
	"runtime"
	"testing"

	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/messages"
)

// layers gives n nodes of which each waits for up to three of the last 50.
func layers(n int) [][]id {
	deps := make([][]id, n)
	seed := uint64(1)
	for i := range deps {
		for range min(i, 3) {
			seed = seed*6364136223846793005 + 1442695040888963407
			deps[i] = append(deps[i], id(i)-id(seed>>33)%id(min(i, 50)))
		}
		deps[i] = distinct(deps[i])
	}
	return deps
}

// tree gives a root with ten dependents that have ten each: 110 below the root.
func tree() [][]id {
	deps := [][]id{nil}
	for range 10 {
		deps = append(deps, []id{1})
	}
	for range 10 {
		for above := id(2); above <= 11; above++ {
			deps = append(deps, []id{above})
		}
	}
	return deps
}

func BenchmarkBuild10k(b *testing.B) {
	deps := layers(10_000)
	for b.Loop() {
		build(b, deps)
	}
}

func BenchmarkOrder10k(b *testing.B) {
	v := build(b, layers(10_000)).View()
	for b.Loop() {
		v.Order(graph.All)
	}
}

// BenchmarkOrder10kCitingAhead orders ten plans of 1,000 whose items come before
// those they wait for.
func BenchmarkOrder10kCitingAhead(b *testing.B) {
	g := graph.New(64)
	for n := id(1); n <= 10_000; n++ {
		var deps []id
		if n%graph.PlanItemsMax != 0 {
			deps = []id{n + 1}
		}
		add(b, g, n, deps...)
	}
	v := g.View()
	for b.Loop() {
		v.Order(graph.All)
	}
}

func BenchmarkImpactOf110(b *testing.B) {
	for name, nodes := range map[string]int{"alone": 111, "among 1M": million} {
		b.Run(name, func(b *testing.B) {
			deps := append(tree(), make([][]id, nodes-111)...)
			v := build(b, deps).View()
			b.ReportAllocs()
			for b.Loop() {
				if impact, err := v.Impact(1, graph.All); err != nil || impact.Total != 110 {
					b.Fatal(impact, err)
				}
			}
		})
	}
}

// BenchmarkMix200 asks five questions in turn, each of another node of 200.
func BenchmarkMix200(b *testing.B) {
	g := build(b, layers(200))
	for n := id(1); n <= 100; n++ {
		set(b, g, n, messages.Executed)
		set(b, g, n, messages.Finalized)
	}
	b.ReportAllocs()
	ops := 0
	for n := id(1); b.Loop(); n = n%200 + 1 {
		if _, err := g.View().Dependents(n, graph.All); err != nil {
			b.Fatal(err)
		}
		g.Ready(0, 100)
		if _, err := g.HasPending(n); err != nil {
			b.Fatal(err)
		}
		g.View().Order(graph.All)
		if _, err := g.View().Impact(n, graph.All); err != nil {
			b.Fatal(err)
		}
		ops += 5
	}
	b.ReportMetric(float64(ops)/b.Elapsed().Seconds(), "op/s")
}

// BenchmarkEachOf200 shows the parts of the mix.
func BenchmarkEachOf200(b *testing.B) {
	g := build(b, layers(200))
	for n := id(1); n <= 100; n++ {
		set(b, g, n, messages.Finalized)
	}
	v := g.View()
	for name, ask := range map[string]func(id){
		"dependents":  func(n id) { _, _ = v.Dependents(n, graph.All) },
		"ready":       func(id) { g.Ready(0, 100) },
		"has pending": func(n id) { _, _ = g.HasPending(n) },
		"order":       func(id) { v.Order(graph.All) },
		"impact":      func(n id) { _, _ = v.Impact(n, graph.All) },
	} {
		b.Run(name, func(b *testing.B) {
			for n := id(1); b.Loop(); n = n%200 + 1 {
				ask(n)
			}
		})
	}
}

func BenchmarkChainOfAMillion(b *testing.B) {
	deps := chain(million)
	g := build(b, deps)
	v := g.View()
	for name, ask := range map[string]func(){
		"build":                 func() { build(b, deps) },
		"view":                  func() { g.View() },
		"snapshot":              func() { g.Snapshot() },
		"order":                 func() { v.Order(graph.All) },
		"waves":                 func() { v.Waves(graph.All) },
		"critical path":         func() { v.CriticalPath(graph.All) },
		"impact":                func() { _, _ = v.Impact(1, graph.All) },
		"transitive dependents": func() { _, _ = v.TransitiveDependents(1, graph.All) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				ask()
			}
		})
	}
	b.Run("finalize each", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			g := build(b, deps)
			b.StartTimer()
			for n := id(1); n <= million; n++ {
				set(b, g, n, messages.Finalized)
			}
		}
	})
}

// BenchmarkMemory reports what a node costs, edges apart, and what an edge adds.
func BenchmarkMemory(b *testing.B) {
	none, one := make([][]id, million), chain(million)
	for b.Loop() {
		bare, linked := heapOf(b, none), heapOf(b, one)
		b.ReportMetric(bare/million, "B/node")
		b.ReportMetric((linked-bare)/million, "B/edge")
	}
}

func heapOf(b *testing.B, deps [][]id) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	g := build(b, deps)
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(g)
	return float64(after.HeapAlloc) - float64(before.HeapAlloc)
}

func BenchmarkCycleOfPlan(b *testing.B) {
	waits := make([][]int, graph.PlanItemsMax)
	for i := range waits {
		for j := max(0, i-graph.DependenciesMax); j < i; j++ {
			waits[i] = append(waits[i], j)
		}
	}
	waits[0] = []int{graph.PlanItemsMax - 1}
	for b.Loop() {
		if graph.Cycle(waits) == nil {
			b.Fatal("no cycle")
		}
	}
}
