package cluster

import (
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/cluster/internal/raftlog"
	"github.com/the-block/bursar/monitoring/metrics"
)

// Counters are what consensus counts by itself.
type Counters struct {
	LeaderChanges atomic.Uint64     `metric:"bursar_raft_leader_changes_total" help:"Times this node saw another leader than the one before. Every node counts them: take max over nodes."`
	QuorumLosses  atomic.Uint64     `metric:"bursar_raft_quorum_losses_total" help:"Times this node could no longer have entries committed."`
	Snapshot      metrics.Histogram `metric:"bursar_raft_snapshot_seconds" help:"Time of writing a Raft snapshot." le:"-7..10"`
}

// Figures are what a scrape is told of consensus.
type Figures struct {
	Leader       bool   `metric:"bursar_cluster_leader" help:"1 if this node leads the Raft group."`
	Term         uint64 `metric:"bursar_cluster_term" help:"Raft's term."`
	AppliedIndex uint64 `metric:"bursar_cluster_applied_index" help:"Newest log entry this node has applied."`
	CommitIndex  uint64 `metric:"bursar_cluster_commit_index" help:"Newest log entry this node knows to be committed."`
	LastIndex    uint64 `metric:"bursar_cluster_last_index" help:"Newest log entry this node has on disk."`
	Voters       int    `metric:"bursar_cluster_voters" help:"Nodes whose majority decides, those that are gone and never removed among them."`
	VotersHeard  int    `metric:"bursar_cluster_voters_heard" help:"Voters that answer the leader, itself among them; 0 on the other nodes."`
	LogBytes     int64  `metric:"bursar_raft_log_bytes" help:"Bytes written to the log since the newest Raft snapshot."`
	Counters     *Counters
	Disk         *raftlog.Metrics
	Halted       bool `metric:"bursar_cluster_halted" help:"1 if this node takes no part in the log any more and runs on to say why. Alert at 1."`
	Quorum       bool `metric:"bursar_cluster_quorum" help:"1 if this node knows a leader that a majority follows, so that the log takes entries."`
}

// Figures reads what a scrape is told.
func (c *Consensus) Figures() *Figures {
	state := c.State()
	f := &Figures{
		Leader: state.Leading, Term: state.Term, AppliedIndex: c.AppliedIndex(), CommitIndex: c.CommitIndex(),
		LastIndex: c.LastIndex(), Quorum: state.Ready, Halted: state.Halted != "",
		LogBytes: c.store.Written(), Counters: &c.counters, Disk: c.store.Metrics(),
	}
	for _, m := range c.Configuration() {
		if !m.Voter {
			continue
		}
		f.Voters++
		if f.Leader && (m.Node == c.cfg.Node || c.transport.reach.heard(raft.ServerID(m.Node), time.Now())) {
			f.VotersHeard++
		}
	}
	return f
}
