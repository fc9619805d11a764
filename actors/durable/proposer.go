package durable

import (
	"slices"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Outcomes carries what became of an actor's proposals back to it.
type Outcomes []persistence.Outcome

// sink hands outcomes to an actor, through the lane that nothing refuses.
type sink struct{ ref Ref }

// Committed implements persistence.Sink. An actor that has ended has nobody left
// to tell: its Drained held until every outcome was known.
func (s *sink) Committed(list []persistence.Outcome) { _ = s.ref.TellInternal(Outcomes(list)) }

// Proposer is an actor's side of the journal: it proposes, and keeps for each proposal
// what is to be done with its outcome. Attach comes first, in the actor's Start.
type Proposer[P any] struct {
	host *Host
	sink *sink
	open map[uint64]P
}

// Attach makes the proposer the one of this incarnation.
func (p *Proposer[P]) Attach(h *Host, self Ref) {
	p.host, p.sink, p.open = h, &sink{self}, make(map[uint64]P)
}

// InFlight counts the proposals whose outcome is not known yet.
func (p *Proposer[P]) InFlight() int { return len(p.open) }

// Propose sends a proposal off, for this actor; its outcome comes with pending. One without
// a deadline waits as long as it takes. An error says that it was certainly not taken.
func (p *Proposer[P]) Propose(proposal persistence.Proposal, pending P) error {
	proposal.Txn.StampedAt = p.host.Wall().UnixMilli()
	proposal.Sink, proposal.Token = p.sink, p.host.Number()
	p.open[proposal.Token] = pending
	err := p.host.Journal.Propose(proposal)
	if err != nil {
		delete(p.open, proposal.Token)
	}
	return err
}

// ProposeFor proposes what a caller asked for, unless the caller has left, and tells it
// if the proposal is not taken.
func (p *Proposer[P]) ProposeFor(r *Request, proposal persistence.Proposal, pending P) {
	if !r.Propose() {
		return
	}
	proposal.Deadline = r.Deadline
	if err := p.Propose(proposal, pending); err != nil {
		r.Requeue()
		r.Fail(ErrorOf(err))
	}
}

// ApplyOutcomes has each outcome judged by what was kept for it. One meant for an earlier
// incarnation is passed over. If judge fails, what it was given is still open. A newer
// fence that the log knows is noted before that.
func (p *Proposer[P]) ApplyOutcomes(list Outcomes, judge func(P, persistence.Outcome) error) error {
	for _, o := range list {
		if o.Err == nil && o.Result.Status == persistence.Fenced {
			p.host.fences.lost(o.Result.Shard, o.Result.Newest)
		}
		pending, ok := p.open[o.Token]
		if !ok {
			continue
		}
		if err := judge(pending, o); err != nil {
			return err
		}
		delete(p.open, o.Token)
	}
	return nil
}

// FailProposed lets go of all that is in flight, in the order it was proposed. It may
// still commit.
func (p *Proposer[P]) FailProposed(each func(P)) {
	tokens := make([]uint64, 0, len(p.open))
	for token := range p.open {
		tokens = append(tokens, token)
	}
	slices.Sort(tokens)
	for _, token := range tokens {
		each(p.open[token])
	}
	clear(p.open)
}

// Seat is a shard and the right to write for it. Actors that speak for a shard embed one.
type Seat struct {
	*Host
	Shard messages.ShardID
}

// Fence is the fence under which the shard is written for now. Without one the actor is on
// standby: another node owns the shard, or nobody. It may change at any time, so it is
// looked up for each Txn.
func (s *Seat) Fence() (fence persistence.ShardFence, active bool) {
	fence = persistence.ShardFence{Shard: s.Shard, Fence: s.fences.of(s.Shard)}
	return fence, fence.Fence != 0
}

// Singleton is a Seat whose actor is the only one of its kind in the cluster, and begins
// anew under each fence.
type Singleton struct {
	Seat
	held messages.Fence
}

// FenceChanged takes over the fence that is in force now and reports whether that is news.
func (s *Singleton) FenceChanged() bool {
	before := s.held
	s.held = s.fences.of(s.Shard)
	return s.held != before
}

// Active reports whether the actor acts for its shard.
func (s *Singleton) Active() bool { return s.held != 0 }

// Current reports whether nothing has happened to the fence that FenceChanged has not seen.
func (s *Singleton) Current() bool { return s.held == s.fences.of(s.Shard) }

// Held is the fence that the actor has begun under.
func (s *Singleton) Held() persistence.ShardFence {
	return persistence.ShardFence{Shard: s.Shard, Fence: s.held}
}
