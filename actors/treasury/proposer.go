package treasury

import (
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Journal takes proposals. Propose does not block; an error says that the proposal
// was certainly not taken.
type Journal interface {
	Propose(persistence.Proposal) error
}

// outcomes carries what became of an actor's proposals back to it.
type outcomes []persistence.Outcome

// sink hands outcomes to an actor, through the lane that nothing refuses.
type sink struct{ ref actors.Ref }

// Committed implements persistence.Sink. An actor that has ended has nobody left
// to tell: its Drained held until every outcome was known.
func (s *sink) Committed(list []persistence.Outcome) { _ = s.ref.TellInternal(outcomes(list)) }

// tokens numbers proposals across all actors and incarnations, so that an outcome
// meant for an earlier incarnation is recognised as a stranger.
var tokens atomic.Uint64

// proposer is an actor's side of the journal: it proposes, and keeps for each
// proposal what is to be done with its outcome.
type proposer[P any] struct {
	to    Journal
	known *fences
	sink  *sink
	open  map[uint64]P
}

func newProposer[P any](d *deps, self actors.Ref) proposer[P] {
	return proposer[P]{to: d.journal, known: d.fences, sink: &sink{self}, open: make(map[uint64]P)}
}

// propose sends a proposal off, for this actor; its outcome comes with pending. One without a
// deadline waits as long as it takes.
func (p *proposer[P]) propose(proposal persistence.Proposal, pending P) error {
	proposal.Txn.StampedAt = time.Now().UnixMilli()
	proposal.Sink, proposal.Token = p.sink, tokens.Add(1)
	p.open[proposal.Token] = pending
	err := p.to.Propose(proposal)
	if err != nil {
		delete(p.open, proposal.Token)
	}
	return err
}

// settle has each outcome judged by what was kept for it. A stranger's is passed
// over. If judge fails, what it was given is still open. A newer fence that the log
// knows is noted before that.
func (p *proposer[P]) settle(list outcomes, judge func(P, persistence.Outcome) error) error {
	for _, o := range list {
		if o.Err == nil && o.Result.Status == persistence.Fenced {
			p.known.lost(o.Result.Shard, o.Result.Newest)
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

// guarded runs an actor's turn. If that fails, by an error or a panic, the actor lets
// go of its callers at once: its restart may have to wait.
func guarded(turn func() error, abandon func()) error {
	failed := true
	defer func() {
		if failed {
			abandon()
		}
	}()
	err := turn()
	failed = err != nil
	return err
}

// shardOf gives the shard that an id belongs to.
func shardOf(id messages.DisbursementID, shards int) messages.ShardID {
	return messages.ShardID(uint64(id) % uint64(shards))
}
