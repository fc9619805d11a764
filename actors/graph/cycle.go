package graph

import "slices"

// Cycle finds a cycle in waits, where waits[i] lists the items that item i waits
// for, all of them numbers below len(waits). It answers with the items in order,
// each waiting for the next and the last for the first, or nil where there is no
// cycle. The cycle is minimal: no item can be left out of it, and no two of its
// items wait for one another except as neighbours. The same input always gets the
// same answer. Time is linear in items and edges.
func Cycle(waits [][]int) []int {
	groups := CycleGroups(waits)
	if len(groups) == 0 {
		return nil
	}
	return tighten(waits, shortest(waits, groups[0]))
}

// CycleGroups lists the groups of items that lie on cycles together: the strongly
// connected components of more than one item, and single items that wait for
// themselves. Groups are ascending and stand in the order of their first items.
// It is Tarjan's algorithm with its own stack in place of recursion.
func CycleGroups(waits [][]int) [][]int {
	t := tarjan{
		waits: waits,
		found: make([]int, len(waits)),
		low:   make([]int, len(waits)),
		next:  make([]int, len(waits)),
	}
	for i := range waits {
		if t.found[i] == 0 {
			t.visit(i)
		}
	}
	slices.SortFunc(t.groups, func(a, b []int) int { return a[0] - b[0] })
	return t.groups
}

// tarjan is the state of one search.
type tarjan struct {
	waits [][]int
	// found numbers items from 1 in the order they are met; 0 is not met yet.
	found []int
	count int
	// low is the lowest number an item is known to reach among open items; done
	// where its group is complete.
	low []int
	// next is the place in waits at which an item goes on.
	next []int
	// path leads from the start to the item at hand, open holds the items met whose
	// group is not complete.
	path, open []int
	groups     [][]int
}

const done = 0

// visit searches everything that can be reached from start.
func (t *tarjan) visit(start int) {
	t.enter(start)
	for len(t.path) > 0 {
		i := t.path[len(t.path)-1]
		if t.next[i] == len(t.waits[i]) {
			t.leave(i)
			continue
		}
		to := t.waits[i][t.next[i]]
		t.next[i]++
		switch {
		case t.found[to] == 0:
			t.enter(to)
		case t.low[to] != done:
			t.low[i] = min(t.low[i], t.found[to])
		}
	}
}

func (t *tarjan) enter(i int) {
	t.count++
	t.found[i], t.low[i] = t.count, t.count
	t.path, t.open = append(t.path, i), append(t.open, i)
}

// leave goes back from i to the item before it; if i is the first of its group,
// the group is complete.
func (t *tarjan) leave(i int) {
	t.path = t.path[:len(t.path)-1]
	if len(t.path) > 0 {
		before := t.path[len(t.path)-1]
		t.low[before] = min(t.low[before], t.low[i])
	}
	if t.low[i] != t.found[i] {
		return
	}
	from := len(t.open) - 1
	for t.open[from] != i {
		from--
	}
	group := slices.Clone(t.open[from:])
	t.open = t.open[:from]
	for _, member := range group {
		t.low[member] = done
	}
	if len(group) > 1 || slices.Contains(t.waits[i], i) {
		slices.Sort(group)
		t.groups = append(t.groups, group)
	}
}

// nowhere marks an item that has no place in a search.
const nowhere = -1

// shortest finds the shortest cycle through the first item of a group, breadth
// first.
func shortest(waits [][]int, group []int) []int {
	start := group[0]
	before := slices.Repeat([]int{nowhere}, len(waits))
	for queue := []int{start}; ; queue = queue[1:] {
		for _, to := range waits[queue[0]] {
			if to == start {
				return trace(before, start, queue[0])
			}
			if _, in := slices.BinarySearch(group, to); in && before[to] == nowhere {
				before[to] = queue[0]
				queue = append(queue, to)
			}
		}
	}
}

// trace follows before from end back to start and gives the way in order.
func trace(before []int, start, end int) []int {
	way := []int{end}
	for end != start {
		end = before[end]
		way = append(way, end)
	}
	slices.Reverse(way)
	return way
}

// tighten cuts a cycle, the shortest through its first item, down to the shortest
// one among its items. An edge that skips ahead would have made it shorter, so
// only edges that lead back are left to try.
func tighten(waits [][]int, cycle []int) []int {
	place := slices.Repeat([]int{nowhere}, len(waits))
	for p, item := range cycle {
		place[item] = p
	}
	best := cycle
	for p, item := range cycle {
		for _, to := range waits[item] {
			if q := place[to]; q != nowhere && q <= p && p-q+1 < len(best) {
				best = cycle[q : p+1]
			}
		}
	}
	return best
}
