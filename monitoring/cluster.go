package monitoring

import (
	"slices"
	"strings"
	"time"

	"github.com/the-block/bursar/messages"
)

// Cluster is the cluster as this node sees it.
type Cluster struct {
	Leader       messages.NodeID // empty if none is known
	IsLeader     bool
	Term         uint64
	AppliedIndex uint64
	LastIndex    uint64
	// Voters counts those whose majority decides, whether or not gossip knows them.
	Voters int
	// Nodes are those that gossip knows, this one among them, by name.
	Nodes []Member
	// Moves counts the moves of shards that this node has written while it led, by cause.
	Moves map[string]uint64
	// Fenced counts writes that the log refused to an owner that was replaced.
	Fenced uint64
	// Peers is what other nodes asked of this one.
	Peers Peers
}

// Member is one node of the cluster.
type Member struct {
	Name    messages.NodeID
	Role    string
	State   string // alive, suspect, draining, left or dead
	Version string
	HTTP    string // host:port of its page
	Self    bool   // it is this node
	Leader  bool
	Voter   bool
	Shards  int // that the log gives it
	// Linked says that there is a connection to it, Links counts those that were made.
	Linked bool
	Links  uint64
	// RTT is that of the quickest of the last pings, 0 for never pinged, and ClockOffset
	// its clock minus this node's.
	RTT         time.Duration
	ClockOffset time.Duration
}

// Clock shows how far the node's clock is off this node's, in milliseconds.
func (m Member) Clock() string { return m.ClockOffset.Round(time.Millisecond).String() }

// Trip shows how long a ping to the node takes.
func (m Member) Trip() string { return m.RTT.Round(10 * time.Microsecond).String() }

// Peers counts what other nodes asked since the process began.
type Peers struct {
	Methods           []Method
	InFlight          int
	Connections       int
	BytesIn, BytesOut uint64
}

// The limits of what has series of its own.
const (
	// PeersMax is how many other nodes have series of their own, the first by name.
	PeersMax = 16
	// PeerMethodsMax is how many methods between nodes have; there are fewer.
	PeerMethodsMax = 12
)

// The values of labels of the cluster.
var (
	memberStates = []string{"alive", "suspect", "draining", "left", "dead"}
	moveCauses   = []string{"orphaned", "drained", "rebalanced"}
)

var (
	clusterLeader       = gauge("bursar_cluster_leader", "1 if this node leads the Raft group.", 1)
	clusterTerm         = gauge("bursar_cluster_term", "Raft's term.", 1)
	clusterAppliedIndex = gauge("bursar_cluster_applied_index", "Newest log entry this node has applied.", 1)
	clusterLastIndex    = gauge("bursar_cluster_last_index", "Newest log entry this node has on disk.", 1)
	clusterMembers      = gauge("bursar_cluster_members",
		"Nodes by state, as this node sees them.", len(memberStates)+1, "state")
	clusterVoters = gauge("bursar_cluster_voters", "Nodes whose majority decides, those that are gone and never removed among them.", 1)
	clusterShards = gauge("bursar_cluster_shards",
		"Shards this node owns, as the log says. Sum over nodes: all there are.", 1)
	clusterMoves = counter("bursar_cluster_moves_total",
		"Moves of shards that this node has written as leader, by cause. Sum over nodes.", len(moveCauses)+1, "cause")
	clusterFenced = counter("bursar_cluster_fenced_total",
		"Writes refused because their sender owned the shard no longer. Every node counts them: take max over nodes.", 1)
	clusterClock = gauge("bursar_cluster_clock_offset_seconds",
		"The leader's clock minus this node's; 0 on the leader. Beyond 2 s either way a node owns no clock, executor or market.", 1)

	peersUp       = gauge("bursar_peers_linked", "1 if there is a connection to that node.", PeersMax, "member")
	peersRTT      = gauge("bursar_peers_rtt_seconds", "Time of the quickest of the last 16 pings to that node.", PeersMax, "member")
	peersClock    = gauge("bursar_peers_clock_offset_seconds", "That node's clock minus this node's.", PeersMax, "member")
	peersLinks    = counter("bursar_peers_links_total", "Connections made to that node.", PeersMax, "member")
	peersRequests = counter("bursar_peers_requests_total", "Requests of other nodes, by method and outcome.",
		3*(PeerMethodsMax+1), "method", "outcome")
	peersInFlight    = gauge("bursar_peers_in_flight", "Requests of other nodes being answered.", 1)
	peersConnections = gauge("bursar_peers_connections", "Open connections of other nodes.", 1)
	peersBytes       = counter("bursar_peers_bytes_total",
		"Bytes over the connections of other nodes, by direction.", 2, "direction")
)

func clusterFamilies() []Family {
	return []Family{
		clusterLeader, clusterTerm, clusterAppliedIndex, clusterLastIndex, clusterMembers, clusterVoters,
		clusterShards, clusterMoves, clusterFenced, clusterClock,
		peersUp, peersRTT, peersClock, peersLinks, peersRequests, peersInFlight, peersConnections, peersBytes,
	}
}

func collectCluster(out sink, c Cluster) {
	out.put(clusterLeader, boolean(c.IsLeader))
	out.put(clusterTerm, float64(c.Term))
	out.put(clusterAppliedIndex, float64(c.AppliedIndex))
	out.put(clusterLastIndex, float64(c.LastIndex))
	out.putClosed(clusterMoves, c.Moves, moveCauses)
	out.put(clusterFenced, float64(c.Fenced))
	collectMembers(out, c)
	collectPeers(out, c.Peers)
}

func collectMembers(out sink, c Cluster) {
	states := make(map[string]uint64)
	shown := 0
	for _, m := range c.Nodes {
		states[m.State]++
		if m.Self {
			out.put(clusterShards, float64(m.Shards))
		}
		if m.Leader && (m.Self || m.RTT > 0) {
			out.put(clusterClock, m.ClockOffset.Seconds())
		}
		if !m.Self && shown < PeersMax {
			shown++
			collectMember(out, m)
		}
	}
	out.putClosed(clusterMembers, states, memberStates)
	out.put(clusterVoters, float64(c.Voters))
}

func collectMember(out sink, m Member) {
	name := string(m.Name)
	out.put(peersUp, boolean(m.Linked), name)
	out.put(peersLinks, float64(m.Links), name)
	if m.RTT > 0 {
		out.put(peersRTT, m.RTT.Seconds(), name)
		out.put(peersClock, m.ClockOffset.Seconds(), name)
	}
}

func collectPeers(out sink, p Peers) {
	putMethods(out, peersRequests, foldMethods(p.Methods, PeerMethodsMax))
	out.put(peersInFlight, float64(p.InFlight))
	out.put(peersConnections, float64(p.Connections))
	out.put(peersBytes, float64(p.BytesIn), "in")
	out.put(peersBytes, float64(p.BytesOut), "out")
}

// byName is nodes in the order of their names.
func byName(nodes []Member) []Member {
	return slices.SortedFunc(slices.Values(nodes), func(a, b Member) int {
		return strings.Compare(string(a.Name), string(b.Name))
	})
}
