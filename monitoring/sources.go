package monitoring

import (
	"slices"
	"strings"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/monitoring/metrics"
)

// SeriesMax is the most series a node exports, whatever is thrown at it. The ceilings of
// all families and RuntimeSeriesMax stay within it.
const SeriesMax = 2500

// RuntimeSeriesMax is the most series of Go's runtime and of the process that are exported
// beside the figures' own.
const RuntimeSeriesMax = 60

// Sources are where a node's pages get what they show. A function that is nil has nothing
// to tell yet: its part of the page is left out.
type Sources struct {
	// Node says who this is. It is needed.
	Node Node
	// Ready returns nil if the node serves linearizable reads and writes, else the
	// reason it does not, in the words callers see too. It is needed.
	Ready func() error
	// Figures are what is exported as metrics.
	Figures []metrics.Source
	// Treasury gives the state of the money as this node has applied it.
	Treasury func() Treasury
	// Executor tells of who pays.
	Executor func() Executor
	// Market gives the state of the energy market as this node has applied it.
	Market func() Market
	// Latest gives the newest n disbursements, newest first. It may read the Store.
	Latest func(n int) []Payment
	// Work gives what the node has done.
	Work func() Work
	// Cluster gives the cluster as this node sees it.
	Cluster func() Cluster
}

// Node says who a node is. It does not change while the node runs.
type Node struct {
	Name    messages.NodeID
	Role    string
	Version string
	Started time.Time
	RPCAddr string // MessagePack-RPC, host:port
}

// Treasury is the state of the money after the log entry AppliedIndex.
type Treasury struct {
	Balance      messages.Amount
	Epoch        messages.Epoch
	AppliedIndex uint64
	// States counts the disbursements by the state they are in now.
	States map[messages.State]uint64
}

// Market is the state of the energy market.
type Market struct {
	Node      string // that sets its fee; empty while there is none
	Price     messages.Amount
	VolumeKWh uint64 // of the last hour
	FeeBPS    uint64
	Providers uint64
	Active    uint64 // of them
	Disputes  uint64 // open
}

// Executor is who pays, and whether that goes well. Only the node that it runs on knows
// more than where that is.
type Executor struct {
	Node    messages.NodeID // empty while it runs nowhere
	Here    bool
	Breaker string // empty if closed
	Due     int
	// Trouble is why payments do not go on, or what the last failure was; empty if all is
	// well.
	Trouble string
}

// Payment is one disbursement as the page lists it.
type Payment struct {
	ID          messages.DisbursementID
	Destination string
	Amount      messages.Amount
	Note        string // what people wrote for people
	State       messages.State
	Reason      string // why it was rolled back; often empty
	// Waiting is what it waits for before it is paid, as far as this node knows.
	Waiting []string
}

// Work counts what a node has done since the process began.
type Work struct {
	Requests uint64
	InFlight int
	Commits  uint64 // Txns the journal proposed
	Batches  uint64
}

// Cluster is the cluster as this node sees it.
type Cluster struct {
	Leader   messages.NodeID // empty if none is known
	IsLeader bool
	// Nodes are those that gossip knows, this one among them, by name.
	Nodes []Member
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
	Shards  int  // that the log gives it
	Linked  bool // there is a connection to it
	// RTT is that of the quickest of the last pings, 0 for never pinged, and ClockOffset
	// its clock minus this node's.
	RTT         time.Duration
	ClockOffset time.Duration
}

// Clock shows how far the node's clock is off this node's, in milliseconds.
func (m Member) Clock() string { return m.ClockOffset.Round(time.Millisecond).String() }

// Trip shows how long a ping to the node takes.
func (m Member) Trip() string { return m.RTT.Round(10 * time.Microsecond).String() }

// byName is nodes in the order of their names.
func byName(nodes []Member) []Member {
	return slices.SortedFunc(slices.Values(nodes), func(a, b Member) int {
		return strings.Compare(string(a.Name), string(b.Name))
	})
}

// sum adds up the counts of a map.
func sum[K comparable](counts map[K]uint64) uint64 {
	var total uint64
	for _, n := range counts {
		total += n
	}
	return total
}
