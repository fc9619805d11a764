package actors

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/breaker"
)

// State is where an actor is in its life.
type State uint8

// The states of an actor.
const (
	Starting   State = iota + 1 // its incarnation is being made
	Running                     // it handles messages
	Suspended                   // it failed and waits for its supervisor's verdict
	Restarting                  // it will start anew; its mailbox waits
	Stopping                    // it finishes what it accepted and takes nothing new
	Ended                       // it is gone
)

var stateNames = [...]string{
	Starting: "starting", Running: "running", Suspended: "suspended",
	Restarting: "restarting", Stopping: "stopping", Ended: "ended",
}

// String gives the state as trees show it.
func (s State) String() string {
	if int(s) < len(stateNames) && s > 0 {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// End says why an actor has ended.
type End uint8

// The ends of an actor.
const (
	EndStopped    End = iota + 1 // asked to stop
	EndPassivated                // idle for as long as it had set
	EndFailed                    // its supervisor gave it up
)

// String gives the end as events show it.
func (e End) String() string {
	switch e {
	case EndStopped:
		return "stopped"
	case EndPassivated:
		return "passivated"
	case EndFailed:
		return "failed"
	default:
		return fmt.Sprintf("end(%d)", uint8(e))
	}
}

// Terminated tells a watcher that an actor has ended.
type Terminated struct {
	Ref Ref
	End End
}

// phase says which of the actor's own functions is running, so that a panic or
// a Goexit in it, seen only when the stack is gone, can be put down to it.
type phase uint8

const (
	phaseNone phase = iota
	phaseReceive
	phaseStart
	phaseStop
)

// lane says where the message in hand came from, and with that where it counts.
type lane uint8

const (
	laneNone lane = iota // there is none, or it was stashed: it counts when it is handled
	laneUser
	laneInternal
)

func laneOf(counts bool) lane {
	if counts {
		return laneUser
	}
	return laneInternal
}

// sequel says what follows once an actor's children have ended.
type sequel uint8

const (
	sequelNone sequel = iota
	sequelPause
	sequelRestart
	sequelEnd
)

// The system messages of our own; the others are protoactor's.
type (
	restartOrder struct{}
	stopOrder    struct{ end End }
	idleOrder    struct{}
	executeOrder struct{ do func() }
	proceedOrder struct{}
	pauseOrder   struct{}
	pausedOrder  struct{ child *cell }
	refuseOrder  struct{}
	tickOrder    struct{}
	armOrder     struct{}
	advanceOrder struct{}

	graceOrder struct{}
)

// cell is an actor's body: its mailbox, its place in the tree, its incarnation.
// It lives from Spawn to the actor's end; restarts replace only the incarnation.
// Except for mailbox, state and counters, it belongs to the worker running it.
type cell struct {
	box  mailbox
	sys  *System
	kind *kind

	parent  *cell
	pid     *actor.PID
	process actor.MessageInvoker // protoactor's context for this actor
	create  func() Actor
	line    *line         // nil for most
	gate    *breaker.Gate // nil for the root
	index   int32         // place in the parent's order; guarded by the parent's family.mu
	awaited bool          // the parent waits for its end; belongs to the parent's worker
	end     End           // why it ends; here because there is room

	behaviour Actor // the incarnation; nil before the first start
	context   Context
	current   item // the message in hand
	lifecycle []any
	phase     phase
	sequel    sequel
	held      bool // only system messages are served
	started   bool // the incarnation's Start has succeeded
	stopping  bool
	answered  bool // the message in hand was answered, stashed or its Replier kept
	hand      lane // of the message in hand
	admitted  bool // the message in hand was admitted with pass
	pass      breaker.Pass
	timing    time.Duration // when the message in hand began, if it is timed

	state    atomic.Uint32
	restarts atomic.Uint32
	timed    atomic.Int64 // nanoseconds that the timed messages took
	// barred is until when supervision keeps messages out, by the coarse clock; 0 if
	// it does not.
	barred atomic.Int64
	// winding says that the actor waits for its children's end, asked that it was
	// asked to end.
	winding, asked atomic.Bool

	lastDone uint64 // handled at the last look; guarded by the sampler

	// more holds what most actors never need.
	more   *extras
	family *family
}

// extras is what few actors use; it belongs to the worker.
type extras struct {
	stash    []kept
	timers   map[*Timer]struct{}
	watching map[string]Ref

	idleFor  time.Duration
	idleDone uint64
	idle     *time.Timer
}

func (c *cell) extras() *extras {
	if c.more == nil {
		c.more = &extras{}
	}
	return c.more
}

// name is the actor's name below its parent.
func (c *cell) name() string { return nameOf(c.pid.Id) }

func nameOf(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

func (c *cell) path() string {
	if c.parent == nil {
		return "/"
	}
	return c.pid.Id
}

func (c *cell) ref() Ref            { return Ref{cell: c} }
func (c *cell) set(s State)         { c.state.Store(uint32(s)) }
func (c *cell) currentState() State { return State(c.state.Load()) }

// post puts a user message in, or refuses it.
func (c *cell) post(it item) error {
	if err := c.check(); err != nil {
		c.countRefusal()
		return err
	}
	why, wake := c.box.offer(it, c.sys.coarse.Load())
	if wake {
		c.sys.pool.schedule(c)
	}
	if why == 0 {
		return nil
	}
	c.countRefusal()
	switch why {
	case MailboxFull:
		return refusedFull
	default:
		c.deadLetter(it.msg, Stopped)
		return refusedStopped
	}
}

// deadLetter files a message that the actor will not see.
func (c *cell) deadLetter(msg any, why Reason) {
	c.kind.dead.Add(1)
	c.sys.dead.add(DeadLetter{Path: c.path(), Type: typeName(msg), Reason: why})
}

func (c *cell) countRefusal() {
	c.box.refused.Add(1)
	c.kind.refused.Add(1)
}

func (c *cell) postInternal(it item) error {
	why, wake := c.box.offerInternal(it)
	if wake {
		c.sys.pool.schedule(c)
	}
	if why == 0 {
		return nil
	}
	c.deadLetter(it.msg, why)
	return refusedStopped
}

func (c *cell) postSystem(msg any) {
	if c.box.offerSystem(msg) {
		c.sys.pool.schedule(c)
	}
}

// run handles up to quota messages on the calling worker and reports whether the
// actor should be scheduled again. It returns normally after a panic of the
// actor's; after a Goexit it does not return at all.
func (c *cell) run(quota int) (again bool) {
	returned := false
	handled := c.box.handled()
	defer func() {
		if !returned {
			again = true
			c.broke(recover())
		}
		if n := c.box.handled() - handled; n > 0 {
			c.kind.messages.Add(n)
		}
	}()
	for range quota {
		if (c.box.urgent.Load() || len(c.lifecycle) > 0) && c.serveLifecycle() {
			continue
		}
		if !c.step() {
			returned = true
			return !c.box.park()
		}
	}
	returned = true
	return true
}

// step handles one message and reports whether there was one.
func (c *cell) step() bool {
	if c.held {
		return c.stepRefusing()
	}
	it, counts, ok := c.box.next()
	if !ok {
		return c.stopping && c.sequel == sequelNone && c.drained()
	}
	c.deliver(it, counts)
	return true
}

// stepRefusing turns one message away, if that is what the actor is to do, and
// reports whether it did.
func (c *cell) stepRefusing() bool {
	if c.box.mode != refusing { // only this goroutine writes it
		return false
	}
	it, counts, ok := c.box.nextUser()
	if ok {
		c.turnAway(it, counts)
	}
	return ok
}

// serveLifecycle handles one system message and reports whether there was one.
func (c *cell) serveLifecycle() bool {
	if c.box.urgent.Load() {
		if urgent := c.box.takeUrgent(); len(c.lifecycle) == 0 {
			c.lifecycle = urgent
		} else {
			c.lifecycle = append(c.lifecycle, urgent...)
		}
	}
	if len(c.lifecycle) == 0 {
		return false
	}
	msg := c.lifecycle[0]
	c.lifecycle[0] = nil
	if c.lifecycle = c.lifecycle[1:]; len(c.lifecycle) == 0 {
		c.lifecycle = nil
	}
	switch msg := msg.(type) {
	case *actor.Started:
		c.incarnate()
	case *actor.SuspendMailbox: // the cell suspended itself when it failed
	case restartOrder:
		c.beginRestart()
	case *actor.Stop:
		c.beginStop(EndStopped)
	case stopOrder:
		c.beginStop(msg.end)
	case *actor.Terminated: // protoactor keeps neither children nor watches of ours
		c.noteEnd(msg.Who.Id)
	case executeOrder:
		msg.do()
	case idleOrder:
		c.checkIdle()
	case proceedOrder:
		c.proceed()
	case pauseOrder:
		c.pause()
	case pausedOrder:
		c.notePause(msg.child)
	case refuseOrder:
		c.refuse()
	case tickOrder:
		c.tick()
	case armOrder:
		c.arm()
	case advanceOrder:
		c.advance()
	case graceOrder:
		c.abandonStuck()
	default: // Watch, Unwatch, Failure
		c.process.InvokeSystemMessage(msg)
	}
	return true
}

// deliver hands one message to the incarnation.
func (c *cell) deliver(it item, counts bool) {
	if t, ok := it.msg.(*Timer); ok && !counts {
		if !c.elapsed(t) {
			return
		}
		it.msg = t.msg
	}
	if it.call.call != nil && !it.call.open() {
		c.deadLetter(it.msg, DeadlinePassed)
		c.countHandled(laneOf(counts))
		return
	}
	if counts && c.gate != nil {
		pass, ok := c.gate.Admit()
		if !ok {
			c.turnAway(it, counts)
			return
		}
		c.pass, c.admitted = pass, true
	}
	c.current, c.hand, c.answered = it, laneOf(counts), false
	c.beginTiming()
	c.phase = phaseReceive
	var err error
	if c.sys.faults.armed.Load() {
		err = c.injectFault()
	}
	if err == nil {
		err = c.behaviour.Receive(&c.context, it.msg)
	}
	c.phase = phaseNone
	if err != nil {
		c.fail(err)
		return
	}
	if !c.answered {
		it.call.reply(ErrNoReply)
	}
	if c.admitted {
		c.succeed()
	}
	c.finish()
}

// succeed tells the breakers that the message in hand ended well.
func (c *cell) succeed() {
	if c.gate.Cell() == nil && c.pass == c.gate.Current() {
		return // neither a cell to tell nor a probe: nearly always
	}
	events := c.gate.Success(c.pass, time.Now())
	for i := range events {
		c.parent.report(events[i])
	}
	if len(events) > 0 {
		c.parent.postSystem(armOrder{})
	}
}

// finish closes the books on the message in hand.
func (c *cell) finish() {
	c.endTiming()
	c.countHandled(c.hand)
	c.current, c.hand, c.admitted = item{}, laneNone, false
}

// countHandled counts a message as handled.
func (c *cell) countHandled(from lane) {
	switch from {
	case laneUser:
		c.box.done.Store(c.box.done.Load() + 1)
	case laneInternal:
		c.box.inner.Store(c.box.inner.Load() + 1)
	case laneNone:
	}
}

// beginTiming notes the time if the message in hand is the sampled one.
func (c *cell) beginTiming() {
	if !measured {
		return
	}
	if c.hand == laneInternal { // one in as many, its wait is not known
		if c.box.inner.Load()%sampleEvery == 0 {
			c.timing = time.Since(began)
		}
		return
	}
	if c.box.timed == 0 || c.box.taken != c.box.timed {
		return
	}
	c.timing = time.Since(began)
	c.kind.waits.ObserveTime(c.timing - c.box.timedSince)
	c.box.timed = 0
}

func (c *cell) endTiming() {
	if measured && c.timing != 0 {
		took := time.Since(began) - c.timing
		c.kind.turns.ObserveTime(took)
		c.timed.Add(int64(took))
		c.timing = 0
	}
}

// incarnate makes and starts a new incarnation, then opens the mailbox.
func (c *cell) incarnate() {
	if c.stopping {
		return
	}
	c.set(Starting)
	c.started, c.behaviour = false, nil
	if c.family != nil {
		c.family.renew(c.pid.Id)
	}
	c.phase = phaseStart
	b := c.create()
	if b == nil {
		c.phase = phaseNone
		c.fail(ErrNilActor)
		return
	}
	c.behaviour = b
	if s, ok := b.(Starter); ok {
		if err := s.Start(&c.context); err != nil {
			c.phase = phaseNone
			c.fail(fmt.Errorf("start: %w", err))
			return
		}
	}
	c.phase = phaseNone
	c.started = true
	c.set(Running)
	c.hold(false)
	if c.family != nil {
		c.arm() // its breakers outlive the incarnation: an open one waits for its time
	}
	if c.restarts.Load() > 0 {
		c.emit(EventRestarted, nil)
	}
	if c.line != nil && len(c.line.children) > 0 {
		c.offspring()
		c.decide(func(m *supervision.Supervisor, _ time.Time) []supervision.Action { return m.Start() })
	}
}

// hold suspends the service of messages, or takes it up.
func (c *cell) hold(on bool) {
	c.held = on
	if on {
		c.box.setMode(held)
	} else {
		c.box.setMode(serving)
	}
}

// beginRestart ends the children, then replaces the incarnation.
func (c *cell) beginRestart() {
	if c.sequel == sequelPause { // abandoned while it came down
		c.sequel = sequelRestart
	}
	if c.stopping || c.sequel != sequelNone {
		return
	}
	c.set(Restarting)
	c.hold(true)
	c.endChildren(sequelRestart)
}

// beginStop shuts the door; what was accepted is still handled, unless the actor
// is down and cannot.
func (c *cell) beginStop(end End) {
	if c.stopping {
		return
	}
	c.stopping, c.end = true, end
	c.set(Stopping)
	c.box.shut(doorDraining)
	switch {
	case c.sequel != sequelNone: // its children are ending already
		c.sequel = sequelEnd
	case c.held || end == EndFailed:
		c.hold(true)
		c.endChildren(sequelEnd)
	}
}

// drained begins the end of an actor whose mailbox has become empty, and reports
// whether it did.
func (c *cell) drained() bool {
	if d, ok := c.behaviour.(Drainer); ok {
		c.phase = phaseReceive
		drained := d.Drained()
		c.phase = phaseNone
		if !drained {
			return false
		}
	}
	c.endChildren(sequelEnd)
	return true
}

// endChildren stops the children, if any, and goes on with the sequel when none
// is left.
func (c *cell) endChildren(then sequel) {
	c.sequel = then
	if c.family == nil {
		c.proceed()
		return
	}
	c.winding.Store(true)
	c.family.over = true
	c.decide(func(m *supervision.Supervisor, _ time.Time) []supervision.Action { return m.Stop() })
}

// proceed carries out the sequel. The incarnation's Stop comes first; if that
// breaks, broke goes on here.
func (c *cell) proceed() {
	c.winding.Store(false)
	c.dropTimers()
	if c.started {
		c.started = false
		if s, ok := c.behaviour.(Stopper); ok {
			c.phase = phaseStop
			s.Stop(&c.context)
			c.phase = phaseNone
		}
	}
	then := c.sequel
	c.sequel = sequelNone
	switch then {
	case sequelRestart:
		c.restarts.Add(1)
		c.kind.restarts.Add(1)
		c.unstash()
		c.incarnate()
	case sequelPause:
		c.parent.postSystem(pausedOrder{c})
	case sequelEnd:
		c.close()
	case sequelNone:
	}
}

// close ends the actor: what still waits becomes dead letters, and protoactor
// tells parent and watchers.
func (c *cell) close() {
	c.hold(true)
	c.unstash()
	for _, it := range c.box.empty() {
		it.call.reply(refusedStopped)
		undelivered(it.msg, func() error { return refusedStopped })
		c.deadLetter(it.msg, Stopped)
	}
	c.stopIdle()
	c.closeFamily()
	c.set(Ended)
	c.behaviour = nil
	c.kind.active.Add(-1)
	c.sys.live.Add(-1)
	c.process.InvokeSystemMessage(&actor.Stop{})
	c.sys.tellEnded(c)
}

// requestStop asks the actor to drain and end.
func (c *cell) requestStop(end End) {
	c.asked.Store(true)
	c.box.shut(doorDraining)
	c.postSystem(stopOrder{end})
}

// noteEnd takes an ended child or watched actor off the books.
func (c *cell) noteEnd(path string) {
	if c.more != nil {
		if ref, ok := c.more.watching[path]; ok {
			delete(c.more.watching, path)
			_ = c.postInternal(item{msg: Terminated{Ref: ref, End: ref.cell.end}})
		}
	}
	if child := c.family.remove(path); child != nil {
		c.noteChildDown(child)
		if !c.family.over {
			c.decide(func(m *supervision.Supervisor, _ time.Time) []supervision.Action {
				m.Stopped(child.name())
				return nil
			})
			return
		}
		c.advance()
	}
}

// notePause takes note that a child has come down and keeps its mailbox.
func (c *cell) notePause(child *cell) {
	if c.family.child(child.name()) == child {
		c.noteChildDown(child)
		c.advance()
	}
}
