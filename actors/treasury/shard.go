package treasury

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Messages of a shard actor besides outcomes.
type (
	// activate makes a standby shard the owner under a fence.
	activate struct{ fence messages.Fence }
	// wake says that the model holds work for the actor.
	wake struct{}
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
	id    messages.ShardID
	fence messages.Fence // 0 on standby

	proposer[shardWork]
	sweeping bool // a sweep is on its way
	resting  bool // the next sweep waits: the log did not take the last
	expiring bool // an expire is on its way
}

// shardWork is what a shard waits for: the outcome of one proposal.
type shardWork interface {
	settle(s *shard, o persistence.Outcome)
	// abandon lets go of the outcome: this incarnation ends.
	abandon(s *shard)
	request() *Request // nil for the shard's own work
}

func newShard(d deps, id messages.ShardID) *shard { return &shard{deps: d, id: id} }

// Start implements actors.Starter.
func (s *shard) Start(ctx *actors.Context) error {
	s.proposer = newProposer[shardWork](s.journal, ctx.Self())
	if fence := s.fences.of(s.id); fence != 0 {
		return s.activate(ctx, fence)
	}
	return nil
}

// Stop implements actors.Stopper. What this incarnation had proposed may still
// commit; its callers must ask again.
func (s *shard) Stop(*actors.Context) {
	for _, work := range s.open {
		work.abandon(s)
	}
	clear(s.open)
}

// Drained implements actors.Drainer.
func (s *shard) Drained() bool { return len(s.open) == 0 }

// Receive implements actors.Actor.
func (s *shard) Receive(ctx *actors.Context, msg any) error {
	switch msg := msg.(type) {
	case outcomes:
		for _, o := range msg {
			if work, ok := s.settle(o); ok {
				s.conclude(work, o)
			}
		}
		return s.sweep(ctx)
	case activate:
		return s.activate(ctx, msg.fence)
	case wake:
		return s.sweep(ctx)
	case expire:
		s.expire(ctx)
		return nil
	case requests:
		defer msg.failRest()
		for _, r := range msg {
			s.take(r)
		}
		s.watch(ctx)
		return nil
	case Command:
		return s.forward(ctx, msg)
	default:
		return fmt.Errorf("shard %d: unknown message %T", s.id, msg)
	}
}

// conclude carries an outcome to its work. A panic on the way goes on to the
// supervisor, but not before the caller is told.
func (s *shard) conclude(work shardWork, o persistence.Outcome) {
	defer func() {
		if cause := recover(); cause != nil {
			work.abandon(s)
			panic(cause)
		}
	}()
	work.settle(s, o)
}

func (s *shard) activate(ctx *actors.Context, fence messages.Fence) error {
	s.fence = fence
	return s.sweep(ctx)
}

// speaks is the fence under which the shard writes.
func (s *shard) speaks() persistence.ShardFence {
	return persistence.ShardFence{Shard: s.id, Fence: s.fence}
}

// take handles one request that needs no record of its own yet.
func (s *shard) take(r Appendable) {
	if s.fence == 0 {
		r.request().Fail(notOwner(s.id))
		return
	}
	txn, err := r.txn(s)
	if err != nil {
		r.request().Fail(err)
		return
	}
	txn.Fences = []persistence.ShardFence{s.speaks()}
	if err := s.propose(txn, persistence.High, r.request().Deadline, r); err != nil {
		r.request().Fail(errorOf(err))
	}
}

func notOwner(id messages.ShardID) *messages.Error {
	return messages.Errorf(messages.CodeUnavailable, "shard %d has no owner here yet; try again", id)
}

// watch makes sure that deadlines are looked at while callers wait.
func (s *shard) watch(ctx *actors.Context) {
	if !s.expiring && len(s.open) > 0 {
		s.expiring = true
		ctx.After(expireEvery, expire{})
	}
}

// expire answers the callers whose deadline has passed. What they asked for was
// proposed and goes on; the same request id settles what became of it.
func (s *shard) expire(ctx *actors.Context) {
	s.expiring = false
	now := time.Now()
	for token, work := range s.open {
		if r := work.request(); r != nil && r.expired(now) {
			r.Fail(outcomeUnknown())
			delete(s.open, token)
		}
	}
	s.watch(ctx)
}

// deps are the collaborators that all actors of the treasury share.
type deps struct {
	cfg     Config
	store   Store
	model   *Model
	journal Journal
	fences  *fences
	stats   *Stats
	log     *slog.Logger
	// executor is the executor's address.
	executor actors.Ref
}

// facts gathers what rules ask for that does not depend on the record.
func (d *deps) facts() (disbursement.Facts, error) {
	treasury, err := d.store.Counter(CounterTreasury)
	return disbursement.Facts{
		Epoch:    d.model.Epoch(),
		Now:      uint64(time.Now().Unix()),
		Node:     d.cfg.Node,
		Treasury: messages.Amount(treasury),
	}, err
}
