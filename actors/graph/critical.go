package graph

import (
	"slices"

	"github.com/the-block/bursar/messages"
)

// Path is one page of a chain of nodes in which each depends on the one before,
// directly or through ids that were not given, and the sum of the whole chain.
type Path struct {
	List
	Sum
}

// CriticalPath gives the chain with the largest summed amount. Among equal ones it
// is found from its end: the lowest id that can end it, then the lowest dependency
// that can come before, and so on.
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

// step is the best chain that ends at a node: its sum, and the node before.
type step struct {
	sum    wide
	before ordinal
}

func (v View) criticalPath(in scope, page Page) Path {
	steps := make([]step, in.last-in.first+1)
	var end ordinal
	var most wide
	for n := range v.inOrder(in.first, in.last) {
		best := v.bestBefore(n, in, steps)
		if !in.has(n) {
			steps[n-in.first] = best
			continue
		}
		best.sum = best.sum.plus(v.tables.nodes.at(uint32(n)).amount)
		steps[n-in.first] = best
		if c := best.sum.compare(most); end == 0 || c > 0 || c == 0 && n < end {
			end, most = n, best.sum
		}
	}
	var chain []ordinal
	for n := end; n != 0; n = steps[n-in.first].before {
		if in.has(n) {
			chain = append(chain, n)
		}
	}
	slices.Reverse(chain)
	return Path{List: page.list(chain), Sum: most.sum()}
}

// bestBefore gives the best chain that ends at a dependency of n, and that
// dependency; 0 where n has none in the range.
func (v View) bestBefore(n ordinal, in scope, steps []step) step {
	var best step
	first, last := v.tables.span(n)
	for e := first; e < last; e++ {
		dep := v.tables.links.at(e).to
		if dep < in.first {
			continue
		}
		if sum := steps[dep-in.first].sum; best.before == 0 || sum.compare(best.sum) > 0 {
			best = step{sum: sum, before: dep}
		}
	}
	return best
}
