package actors

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/breaker"
)

// failure travels from the actor that failed to its supervisor.
type failure struct {
	cell *cell
	pass breaker.Pass
}

// broke takes in what a panic or a Goexit in the actor's own code left behind.
// It runs no code of the actor's, so that it cannot break itself.
func (c *cell) broke(reason any) {
	in := c.phase
	c.phase = phaseNone
	err := crashed(reason)
	if in == phaseStop { // what was to follow the Stop still does
		c.emit(EventStopBroke, err)
		c.lifecycle = append([]any{proceedOrder{}}, c.lifecycle...)
		return
	}
	c.fail(err)
}

// fail answers the message in hand, takes the actor out of service and tells its
// supervisor. What waits in the mailbox stays there.
func (c *cell) fail(err error) {
	if c.current.call.open() {
		c.current.call.reply(errFailedOnMessage())
	}
	if !c.answered { // a stashed one comes back
		undelivered(c.current.msg, errFailedOnMessage)
	}
	pass := c.pass
	if !c.admitted && c.gate != nil {
		pass = c.gate.Current()
	}
	in := c.current.msg
	c.finish()
	c.kind.failures.Add(1)
	c.tellFailed(err, in)
	c.hold(true)
	switch {
	case c.stopping:
		if c.sequel == sequelNone {
			c.endChildren(sequelEnd)
		} else {
			c.postSystem(advanceOrder{})
		}
	case c.parent == nil: // the root has no supervisor: the tree has failed
		c.sys.gaveUp(err)
		c.beginStop(EndFailed)
	default:
		c.set(Suspended)
		c.process.EscalateFailure(err, &failure{cell: c, pass: pass})
	}
}

// HandleFailure decides about a child that has failed; protoactor calls it on
// the supervisor's turn.
func (c *cell) HandleFailure(
	_ *actor.ActorSystem, _ actor.Supervisor, _ *actor.PID, _ *actor.RestartStatistics, _, message any,
) {
	f, ok := message.(*failure)
	if !ok || c.family.child(f.cell.name()) != f.cell {
		return
	}
	c.decide(func(m *supervision.Supervisor, now time.Time) []supervision.Action {
		return m.Failed(f.cell.name(), f.pass, now, f.cell.chance(now))
	})
}

// chance draws from [0, 1): what fails at one moment comes back at many.
func (c *cell) chance(now time.Time) float64 {
	path := fnv.New64a()
	_, _ = path.Write([]byte(c.path()))
	return rand.New(rand.NewPCG(path.Sum64(), uint64(now.UnixNano()))).Float64()
}

// decide asks the supervision core and carries its answer out. If the core itself
// breaks, that is the supervisor's failure, and from there on the children are ended
// without it.
func (c *cell) decide(ask func(*supervision.Supervisor, time.Time) []supervision.Action) {
	f := c.family
	actions, err := c.consult(ask)
	f.todo = append(f.todo, actions...)
	f.over = f.over || len(actions) > 0 && actions[len(actions)-1].Kind == supervision.Escalate
	if err != nil {
		f.todo, f.over = nil, true
		if c.sequel == sequelNone {
			c.fail(err)
			return
		}
		c.emit(EventFailed, err)
	}
	c.advance()
}

// consult asks the core, unless it has broken before. Inside the actor's own code a
// panic of the core is that code's.
func (c *cell) consult(
	ask func(*supervision.Supervisor, time.Time) []supervision.Action,
) (actions []supervision.Action, err error) {
	f := c.family
	if f.broken {
		return nil, nil
	}
	f.broken = true // until it has answered
	if c.phase == phaseNone {
		defer func() {
			if f.broken {
				err = fmt.Errorf("supervision: %w", asError(recover()))
			}
		}()
	}
	actions = ask(f.machine, time.Now())
	f.broken = false
	return actions, nil
}

