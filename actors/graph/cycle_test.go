package graph_test

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/graph"
)

func TestCycle(t *testing.T) {
	tests := []struct {
		name   string
		waits  [][]int
		cycle  []int
		groups [][]int
	}{
		{"nothing", nil, nil, nil},
		{"one item alone", [][]int{{}}, nil, nil},
		{"one that waits for itself", [][]int{{}, {1}}, []int{1}, [][]int{{1}}},
		{"a diamond is no cycle", [][]int{{1, 2}, {3}, {3}, {}}, nil, nil},
		{"two that wait for each other", [][]int{{1}, {0}}, []int{0, 1}, [][]int{{0, 1}}},
		{"the way in does not belong to it", [][]int{{1}, {2}, {3}, {1}}, []int{1, 2, 3}, [][]int{{1, 2, 3}}},
		{"the short one of two", [][]int{{1, 3}, {2}, {0}, {0}}, []int{0, 3}, [][]int{{0, 1, 2, 3}}},
		{"the short one inside a long one", [][]int{{1}, {2}, {3, 1}, {0}}, []int{1, 2}, [][]int{{0, 1, 2, 3}}},
		{"the first of two groups", [][]int{{2}, {3}, {0}, {1}}, []int{0, 2}, [][]int{{0, 2}, {1, 3}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			same(t, "cycle", graph.Cycle(tt.waits), tt.cycle)
			same(t, "groups", graph.CycleGroups(tt.waits), tt.groups)
		})
	}
}

// TestCycleIsRealAndMinimal compares with reachability computed the long way.
func TestCycleIsRealAndMinimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		waits := drawWaits(t)
		reaches := closure(waits)
		var want [][]int
		grouped := map[int]bool{}
		for i := range waits {
			if !reaches[i][i] || grouped[i] {
				continue
			}
			var group []int
			for j := range waits {
				if i == j || reaches[i][j] && reaches[j][i] {
					group = append(group, j)
					grouped[j] = true
				}
			}
			want = append(want, group)
		}
		same(t, "groups", graph.CycleGroups(waits), want)
		cycle := graph.Cycle(waits)
		same(t, "found", cycle != nil, want != nil)
		same(t, "found again", graph.Cycle(waits), cycle)
		checkCycle(t, waits, cycle)
	})
}

// checkCycle demands that each item waits for the next, the last for the first,
// and that there are no other ways between them.
func checkCycle(t fataler, waits [][]int, cycle []int) {
	t.Helper()
	if len(distinctInts(cycle)) != len(cycle) {
		t.Fatalf("cycle %v names an item twice", cycle)
	}
	for i, from := range cycle {
		for j, to := range cycle {
			if next := j == (i+1)%len(cycle); slices.Contains(waits[from], to) != next {
				t.Fatalf("cycle %v: %d waits for %d: %v", cycle, from, to, !next)
			}
		}
	}
}

func TestResolvePlan(t *testing.T) {
	tests := []struct {
		name  string
		items []graph.Item
		waits [][]int
		err   error
	}{
		{"an empty plan", nil, nil, nil},
		{
			"items in any order",
			[]graph.Item{{"a", []string{"c", "b", "c"}}, {"b", nil}, {"c", []string{"b"}}},
			[][]int{{1, 2}, nil, {1}}, nil,
		},
		{
			"a ref that is not there",
			[]graph.Item{{"a", nil}, {"b", []string{"a", "x"}}},
			nil, &graph.RefError{Item: 1, Ref: "x", Err: graph.ErrRefUnknown},
		},
		{
			"a ref that is there twice",
			[]graph.Item{{"a", []string{"x"}}, {"b", nil}, {"a", nil}},
			nil, &graph.RefError{Item: 2, Ref: "a", Err: graph.ErrRefDuplicate},
		},
		{
			"a cycle",
			[]graph.Item{{"z", []string{"a"}}, {"a", []string{"b"}}, {"b", []string{"a"}}},
			nil, &graph.CycleError{Refs: []string{"a", "b"}},
		},
		{
			"itself",
			[]graph.Item{{"a", []string{"a"}}},
			nil, &graph.CycleError{Refs: []string{"a"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			waits, err := graph.ResolvePlan(tt.items)
			same(t, "waits", waits, tt.waits)
			same(t, "text", text(err), text(tt.err))
			var ref, wantRef *graph.RefError
			if errors.As(err, &ref); errors.As(tt.err, &wantRef) {
				same(t, "sentinel", errors.Is(err, wantRef.Err), true)
				same(t, "ref", *ref, *wantRef)
			}
			var cycle, wantCycle *graph.CycleError
			if errors.As(err, &cycle); errors.As(tt.err, &wantCycle) {
				same(t, "refs", cycle.Refs, wantCycle.Refs)
			}
		})
	}
}

// TestCycleOfAMillion closes a chain that no recursion would survive.
func TestCycleOfAMillion(t *testing.T) {
	waits := make([][]int, million)
	for i := range waits {
		waits[i] = []int{(i + 1) % million}
	}
	same(t, "items", len(graph.Cycle(waits)), million)
	waits[million-1] = nil
	same(t, "items", len(graph.Cycle(waits)), 0)
}

func drawWaits(t *rapid.T) [][]int {
	items := rapid.IntRange(1, 12).Draw(t, "items")
	waits := make([][]int, items)
	for i := range waits {
		waits[i] = distinctInts(rapid.SliceOfN(rapid.IntRange(0, items-1), 0, 3).Draw(t, "waits"))
	}
	return waits
}

// closure tells whether one item waits for another in any number of steps.
func closure(waits [][]int) [][]bool {
	reaches := make([][]bool, len(waits))
	for i := range waits {
		reaches[i] = make([]bool, len(waits))
		for _, to := range waits[i] {
			reaches[i][to] = true
		}
	}
	for k := range waits {
		for i := range waits {
			for j := range waits {
				reaches[i][j] = reaches[i][j] || reaches[i][k] && reaches[k][j]
			}
		}
	}
	return reaches
}

func distinctInts(list []int) []int {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
