package treasury

import (
	"errors"
	"fmt"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Messages of the treasury's actors besides outcomes.
type (
	// activate says that the fence under which the actor speaks has changed.
	activate struct{}
	// wake says that the model holds work for the actor.
	wake struct{}
	// rested says that the actor may try again what the log did not take.
	rested struct{}
	// expire makes the actor answer callers whose deadline has passed.
	expire struct{}
)

// expireEvery is how often an actor with callers looks at their deadlines: a
// caller is told outcome_unknown at most this much late.
const expireEvery = 100 * time.Millisecond

// shard owns the disbursements whose id is its number modulo the count of shards.
// It takes submissions, takes the steps that epochs bring about, and rolls back
// what depends on a rolled-back disbursement. One about a single disbursement is
// its own actor's business, a child.
type shard struct {
	deps
	id messages.ShardID

	proposer[shardWork]
	sweeper
	// parked are commands for children that are ending, by the child's path.
	parked   map[string][]Command
	expiring bool // an expire is on its way
}

// shardWork is what a shard waits for: the outcome of one proposal.
type shardWork interface {
	settle(s *shard, ctx *actors.Context, o persistence.Outcome)
	// abandon lets go of the outcome: this incarnation ends.
	abandon(s *shard)
	request() *Request // nil for the shard's own work
}

func newShard(d deps, id messages.ShardID) *shard {
	return &shard{deps: d, id: id, sweeper: sweeper{limit: sweepMax}, parked: make(map[string][]Command)}
}

// Start implements actors.Starter.
func (s *shard) Start(ctx *actors.Context) error {
	s.proposer = newProposer[shardWork](&s.deps, ctx.Self())
	return s.sweep(ctx)
}

// Stop implements actors.Stopper.
func (s *shard) Stop(*actors.Context) { s.abandon() }

// abandon lets go of everything: what this incarnation had proposed may still commit,
// and its callers must ask again.
func (s *shard) abandon() {
	for _, work := range s.open {
		work.abandon(s)
	}
	clear(s.open)
	s.takeBack()
	s.endTurn()
	s.sendAway()
}

// sendAway refuses the commands that were not begun.
func (s *shard) sendAway() {
	for _, list := range s.parked {
		for _, c := range list {
			c.request().Fail(notOwner(s.id))
		}
	}
	clear(s.parked)
}

// Drained implements actors.Drainer.
func (s *shard) Drained() bool { return len(s.open) == 0 && len(s.parked) == 0 }

// Receive implements actors.Actor.
func (s *shard) Receive(ctx *actors.Context, msg any) error {
	return guarded(func() error { return s.receive(ctx, msg) }, s.abandon)
}

func (s *shard) receive(ctx *actors.Context, msg any) error {
	switch msg := msg.(type) {
	case outcomes:
		err := s.proposer.settle(msg, func(work shardWork, o persistence.Outcome) error {
			work.settle(s, ctx, o)
			return nil
		})
		if err != nil {
			return err
		}
		return s.sweep(ctx)
	case activate:
		if _, active := s.speaks(); !active {
			s.sendAway()
		}
		return s.sweep(ctx)
	case wake:
		return s.sweep(ctx)
	case rested:
		s.resting = false
		return s.sweep(ctx)
	case stepped:
		return s.resume(ctx, msg)
	case expire:
		s.expire(ctx)
	case requests:
		for _, r := range msg {
			s.take(r)
		}
		s.watch(ctx)
	case Command:
		s.forward(ctx, msg)
	case actors.Terminated:
		s.unpark(ctx, msg.Ref.Path())
	default:
		return fmt.Errorf("shard %d: unknown message %T", s.id, msg)
	}
	return nil
}

// speaks is the fence under which the shard writes. It is not active without one: this
// node is on standby for it. The fence may change at any time.
func (s *shard) speaks() (fence persistence.ShardFence, active bool) {
	fence = persistence.ShardFence{Shard: s.id, Fence: s.fences.of(s.id)}
	return fence, fence.Fence != 0
}

// take handles one request that needs no record of its own yet.
func (s *shard) take(r Appendable) {
	fence, active := s.speaks()
	if !active {
		r.request().Fail(notOwner(s.id))
		return
	}
	txn, err := r.txn(s)
	if err != nil {
		r.request().Fail(err)
		return
	}
	txn.Fences = []persistence.ShardFence{fence}
	// Its answer needs nothing of this node's Store.
	proposal := persistence.Proposal{Txn: txn, Deadline: r.request().Deadline, Early: true}
	if err := s.propose(proposal, r); err != nil {
		r.request().Fail(errorOf(err))
	}
}

// watch makes sure that deadlines are looked at while callers wait.
func (s *shard) watch(ctx *actors.Context) {
	if !s.expiring && len(s.open)+len(s.parked) > 0 {
		s.expiring = true
		ctx.After(expireEvery, expire{})
	}
}

// expire answers the callers whose deadline has passed. What they asked for was
// proposed and goes on; the same request id settles what became of it.
func (s *shard) expire(ctx *actors.Context) {
	s.expiring = false
	now := time.Now()
	for _, work := range s.open {
		if r := work.request(); r != nil && r.expired(now) {
			r.Fail(outcomeUnknown())
		}
	}
	for path, list := range s.parked {
		s.parked[path] = failExpired(list, now)
	}
	s.watch(ctx)
}

// failExpired answers the commands whose deadline passed before they were proposed,
// and gives the others.
func failExpired(list []Command, now time.Time) []Command {
	waiting := list[:0]
	for _, c := range list {
		if c.request().expired(now) {
			c.request().Fail(expired())
		} else {
			waiting = append(waiting, c)
		}
	}
	clear(list[len(waiting):])
	return waiting
}

// forward hands a command to its disbursement's actor, which is spawned if it is
// not loaded. No actor is made for a disbursement that does not exist.
func (s *shard) forward(ctx *actors.Context, c Command) {
	id := c.target()
	switch _, active := s.speaks(); {
	case !active:
		c.request().Fail(notOwner(s.id))
		return
	case id == 0 || uint64(id) > s.store.Last(TableDisbursements):
		c.request().Fail(notFound(id))
		return
	}
	name := entityName(id)
	child, ok := ctx.Child(name)
	if !ok {
		var err error
		child, err = ctx.Spawn(actors.Spec{
			Name: name, Kind: "disbursement", MailboxLimit: entityMailbox,
			New: func() actors.Actor { return &entity{deps: s.deps, shard: s.id, id: id} },
		})
		if err != nil {
			c.request().Fail(errorOf(err))
			return
		}
	}
	if err := child.Tell(c); errors.Is(err, &actors.Refused{Reason: actors.Stopped}) {
		s.park(ctx, child, c)
	} else if err != nil {
		c.request().Fail(errorOf(err))
	}
}

// park keeps a command whose disbursement's actor is just being unloaded, until it is
// gone and a new one can be made.
func (s *shard) park(ctx *actors.Context, child actors.Ref, c Command) {
	path := child.Path()
	if len(s.parked[path]) >= entityMailbox {
		c.request().Fail(errorOf(actors.ErrStashFull))
		return
	}
	if _, parking := s.parked[path]; !parking {
		ctx.Watch(child)
	}
	s.parked[path] = append(s.parked[path], c)
	s.watch(ctx)
}

func (s *shard) unpark(ctx *actors.Context, path string) {
	list := s.parked[path]
	delete(s.parked, path)
	for _, c := range list {
		s.forward(ctx, c)
	}
}