// advance carries out what supervision has decided, as far as it need not wait
// for a child's end, and then what was to follow the children's end.
func (c *cell) advance() {
	if c.phase != phaseNone { // never from inside the actor's own code
		c.postSystem(advanceOrder{})
		return
	}
	f := c.family
	for len(f.todo) > 0 && !f.waiting() {
		action := f.todo[0]
		f.todo[0] = supervision.Action{}
		if f.todo = f.todo[1:]; len(f.todo) == 0 {
			f.todo = nil
		}
		c.act(action)
	}
	c.arm()
	if c.sequel == sequelNone || f.waiting() {
		return
	}
	if f.population() > 0 { // those that supervision had given up already
		c.await(f.stopAll(func(*cell) bool { return true }), f.shutdown())
		return
	}
	c.proceed()
}

// act carries out one action of the supervision core.
func (c *cell) act(a supervision.Action) {
	f := c.family
	child := f.child(a.Child)
	switch a.Kind {
	case supervision.Start:
		if _, err := c.spawn(f.named[a.Child]); err != nil {
			c.fail(err)
		}
	case supervision.StopOthers:
		c.await(f.stopAll(func(child *cell) bool { _, named := f.named[child.name()]; return !named }), a.Timeout)
	case supervision.Report:
		c.report(*a.Event)
	case supervision.Escalate:
		err := fmt.Errorf("%w: %s", errEscalated, c.path())
		c.emit(EventEscalated, err)
		c.fail(err)
	case supervision.Restart, supervision.Suspend, supervision.Refuse, supervision.Stop,
		supervision.Remove, supervision.Attach:
		if child != nil {
			c.actOn(child, a)
		}
	}
}

// actOn carries out an action that concerns one child that is there.
func (c *cell) actOn(child *cell, a supervision.Action) {
	switch a.Kind {
	case supervision.Restart:
		child.barred.Store(0)
		child.postSystem(restartOrder{})
	case supervision.Suspend:
		child.barred.Store(0)
	case supervision.Refuse:
		child.barred.Store(max(a.Until.Sub(c.sys.began).Nanoseconds(), 1))
		child.postSystem(refuseOrder{})
	case supervision.Stop:
		if a.Keep {
			child.postSystem(pauseOrder{})
		} else {
			child.requestStop(EndStopped)
		}
		c.await([]*cell{child}, a.Timeout)
	case supervision.Remove:
		child.emit(EventGaveUp, nil)
		child.requestStop(EndFailed)
	case supervision.Attach:
		child.gate.Attach(a.Cell)
	case supervision.Start, supervision.StopOthers, supervision.Report, supervision.Escalate:
	}
}

// report publishes a breaker's transition.
func (c *cell) report(t breaker.Event) {
	if t.To == breaker.Open {
		c.kind.trips.Add(1)
	}
	c.publish(t, false)
}

func (c *cell) publish(t breaker.Event, restored bool) {
	c.sys.publish(Event{At: t.At, What: EventBreaker, Path: t.Path, Kind: c.kind.name, Transition: &t, Restored: restored})
}

// restore publishes the transitions among actions as no news and returns the others.
func (c *cell) restore(actions []supervision.Action) []supervision.Action {
	return slices.DeleteFunc(actions, func(a supervision.Action) bool {
		if a.Kind != supervision.Report {
			return false
		}
		c.publish(*a.Event, true)
		return true
	})
}

// await makes the family wait for children, as long as they make progress within
// the timeout.
func (c *cell) await(children []*cell, timeout time.Duration) {
	f := c.family
	for _, child := range children {
		child.awaited = true
	}
	if f.awaiting = len(children); f.waiting() {
		f.grace = timeout
		f.progress = measure(children)
		f.giveUpAt = time.AfterFunc(timeout, func() { c.postSystem(graceOrder{}) })
	}
}

// noteChildDown notes that a child has come down.
func (c *cell) noteChildDown(child *cell) {
	f := c.family
	if !child.awaited {
		return
	}
	child.awaited = false
	if f.awaiting--; !f.waiting() {
		f.giveUpAt.Stop()
	}
}

