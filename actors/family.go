package actors

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/breaker"
)

// family is what an actor with children has besides. A nil family has none.
type family struct {
	// The parent's worker writes these under the lock; others read under it.
	mu     sync.Mutex
	byName map[string]*cell
	order  []*cell // as spawned; nil where one has ended
	live   int

	// What follows belongs to the parent's worker.

	// born is the child being spawned: props makes protoactor's actor and mailbox
	// out of it. Only the parent's worker spawns, so one place is enough.
	born  *cell
	props *actor.Props
	// oneByOne says that children made on demand end one after the other.
	oneByOne bool

	spec    supervision.Spec
	named   map[string]Spec // the children of the spec
	cells   *breaker.Cells
	machine *supervision.Supervisor
	timer   *time.Timer
	todo    []supervision.Action
	over    bool // the machine has stopped or escalated: it is told no more
	broken  bool // the machine panicked: it is asked no more

	awaiting int // children whose end the next step waits for
	grace    time.Duration
	progress progress
	giveUpAt *time.Timer
}

// progress is compared to see whether awaited children still get anywhere.
type progress struct {
	left int
	done uint64
}

// offspring returns the cell's family, founding it if need be. It runs on the
// cell's turn.
func (c *cell) offspring() *family {
	if c.family != nil {
		return c.family
	}
	f := &family{byName: make(map[string]*cell), oneByOne: c.parent == nil, spec: c.supervision()}
	f.props = newProps(func() *cell { return f.born })
	if c.line != nil && len(c.line.children) > 0 {
		f.named = make(map[string]Spec, len(c.line.children))
		for _, child := range c.line.children {
			f.named[child.Name] = child
		}
	}
	var err error
	if f.cells, err = breaker.NewCells(c.pid.Id, f.spec.Breaker, c.sys.budget, time.Now()); err != nil {
		panic(err) // Spawn has validated it
	}
	f.renew(c.pid.Id)
	c.box.mu.Lock() // readers of the tree look under this lock
	c.family = f
	c.box.mu.Unlock()
	c.sys.keepers.add(c)
	c.sys.forces.apply(c)
	return f
}

// closeFamily lets go of the family's timer and breakers; the cell has ended, and nobody
// can be called through it.
func (c *cell) closeFamily() {
	if c.family == nil {
		return
	}
	if c.family.timer != nil {
		c.family.timer.Stop()
	}
	c.sys.keepers.remove(c)
	c.sys.events.forget(c.family.cells)
	c.family.cells.Close()
}

// renew gives a new incarnation a supervision core that knows no children yet.
// The breakers stay.
func (f *family) renew(path string) {
	machine, err := supervision.New(path, f.spec, f.cells)
	if err != nil {
		panic(err) // Spawn has validated it
	}
	f.machine, f.todo, f.over, f.broken = machine, nil, false, false
}

// supervision is the cell's supervision as the core wants it.
func (c *cell) supervision() supervision.Spec {
	if c.line == nil {
		return defaultSupervision()
	}
	return c.line.supervision
}

// spawn starts a child; it runs on the parent's turn.
func (c *cell) spawn(spec Spec) (Ref, error) {
	line, err := spec.line()
	if err != nil {
		return Ref{}, err
	}
	if c.stopping || c.sequel != sequelNone {
		return Ref{}, fmt.Errorf("spawn %s: %w", spec.Name, ErrStopping)
	}
	if strings.Count(c.pid.Id, "/") >= depthMax {
		return Ref{}, fmt.Errorf("%w: %s would be over %d levels deep", ErrInvalidSpec, spec.Name, depthMax)
	}
	f := c.offspring()
	if f.child(spec.Name) != nil {
		return Ref{}, fmt.Errorf("spawn %s: %w", spec.Name, ErrNameTaken)
	}
	if c.sys.live.Add(1) > int64(c.sys.cfg.ActorsMax) {
		c.sys.live.Add(-1)
		return Ref{}, fmt.Errorf("spawn %s: %w", spec.Name, ErrTooManyActors)
	}
	child := c.sys.newCell(spec, line, c)
	child.gate = breaker.NewGate(f.cells.Own(), f.cell(spec.Name))
	child.kind.active.Add(1)
	f.born = child
	err = c.enter(f.props, spec.Name)
	f.born = nil
	if err != nil { // an abandoned child of that name is still there
		child.kind.active.Add(-1)
		c.sys.live.Add(-1)
		return Ref{}, fmt.Errorf("spawn %s: %w", spec.Name, ErrNameTaken)
	}
	f.add(child)
	return child.ref(), nil
}

// cell is the breaker of a child that has failed or was forced before; nil for most.
func (f *family) cell(name string) *breaker.Breaker {
	if f.cells.Len() == 0 {
		return nil
	}
	return f.cells.Cell(f.machine.ChildPath(name))
}

func (f *family) add(c *cell) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.index = int32(len(f.order))
	f.order = append(f.order, c)
	f.byName[c.name()] = c
	f.live++
}

// remove takes the child with that path off and returns it, nil if there is none.
func (f *family) remove(path string) *cell {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	name := nameOf(path)
	c := f.byName[name]
	if c == nil || c.pid.Id != path {
		return nil
	}
	delete(f.byName, name)
	f.order[c.index] = nil
	f.live--
	f.compact()
	return c
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
			c.index = int32(len(kept))
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

// population is how many children there are.
func (f *family) population() int {
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live
}

// waiting reports whether the next step waits for a child's end.
func (f *family) waiting() bool { return f != nil && f.awaiting > 0 }

// stopAll asks the children that match to end, the youngest first, and returns
// those to wait for now.
func (f *family) stopAll(match func(*cell) bool) []*cell {
	f.mu.Lock()
	defer f.mu.Unlock()
	var asked []*cell
	for i := len(f.order) - 1; i >= 0; i-- {
		c := f.order[i]
		if c == nil || !match(c) {
			continue
		}
		c.requestStop(EndStopped)
		if asked = append(asked, c); f.oneByOne {
			break
		}
	}
	return asked
}

// awaited lists the children whose end the next step waits for.
func (f *family) awaited() []*cell {
	return slices.DeleteFunc(f.list(), func(c *cell) bool { return !c.awaited })
}

// measure sums up how far children are.
func measure(children []*cell) progress {
	p := progress{left: len(children)}
	for _, c := range children {
		p.done += c.box.handled()
	}
	return p
}

// shutdown is how long a child may take to end where nothing else is said.
func (f *family) shutdown() time.Duration {
	if f.spec.Template.Shutdown > 0 {
		return f.spec.Template.Shutdown
	}
	return supervision.DefaultTemplate().Shutdown
}
