package graph

import (
	"iter"
	"slices"
	"sort"

	"github.com/the-block/bursar/messages"
)

// plan is a run of ids among which some cite ahead; nobody before it cites into it
// or beyond it. Everywhere else the ids themselves are in topological order, since
// a dependency is born before its dependents.
type plan struct {
	first, last ordinal
	// order holds the run's ids, dependencies first, ties by id.
	order []ordinal
}

// closePlan is told of each birth and of the highest id the node cites, or its own.
// It keeps whole, and records a plan that cites ahead once its last node is born.
func (g *Graph) closePlan(n, farthest ordinal) error {
	g.reach = max(g.reach, farthest)
	if g.reach > n {
		return nil
	}
	first := g.whole + 1
	if first < n {
		order := g.sortRun(first, n, func(ordinal) bool { return true })
		if len(order) < int(n-first)+1 {
			return ErrCyclic
		}
		g.plans = append(g.plans, plan{first: first, last: n, order: order})
	}
	g.whole = n
	return nil
}

// sortRun puts the wanted nodes of first..last in order: dependencies first, also
// when they reach one another only through unwanted ones; ties by id. The nodes
// cite nobody beyond last. Those on a cycle are left out.
func (t *tables) sortRun(first, last ordinal, wanted func(ordinal) bool) []ordinal {
	size := uint32(last-first) + 1
	missing := make([]uint8, size)
	var free idset // unwanted nodes below size, wanted ones from size on: the former go first
	release := func(n ordinal) {
		if wanted(n) {
			free.add(uint32(n-first) + size)
		} else {
			free.add(uint32(n - first))
		}
	}
	for n := first; n <= last; n++ {
		t.dependencies(n, func(dep ordinal) {
			if dep >= first {
				missing[n-first]++
			}
		})
		if missing[n-first] == 0 {
			release(n)
		}
	}
	var order []ordinal
	for place, ok := free.next(0); ok; place, ok = free.next(0) {
		free.remove(place)
		n := first + ordinal(place%size)
		if place >= size {
			order = append(order, n)
		}
		t.dependents(n, last, func(d ordinal) {
			if d < first {
				return
			}
			if missing[d-first]--; missing[d-first] == 0 {
				release(d)
			}
		})
	}
	return order
}

// planAt gives the place in v.plans of the first plan that ends at n or later, and
// whether n lies in it.
func (v View) planAt(n ordinal) (int, bool) {
	i := sort.Search(len(v.plans), func(i int) bool { return v.plans[i].last >= n })
	return i, i < len(v.plans) && v.plans[i].first <= n
}

// widen stretches the range so that it cuts no plan.
func (v View) widen(first, last ordinal) (ordinal, ordinal) {
	if i, in := v.planAt(first); in {
		first = v.plans[i].first
	}
	if i, in := v.planAt(last); in {
		last = v.plans[i].last
	}
	return first, last
}

// inOrder walks first..last, a range that cuts no plan, dependencies first, ties
// by id.
func (v View) inOrder(first, last ordinal) iter.Seq[ordinal] {
	return func(yield func(ordinal) bool) {
		at, _ := v.planAt(first)
		for n := first; n <= last; {
			end := last + 1
			if at < len(v.plans) {
				end = min(end, v.plans[at].first)
			}
			for ; n < end; n++ {
				if !yield(n) {
					return
				}
			}
			if n > last {
				return
			}
			for _, member := range v.plans[at].order {
				if !yield(member) {
					return
				}
			}
			n = v.plans[at].last + 1
			at++
		}
	}
}

// Order lists all nodes so that each comes after its dependencies; where that
// leaves a choice, the lowest id comes first.
func (v View) Order(page Page) List {
	from, to := page.bounds(int(v.last))
	list := List{IDs: make([]messages.DisbursementID, 0, to-from), Total: int(v.last)}
	if from == to {
		return list
	}
	// A plan fills the places that bear its numbers, so the page is a range of ids.
	first, last := v.widen(ordinal(from)+1, ordinal(to))
	place := int(first) - 1
	for n := range v.inOrder(first, last) {
		if place >= from && place < to {
			list.IDs = append(list.IDs, messages.DisbursementID(n))
		}
		place++
	}
	return list
}

// OrderOf is Order among the given ids: one comes after another on which it
// depends, even if only through ids that are not given. Repeated ids count once.
// Error: ErrUnknown.
func (v View) OrderOf(given []messages.DisbursementID, page Page) (List, error) {
	set, err := v.selection(given)
	if err != nil {
		return List{}, err
	}
	order := make([]ordinal, 0, len(set))
	for len(set) > 0 {
		i, in := v.planAt(set[0])
		if !in {
			order, set = append(order, set[0]), set[1:]
			continue
		}
		p := v.plans[i]
		count, _ := slices.BinarySearch(set, p.last+1)
		members := set[:count]
		order = append(order, v.tables.sortRun(p.first, p.last, members.has)...)
		set = set[count:]
	}
	return page.list(order), nil
}