// abandonStuck abandons awaited children that made no progress.
func (c *cell) abandonStuck() {
	f := c.family
	if f == nil || !f.waiting() {
		return
	}
	awaited := f.awaited()
	if now := measure(awaited); now != f.progress {
		f.progress = now
		f.giveUpAt.Reset(f.grace)
		return
	}
	for _, child := range awaited {
		if child.winding.Load() { // its own children have a grace of their own
			continue
		}
		child.emit(EventAbandoned, nil)
		c.noteChildDown(child)
		if child.currentState() == Stopping || child.asked.Load() {
			f.remove(child.pid.Id)
		}
	}
	if f.waiting() {
		f.giveUpAt.Reset(f.grace)
	}
	c.advance()
}

// arm sets the timer for what supervision wants to do next.
func (c *cell) arm() {
	f := c.family
	if f.broken {
		return
	}
	now := time.Now()
	next, any := f.machine.Next(now)
	switch wait := next.Sub(now); {
	case !any:
		if f.timer != nil {
			f.timer.Stop()
		}
	case wait <= 0:
		c.postSystem(tickOrder{})
	case f.timer == nil:
		f.timer = time.AfterFunc(wait, func() { c.postSystem(tickOrder{}) })
	default:
		f.timer.Reset(wait)
	}
}

// tick lets supervision do what is due.
func (c *cell) tick() {
	if c.family != nil {
		c.decide(func(m *supervision.Supervisor, now time.Time) []supervision.Action { return m.Tick(now) })
	}
}

// pause takes the incarnation down and keeps the mailbox for the next one.
func (c *cell) pause() {
	switch {
	case c.stopping:
	case c.sequel != sequelNone:
		c.sequel = sequelPause
	default:
		c.set(Suspended)
		c.hold(true)
		c.endChildren(sequelPause)
	}
}

// refuse has all that waits, and all that comes, answered circuit_open.
func (c *cell) refuse() {
	if !c.stopping && c.sequel == sequelNone && c.held {
		c.box.setMode(refusing)
	}
}

// check says why a user message would be refused now.
func (c *cell) check() error {
	if c.barred.Load() == 0 && (c.gate == nil || c.gate.Passes()) {
		return nil
	}
	return c.circuitOpen()
}

// circuitOpen is the refusal of a message that a breaker keeps out.
func (c *cell) circuitOpen() *Refused {
	var wait time.Duration
	if c.gate != nil {
		wait = c.gate.RetryAfter(c.sys.now())
	}
	if barred := c.barred.Load(); barred > 0 {
		wait = max(wait, time.Duration(barred-c.sys.coarse.Load()))
	}
	return &Refused{Reason: CircuitOpen, RetryAfter: max(wait, time.Millisecond)}
}

// turnAway answers a queued message that a breaker keeps out.
func (c *cell) turnAway(it item, counts bool) {
	c.countRefusal()
	if it.call.call != nil {
		it.call.reply(c.circuitOpen())
	}
	undelivered(it.msg, func() error { return c.circuitOpen() })
	c.countHandled(laneOf(counts))
}

// Breaker is the actor's own breaker, over its children and over what it guards
// itself, such as a submitter: Admit before a call to that, Outcome after it. It
// may be asked from any goroutine.
func (c *Context) Breaker() *breaker.Breaker { return c.cell.offspring().cells.Own() }

// Outcome reports how a call to what the actor guards itself ended.
func (c *Context) Outcome(tok breaker.Token, ok bool) {
	cell := c.cell
	cell.offspring()
	if !ok {
		cell.decide(func(m *supervision.Supervisor, now time.Time) []supervision.Action {
			return m.OwnFailed(tok, now)
		})
		return
	}
	if event := cell.family.cells.Own().Success(tok, time.Now()); event != nil {
		cell.report(*event)
		cell.arm()
	}
}

func errFailedOnMessage() error {
	return messages.Errorf(messages.CodeInternal, "the actor failed on this message")
}

var errEscalated = errors.New("actors: children needed too many restarts")
