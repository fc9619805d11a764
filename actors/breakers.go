package actors

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/the-block/bursar/supervision/breaker"
)

// BreakerPage says which breakers to list.
type BreakerPage struct {
	// Path takes those at or under this path only; "" or "/" takes all.
	Path string
	// NotClosed takes those that are open, half-open or forced only.
	NotClosed bool
	First     int // index of the first to list
	Limit     int // most to list; 0 is 100
}

// BreakerCount is how many breakers of one sort there are.
type BreakerCount struct {
	Kind  string        `label:"kind"` // of the actors that keep them
	Scope breaker.Scope `label:"scope"`
	State breaker.State `label:"state"`
	Count int           `metric:"bursar_supervision_breakers" help:"Circuit breakers, by the kind of the actors that keep them, by scope (own: over an actor's children and what it guards; cell: over one child that failed lately) and state."`
}

// Breakers lists the breakers that remember trouble, by path, an actor's cell before
// its own: every cell there is, and those over an actor's children and what it guards
// that are not closed or have a failure in their window. More is the index to ask for next, 0 if that was
// all. Nothing stops meanwhile: what is said of two breakers may differ by the time
// it took.
func (s *System) Breakers(p BreakerPage) (page []breaker.Snapshot, more int) {
	if p.Limit <= 0 {
		p.Limit = 100
	}
	now := time.Now()
	var found []*breaker.Breaker
	for _, keeper := range s.keepers.list() {
		for b := range keeper.family.cells.All() {
			if isUnder(b.Path(), p.Path) && p.takes(b, now) {
				found = append(found, b)
			}
		}
	}
	slices.SortFunc(found, func(a, b *breaker.Breaker) int {
		return cmp.Or(strings.Compare(a.Path(), b.Path()), cmp.Compare(b.Scope(), a.Scope()))
	})
	first := min(max(p.First, 0), len(found))
	last := min(first+p.Limit, len(found))
	for _, b := range found[first:last] {
		page = append(page, b.Snapshot(now))
	}
	if last < len(found) {
		more = last
	}
	return page, more
}

// takes reports whether b is one of those asked for.
func (p *BreakerPage) takes(b *breaker.Breaker, now time.Time) bool {
	switch {
	case p.NotClosed:
		return b.State() != breaker.Closed
	case b.Scope() == breaker.Cell:
		return true
	}
	seen := b.Snapshot(now)
	return seen.Troubled()
}

// isUnder reports whether an actor's path is root or below it.
func isUnder(path, root string) bool {
	root = strings.TrimSuffix(root, "/")
	return strings.HasPrefix(path, root) && (len(path) == len(root) || path[len(root)] == '/')
}

// countBreakers counts all breakers, closed ones too, in no order.
func (s *System) countBreakers() []BreakerCount {
	counts := make(map[BreakerCount]int)
	for _, keeper := range s.keepers.list() {
		for b := range keeper.family.cells.All() {
			counts[BreakerCount{Kind: keeper.kind.name, Scope: b.Scope(), State: b.State()}]++
		}
	}
	out := make([]BreakerCount, 0, len(counts))
	for sort, n := range counts {
		sort.Count = n
		out = append(out, sort)
	}
	return out
}

// keepers are the actors that keep breakers: those with a family.
type keepers struct {
	mu  sync.Mutex
	set map[*cell]struct{}
}

func (k *keepers) add(c *cell) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.set == nil {
		k.set = make(map[*cell]struct{})
	}
	k.set[c] = struct{}{}
}

func (k *keepers) remove(c *cell) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.set, c)
}

func (k *keepers) list() []*cell {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]*cell, 0, len(k.set))
	for c := range k.set {
		out = append(out, c)
	}
	return out
}
