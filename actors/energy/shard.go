package energy

import (
	"fmt"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// shard owns the providers whose id is its number modulo the count of shards. It takes
// registrations, and hands what is about one provider to that provider's actor, a child.
type shard struct {
	deps
	durable.Seat
	durable.Proposer[*Register]
	durable.Children
}

func newShard(d deps, id messages.ShardID) *shard {
	seat := d.seat(id)
	return &shard{deps: d, Seat: seat, Children: durable.NewChildren(seat, &oracles)}
}

// Start implements durable.Actor.
func (s *shard) Start(ctx durable.Context) error {
	s.Attach(s.Host, ctx.Self())
	return nil
}

// FailPending implements durable.Actor.
func (s *shard) FailPending() {
	s.FailProposed(func(r *Register) { r.Fail(durable.OutcomeUnknown()) })
	s.FailParked()
}

// Drained implements durable.Actor.
func (s *shard) Drained() bool { return s.InFlight() == 0 && !s.Parked() }

// Receive implements durable.Actor.
func (s *shard) Receive(ctx durable.Context, msg any) error {
	switch msg := msg.(type) {
	case Command:
		s.forward(ctx, msg)
	case *Register:
		s.admit(msg)
	case durable.Outcomes:
		return s.ApplyOutcomes(msg, func(r *Register, o persistence.Outcome) error {
			r.conclude(s.Store, o)
			return nil
		})
	case durable.Ended:
		for _, c := range s.Unpark(msg) {
			s.forward(ctx, c.(Command))
		}
	case durable.Activate:
		s.Activate(ctx)
	default:
		return fmt.Errorf("energy shard %d: unknown message %T", s.Shard, msg)
	}
	return nil
}

// admit proposes a registration.
func (s *shard) admit(r *Register) {
	fence, active := s.Fence()
	if !active {
		r.Fail(durable.NotOwner(s.Shard))
		return
	}
	txn, refusal := r.txn(s)
	if refusal != nil {
		r.Fail(refusal)
		return
	}
	txn.Fences = []persistence.ShardFence{fence}
	s.ProposeFor(&r.Request, persistence.Proposal{Txn: txn}, r)
}

// forward hands a command to its provider's actor. No actor is made for a provider that
// does not exist.
func (s *shard) forward(ctx durable.Context, c Command) {
	id := c.target()
	switch _, active := s.Fence(); {
	case !active:
		c.Base().Fail(durable.NotOwner(s.Shard))
	case uint64(id) >= s.Store.Last(TableProviders) && !c.Base().Confirmed:
		s.SendConfirmed(s.Shard, c)
	case uint64(id) >= s.Store.Last(TableProviders):
		refuse(c, market.UnknownProvider(id))
	default:
		s.Forward(ctx, oracleName(id), func() durable.Entity { return &oracle{deps: s.deps, id: id} }, c)
	}
}
