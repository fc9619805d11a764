package actors

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"time"

	"github.com/the-block/bursar/supervision/breaker"
)

// nodesMax bounds the actors one Tree answers with.
const nodesMax = 10_000

// Node is one actor as it was at a moment.
type Node struct {
	Path      string
	Kind      string
	State     State
	Depth     int    // messages accepted and not finished
	Processed uint64 // messages finished, outcomes of the actor's own work and timers too
	Refused   uint64
	Restarts  int
	// OldestAge: no waiting message is older than this, nor younger by more than
	// the burst it came in.
	OldestAge time.Duration
	// Cell is the state of the breaker that guards this actor, Breaker of the one
	// it keeps over its children and over what it guards itself.
	Cell, Breaker breaker.State
	Population    int    // children there are
	Children      []Node // those asked for
	// More is the index to ask for next if not all children are here, else 0.
	More int
}

// Page says which part of a tree to show.
type Page struct {
	Path   string // where to begin; "/" or "" for the root
	Levels int    // how many levels below it
	First  int    // index of the first child to show, at the first level
	Limit  int    // most children of one actor; 0 is 100
}

// Tree shows part of the live tree, at most 10,000 actors, without stopping
// anything: what it says of two actors may differ by the time it took.
func (s *System) Tree(p Page) (Node, error) {
	ref, ok := s.Lookup(p.Path)
	if !ok {
		return Node{}, fmt.Errorf("tree of %s: %w", p.Path, ErrNotFound)
	}
	if p.Limit <= 0 {
		p.Limit = 100
	}
	left := nodesMax
	return ref.cell.node(p, &left), nil
}

func (c *cell) node(p Page, left *int) Node {
	*left--
	f := c.relatives()
	n := c.describe()
	n.Population = f.population()
	if f != nil {
		n.Breaker = f.cells.Own().State()
	}
	if p.Levels <= 0 {
		return n
	}
	children := f.page(p.First, min(p.Limit, *left))
	if p.First+len(children) < n.Population {
		n.More = p.First + len(children)
	}
	below := Page{Levels: p.Levels - 1, Limit: p.Limit}
	for _, child := range children {
		if *left <= 0 {
			break
		}
		n.Children = append(n.Children, child.node(below, left))
	}
	return n
}

func (c *cell) describe() Node {
	l := c.box.load()
	n := Node{
		Path: c.path(), Kind: c.kind.name, State: c.currentState(), Depth: l.depth, Processed: l.handled,
		Refused: l.refused, Restarts: int(c.restarts.Load()), Cell: breaker.Closed, Breaker: breaker.Closed,
	}
	if l.since > 0 {
		n.OldestAge = max(time.Since(c.sys.began)-time.Duration(l.since), 0)
	}
	if c.gate != nil {
		n.Cell = c.gate.Cell().State()
	}
	return n
}

// page returns up to limit children from the first-th on, in order.
func (f *family) page(first, limit int) []*cell {
	if f == nil || limit <= 0 {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*cell
	for _, c := range f.order {
		if c == nil {
			continue
		}
		if first--; first >= 0 {
			continue
		}
		if out = append(out, c); len(out) == limit {
			break
		}
	}
	return out
}

// Busy is one of the busiest actors.
type Busy struct {
	Path     string
	Kind     string
	Depth    int
	Messages uint64 // handled since the last call
	Total    uint64 // handled since it began
	// Turns is how long it took for them, judged by those that were timed.
	Turns time.Duration
}

// Busiest returns the n actors that handled most messages since it was last
// called, the busiest first, and how many messages wait for the actors of each
// kind. It walks all actors: call it once a scrape, from one place.
func (s *System) Busiest(n int) (top []Busy, depths map[string]int) {
	depths = make(map[string]int)
	most := &busiest{}
	s.root.each(func(c *cell) {
		load := c.box.load()
		depths[c.kind.name] += load.depth
		since := load.handled - c.lastDone
		c.lastDone = load.handled
		if since == 0 || n <= 0 {
			return
		}
		if most.Len() == n {
			if (*most)[0].since >= since {
				return
			}
			heap.Pop(most)
		}
		heap.Push(most, busyCell{c, since, load.depth})
	})
	slices.SortFunc(*most, func(a, b busyCell) int { return cmp.Compare(b.since, a.since) })
	top = make([]Busy, 0, most.Len())
	for _, b := range *most {
		top = append(top, Busy{
			Path: b.cell.path(), Kind: b.cell.kind.name, Depth: b.depth,
			Messages: b.since, Total: b.cell.lastDone, Turns: sampleEvery * time.Duration(b.cell.timed.Load()),
		})
	}
	return top, depths
}

// each visits the actors of a subtree, its root included.
func (c *cell) each(visit func(*cell)) {
	visit(c)
	f := c.relatives()
	if f == nil {
		return
	}
	for _, child := range f.list() {
		child.each(visit)
	}
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
