package graph

import (
	"cmp"
	"slices"

	"github.com/the-block/bursar/messages"
)

// Path is one page of a chain of nodes in which each depends on the one before,
// directly or through ids that were not given, and the sum of the whole chain.
type Path struct {
	List
	Sum
}

// CriticalPath gives the chain with the largest summed amount. Among equal ones the
// one with the most ids counts; among those, it is found from its end: the lowest
// id that can end it, then the lowest dependency that can come before, and so on.
func (v View) CriticalPath(page Page) Path { return v.criticalPath(v.whole(), page) }

// CriticalPathOf is CriticalPath among the given ids; others may link them but
// count nothing. Error: ErrUnknown.
func (v View) CriticalPathOf(given []messages.DisbursementID, page Page) (Path, error) {
	in, err := v.scope(given)
	if err != nil {
		return Path{}, err
	}
	return v.criticalPath(in, page), nil
}

// step is the best chain that ends at a node: its sum, how many chosen nodes it
// holds, and the node before.
type step struct {
	sum    wide
	count  uint32
	before ordinal
}

// compare is positive where s is the better chain to have.
func (s step) compare(other step) int {
	return cmp.Or(s.sum.compare(other.sum), cmp.Compare(s.count, other.count))
}

func (v View) criticalPath(in scope, page Page) Path {
	steps := make([]step, in.last-in.first+1)
	var end ordinal
	var most step
	for n := range v.inOrder(in.first, in.last) {
		own := v.bestBefore(n, in, steps)
		if in.has(n) {
			own.sum = own.sum.plus(v.tables.nodes.at(uint32(n)).amount)
			own.count++
			if c := own.compare(most); c > 0 || c == 0 && n < end {
				end, most = n, own
			}
		}
		steps[n-in.first] = own
	}
	chain := make([]ordinal, 0, most.count)
	for n := end; n != 0; n = steps[n-in.first].before {
		if in.has(n) {
			chain = append(chain, n)
		}
	}
	slices.Reverse(chain)
	return Path{List: page.list(chain), Sum: most.sum.sum()}
}

// bestBefore gives the best chain that ends at a dependency of n, with that
// dependency as the node before; a chain of nothing where n has none in the range.
func (v View) bestBefore(n ordinal, in scope, steps []step) step {
	var best step
	first, last := v.tables.span(n)
	for e := first; e < last; e++ {
		dep := v.tables.links.at(e).to
		if dep < in.first {
			continue
		}
		if to := steps[dep-in.first]; best.before == 0 || to.compare(best) > 0 {
			best = step{sum: to.sum, count: to.count, before: dep}
		}
	}
	return best
}
