package actors

import (
	"fmt"
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
	// Breaker is the state of what stands between the actor and its work: its own breaker,
	// over its children and over what it guards itself, or the cell that guards the actor,
	// whichever is not closed.
	Breaker    breaker.State
	Population int    // children there are
	Children   []Node // those asked for
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
		Refused: l.refused, Restarts: int(c.restarts.Load()), Breaker: c.breaker(),
	}
	if l.since > 0 {
		n.OldestAge = max(time.Since(c.sys.began)-time.Duration(l.since), 0)
	}
	return n
}

// Breaker is the state of what stands between an actor and its work, as Tree tells it;
// closed where there is no such actor.
func (s *System) Breaker(path string) breaker.State {
	ref, ok := s.Lookup(path)
	if !ok {
		return breaker.Closed
	}
	return ref.cell.breaker()
}

// RetryAfter tells how long what Breaker tells of lets nothing through; 0 where a call would pass.
func (s *System) RetryAfter(path string, now time.Time) time.Duration {
	ref, ok := s.Lookup(path)
	if !ok {
		return 0
	}
	var after time.Duration
	if f := ref.cell.relatives(); f != nil {
		after = f.cells.Own().RetryAfter(now)
	}
	if ref.cell.gate != nil {
		after = max(after, ref.cell.gate.Cell().RetryAfter(now))
	}
	return after
}

func (c *cell) breaker() breaker.State {
	if f := c.relatives(); f != nil {
		if own := f.cells.Own().State(); own != breaker.Closed {
			return own
		}
	}
	if c.gate != nil {
		return c.gate.Cell().State()
	}
	return breaker.Closed
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
