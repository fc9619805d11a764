package durable

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Journal takes proposals. Propose does not block; an error says that the proposal
// was certainly not taken.
type Journal interface {
	Propose(persistence.Proposal) error
}

// Messages of the shell's own. They are hints: the actor looks for itself.
type (
	// Activate says that the fence under which the actor speaks may have changed.
	Activate struct{}
	// Wake says that there is work for the actor.
	Wake struct{}
)

// Host is what the durable actors of a node share: what they run on and write to, under
// which fences they speak, where each shard's actor is, and whose deadlines are watched.
type Host struct {
	Runtime Runtime
	Store   *persistence.Store
	Journal Journal
	Machine
	Deadlines *Deadlines
	// Confirm calls then once the Store has applied all that was committed before this call,
	// or with the reason why that is not known by the deadline. It does not block, and is nil
	// where the Store is never behind.
	Confirm func(deadline time.Time, then func(*messages.Error))

	fences    *fences
	addresses []atomic.Pointer[Ref] // by shard
	numbers   atomic.Uint64
}

// NewHost makes a host that owns none of shards and runs nothing.
func NewHost(shards int, runtime Runtime, store *persistence.Store, journal Journal, machine Machine) *Host {
	return &Host{
		Runtime: runtime, Store: store, Journal: journal, Machine: machine, Deadlines: newDeadlines(machine),
		fences: newFences(shards), addresses: make([]atomic.Pointer[Ref], shards),
	}
}

// Number gives a number that no proposal or other matter of this host has.
func (h *Host) Number() uint64 { return h.numbers.Add(1) }

// Own makes this node's actors active for the shards that it owns by the log, each
// under its fence, and puts all others on standby. The Store should have applied the
// entry that made it the owner.
//
// Own may be called at any time and from anywhere, with whatever the Store tells. What
// is the same as before costs nothing, and a fence behind the newest seen is passed
// over.
func (h *Host) Own(owned map[messages.ShardID]messages.Fence) {
	for _, shard := range h.fences.set(owned) {
		h.Notify(shard, Activate{})
	}
}

// confirm has commands certain that the Store is not behind them, and then calls then.
func (h *Host) confirm(commands []Command, then func(*messages.Error)) {
	if h.Confirm == nil {
		then(nil)
		return
	}
	last := commands[0].Base().Deadline
	for _, c := range commands {
		d := c.Base().Deadline
		if d.IsZero() || last.IsZero() {
			last = time.Time{}
			break
		}
		if d.After(last) {
			last = d
		}
	}
	h.Confirm(last, then)
}

// SendConfirmed gives a shard's actor a request again once the Store is known not to be
// behind it.
func (h *Host) SendConfirmed(shard messages.ShardID, c Command) {
	h.confirm([]Command{c}, func(err *messages.Error) {
		r := c.Base()
		if err != nil {
			r.Fail(err)
			return
		}
		r.Confirmed = true
		if err := h.Send(shard, c); err != nil {
			r.Undelivered(err)
		}
	})
}

// Owns reports whether this node's actors act for a shard now.
func (h *Host) Owns(shard messages.ShardID) bool { return h.fences.of(shard) != 0 }

// Address gives the actor that speaks for a shard on this node, nil if there is none.
func (h *Host) Address(shard messages.ShardID) Ref {
	if ref := h.addresses[shard].Load(); ref != nil {
		return *ref
	}
	return nil
}

// Send gives a shard's actor a message. An error says that it will not see it.
func (h *Host) Send(shard messages.ShardID, msg any) error {
	ref := h.Address(shard)
	if ref == nil {
		return NotOwner(shard)
	}
	return ref.Tell(msg)
}

// SendRequest gives a shard's actor a request, and tells the caller if that fails.
func (h *Host) SendRequest(shard messages.ShardID, r interface{ Base() *Request }) {
	Watch(h.Deadlines, r)
	if err := h.Send(shard, r); err != nil {
		r.Base().Undelivered(err)
	}
}

