package node

import (
	"syscall"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/authority"
	"github.com/the-block/bursar/actors/energy"
	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/ownership"
	"github.com/the-block/bursar/cluster/peers"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
	"github.com/the-block/bursar/monitoring/metrics"
	"github.com/the-block/bursar/persistence"
)

// Families lists every metric family that a node exports, beside those of Go's runtime and
// of the process.
func Families() []metrics.Family { return metrics.Families(new(Node).figures()) }

// figures are what a node exports, each declared beside its counters.
func (n *Node) figures() []metrics.Source {
	return []metrics.Source{
		metrics.From(n.ownFigures),
		metrics.From(func() *treasury.Figures { return n.treasury.Figures() }),
		metrics.From(func() *energy.Figures { return n.energy.Figures() }),
		metrics.From(func() *authority.Figures { return n.authority.Figures() }),
		metrics.From(func() *persistence.JournalStats { return n.journal.Stats() }),
		metrics.From(func() *persistence.StoreStats { return n.store.Stats() }),
		metrics.From(func() *cluster.Figures { return n.consensus.Figures() }),
		metrics.From(func() *ownership.Metrics { return n.keeper.Metrics() }),
		metrics.From(func() *peers.Figures { return n.peers.Figures() }),
		metrics.From(func() *actors.Figures { return n.system.Figures() }),
		metrics.From(func() *archiveFigures { return n.archiver.Figures() }),
	}
}

// ownFigures are about the node as a whole.
type ownFigures struct {
	Info struct {
		Node    messages.NodeID `label:"node"`
		Role    Role            `label:"role"`
		Version string          `label:"version"`
		One     int             `metric:"bursar_info" help:"Always 1; says which node and version this is."`
	}
	// CertificateExpires is nil without TLS, Disk where the system does not tell.
	CertificateExpires *time.Time `metric:"bursar_certificate_expiry_timestamp_seconds" help:"When this node's certificate ends."`
	Disk               *diskFigures
	Ready              bool `metric:"bursar_ready" help:"1 if the node serves linearizable reads and writes."`
	Executor           struct {
		Role   Role `label:"role"`
		Active bool `metric:"treasury_executor_active" help:"1 if this node runs the executor, by the node's role."`
	}
	RPC     *wire.Metrics `prefix:"bursar_rpc_"`
	Members []memberCount `max:"6"`
	Shards  int           `metric:"bursar_cluster_shards" help:"Shards this node owns, as the log says. Sum over nodes: all there are."`
	Differ  int64         `metric:"bursar_cluster_histories_differ" help:"Nodes whose state is another than this node's at the same log index. Alert above 0: there are two histories."`
	// Clock is nil while the leader's is not known.
	Clock *time.Duration `metric:"bursar_cluster_clock_offset_seconds" help:"The leader's clock minus this node's; 0 on the leader. Beyond 2 s either way a node owns no clock, executor or market."`
}

type diskFigures struct {
	Free  uint64 `metric:"bursar_disk_free_bytes" help:"Bytes free on the disk of the data directory."`
	Total uint64 `metric:"bursar_disk_size_bytes" help:"Size of the disk of the data directory."`
}

func (n *Node) diskFigures() *diskFigures {
	var s syscall.Statfs_t
	if err := syscall.Statfs(n.cfg.DataDir, &s); err != nil {
		return nil
	}
	return &diskFigures{Free: s.Bavail * uint64(s.Bsize), Total: s.Blocks * uint64(s.Bsize)}
}

type memberCount struct {
	State string `label:"state"`
	Count int    `metric:"bursar_cluster_members" help:"Nodes by state, as this node sees them."`
}

// memberStates are those that members tells.
var memberStates = []string{"alive", "suspect", "draining", "left", "dead"}

func (n *Node) ownFigures() *ownFigures {
	f := &ownFigures{Ready: n.Ready() == nil, RPC: n.metrics, Differ: n.differing.Load()}
	f.Info.Node, f.Info.Role, f.Info.Version, f.Info.One = n.cfg.Name, n.cfg.Role, Version, 1
	f.Executor.Role, f.Executor.Active = n.cfg.Role, n.treasury.Owns(n.treasury.ExecutorShard())
	f.Disk = n.diskFigures()
	if n.identity != nil {
		expires := n.identity.Expires()
		f.CertificateExpires = &expires
	}
	states := make(map[string]int)
	for _, m := range n.memberFigures() {
		states[m.State]++
		if m.Self {
			f.Shards = m.Shards
		}
		if m.Leader && (m.Self || m.RTT > 0) {
			f.Clock = &m.ClockOffset
		}
	}
	for _, state := range memberStates {
		f.Members = append(f.Members, memberCount{state, states[state]})
	}
	return f
}
