package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// confirmations notes which voters have confirmed this node's leadership, and since
// when. Raft's VerifyLeader will not do for a read: it counts answers that were on
// their way when it was asked - a machine that was asleep finds them on waking up -
// and those of nodes without a vote.
type confirmations struct {
	mu      sync.Mutex
	asked   uint64 // number of the newest question
	by      map[raft.ServerID]confirmation
	changed chan struct{} // closed at the next confirmation; nil without readers
}

// confirmation is the newest heartbeat a node has answered: sent after question asked,
// for a term.
type confirmation struct{ asked, term uint64 }

// question gives the number of a new question.
func (c *confirmations) question() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	return c.asked
}

// newest is the number of the newest question, which a heartbeat that is sent now
// answers, and all before it.
func (c *confirmations) newest() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// note notes that node id has answered a heartbeat.
func (c *confirmations) note(id raft.ServerID, answered confirmation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = make(map[raft.ServerID]confirmation)
	}
	c.by[id] = answered
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// confirmed reports whether a majority of group's voters, of which self is one, has
// answered a question in a term, and gives a channel that is closed at the next answer.
func (c *confirmations) confirmed(group raft.Configuration, self raft.ServerID, question confirmation) (bool, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	voters, by := 0, 0
	for _, server := range group.Servers {
		if server.Suffrage != raft.Voter {
			continue
		}
		voters++
		answer := c.by[server.ID]
		if server.ID == self || answer.term == question.term && answer.asked >= question.asked {
			by++
		}
	}
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return by > voters/2, c.changed
}

// confirmRetry is how long answers may take before voters are asked again.
const confirmRetry = 50 * time.Millisecond

// confirmLeadership returns once a majority has confirmed, after the call, that this
// node leads in term.
func (c *Consensus) confirmLeadership(term uint64) error {
	asked := confirmation{asked: c.transport.confirmations.question(), term: term}
	for {
		// It asks for heartbeats at once, and fails if this node leads no more.
		if err := c.await(context.Background(), func() raft.Future { return c.raft.VerifyLeader() }); err != nil {
			return err
		}
		confirmed, changed := c.transport.confirmations.confirmed(
			c.raft.GetConfiguration().Configuration(), raft.ServerID(c.cfg.Node), asked)
		switch {
		case confirmed:
			return nil
		case c.raft.CurrentTerm() != term:
			return raft.ErrLeadershipLost
		}
		retry := time.NewTimer(confirmRetry)
		select {
		case <-changed:
		case <-retry.C:
		case <-c.closing:
			retry.Stop()
			return raft.ErrRaftShutdown
		}
		retry.Stop()
	}
}
