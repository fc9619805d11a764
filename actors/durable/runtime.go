package durable

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/supervision/breaker"
)

// Ref is the address of an actor, as actors.Ref is.
type Ref interface {
	// Tell sends a message. An error says that the actor will not see it, and why.
	Tell(msg any) error
	// TellInternal sends the outcome of work that the actor itself has begun, on the lane
	// that nothing but the actor's end refuses.
	TellInternal(msg any) error
	// Path is the actor's place in the tree.
	Path() string
	// Stop makes the actor end, and waits for that.
	Stop(ctx context.Context) error
}

// Timer is a message to come.
type Timer interface {
	// Stop takes the message back and reports whether it had not been delivered.
	Stop() bool
}

// Context is what a durable actor uses of the runtime while it handles a message. It is
// valid only inside the call it was given to.
type Context interface {
	// Self is the actor's own address.
	Self() Ref
	// After sends the actor msg, on the internal lane, once d has passed.
	After(d time.Duration, msg any) Timer
	// Spawn starts a child.
	Spawn(spec Spec) (Ref, error)
	// Child gives the child of that name, if there is one.
	Child(name string) (Ref, bool)
	// Children gives the children in the order they were spawned.
	Children() []Ref
	// Watch asks for an Ended message when the actor behind ref ends.
	Watch(ref Ref)
	// SetPassivation ends the actor once it has handled no message for idle.
	SetPassivation(idle time.Duration)
	// Breaker is the actor's own, over what it guards itself.
	Breaker() *breaker.Breaker
	// Outcome reports how a call to what the actor guards itself ended.
	Outcome(token breaker.Token, ok bool)
}

// Actor is one of a domain's actors. Its methods never run at the same time, and none of
// them may block.
type Actor interface {
	// Start prepares an incarnation before its first message.
	Start(ctx Context) error
	// Receive handles one message. An error is a failure of the actor.
	Receive(ctx Context, msg any) error
	// FailPending answers everybody who waits for the actor. It is called as soon as a turn
	// fails, because a restart may have to wait for a breaker, and when the actor ends.
	FailPending()
	// Drained reports whether the actor may end now: nothing of it is in flight.
	Drained() bool
}

// Stopper is an Actor that releases something more when it ends.
type Stopper interface{ Stop() }

// Spec describes an actor to spawn: see actors.Spec.
type Spec struct {
	Name         string
	Kind         string
	MailboxLimit int
	New          func() Actor
}

// Runtime is what durable actors run on.
type Runtime interface {
	// Spawn starts an actor below the root.
	Spawn(spec Spec) (Ref, error)
	// Breaker is the state of what stands between the actor at path and its work: its own
	// breaker or the cell that its supervisor keeps for it, whichever is not closed.
	Breaker(path string) breaker.State
	// RetryAfter is how long that lets nothing through; 0 where a call would pass.
	RetryAfter(path string, now time.Time) time.Duration
}

// Ended says that a watched actor has ended.
type Ended struct{ Path string }

// Turn hands an actor one message. If that fails, by an error or a panic, the actor lets
// go of everybody who waits for it.
func Turn(a Actor, ctx Context, msg any) error {
	return Guard(func() error { return a.Receive(ctx, msg) }, a.FailPending)
}

// Guard runs a turn, and undo if that fails, by an error or a panic.
func Guard(turn func() error, undo func()) error {
	failed := true
	defer func() {
		if failed {
			undo()
		}
	}()
	err := turn()
	failed = err != nil
	return err
}

// On runs durable actors on the actor runtime.
func On(system *actors.System) Runtime { return runtime{system} }

type runtime struct{ system *actors.System }

// Spawn implements Runtime.
func (r runtime) Spawn(spec Spec) (Ref, error) { return r.system.Spawn(spec.live()) }

// Breaker implements Runtime.
func (r runtime) Breaker(path string) breaker.State { return r.system.Breaker(path) }

// RetryAfter implements Runtime.
func (r runtime) RetryAfter(path string, now time.Time) time.Duration {
	return r.system.RetryAfter(path, now)
}

// live is the spec as the actor runtime takes it.
func (s Spec) live() actors.Spec {
	return actors.Spec{
		Name: s.Name, Kind: s.Kind, MailboxLimit: s.MailboxLimit,
		New: func() actors.Actor { return &hosted{s.New()} },
	}
}

// hosted is a durable actor on the actor runtime.
type hosted struct{ actor Actor }

// Start implements actors.Starter.
func (h *hosted) Start(ctx *actors.Context) error { return h.actor.Start(hostedContext{ctx}) }

// Receive implements actors.Actor.
func (h *hosted) Receive(ctx *actors.Context, msg any) error {
	if end, ok := msg.(actors.Terminated); ok {
		msg = Ended{end.Ref.Path()}
	}
	return Turn(h.actor, hostedContext{ctx}, msg)
}

// Stop implements actors.Stopper.
func (h *hosted) Stop(*actors.Context) {
	h.actor.FailPending()
	if s, ok := h.actor.(Stopper); ok {
		s.Stop()
	}
}

// Drained implements actors.Drainer.
func (h *hosted) Drained() bool { return h.actor.Drained() }

// hostedContext is the runtime's context as durable actors see it.
type hostedContext struct{ *actors.Context }

func (c hostedContext) Self() Ref { return c.Context.Self() }

func (c hostedContext) After(d time.Duration, msg any) Timer { return c.Context.After(d, msg) }

func (c hostedContext) Spawn(spec Spec) (Ref, error) { return c.Context.Spawn(spec.live()) }

func (c hostedContext) Child(name string) (Ref, bool) {
	ref, ok := c.Context.Child(name)
	return ref, ok
}

func (c hostedContext) Children() []Ref {
	children := c.Context.Children()
	refs := make([]Ref, len(children))
	for i, ref := range children {
		refs[i] = ref
	}
	return refs
}

func (c hostedContext) Watch(ref Ref) {
	if ref, ok := ref.(actors.Ref); ok {
		c.Context.Watch(ref)
	}
}

// ended reports whether a message was refused because its actor has ended, or is ending.
func ended(err error) bool { return errors.Is(err, &actors.Refused{Reason: actors.Stopped}) }

// Machine is what a node has of time and chance.
type Machine struct {
	// Wall is what the node's clock shows, and what is written down; anybody may set it.
	Wall func() time.Time
	// Steady is nobody's to set: deadlines, rests and breakers go by it.
	Steady func() time.Time
	// After calls do once d has passed, on any goroutine.
	After func(d time.Duration, do func())
	// Chance draws from [0, 1).
	Chance func() float64
}

// ThisMachine is the machine that the process runs on.
func ThisMachine() Machine {
	return Machine{
		Wall: time.Now, Steady: time.Now,
		After: func(d time.Duration, do func()) { time.AfterFunc(d, do) },
		Chance: func() float64 {
			var b [8]byte
			_, _ = rand.Read(b[:]) // it never fails
			return float64(binary.LittleEndian.Uint64(b[:])>>11) / (1 << 53)
		},
	}
}
