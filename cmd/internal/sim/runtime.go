package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/supervision/breaker"
)

const (
	// turnWithin is how long an actor with a message may wait for its turn.
	turnWithin = 200 * time.Microsecond
	// endsWithin is how long an actor takes to be unloaded.
	endsWithin = time.Millisecond
	// restsQuicker and idlesQuicker are how much shorter the actors' rests and idle times
	// are than they ask for: a run is short.
	restsQuicker = 5
	idlesQuicker = 60
)

// runtime gives a node's durable actors their turns, on the world's one goroutine: an
// actor with messages gets its turn a moment later, in no certain order among others. It
// has mailboxes, timers, children, watches and passivation, and no restarts: an actor that
// fails ends the run.
type runtime struct {
	n     *node
	boot  int
	roots []*actor
}

// actor is one actor, its address and its context.
type actor struct {
	r        *runtime
	spec     durable.Spec
	path     string
	actor    durable.Actor
	children []*actor
	parent   *actor

	internal, user []any
	scheduled      bool // its turn comes
	ending         bool // it takes nothing any more
	watchers       []*actor
	used           time.Duration // when it handled the last message
	guard          *breaker.Breaker
}

func (r *runtime) alive() bool { return r.n.boot == r.boot && r.n.up }

// after lets something happen at the process once d has passed.
func (r *runtime) after(d time.Duration, do func()) {
	r.n.w.after(d, func() {
		if r.alive() {
			r.n.deliver(func(*node) {
				if r.alive() && r.n.w.failed == nil {
					do()
				}
			})
		}
	})
}

// Spawn implements durable.Runtime.
func (r *runtime) Spawn(spec durable.Spec) (durable.Ref, error) {
	a := r.begin(nil, spec)
	r.roots = append(r.roots, a)
	return a, nil
}

// Breaker implements durable.Runtime: no supervisor is at work here, so that there are none
// but actors' own.
func (r *runtime) Breaker(path string) breaker.State {
	if a := actorAt(r.roots, path); a != nil {
		return a.guard.State()
	}
	return breaker.Closed
}

// RetryAfter implements durable.Runtime.
func (r *runtime) RetryAfter(path string, now time.Time) time.Duration {
	if a := actorAt(r.roots, path); a != nil {
		return a.guard.RetryAfter(now)
	}
	return 0
}

func actorAt(actors []*actor, path string) *actor {
	for _, a := range actors {
		switch {
		case a.path == path:
			return a
		case strings.HasPrefix(path, a.path+"/"):
			return actorAt(a.children, path)
		}
	}
	return nil
}

func (r *runtime) begin(parent *actor, spec durable.Spec) *actor {
	a := &actor{r: r, spec: spec, parent: parent, path: "/" + spec.Name, actor: spec.New(), used: r.n.w.now}
	if parent != nil {
		a.path = parent.path + a.path
	}
	r.n.check(a.actor.Start(a))
	return a
}

// turn hands the actor what has come, the internal lane first.
func (a *actor) turn() {
	a.scheduled = false
	for len(a.internal)+len(a.user) > 0 && a.r.n.w.failed == nil && !a.ending {
		lane := &a.internal
		if len(a.internal) == 0 {
			lane = &a.user
			a.used = a.r.n.w.now
		}
		msg := (*lane)[0]
		*lane = (*lane)[1:]
		a.r.n.check(durable.Turn(a.actor, a, msg))
	}
}

func (a *actor) schedule() {
	if !a.scheduled {
		a.scheduled = true
		a.r.after(a.r.n.w.between(0, turnWithin), a.turn)
	}
}

// Tell implements durable.Ref.
func (a *actor) Tell(msg any) error {
	switch {
	case a.ending:
		return &actors.Refused{Reason: actors.Stopped}
	case a.spec.MailboxLimit > 0 && len(a.user) >= a.spec.MailboxLimit:
		return &actors.Refused{Reason: actors.MailboxFull}
	}
	a.user = append(a.user, msg)
	a.schedule()
	return nil
}

