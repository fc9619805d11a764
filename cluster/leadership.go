package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/messages"
)

// State is how this node stands in the group.
type State struct {
	Node messages.NodeID
	// Leader is the leader this node knows of, "" for none.
	Leader messages.NodeID
	// Leading says that this node is the leader.
	Leading bool
	// Term is the term in which that holds.
	Term uint64
	// Ready says that proposals and reads are served: a leader is known and, if it
	// is this node, it has applied an entry of its own term and so everything any
	// leader before it acknowledged.
	Ready bool
	// Stalled says why this node stands still, "" if it does not: it leads and follows nobody
	// then.
	Stalled string
	// Since is when Ready last changed.
	Since time.Time
	// Halted is why this node takes no part in the log any more, "" while it does.
	Halted string
	// Refused is whom this node does not count, and why, while it has no leader; "" for
	// nobody.
	Refused string
}

// String says how the node stands, in the words used everywhere for it.
func (s State) String() string { return s.Describe(time.Now()) }

// Describe is String as of now.
func (s State) Describe(now time.Time) string {
	switch {
	case s.Halted != "":
		return "halted: " + s.Halted
	case s.Ready && s.Leading:
		return fmt.Sprintf("leading in term %d", s.Term)
	case s.Ready:
		return fmt.Sprintf("following %s in term %d", s.Leader, s.Term)
	case s.Leading:
		return fmt.Sprintf("catching up to lead in term %d", s.Term)
	}
	since := int(now.Sub(s.Since).Seconds())
	if s.Stalled != "" {
		return fmt.Sprintf("standing still since %d s: %s", since, s.Stalled)
	}
	lost := fmt.Sprintf("no quorum since %d s", since)
	if s.Refused != "" {
		lost += "; refused: " + s.Refused
	}
	return lost
}

// stateVersion is a State that knows when it is outdated.
type stateVersion struct {
	State
	changed chan struct{}
}

// State is how this node stands now.
func (c *Consensus) State() State { return c.state.Load().State }

// Watch returns the state and a channel that is closed once it has changed.
func (c *Consensus) Watch() (State, <-chan struct{}) {
	v := c.state.Load()
	return v.State, v.changed
}

// TransferLeadership hands leadership to the voter that has come farthest of those that
// answer, and returns when it is gone. A node that does not lead has nothing to hand over.
func (c *Consensus) TransferLeadership(ctx context.Context) error {
	return c.TransferLeadershipTo(ctx, "")
}

// transferSettles is how long after a hand-over Raft may still be at it.
const transferSettles = 2 * time.Second

// TransferLeadershipTo hands leadership to one voter, "" for any, and returns when it is
// gone.
func (c *Consensus) TransferLeadershipTo(ctx context.Context, node messages.NodeID) error {
	if !c.State().Leading || node == c.cfg.Node {
		return nil
	}
	to, err := c.successor(node)
	if err != nil {
		return err
	}
	c.transport.transferring.Add(1)
	defer time.AfterFunc(transferSettles, func() { c.transport.transferring.Add(-1) })
	err = c.await(ctx, func() raft.Future {
		return c.raft.LeadershipTransferToServer(raft.ServerID(to.Node), raft.ServerAddress(to.Addr))
	})
	if errors.Is(err, raft.ErrNotLeader) {
		return nil
	}
	return err
}

// successor is the voter to hand leadership to: the one that is named, or the one whose log
// reaches farthest. One that does not answer cannot take it.
func (c *Consensus) successor(node messages.NodeID) (Member, error) {
	now := time.Now()
	var heard []Member
	for _, m := range c.Configuration() {
		answers := c.transport.reach.heard(raft.ServerID(m.Node), now)
		switch {
		case !m.Voter || m.Node == c.cfg.Node:
		case m.Node == node && !answers:
			return Member{}, fmt.Errorf("%s does not answer on P+2 (%s)", node, m.Addr)
		case m.Node == node:
			return m, nil
		case answers:
			heard = append(heard, m)
		}
	}
	switch {
	case node != "":
		return Member{}, fmt.Errorf("%w: %s is not a voter", ErrNoSuccessor, node)
	case len(heard) == 0:
		return Member{}, ErrNoSuccessor
	}
	return c.transport.reach.longest(heard), nil
}

