package graph_test

import (
	"fmt"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/messages"
)

// TestViewsWhileTheWriterGoesOn lets readers walk views without the lock while
// nodes are born and states move, across several chunks of the tables. The race
// detector judges the memory model, the readers judge the answers.
func TestViewsWhileTheWriterGoesOn(t *testing.T) {
	const nodes = 20_000
	var mu sync.RWMutex
	g := graph.New(64)
	taken := func() (graph.View, graph.Snapshot, bool) {
		mu.RLock()
		defer mu.RUnlock()
		return g.View(), g.Snapshot(), g.Nodes() < nodes
	}
	var group errgroup.Group
	for range 2 {
		group.Go(func() error {
			for more := true; more; {
				var v graph.View
				var snapshot graph.Snapshot
				v, snapshot, more = taken()
				if err := walk(v, snapshot); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for n := id(1); n <= nodes; n++ {
		mu.Lock()
		// Every node waits for the hub and for its neighbour; pairs cite ahead.
		switch {
		case n == 1:
			add(t, g, n)
		case n%2 == 0 && n < nodes:
			add(t, g, n, 1, n+1)
		default:
			add(t, g, n, 1)
		}
		if n > 10 {
			set(t, g, n-9, messages.Executed)
		}
		g.Advance(uint64(n))
		mu.Unlock()
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// walk asks a view what every node being a dependent of node 1 makes certain.
func walk(v graph.View, snapshot graph.Snapshot) error {
	if v.Nodes() == 0 {
		return nil
	}
	impact, err := v.Impact(1, graph.Page{})
	if err != nil {
		return err
	}
	direct, err := v.Dependents(1, graph.Page{})
	if err != nil {
		return err
	}
	waves := v.Waves(graph.Page{})
	path := v.CriticalPath(graph.All)
	order := v.Order(graph.All)
	others := v.Nodes() - 1
	for _, got := range []int{impact.Total, int(impact.Amount), direct.Total, order.Total - 1, waves.Total - 1} {
		if got != others {
			return fmt.Errorf("%d dependents of the hub, want %d", got, others)
		}
	}
	if want := min(v.Nodes(), 3); path.Total != want || waves.Count != want {
		return fmt.Errorf("path of %d in %d waves, want %d", path.Total, waves.Count, want)
	}
	if s, err := snapshot.State(1); err != nil || s != messages.Draft {
		return fmt.Errorf("hub is %v: %w", s, err)
	}
	return nil
}