// Notify gives a shard's actor a message of the node's own, if it has one here.
func (h *Host) Notify(shard messages.ShardID, msg any) {
	if ref := h.Address(shard); ref != nil {
		_ = ref.TellInternal(msg)
	}
}

// AnswerRepeat answers a command whose request id was committed before, and reports
// whether it was. The owner looks before it decides: what was right to do then may be
// wrong now.
func (h *Host) AnswerRepeat(c Command) (bool, error) {
	r := c.Base()
	if r.Stamped {
		return false, nil
	}
	first, ok, err := h.Store.Request(r.ID)
	if err != nil || !ok {
		return false, err
	}
	if first.PayloadHash != r.Hash {
		r.Fail(RequestIDConflict())
	} else {
		h.repeat(c, first.First, first.Reply)
	}
	return true, nil
}

// repeat answers a command from the first row that was appended for it, or from the reply
// that is remembered under its request id.
func (h *Host) repeat(c Command, first uint64, reply []byte) {
	rows, ok := c.(Appending)
	if !ok || first == 0 {
		Repeat(c, reply)
		return
	}
	if result, ok := rows.RecallRow(h.Store, first); ok {
		c.Base().Reply(result)
		return
	}
	c.Base().Fail(RequestIDConflict())
}

// Repeat answers a command from what is remembered under its request id. If that was for
// something else, it is a conflict.
func Repeat(c Command, reply []byte) {
	if result, ok := c.Recall(reply); ok {
		c.Base().Reply(result)
		return
	}
	c.Base().Fail(RequestIDConflict())
}

// Member is the actor that speaks for one shard.
type Member struct {
	Shard messages.ShardID
	Spec
}

// Spawn starts a shard's actor below the root.
func (h *Host) Spawn(m Member) (Ref, error) {
	ref, err := h.Runtime.Spawn(m.Spec)
	if err == nil {
		h.introduce(m.Shard, ref)
	}
	return ref, err
}

func (h *Host) introduce(shard messages.ShardID, ref Ref) {
	h.addresses[shard].Store(&ref)
	// Whoever changed a fence since it started may have told the actor before it.
	_ = ref.TellInternal(Activate{})
}

// SpawnTree starts a supervisor below the root, and members below it, in their order. If
// it restarts, so do they, and find by themselves what they own.
func (h *Host) SpawnTree(name string, members ...Member) (Ref, error) {
	s := &supervisor{host: h, name: name, members: members, started: make(chan error, 1)}
	ref, err := h.Runtime.Spawn(Spec{Name: name, Kind: name, New: func() Actor { return s }})
	if err != nil {
		return nil, err
	}
	return ref, <-s.started
}

// supervisor does nothing but have children.
type supervisor struct {
	host    *Host
	name    string
	members []Member
	started chan error
}

// Start implements Actor.
func (s *supervisor) Start(ctx Context) error {
	err := s.spawn(ctx)
	select {
	case s.started <- err:
	default: // nobody waits for a restart
	}
	return err
}

func (s *supervisor) spawn(ctx Context) error {
	refs := make([]Ref, len(s.members))
	for i, m := range s.members {
		var err error
		if refs[i], err = ctx.Spawn(m.Spec); err != nil {
			return err
		}
	}
	for i, m := range s.members {
		s.host.introduce(m.Shard, refs[i])
	}
	return nil
}

// Receive implements Actor: nobody sends it anything.
func (s *supervisor) Receive(_ Context, msg any) error {
	return fmt.Errorf("%s: unknown message %T", s.name, msg)
}

// FailPending implements Actor.
func (*supervisor) FailPending() {}

// Drained implements Actor.
func (*supervisor) Drained() bool { return true }

// StopAll ends actors, one after the other, once what they proposed is settled.
func StopAll(ctx context.Context, refs ...Ref) error {
	for _, ref := range refs {
		if err := ref.Stop(ctx); err != nil {
			return fmt.Errorf("stop %s: %w", ref.Path(), err)
		}
	}
	return nil
}

// since is how long ago an instant of the steady clock was.
func (m Machine) Since(at time.Time) time.Duration { return m.Steady().Sub(at) }
