package cluster

// LastIndex is the index of the newest entry in this node's log.
func (c *Consensus) LastIndex() uint64 { return c.raft.LastIndex() }

// CommitIndex is the index up to which this node knows the log to be committed.
func (c *Consensus) CommitIndex() uint64 { return c.raft.CommitIndex() }
