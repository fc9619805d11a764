package graph

import (
	"slices"

	"github.com/the-block/bursar/messages"
)

// Dependents lists the nodes that depend on id, without id itself, ascending.
// Error: ErrUnknown.
func (v View) Dependents(id messages.DisbursementID, page Page) (List, error) {
	n, err := findUpTo(id, v.last)
	if err != nil {
		return List{}, err
	}
	var room [256]ordinal
	found := room[:0]
	for e := v.tables.nodes.at(uint32(n)).newest.Load(); e != 0; {
		link := v.tables.links.at(e)
		if link.from <= v.last {
			found = append(found, link.from)
		}
		e = link.older
	}
	slices.Sort(found)
	return page.list(found), nil
}

// TransitiveDependents lists the nodes that depend on id directly or through
// others, without id itself: nearest first, then by id. Error: ErrUnknown.
func (v View) TransitiveDependents(id messages.DisbursementID, page Page) (List, error) {
	n, err := findUpTo(id, v.last)
	if err != nil {
		return List{}, err
	}
	var room [256]ordinal
	return page.list(v.reach(n, room[:0])), nil
}

// Impact is what the failure of one disbursement would take with it.
type Impact struct {
	// List holds the transitive dependents, nearest first, then by id, whatever
	// state they are in; its Total is their count.
	List
	// Sum is what they all pay, not those of the page alone.
	Sum
}

// Impact gives what a failure of id would take with it, id itself not included.
// Error: ErrUnknown.
func (v View) Impact(id messages.DisbursementID, page Page) (Impact, error) {
	n, err := findUpTo(id, v.last)
	if err != nil {
		return Impact{}, err
	}
	var room [256]ordinal
	found := v.reach(n, room[:0])
	var amount wide
	for _, d := range found {
		amount = amount.plus(v.tables.nodes.at(uint32(d)).amount)
	}
	return Impact{List: page.list(found), Sum: amount.sum()}, nil
}

// reach lists everything that depends on n, breadth first, each breadth
// ascending. It uses the room of found, which is empty.
func (v View) reach(n ordinal, found []ordinal) []ordinal {
	nodes, links := *v.tables.nodes.chunks.Load(), &v.tables.links
	seen := marks{last: v.last}
	seen.add(n)
	found = append(found, n)
	for from := 0; from < len(found); {
		to := len(found)
		for _, next := range found[from:to] {
			for e := nodes[next>>chunkBits][next&chunkMask].newest.Load(); e != 0; {
				link := links.at(e)
				if link.from <= v.last && seen.add(link.from) {
					found = append(found, link.from)
				}
				e = link.older
			}
		}
		slices.Sort(found[to:])
		from = to
	}
	return found[1:]
}
