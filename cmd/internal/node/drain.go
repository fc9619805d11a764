package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/membership"
	"github.com/the-block/bursar/cluster/ownership"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// drainPoll is how often a drain looks whether the node's shards are gone.
const drainPoll = 5 * time.Millisecond

// drain answers cluster.drain: the log says so, the leader moves the shards, and the
// answer comes when they are gone, or at the deadline with what is left.
func (n *Node) drain(ctx context.Context, r *durable.Request, p *messages.DrainParams) (*messages.DrainResult, *messages.Error) {
	node := messages.NodeID(p.Node)
	duplicate, refusal := n.setDrained(ctx, r, node, !p.Off)
	if refusal != nil {
		return nil, refusal
	}
	result := &messages.DrainResult{Node: p.Node, Draining: !p.Off, Duplicate: duplicate}
	left, err := n.awaitDrained(ctx, node)
	if err != nil {
		return nil, messages.Errorf(messages.CodeInternal, "%v", err)
	}
	result.Shards = uint64(left)
	return result, nil
}

// setDrained has the log say whether a node is drained. A repeat changes nothing, and
// what is so already is only remembered, so that a repeat does not either.
func (n *Node) setDrained(ctx context.Context, r *durable.Request, node messages.NodeID, on bool) (duplicate bool, refusal *messages.Error) {
	for {
		if err := n.service.reach(ctx); err != nil {
			return false, n.unavailable()
		}
		state, err := n.ownership()
		if err != nil {
			return false, messages.Errorf(messages.CodeInternal, "%v", err)
		}
		txn, changes := state.Drain(node, on)
		switch {
		case txn == nil:
			return false, messages.Errorf(messages.CodeNotFound, "there is no node %q; cluster.members lists those there are", string(node))
		case r.Stamped && !changes:
			return false, nil
		}
		r.Identify(txn, persistence.KeepRecent)
		result, err := persistence.Commit(ctx, n.journal, persistence.Proposal{Txn: txn})
		refusal := durable.RefusalOf(persistence.Outcome{Result: result, Err: err})
		switch {
		case refusal != nil && refusal.Code == messages.CodeUnavailable:
			return false, n.unavailable()
		case refusal != nil:
			return false, refusal
		case result.Status == persistence.Committed, result.Status == persistence.Duplicate:
			n.keeper.Poke()
			return result.Status == persistence.Duplicate, nil
		}
	}
}

// awaitDrained waits until a node that is drained owns nothing, or nobody can take what
// it owns, or it is drained no more, or ctx ends. It gives what is left.
func (n *Node) awaitDrained(ctx context.Context, node messages.NodeID) (left int, err error) {
	for {
		state, err := n.ownership()
		if err != nil {
			return 0, err
		}
		if left = state.Count(node); left == 0 || !state.Nodes[node].Drained || !n.others(node, state) {
			return left, nil
		}
		select {
		case <-ctx.Done():
			return left, nil
		case <-time.After(drainPoll):
		}
	}
}

// others reports whether a node lives that can take what node owns.
func (n *Node) others(node messages.NodeID, state *ownership.State) bool {
	for _, l := range n.live() {
		if l.ID != node && !state.Nodes[l.ID].Drained {
			return true
		}
	}
	return false
}

// leaveTimeout bounds what a node that stops waits for the others to take over.
const leaveTimeout = 3 * time.Second

