package breaker

import (
	"container/heap"
	"container/list"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// CellsMax is how many cells a node keeps by default. A failure that finds no
// room for its cell counts for the supervisor's own breaker.
const CellsMax = 100_000

// Budget bounds the cells of all supervisors that share it. It may be used from
// any goroutine.
type Budget struct{ free atomic.Int64 }

// NewBudget returns a budget of at most n cells, about 1.1 KiB each.
func NewBudget(n int) *Budget {
	b := &Budget{}
	b.free.Store(int64(n))
	return b
}

func (b *Budget) take() bool {
	if b.free.Add(-1) >= 0 {
		return true
	}
	b.free.Add(1)
	return false
}

func (b *Budget) give() { b.free.Add(1) }

// Cells keeps a supervisor's breakers: its own, and a cell for each child that
// has failed lately. A cell exists from the child's first failure until the
// window after its last one is empty, whether or not the child is loaded. The
// supervisor's own breaker opens when FailureThreshold different children fail
// within the window, beside its own reasons.
//
// A Cells belongs to its supervisor's goroutine, All excepted. The breakers it hands
// out may be used from any.
type Cells struct {
	cfg    Config
	budget *Budget
	own    *Breaker
	looks  looks
	failed *list.List // of *cell: children that failed within the window, oldest failure first

	mu    sync.Mutex // held to write cells, and to read it from another goroutine
	cells map[string]*cell
}

// cell is a child's breaker and when to look at it next.
type cell struct {
	breaker *Breaker
	child   string
	touched time.Time // last failure or transition: one window later the cell may go
	look    time.Time
	index   int  // in looks
	exempt  bool // not counted in the budget: made for a force

	failedAt time.Time
	element  *list.Element // in Cells.failed, or nil
}

// NewCells returns the breakers of the supervisor at path, without any cell yet.
func NewCells(path string, cfg Config, budget *Budget, now time.Time) (*Cells, error) {
	own, err := New(path, cfg, now)
	if err != nil {
		return nil, fmt.Errorf("cells: %w", err)
	}
	return &Cells{cfg: cfg, budget: budget, own: own, cells: map[string]*cell{}, failed: list.New()}, nil
}

// Own returns the supervisor's own breaker. Whoever uses what it guards may admit
// and report to it directly.
func (c *Cells) Own() *Breaker { return c.own }

// Cell returns the cell of the child at path, nil if it has none.
func (c *Cells) Cell(child string) *Breaker {
	if cell := c.cells[child]; cell != nil {
		return cell.breaker
	}
	return nil
}

// Len returns the number of cells.
func (c *Cells) Len() int { return len(c.cells) }

// All yields the supervisor's own breaker, then the cells in no order. It may be
// called from any goroutine; the loop must not call the Cells.
func (c *Cells) All() iter.Seq[*Breaker] {
	return func(yield func(*Breaker) bool) {
		if !yield(c.own) {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, cell := range c.cells {
			if !yield(cell.breaker) {
				return
			}
		}
	}
}

// Failure reports that the call to the child at path admitted with p failed at
// now. It returns the transitions this caused. The child has a cell from here on
// (attach Cell to its gate), unless the budget is spent: then the failure is the
// supervisor's.
func (c *Cells) Failure(child string, p Pass, now time.Time) []Event {
	var events []Event
	if p.own.probe() >= 0 {
		events = add(events, c.own.Failure(p.own, now))
	}
	target, ok := c.cells[child]
	if !ok {
		if target = c.create(child, now, false); target == nil {
			return add(events, c.own.Failure(c.own.Current(), now))
		}
		p.cell = target.breaker.Current()
	}
	events = add(events, target.breaker.Failure(p.cell, now))
	c.touch(target, now)
	if c.own.Holds(p.own) && c.differentChildren(target, now) {
		events = add(events, c.own.Trip(ChildrenFailed, now))
	}
	return events
}

// Trip opens the cell of the child at path, which is made if need be and room is.
// It returns the transition, or nil.
func (c *Cells) Trip(child string, reason Reason, now time.Time) *Event {
	target, ok := c.cells[child]
	if !ok {
		if target = c.create(child, now, false); target == nil {
			return nil
		}
	}
	event := target.breaker.Trip(reason, now)
	c.touch(target, now)
	return event
}

// Force puts the cell of the child at path under an operator's force: ForcedOpen
// or ForcedClosed. The cell is made if need be, outside the budget: forces have a
// limit of their own. It returns the transition, or nil.
func (c *Cells) Force(child string, to State, now time.Time) *Event {
	if !to.Forced() {
		return nil
	}
	target, ok := c.cells[child]
	if !ok {
		target = c.create(child, now, true)
	}
	event := target.breaker.Force(to, now)
	c.touch(target, now)
	return event
}

// Reset removes the force from the cell of the child at path and then the cell:
// the child is as if it had never failed. It returns the event, or nil if there is
// no such cell.
func (c *Cells) Reset(child string, now time.Time) *Event {
	target, ok := c.cells[child]
	if !ok {
		return nil
	}
	event := target.breaker.Reset(now)
	c.remove(target)
	return event
}

// Next returns when Tick wants to be called, or false while nothing is open and
// there is no cell. Ask again after each Tick, Failure, Trip, Force and Reset, and
// after each event of Own.
func (c *Cells) Next(now time.Time) (time.Time, bool) {
	next, ok := c.own.Next(now)
	if len(c.looks) > 0 && (!ok || c.looks[0].look.Before(next)) {
		return c.looks[0].look, true
	}
	return next, ok
}

// Tick does what is due at now, for the supervisor's own breaker and at most limit
// cells: it turns open ones half-open, expires probes, and forgets cells whose
// window is empty. It returns the transitions and the children whose cell is
// gone; detach it from their gates. What is left over is due at once: Next says so.
func (c *Cells) Tick(now time.Time, limit int) (events []Event, forgotten []string) {
	events = add(events, c.own.Tick(now))
	for range limit {
		if len(c.looks) == 0 || c.looks[0].look.After(now) {
			break
		}
		target := c.looks[0]
		if event := target.breaker.Tick(now); event != nil {
			events = append(events, *event)
			c.touch(target, now)
			continue
		}
		if !now.Before(target.touched.Add(c.cfg.Window)) {
			event, idle := target.breaker.forget(now)
			if idle {
				events = add(events, event)
				forgotten = append(forgotten, target.child)
				c.remove(target)
				continue
			}
			target.touched = now
		}
		c.schedule(target, now)
	}
	return events, forgotten
}

// Close gives up all cells, and with them their places in the budget: the supervisor
// has ended.
func (c *Cells) Close() {
	for len(c.looks) > 0 {
		c.remove(c.looks[0])
	}
}

// differentChildren notes that a child failed at now and reports whether, with it,
// FailureThreshold different children failed within the window. It then begins to
// count anew, so that the list never grows past that threshold.
func (c *Cells) differentChildren(failing *cell, now time.Time) bool {
	c.unlist(failing)
	for front := c.failed.Front(); front != nil; front = c.failed.Front() {
		oldest := front.Value.(*cell)
		if now.Sub(oldest.failedAt) < c.cfg.Window {
			break
		}
		c.unlist(oldest)
	}
	failing.failedAt = now
	failing.element = c.failed.PushBack(failing)
	if c.failed.Len() < c.cfg.FailureThreshold {
		return false
	}
	for front := c.failed.Front(); front != nil; front = c.failed.Front() {
		c.unlist(front.Value.(*cell))
	}
	return true
}

func (c *Cells) unlist(target *cell) {
	if target.element != nil {
		c.failed.Remove(target.element)
		target.element = nil
	}
}

// create makes the cell of a child, or returns nil if the budget is spent.
func (c *Cells) create(child string, now time.Time, exempt bool) *cell {
	if !exempt && !c.budget.take() {
		return nil
	}
	made := &cell{
		breaker: newBreaker(child, Cell, &c.cfg, now),
		child:   child,
		touched: now,
		look:    now.Add(c.cfg.Window),
		exempt:  exempt,
	}
	c.mu.Lock()
	c.cells[child] = made
	c.mu.Unlock()
	heap.Push(&c.looks, made)
	return made
}

// remove takes the cell away. Who still holds its breaker finds it closed.
func (c *Cells) remove(target *cell) {
	c.unlist(target)
	c.mu.Lock()
	delete(c.cells, target.child)
	c.mu.Unlock()
	heap.Remove(&c.looks, target.index)
	if !target.exempt {
		c.budget.give()
	}
}

// touch notes that something happened to the cell at now.
func (c *Cells) touch(target *cell, now time.Time) {
	target.touched = now
	c.schedule(target, now)
}

// schedule sets when to look at the cell next: when its breaker wants a tick, and
// at the latest a window after it was touched.
func (c *Cells) schedule(target *cell, now time.Time) {
	target.look = target.touched.Add(c.cfg.Window)
	if tick, ok := target.breaker.Next(now); ok && tick.Before(target.look) {
		target.look = tick
	}
	heap.Fix(&c.looks, target.index)
}

// looks is a heap of cells, the one to look at first on top.
type looks []*cell

func (l looks) Len() int           { return len(l) }
func (l looks) Less(i, j int) bool { return l[i].look.Before(l[j].look) }
func (l looks) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].index, l[j].index = i, j
}

func (l *looks) Push(x any) {
	added := x.(*cell)
	added.index = len(*l)
	*l = append(*l, added)
}

func (l *looks) Pop() any {
	old := *l
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*l = old[:len(old)-1]
	return last
}