// TellInternal implements durable.Ref.
func (a *actor) TellInternal(msg any) error {
	if a.ending {
		return &actors.Refused{Reason: actors.Stopped}
	}
	a.internal = append(a.internal, msg)
	a.schedule()
	return nil
}

// Path implements durable.Ref.
func (a *actor) Path() string { return a.path }

// Stop implements durable.Ref: processes are killed here.
func (a *actor) Stop(context.Context) error { return fmt.Errorf("nothing stops %s", a.path) }

// Self implements durable.Context.
func (a *actor) Self() durable.Ref { return a }

// timer is a message to come.
type timer struct{ over bool }

// Stop implements durable.Timer.
func (t *timer) Stop() bool {
	running := !t.over
	t.over = true
	return running
}

// After implements durable.Context.
func (a *actor) After(d time.Duration, msg any) durable.Timer {
	if _, ok := msg.(durable.Rested); ok {
		d /= restsQuicker
	}
	t := &timer{}
	a.r.after(d, func() {
		if resting := a.r.n.w.quiet && a.path == "/clock"; !t.over && !resting {
			t.over = true
			_ = a.TellInternal(msg)
		}
	})
	return t
}

// Spawn implements durable.Context.
func (a *actor) Spawn(spec durable.Spec) (durable.Ref, error) {
	child := a.r.begin(a, spec)
	a.children = append(a.children, child)
	return child, nil
}

// Child implements durable.Context.
func (a *actor) Child(name string) (durable.Ref, bool) {
	for _, child := range a.children {
		if child.spec.Name == name {
			return child, true
		}
	}
	return nil, false
}

// Children implements durable.Context.
func (a *actor) Children() []durable.Ref {
	refs := make([]durable.Ref, len(a.children))
	for i, child := range a.children {
		refs[i] = child
	}
	return refs
}

// Watch implements durable.Context.
func (a *actor) Watch(ref durable.Ref) {
	child := ref.(*actor)
	if slices.Contains(a.children, child) {
		child.watchers = append(child.watchers, a)
		return
	}
	_ = a.TellInternal(durable.Ended{Path: child.path})
}

// SetPassivation implements durable.Context.
func (a *actor) SetPassivation(idle time.Duration) { a.checkIdle(idle / idlesQuicker) }

// checkIdle unloads the actor once it has been idle: from then on it takes nothing, and a
// moment later it is gone.
func (a *actor) checkIdle(idle time.Duration) {
	a.r.after(idle, func() {
		if a.r.n.w.now-a.used < idle || a.scheduled || !a.actor.Drained() {
			a.checkIdle(idle)
			return
		}
		a.ending = true
		a.r.after(a.r.n.w.between(0, endsWithin), func() {
			a.actor.FailPending()
			a.parent.children = slices.DeleteFunc(a.parent.children, func(c *actor) bool { return c == a })
			for _, w := range a.watchers {
				_ = w.TellInternal(durable.Ended{Path: a.path})
			}
		})
	})
}

// Breaker implements durable.Context.
func (a *actor) Breaker() *breaker.Breaker {
	if a.guard == nil {
		guard, err := breaker.New(a.path, breakerConfig, a.r.n.steady())
		a.r.n.check(err)
		a.guard = guard
		a.tickBreaker()
	}
	return a.guard
}

// tickBreaker lets the breaker see what time it is.
func (a *actor) tickBreaker() {
	a.r.after(tickEvery, func() {
		a.guard.Tick(a.r.n.steady())
		a.tickBreaker()
	})
}

// Outcome implements durable.Context.
func (a *actor) Outcome(token breaker.Token, ok bool) {
	if ok {
		a.guard.Success(token, a.r.n.steady())
	} else {
		a.guard.Failure(token, a.r.n.steady())
	}
}