// await waits for what Raft was asked, or for ctx. The question outlives ctx.
func (c *Consensus) await(ctx context.Context, ask func() raft.Future) error {
	if !c.calls.enter() {
		return raft.ErrRaftShutdown
	}
	answer := make(chan error, 1)
	go func() {
		defer c.calls.leave()
		answer <- ask().Error()
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// isLeadership picks the observations after which the state may be another.
func isLeadership(o *raft.Observation) bool {
	switch o.Data.(type) {
	case raft.LeaderObservation, raft.RaftState:
		return true
	}
	return false
}

// look has the state looked at anew.
func (c *Consensus) look() {
	select {
	case c.observed <- raft.Observation{}:
	default: // it is going to be
	}
}

// barrierRetry is how often a new leader asks again when its own-term entry was not
// applied, and how late a missed observation is noticed.
const barrierRetry = 500 * time.Millisecond

// watchLeadership keeps the state current until ctx ends.
func (c *Consensus) watchLeadership(ctx context.Context) error {
	tick := time.NewTicker(barrierRetry)
	defer tick.Stop()
	caughtUp := make(chan uint64, 1) // a term whose barrier is applied, 0 for none
	// refused says that the last question came to nothing: the next one waits for a change
	// or a tick, for Raft refuses at once while it hands leadership over.
	asking, refused := false, false
	var term uint64 // newest caught-up term
	for {
		next := c.observe(term)
		c.publish(next)
		if next.Leading && !next.Ready && !asking && !refused {
			asking = true
			go func() { caughtUp <- c.catchUp(ctx, next.Term) }()
		}
		select {
		case <-ctx.Done():
			if asking {
				<-caughtUp
			}
			return nil
		case <-c.observed:
			refused = false
		case <-tick.C:
			refused = false
		case done := <-caughtUp:
			asking, refused, term = false, done == 0, max(term, done)
		}
	}
}

// observe reads the state off Raft; caughtUp is the newest term in which this node
// has applied an entry as its leader.
func (c *Consensus) observe(caughtUp uint64) State {
	if why := c.Halted(); why != nil {
		return c.haltedState(why)
	}
	s := State{Node: c.cfg.Node, Term: c.raft.CurrentTerm()}
	if stalled := c.stalled.Load(); stalled != nil {
		s.Stalled = stalled.why
		return s
	}
	s.Leading = c.raft.State() == raft.Leader
	_, leader := c.raft.LeaderWithID()
	s.Leader = messages.NodeID(leader)
	if !s.Leading && s.Leader == s.Node {
		s.Leader = "" // it has just stepped down
	}
	s.Ready = s.Leader != "" && (!s.Leading || s.Term == caughtUp)
	if s.Leader == "" {
		s.Refused = c.disks.refusals()
	}
	return s
}

// publish makes next the state, and logs a transition.
func (c *Consensus) publish(next State) {
	last := c.state.Load()
	next.Since = last.Since
	if next.Ready != last.Ready {
		next.Since = time.Now()
	}
	if next == last.State {
		return
	}
	c.state.Store(&stateVersion{State: next, changed: make(chan struct{})})
	close(last.changed)
	if next.Leader != last.Leader {
		if next.Leader != "" {
			c.counters.LeaderChanges.Add(1)
		}
		c.log.Info("leader changed", "from", string(last.Leader), "to", string(next.Leader), "term", next.Term)
	}
	if last.Ready && !next.Ready {
		c.counters.QuorumLosses.Add(1)
	}
	if next.Ready != last.Ready && next.Ready {
		c.log.Info("ready", "term", next.Term, "index", c.AppliedIndex())
	}
}

// catchUp has an entry of its own term applied and returns that term, 0 if it was
// not to be.
func (c *Consensus) catchUp(ctx context.Context, term uint64) uint64 {
	err := c.await(ctx, func() raft.Future { return c.raft.Barrier(c.cfg.ApplyTimeout) })
	if err != nil || c.raft.CurrentTerm() != term {
		return 0
	}
	return term
}
