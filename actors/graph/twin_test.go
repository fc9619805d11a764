package graph_test

import (
	"math/big"
	"slices"

	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/messages"
)

type (
	id    = messages.DisbursementID
	state = messages.State
)

// twin is the graph as its description reads: maps, and every question answered by
// looking at everything.
type twin struct {
	deps   map[id][]id
	state  map[id]state
	amount map[id]messages.Amount
}

func newTwin() *twin {
	return &twin{deps: map[id][]id{}, state: map[id]state{}, amount: map[id]messages.Amount{}}
}

func (t *twin) add(n id, deps []id, s state, amount messages.Amount) {
	t.deps[n], t.state[n], t.amount[n] = deps, s, amount
}

func (t *twin) ids() []id {
	var all []id
	for n := id(1); int(n) <= len(t.deps); n++ {
		all = append(all, n)
	}
	return all
}

func (t *twin) edges() int {
	count := 0
	for _, deps := range t.deps {
		count += len(deps)
	}
	return count
}

func (t *twin) where(is func(id) bool) []id {
	var list []id
	for _, n := range t.ids() {
		if is(n) {
			list = append(list, n)
		}
	}
	return list
}

func (t *twin) pending(n id) int {
	count := 0
	for _, dep := range t.deps[n] {
		if t.state[dep] != messages.Finalized {
			count++
		}
	}
	return count
}

func (t *twin) ready(n id) bool {
	s := t.state[n]
	return t.pending(n) == 0 && s != messages.Executed && s != messages.Finalized && s != messages.RolledBack
}

func (t *twin) failing(n id) bool {
	rolledBack := func(dep id) bool { return t.state[dep] == messages.RolledBack }
	return !t.state[n].Final() && slices.ContainsFunc(t.deps[n], rolledBack)
}

func (t *twin) dependents(n id) []id {
	return t.where(func(d id) bool { return slices.Contains(t.deps[d], n) })
}

// reach lists transitive dependents by distance, then id.
func (t *twin) reach(n id) []id {
	near := map[id]bool{n: true}
	var list []id
	for level := []id{n}; len(level) > 0; {
		next := t.where(func(d id) bool {
			return !near[d] && slices.ContainsFunc(t.deps[d], func(dep id) bool { return slices.Contains(level, dep) })
		})
		for _, d := range next {
			near[d] = true
		}
		list = append(list, next...)
		level = next
	}
	return list
}

func (t *twin) total(of []id) *big.Int {
	total := new(big.Int)
	for _, n := range of {
		total.Add(total, new(big.Int).SetUint64(uint64(t.amount[n])))
	}
	return total
}

func (t *twin) sum(of []id) graph.Sum {
	total := t.total(of)
	if total.Cmp(new(big.Int).SetUint64(uint64(messages.AmountMax))) > 0 {
		return graph.Sum{Amount: messages.AmountMax, Capped: true}
	}
	return graph.Sum{Amount: messages.Amount(total.Uint64())}
}

// below tells, for each chosen node, the chosen ones it depends on in any number
// of steps.
func (t *twin) below(chosen []id) map[id][]id {
	below := map[id][]id{}
	for _, n := range chosen {
		for _, d := range t.reach(n) {
			if slices.Contains(chosen, d) {
				below[d] = append(below[d], n)
			}
		}
	}
	return below
}

// order takes, again and again, the lowest chosen node that waits for no other.
func (t *twin) order(chosen []id) []id {
	chosen = distinct(chosen)
	below := t.below(chosen)
	list := []id{}
	for len(list) < len(chosen) {
		for _, n := range chosen {
			given := func(d id) bool { return !slices.Contains(list, d) }
			if !slices.Contains(list, n) && !slices.ContainsFunc(below[n], given) {
				list = append(list, n)
				break
			}
		}
	}
	return list
}

// waves takes, again and again, all chosen nodes that wait for no other.
func (t *twin) waves(chosen []id) [][]id {
	chosen = distinct(chosen)
	below := t.below(chosen)
	var list [][]id
	taken := map[id]bool{}
	for len(taken) < len(chosen) {
		var wave []id
		for _, n := range chosen {
			open := func(d id) bool { return !taken[d] }
			if !taken[n] && !slices.ContainsFunc(below[n], open) {
				wave = append(wave, n)
			}
		}
		for _, n := range wave {
			taken[n] = true
		}
		list = append(list, wave)
	}
	return list
}

// criticalPath keeps, for each node, the best chain of chosen nodes that ends at or
// before it: by sum, then by length; equal ones by the lowest dependency, the
// lowest end.
func (t *twin) criticalPath(chosen []id) []id {
	better := func(a, b []id) bool {
		if c := t.total(a).Cmp(t.total(b)); c != 0 {
			return c > 0
		}
		return len(a) > len(b)
	}
	chains := map[id][]id{}
	for _, n := range t.order(t.ids()) {
		var best []id
		for _, dep := range t.deps[n] {
			if better(chains[dep], best) {
				best = chains[dep]
			}
		}
		if slices.Contains(chosen, n) {
			best = append(slices.Clone(best), n)
		}
		chains[n] = best
	}
	var longest []id
	for _, n := range distinct(chosen) {
		if better(chains[n], longest) {
			longest = chains[n]
		}
	}
	return longest
}

func distinct(list []id) []id {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}
