package cluster

// Figures are what a scrape is told of consensus.
type Figures struct {
	Leader       bool   `metric:"bursar_cluster_leader" help:"1 if this node leads the Raft group."`
	Term         uint64 `metric:"bursar_cluster_term" help:"Raft's term."`
	AppliedIndex uint64 `metric:"bursar_cluster_applied_index" help:"Newest log entry this node has applied."`
	CommitIndex  uint64 `metric:"bursar_cluster_commit_index" help:"Newest log entry this node knows to be committed."`
	LastIndex    uint64 `metric:"bursar_cluster_last_index" help:"Newest log entry this node has on disk."`
	Voters       int    `metric:"bursar_cluster_voters" help:"Nodes whose majority decides, those that are gone and never removed among them."`
	Quorum       bool   `metric:"bursar_cluster_quorum" help:"1 if this node knows a leader that a majority follows, so that the log takes entries."`
}

// Figures reads what a scrape is told.
func (c *Consensus) Figures() *Figures {
	state := c.State()
	f := &Figures{
		Leader: state.Leading, Term: state.Term, AppliedIndex: c.AppliedIndex(), CommitIndex: c.CommitIndex(),
		LastIndex: c.LastIndex(), Quorum: state.Ready,
	}
	for _, m := range c.Configuration() {
		if m.Voter {
			f.Voters++
		}
	}
	return f
}
