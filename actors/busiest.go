package actors

import (
	"cmp"
	"container/heap"
	"slices"
	"sync"
	"time"
)

const (
	// lookEvery is the shortest window over which the busiest actors are found: finding
	// them walks all actors.
	lookEvery = time.Second
	// busyMax is how many of the busiest a sample tells.
	busyMax = 1000
)

// Busy is one of the busiest actors.
type Busy struct {
	Path     string
	Kind     string
	Depth    int
	Messages uint64 // handled in the window
	Total    uint64 // handled since it began
}

// Sample is what one look at all actors has found.
type Sample struct {
	Window time.Duration
	Busy   []Busy // at most 1,000, the busiest first
	kinds  []KindStats
	depths map[string]int // of mailboxes, by kind
	actors []actorSeries
}

// sampler takes samples. All who ask within a second share one, because what actors did
// is counted from one look to the next.
type sampler struct {
	mu     sync.Mutex
	taken  time.Time // zero before the first
	newest *Sample
	shares shares
}

// Sample gives the busiest actors of the last window that is a second long or more.
func (s *System) Sample() *Sample {
	m := &s.sampler
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if m.newest != nil && now.Sub(m.taken) < lookEvery {
		return m.newest
	}
	since := m.taken
	if since.IsZero() {
		since = s.began
	}
	found := s.look(busyMax)
	kinds := s.kinds.stats() // after the look: a kind counts what its actors have done
	m.newest = &Sample{
		Window: now.Sub(since), Busy: found.busy(), kinds: kinds, depths: found.depths,
		actors: m.shares.series(found, totalOf(kinds), now),
	}
	m.taken = now
	return m.newest
}

func totalOf(kinds []KindStats) tally {
	var total tally
	for _, k := range kinds {
		total.messages += float64(k.Messages)
		total.seconds += sampleEvery * k.Turn.Sum()
	}
	return total
}

// look is one walk over all actors.
type look struct {
	busiest []busyCell // the busiest first
	depths  map[string]int
	depth   int
	// since is what all that did something have handled since the last look.
	since map[*cell]uint64
}

// look finds the n actors that handled most messages since the last look.
func (s *System) look(n int) *look {
	found := &look{depths: make(map[string]int), since: make(map[*cell]uint64)}
	most := &busiest{}
	// Brothers are mostly of one kind, so a kind's sum is put down when another comes.
	kind, depth := s.root.kind, 0
	visit := func(c *cell, load load) {
		if c.kind != kind {
			found.depths[kind.name] += depth
			kind, depth = c.kind, 0
		}
		depth += load.depth
		found.depth += load.depth
		since := load.handled - c.lastDone
		c.lastDone = load.handled
		if since == 0 || n <= 0 {
			return
		}
		found.since[c] = since
		if most.Len() == n {
			if (*most)[0].since >= since {
				return
			}
			heap.Pop(most)
		}
		heap.Push(most, busyCell{c, since, load.depth})
	}
	s.root.each(visit)
	found.depths[kind.name] += depth
	found.busiest = *most
	slices.SortFunc(found.busiest, func(a, b busyCell) int { return cmp.Compare(b.since, a.since) })
	return found
}

// each visits an actor and all below it with their loads, one lock for each.
func (c *cell) each(visit func(*cell, load)) {
	c.box.mu.Lock()
	load, children := c.box.loadHeld(), c.family
	c.box.mu.Unlock()
	visit(c, load)
	if children != nil {
		for _, child := range children.list() {
			child.each(visit)
		}
	}
}

func (l *look) busy() []Busy {
	top := make([]Busy, 0, len(l.busiest))
	for _, b := range l.busiest {
		top = append(top, Busy{
			Path: b.cell.path(), Kind: b.cell.kind.name, Depth: b.depth, Messages: b.since, Total: b.cell.lastDone,
		})
	}
	return top
}

type busyCell struct {
	cell  *cell
	since uint64
	depth int
}

// busiest is a heap with the least busy on top.
type busiest []busyCell

func (b busiest) Len() int           { return len(b) }
func (b busiest) Less(i, j int) bool { return b[i].since < b[j].since }
func (b busiest) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b *busiest) Push(x any)        { *b = append(*b, x.(busyCell)) }
func (b *busiest) Pop() any {
	last := (*b)[len(*b)-1]
	*b = (*b)[:len(*b)-1]
	return last
}
