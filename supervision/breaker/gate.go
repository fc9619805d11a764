package breaker

import (
	"sync/atomic"
	"time"
)

// Pass is the admission of one call to a child: a Token of each breaker on the
// way. Report it once, with Gate.Success, Gate.Cancel or Cells.Failure.
type Pass struct{ own, cell Token }

// Gate is the way to one child: the supervisor's own breaker, then the child's
// cell. A child that has not failed has no cell, and passing costs one atomic
// word more than nothing. All methods may be called from any goroutine.
type Gate struct {
	own  *Breaker
	cell atomic.Pointer[Breaker]
}

// NewGate returns the gate of a child of the supervisor whose breaker is own. The
// cell is what Cells.Cell returns for the child, nil in the usual case.
func NewGate(own, cell *Breaker) *Gate {
	g := &Gate{own: own}
	g.cell.Store(cell)
	return g
}

// Attach makes cell the child's, nil for none. The supervisor calls it with what
// Cells.Failure returned and when a cell is forgotten.
func (g *Gate) Attach(cell *Breaker) { g.cell.Store(cell) }

// Cell returns the child's cell, nil if it has none.
func (g *Gate) Cell() *Breaker { return g.cell.Load() }

// Admit reports whether a call to the child may pass, and gives the pass to
// report its outcome with. No lock, no clock, no allocation while both breakers
// are closed or open.
func (g *Gate) Admit() (Pass, bool) {
	own, ok := g.own.Admit()
	if !ok {
		return Pass{}, false
	}
	cell, ok := g.cell.Load().Admit()
	if !ok {
		g.own.Cancel(own)
		return Pass{}, false
	}
	return Pass{own, cell}, true
}

// Passes reports whether Admit would admit a call now, without taking a probe:
// the question to ask before a message is queued.
func (g *Gate) Passes() bool { return g.own.Passes() && g.cell.Load().Passes() }

// Current returns a pass of the current periods, for a failure that belongs to no
// admitted call, such as a panic while starting.
func (g *Gate) Current() Pass { return Pass{g.own.Current(), g.cell.Load().Current()} }

// Success reports that the call ended well, or was answered with a rejection, at
// now. It returns the transitions this caused, nearly always nil. To the
// supervisor's own breaker a child's success matters only as a probe: while it is
// closed it judges what it guards itself and how many children fail.
func (g *Gate) Success(p Pass, now time.Time) []Event {
	var events []Event
	if p.own.probe() >= 0 {
		events = add(events, g.own.Success(p.own, now))
	}
	if cell := g.cell.Load(); cell != nil {
		events = add(events, cell.Success(p.cell, now))
	}
	return events
}

// Cancel reports that the call was never made.
func (g *Gate) Cancel(p Pass) {
	g.own.Cancel(p.own)
	g.cell.Load().Cancel(p.cell)
}

// RetryAfter tells a refused caller how long to wait: for the later of the two
// breakers.
func (g *Gate) RetryAfter(now time.Time) time.Duration {
	wait := g.own.RetryAfter(now)
	if cell := g.cell.Load(); cell != nil {
		wait = max(wait, cell.RetryAfter(now))
	}
	return wait
}

// add appends the event if there is one.
func add(events []Event, event *Event) []Event {
	if event == nil {
		return events
	}
	return append(events, *event)
}
