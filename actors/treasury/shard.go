package treasury

import (
	"fmt"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// shard owns the disbursements whose id is its number modulo the count of shards.
// It takes submissions, takes the steps that epochs bring about, and rolls back
// what depends on a rolled-back disbursement. One about a single disbursement is
// its own actor's business, a child.
type shard struct {
	deps
	durable.Seat
	durable.Proposer[shardWork]
	durable.Children
	sweeper
}

// shardWork is what a shard waits for: the outcome of one proposal.
type shardWork interface {
	conclude(s *shard, ctx durable.Context, o persistence.Outcome)
	// fail lets go of the outcome: this incarnation ends.
	fail(s *shard)
}

func newShard(d deps, id messages.ShardID) *shard {
	seat := d.seat(id)
	return &shard{deps: d, Seat: seat, Children: durable.NewChildren(seat, &disbursements), sweeper: sweeper{limit: sweepMax}}
}

// Start implements durable.Actor.
func (s *shard) Start(ctx durable.Context) error {
	s.Attach(s.Host, ctx.Self())
	return s.sweep(ctx)
}

// FailPending implements durable.Actor: what this incarnation had proposed may still
// commit, and its callers must ask again.
func (s *shard) FailPending() {
	s.FailProposed(func(work shardWork) { work.fail(s) })
	s.endDelegation()
	s.endTurn()
	s.FailParked()
}

// Drained implements durable.Actor.
func (s *shard) Drained() bool { return s.InFlight() == 0 && !s.Parked() }

// Receive implements durable.Actor.
func (s *shard) Receive(ctx durable.Context, msg any) error {
	switch msg := msg.(type) {
	case durable.Outcomes:
		err := s.ApplyOutcomes(msg, func(work shardWork, o persistence.Outcome) error {
			work.conclude(s, ctx, o)
			return nil
		})
		if err != nil {
			return err
		}
		return s.sweep(ctx)
	case durable.Activate:
		s.Activate(ctx)
		return s.sweep(ctx)
	case durable.Wake:
		return s.sweep(ctx)
	case durable.Rested:
		s.rest.End()
		return s.sweep(ctx)
	case stepped:
		return s.resume(ctx, msg)
	case requests:
		for _, r := range msg {
			s.admit(r)
		}
	case Command:
		s.forward(ctx, msg)
	case durable.Ended:
		for _, c := range s.Unpark(msg) {
			s.forward(ctx, c.(Command))
		}
	default:
		return fmt.Errorf("shard %d: unknown message %T", s.Shard, msg)
	}
	return nil
}

// admit proposes one request that needs no record of its own yet.
func (s *shard) admit(r Appendable) {
	fence, active := s.Fence()
	if !active {
		r.Base().Fail(durable.NotOwner(s.Shard))
		return
	}
	txn, refusal := r.txn(s)
	if refusal != nil {
		r.Base().Fail(refusal)
		return
	}
	txn.Fences = []persistence.ShardFence{fence}
	// Its answer needs nothing of this node's Store.
	s.ProposeFor(r.Base(), persistence.Proposal{Txn: txn, Early: true}, r)
}

// forward hands a command to its disbursement's actor. No actor is made for a
// disbursement that does not exist.
func (s *shard) forward(ctx durable.Context, c Command) {
	id := c.target()
	if _, active := s.Fence(); active && (id == 0 || uint64(id) > s.Store.Last(rows.TableDisbursements)) {
		c.Base().Fail(rows.NotFound(id))
		return
	}
	s.Forward(ctx, entityName(id), func() durable.Entity { return &entity{deps: s.deps, id: id} }, c)
}

// shardOf gives the shard that an id belongs to.
func shardOf(id messages.DisbursementID, shards int) messages.ShardID {
	return messages.ShardID(uint64(id) % uint64(shards))
}
