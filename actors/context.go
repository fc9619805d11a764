package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// timersMax bounds the timers one actor may have running.
const timersMax = 65_536

// Context is what an actor can do while it handles a message. It is valid only
// inside the call it was given to, on that goroutine.
type Context struct{ cell *cell }

// Self is the actor's own address.
func (c *Context) Self() Ref { return c.cell.ref() }

// Incarnation counts the actor's incarnations from 1: an outcome that carries the
// number it was begun under can be told from one of an earlier incarnation's.
func (c *Context) Incarnation() int { return int(c.cell.restarts.Load()) + 1 }

// Parent is the address of the actor that spawned this one.
func (c *Context) Parent() Ref { return c.cell.parent.ref() }

// Reply answers the message in hand and reports whether an asker was waiting.
// A reply to a tell is dropped.
func (c *Context) Reply(v any) bool {
	c.cell.answered = true
	return Replier{to: c.cell.current.call, sys: c.cell.sys}.Reply(v)
}

// Replier keeps the right to answer the message in hand for later, and for any
// goroutine. Whoever takes it must reply some day; until then the asker waits.
func (c *Context) Replier() Replier {
	c.cell.answered = true
	return Replier{to: c.cell.current.call, sys: c.cell.sys}
}

// Asked reports whether somebody waits for an answer to the message in hand.
func (c *Context) Asked() bool { return c.cell.current.call.open() }

// Spawn starts a child. It returns at once; the child's Start runs on its own turn.
func (c *Context) Spawn(spec Spec) (Ref, error) { return c.cell.spawn(spec) }

// Child returns the child of that name, if there is one.
func (c *Context) Child(name string) (Ref, bool) {
	child := c.cell.family.child(name)
	return Ref{cell: child}, child != nil
}

// Children returns the children in the order they were spawned.
func (c *Context) Children() []Ref {
	var refs []Ref
	for _, child := range c.cell.family.list() {
		refs = append(refs, child.ref())
	}
	return refs
}

// Forward sends msg to another actor in place of the message in hand: whoever asked this
// one is answered by that one. On an error, a *Refused, the right to answer stays here.
func (c *Context) Forward(to Ref, msg any) error {
	err := to.post(item{msg: msg, call: c.cell.current.call})
	if err == nil {
		c.cell.answered = true
	}
	return err
}

// Stop makes an actor, this one perhaps, finish what it has accepted and end.
func (c *Context) Stop(ref Ref) {
	if ref.cell != nil {
		ref.cell.requestStop(EndStopped)
	}
}

// Watch asks for a Terminated message when ref's actor ends, at once if it has.
func (c *Context) Watch(ref Ref) {
	if ref.cell == nil || ref.cell == c.cell {
		return
	}
	x := c.cell.extras()
	if x.watching == nil {
		x.watching = make(map[string]Ref)
	}
	x.watching[ref.cell.pid.Id] = ref
	ref.cell.postSystem(&actor.Watch{Watcher: c.cell.pid}) // also an ended cell answers
}

// Unwatch takes Watch back.
func (c *Context) Unwatch(ref Ref) {
	if x := c.cell.more; x != nil && ref.cell != nil && x.watching[ref.cell.pid.Id] == ref {
		delete(x.watching, ref.cell.pid.Id)
		ref.cell.postSystem(&actor.Unwatch{Watcher: c.cell.pid})
	}
}

// Timer is a message to come. It belongs to the incarnation that set it and dies
// with it.
type Timer struct {
	cell  *cell
	msg   any
	timer *time.Timer
}

// After sends the actor msg, on the internal lane, once d has passed. Beyond
// 65,536 running timers msg is a dead letter.
func (c *Context) After(d time.Duration, msg any) *Timer {
	t := &Timer{cell: c.cell, msg: msg}
	x := c.cell.extras()
	if len(x.timers) >= timersMax {
		c.cell.deadLetter(msg, TooManyTimers)
		return t
	}
	if x.timers == nil {
		x.timers = make(map[*Timer]struct{})
	}
	x.timers[t] = struct{}{}
	t.timer = time.AfterFunc(d, func() { _ = t.cell.postInternal(item{msg: t}) })
	return t
}

// Stop takes the message back and reports whether it had not been delivered.
// Only the actor that set the timer may call it.
func (t *Timer) Stop() bool {
	if t.timer != nil {
		t.timer.Stop()
	}
	return t.cell.elapsed(t)
}

// elapsed takes a timer off the books and reports whether it was on them.
func (c *cell) elapsed(t *Timer) bool {
	if c.more == nil {
		return false
	}
	_, running := c.more.timers[t]
	delete(c.more.timers, t)
	return running
}

func (c *cell) dropTimers() {
	if c.more == nil {
		return
	}
	for t := range c.more.timers {
		t.timer.Stop()
	}
	c.more.timers = nil
}

// Stash keeps the message in hand, with its asker, for Unstash. ErrStashFull
// says that as many messages are kept as the mailbox may hold.
func (c *Context) Stash() error {
	cell := c.cell
	x := cell.extras()
	if len(x.stash) >= int(cell.box.limit) {
		return ErrStashFull
	}
	x.stash = append(x.stash, kept{cell.current, cell.hand == laneUser})
	cell.answered = true
	cell.hand = laneNone // it counts when it is handled
	return nil
}

// Unstash brings the stashed messages back, in the order they came, before all
// other user messages. A restart does the same.
func (c *Context) Unstash() { c.cell.unstash() }

func (c *cell) unstash() {
	if c.more == nil || len(c.more.stash) == 0 {
		return
	}
	c.box.unstash(c.more.stash)
	c.more.stash = nil
}

// SetPassivation ends the actor once it has handled no user message for idle
// (and at most twice that). It loses none: with a message waiting it lives on.
// Zero switches it off.
func (c *Context) SetPassivation(idle time.Duration) {
	x := c.cell.extras()
	c.cell.stopIdle()
	x.idleFor = idle
	if idle > 0 {
		x.idleDone = c.cell.box.done.Load()
		x.idle = time.AfterFunc(idle, func() { c.cell.postSystem(idleOrder{}) })
	}
}

func (c *cell) checkIdle() {
	x := c.more
	if x == nil || x.idle == nil || c.stopping {
		return
	}
	done := c.box.done.Load()
	if done == x.idleDone && !c.held && c.box.shutIfIdle() {
		c.beginStop(EndPassivated)
		return
	}
	x.idleDone = done
	x.idle.Reset(x.idleFor)
}

func (c *cell) stopIdle() {
	if c.more != nil && c.more.idle != nil {
		c.more.idle.Stop()
		c.more.idle = nil
	}
}