// leave hands over what this node has, so that nobody waits for it: its shards, then
// leadership. Alone, or without quorum, there is nobody to hand it to.
func (n *Node) leave() {
	state, err := n.ownership()
	if err != nil || len(n.live()) < 2 || !n.consensus.State().Ready {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	_ = n.membership.Update(func(m *membership.Meta) { m.Draining = true }) // a hint only
	if state.Count(n.cfg.Name) > 0 {
		if _, refusal := n.setDrained(ctx, &durable.Request{Stamped: true}, n.cfg.Name, true); refusal != nil {
			n.log.Warn("shards are not handed over", "component", "leave", "err", refusal)
			return
		}
		if left, err := n.awaitDrained(ctx, n.cfg.Name); left > 0 || err != nil {
			n.log.Warn("shards are left", "component", "leave", "shards", left, "err", err)
		}
	}
	if err := n.consensus.TransferLeadership(ctx); err != nil && !errors.Is(err, cluster.ErrNoSuccessor) {
		n.log.Warn("leadership is not handed over", "component", "leave", "err", err)
	}
	n.giveUpVote(ctx)
}

// giveUpVote waits until the leader has taken this node's vote, where it is to: see
// cluster.Consensus.Keep.
func (n *Node) giveUpVote(ctx context.Context) {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for n.votes() && n.voters().all%2 == 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			n.log.Warn("the vote is not given up: it counts until this node is back", "component", "leave", "err", ctx.Err())
			return
		}
	}
}

// votes reports whether this node is a voter of the group.
func (n *Node) votes() bool {
	return slices.ContainsFunc(n.consensus.Configuration(), func(m cluster.Member) bool { return m.Node == n.cfg.Name && m.Voter })
}

// goodByeTimeout bounds what a node that stops waits for gossip to spread that it goes.
const goodByeTimeout = time.Second

// sayGoodBye spares the others the wait until they miss this node. Those that stop at
// the same time do not hear it.
func (n *Node) sayGoodBye(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, goodByeTimeout)
	defer cancel()
	if err := n.membership.Leave(ctx); err != nil {
		n.log.Debug("nobody heard the good-bye", "component", "leave", "err", err)
	}
	return nil
}

func (n *Node) ownership() (*ownership.State, error) {
	return ownership.Read(n.store, n.treasury.Config().Shards())
}

// transferLeader answers cluster.transfer_leader.
func (n *Node) transferLeader(ctx context.Context, p *messages.TransferParams) (*messages.TransferResult, *messages.Error) {
	before := n.consensus.State()
	if before.Leading && messages.NodeID(p.Node) == before.Node {
		return &messages.TransferResult{Leader: p.Node, Term: before.Term}, nil
	}
	switch err := n.handOver(ctx, messages.NodeID(p.Node)); {
	case errors.Is(err, cluster.ErrNoSuccessor) && p.Node != "":
		return nil, messages.Errorf(messages.CodeInvalidTransition, "%q is no voter: it cannot lead", p.Node)
	case errors.Is(err, cluster.ErrNoSuccessor):
		return nil, messages.Errorf(messages.CodeInvalidTransition, "%s is the only voter: there is nobody to hand leadership to", before.Node)
	case errors.Is(err, context.DeadlineExceeded):
		return nil, messages.Errorf(messages.CodeOutcomeUnknown, "leadership is being handed over; cluster.status tells who leads")
	case err != nil:
		return nil, messages.Errorf(messages.CodeUnavailable, "not done: %v", err)
	}
	for {
		state, changed := n.consensus.Watch()
		if state.Leader != "" && state.Term != before.Term {
			return &messages.TransferResult{Leader: string(state.Leader), Term: state.Term}, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, messages.Errorf(messages.CodeOutcomeUnknown, "leadership was handed over, and nobody leads yet; cluster.status tells who does")
		}
	}
}

// handOver hands leadership to a voter, "" for any.
func (n *Node) handOver(ctx context.Context, to messages.NodeID) error {
	if to == "" {
		return n.consensus.TransferLeadership(ctx)
	}
	return n.consensus.TransferLeadershipTo(ctx, to)
}

// placementOf answers cluster.placement.
func (n *Node) placementOf() (*messages.PlacementResult, *messages.Error) {
	state, err := n.ownership()
	if err != nil {
		return nil, messages.Errorf(messages.CodeInternal, "%v", err)
	}
	result := &messages.PlacementResult{AppliedIndex: state.Index}
	for i, o := range state.Shards {
		shard := messages.ShardID(i)
		result.Shards = append(result.Shards, messages.ShardInfo{
			Shard: shard, Part: n.part(shard), Owner: string(o.Owner), Fence: o.Fence, Active: n.treasury.Owns(shard),
		})
	}
	return result, nil
}
