package actors

import (
	"fmt"
	"strings"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// family is what an actor with children has besides. The parent's worker writes
// it; others read under the lock. A nil family has no children.
type family struct {
	mu     sync.Mutex
	byName map[string]*cell
	order  []*cell // as spawned; nil where one has ended
	live   int

	// born is the child being spawned: props makes protoactor's actor and mailbox
	// out of it. Only the parent's worker spawns, so one place is enough.
	born  *cell
	props *actor.Props
	// ordered says that children end one at a time, the youngest first.
	ordered bool
	// ending says that all children have been asked to end.
	ending bool
}

// offspring returns the cell's family, founding it if need be.
func (c *cell) offspring() *family {
	if c.family == nil {
		f := &family{byName: make(map[string]*cell), ordered: c.parent == nil}
		f.props = newProps(func() *cell { return f.born })
		c.box.mu.Lock() // readers of the tree look under this lock
		c.family = f
		c.box.mu.Unlock()
	}
	return c.family
}

// spawn starts a child; it runs on the parent's turn.
func (c *cell) spawn(spec Spec) (Ref, error) {
	if err := spec.validate(); err != nil {
		return Ref{}, err
	}
	if c.stopping || c.sequel != sequelNone {
		return Ref{}, fmt.Errorf("spawn %s: %w", spec.Name, ErrStopping)
	}
	f := c.offspring()
	if f.child(spec.Name) != nil {
		return Ref{}, fmt.Errorf("spawn %s: %w", spec.Name, ErrNameTaken)
	}
	if c.sys.live.Add(1) > int64(c.sys.cfg.ActorsMax) {
		c.sys.live.Add(-1)
		return Ref{}, fmt.Errorf("spawn %s: %w", spec.Name, ErrTooManyActors)
	}
	f.born = c.sys.newCell(spec, c)
	defer func() { f.born = nil }()
	if _, err := c.process.(actor.Context).SpawnNamed(f.props, spec.Name); err != nil {
		c.sys.live.Add(-1)
		return Ref{}, fmt.Errorf("spawn %s: %w", spec.Name, err)
	}
	f.born.kind.active.Add(1)
	f.add(f.born)
	return f.born.ref(), nil
}

func (f *family) add(c *cell) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.index = len(f.order)
	f.order = append(f.order, c)
	f.byName[c.name] = c
	f.live++
}

// remove takes the child with that path off and reports whether there was one.
func (f *family) remove(path string) bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	name := path[strings.LastIndexByte(path, '/')+1:]
	c := f.byName[name]
	if c == nil || c.pid.Id != path {
		return false
	}
	delete(f.byName, name)
	f.order[c.index] = nil
	f.live--
	f.compact()
	return true
}

// compact closes the gaps in order once they are most of it, so that removing
// costs the same however many children there are.
func (f *family) compact() {
	for n := len(f.order); n > 0 && f.order[n-1] == nil; n-- {
		f.order = f.order[:n-1]
	}
	if len(f.order) < 64 || f.live*2 > len(f.order) {
		return
	}
	kept := make([]*cell, 0, f.live+f.live/2)
	for _, c := range f.order {
		if c != nil {
			c.index = len(kept)
			kept = append(kept, c)
		}
	}
	f.order = kept
}

func (f *family) child(name string) *cell {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byName[name]
}

// list returns the children in the order they were spawned.
func (f *family) list() []*cell {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]*cell, 0, f.live)
	for _, c := range f.order {
		if c != nil {
			out = append(out, c)
		}
	}
	return out
}

// stopNext asks the children that may end now to end, the youngest first: all of
// them at once, or one after the other if they are ordered. It reports whether
// any is left.
func (f *family) stopNext() bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.order) - 1; i >= 0 && !f.ending; i-- {
		if f.order[i] != nil {
			f.order[i].requestStop(EndStopped)
			if f.ordered {
				break
			}
		}
	}
	f.ending = f.live > 0 && !f.ordered
	return f.live > 0
}
