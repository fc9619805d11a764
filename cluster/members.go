package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/messages"
)

// Member is a node of the group.
type Member struct {
	Node  messages.NodeID
	Addr  string // of its Raft
	Voter bool   // what it stores counts towards a majority
}

// Configuration lists the members of the group, as the newest entry about them in this
// node's log has it. It may not be committed yet.
func (c *Consensus) Configuration() []Member {
	var members []Member
	for _, s := range c.raft.GetConfiguration().Configuration().Servers {
		members = append(members, Member{
			Node: messages.NodeID(s.ID), Addr: string(s.Address), Voter: s.Suffrage == raft.Voter,
		})
	}
	return members
}

// rosterInterval is how often the leader looks after the group.
const rosterInterval = 200 * time.Millisecond

// Keep looks after the group while this node leads, until ctx ends: nodes that live are
// added without a vote, get one when they have caught up and somebody asked for it, at most
// Config.VotersMax of them, and may change their address. Who leaves in order gives its
// vote up where the rest is better off without it, and is taken off the group. A voter that came back without its disk loses
// its vote, is admitted anew and votes again once caught up; admit records that life as
// node's in the log and returns when it is committed. A voter that is dead stays one.
// Leadership goes to a voter of a better rank that has been caught up for
// Config.HandOverAfter, from an observer to any other at once. One change at a time is
// made; what fails is tried again, later each time. candidates lists all known nodes,
// this one too.
func (c *Consensus) Keep(ctx context.Context, candidates func() []Candidate, admit func(ctx context.Context, node messages.NodeID, life string) error) error {
	r := newRoster(c.cfg)
	return every(ctx, rosterInterval, func() error {
		if s := c.State(); !s.Leading || !s.Ready {
			r.forget()
			return nil
		}
		now, known := time.Now(), candidates()
		for i := range known {
			known[i].Unheard = !c.transport.reach.heard(raft.ServerID(known[i].Node), now)
		}
		r.observe(known, c.AppliedIndex(), now)
		todo := r.next(c.Configuration(), known, now)
		if todo.kind == noChange {
			return nil
		}
		began := time.Now()
		err := c.carryOut(ctx, todo, admit)
		if ctx.Err() != nil {
			return nil
		}
		log := c.log.With("member", string(todo.node.Node), "took", time.Since(began))
		if err != nil {
			r.failed(todo, time.Now())
			log.Warn("membership was not changed; it is tried again", "to", todo.kind.String(), "err", err)
			return nil
		}
		r.succeeded(todo, time.Now())
		log.Info("membership changed", "to", todo.kind.String())
		return nil
	})
}

// changeTimeout is how long one change of the group may take.
const changeTimeout = 5 * time.Second

func (c *Consensus) carryOut(ctx context.Context, todo change, admit func(context.Context, messages.NodeID, string) error) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	id, addr := raft.ServerID(todo.node.Node), raft.ServerAddress(todo.node.RaftAddr)
	ask := func(change func() raft.IndexFuture) error {
		return c.await(ctx, func() raft.Future { return change() })
	}
	switch todo.kind {
	case noChange:
		return nil
	case admitLife:
		return admit(ctx, todo.node.Node, todo.node.Life)
	case handOver:
		return c.TransferLeadershipTo(ctx, todo.node.Node)
	case demote:
		return ask(func() raft.IndexFuture { return c.raft.DemoteVoter(id, 0, changeTimeout) })
	case remove:
		return ask(func() raft.IndexFuture { return c.raft.RemoveServer(id, 0, changeTimeout) })
	case promote:
		return ask(func() raft.IndexFuture { return c.raft.AddVoter(id, addr, 0, changeTimeout) })
	case addFollower:
		return ask(func() raft.IndexFuture { return c.raft.AddNonvoter(id, addr, 0, changeTimeout) })
	case changeAddress:
		return ask(func() raft.IndexFuture {
			if todo.voter {
				return c.raft.AddVoter(id, addr, 0, changeTimeout)
			}
			return c.raft.AddNonvoter(id, addr, 0, changeTimeout)
		})
	}
	return fmt.Errorf("change %d is unknown", todo.kind)
}
