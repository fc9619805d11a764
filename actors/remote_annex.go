package actors

import (
	"sync"
	"time"
)

// arrival is a message from another node on its way to a mailbox.
type arrival struct {
	item
	session *session
	weight  uint64
}

// annex is where messages from other nodes wait, in order, while an actor's mailbox is
// full. Another node cannot see a mailbox, so it sends on; what it may send is bounded
// by its session's window, and the window opens only for what a mailbox has taken. So a
// burst is not refused but slowed down, and the actor's own node keeps its limit.
//
// A message waits at most about twice Patience. Then the actor is taken for stuck:
// what waits is refused, and so is what follows, until the actor has done something.
type annex struct {
	cell *cell

	mu      sync.Mutex
	waiting []arrival
	first   int    // in waiting
	left    uint64 // arrivals that have left
	due     uint64 // left must have come this far at the next tick
	refuses bool
	closed  bool
	timer   *time.Timer
}

// arrive hands a message to the mailbox, or lets it wait for room. It reports whether
// that is the end of it; else the arrival is consumed later.
func (c *cell) arrive(a arrival) bool {
	for {
		x := c.annex.Load()
		if x == nil {
			refused := c.admit(a.item)
			if refused == nil {
				return true
			}
			if refused.Reason != MailboxFull {
				c.turnDown(a, refused)
				return true
			}
			x = &annex{cell: c}
			if !c.annex.CompareAndSwap(nil, x) {
				continue
			}
		}
		switch x.add(a) {
		case annexTook:
			return false
		case annexRefused:
			return true
		case annexClosed: // there is room again
		}
	}
}

// admit is post without the books: the caller keeps them.
func (c *cell) admit(it item) *Refused {
	if c.barred.Load() != 0 || (c.gate != nil && !c.gate.Passes()) {
		return c.circuitOpen()
	}
	why, wake := c.box.offer(it, c.sys.coarse.Load())
	if wake {
		c.sys.pool.schedule(c)
	}
	switch why {
	case 0:
		return nil
	case MailboxFull:
		return refusedFull
	default:
		return refusedStopped
	}
}

// turnDown makes a dead letter of an arrival, and answers it if it is an ask.
func (c *cell) turnDown(a arrival, refused *Refused) {
	c.countRefusal()
	c.deadLetter(a.msg, refused.Reason)
	a.call.reply(refused)
}

// What became of an arrival.
type annexVerdict uint8

const (
	annexTook annexVerdict = iota
	annexRefused
	annexClosed
)

// add lets an arrival wait.
func (x *annex) add(a arrival) annexVerdict {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.closed:
		return annexClosed
	case x.refuses:
		x.cell.turnDown(a, refusedFull)
		return annexRefused
	}
	x.waiting = append(x.waiting, a)
	a.session.peer.waiting.Add(1)
	if x.timer == nil {
		x.due = x.left + 1
		x.timer = time.AfterFunc(a.session.peer.remote.cfg.Patience, x.tick)
	}
	// There may be room since the caller looked, and then no turn of the actor is to
	// come that would drain.
	x.pass()
	return annexTook
}

// drain moves what waits to the mailbox. The actor's worker calls it after each run.
func (x *annex) drain() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pass()
}

// pass moves arrivals while there is room, and closes the annex when none waits. The
// caller holds mu.
func (x *annex) pass() {
	if x.closed {
		return
	}
	for x.first < len(x.waiting) {
		a := x.waiting[x.first]
		refused := x.cell.admit(a.item)
		if refused != nil && refused.Reason == MailboxFull {
			return
		}
		x.gone(a)
		if refused != nil {
			x.cell.turnDown(a, refused)
		}
		a.session.consume(a.weight)
	}
	x.closed = true
	if x.timer != nil {
		x.timer.Stop()
	}
	x.cell.annex.Store(nil)
}

// gone takes the first arrival out. The caller holds mu.
func (x *annex) gone(a arrival) {
	x.waiting[x.first] = arrival{}
	x.first++
	x.left++
	a.session.peer.waiting.Add(-1)
	if x.first >= 1024 && x.first*2 >= len(x.waiting) { // so that it does not grow for ever
		n := copy(x.waiting, x.waiting[x.first:])
		clear(x.waiting[n:])
		x.waiting, x.first = x.waiting[:n], 0
	}
}

// tick refuses what waits if some of it has been waiting since the last tick.
func (x *annex) tick() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return
	}
	if x.left >= x.due && x.first < len(x.waiting) {
		x.due = x.left + uint64(len(x.waiting)-x.first)
		x.timer.Reset(x.waiting[x.first].session.peer.remote.cfg.Patience)
		return
	}
	x.refuses = true
	for x.first < len(x.waiting) {
		a := x.waiting[x.first]
		x.gone(a)
		x.cell.turnDown(a, refusedFull)
		a.session.consume(a.weight)
	}
	x.waiting, x.first = nil, 0
}
