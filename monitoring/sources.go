package monitoring

import (
	"time"

	"github.com/the-block/bursar/messages"
)

// Sources are where a node's figures come from. A source that is nil has nothing to
// tell yet: its families and its part of the page are left out.
type Sources struct {
	// Node says who this is. It is needed.
	Node Node
	// Ready returns nil if the node serves linearizable reads and writes, else the
	// reason it does not, in the words callers see too. It is needed.
	Ready func() error
	// Treasury gives the state of the money as this node has applied it.
	Treasury func() Treasury
	// Executor gives the executor's state if this node owns it.
	Executor func() (Executor, bool)
	// Latest gives the newest n disbursements, newest first. It may read the Store.
	Latest func(n int) []Payment
	// RPC gives what callers asked over both wires.
	RPC func() RPC
	// Journal gives the figures of the group commit.
	Journal func() Journal
	// Cluster gives the cluster as this node sees it.
	Cluster func() Cluster
	// Actors gives the runtime's figures.
	Actors func() Actors
	// Breakers gives the circuit breakers.
	Breakers func() Breakers
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
	// Entered counts the moves into each state since the process began.
	Entered map[messages.State]uint64
	// ExecutionErrors and DependencyFailures count since the process began, by the
	// values their label may have; any other value is exported as "other".
	ExecutionErrors    map[string]uint64
	DependencyFailures map[string]uint64
	// Recoveries and RecoveriesFailed count how often an actor took up its state from the
	// Store, and how often it could not.
	Recoveries, RecoveriesFailed uint64
}

// Executor is the state of the executor and its breaker.
type Executor struct {
	BreakerState     BreakerState
	BreakerFailures  uint64
	BreakerSuccesses uint64
	InFlight         int
	// Lag is the time from due to executed, Tick that of one round of work, both in
	// seconds.
	Lag, Tick Histogram
}

// BreakerState is a breaker's state with the numbers dashboards rely on.
type BreakerState int

// The states of a breaker.
const (
	BreakerClosed BreakerState = iota
	BreakerOpen
	BreakerHalfOpen
)

// Payment is one disbursement as the page lists it.
type Payment struct {
	ID          messages.DisbursementID
	Destination string
	Amount      messages.Amount
	Memo        string
	State       messages.State
	Reason      string // why it waits or was rolled back; often empty
}

// RPC counts requests since the process began.
type RPC struct {
	Methods     []Method
	Refusals    map[messages.Code]uint64
	InFlight    int
	Connections int
}

// Method counts the requests for one method of the method table. Requests for
// methods that do not exist are counted under the name "other".
type Method struct {
	Name                string
	OK, Refused, Failed uint64
}

// Journal counts what the group commit did since the process began.
type Journal struct {
	Txns, Batches        uint64
	Overloaded           uint64 // refused because the queue was full
	Unavailable, Unknown uint64 // certainly not done, and nobody can tell
	Queued, QueuedBytes  int
	Lagging              int // with a verdict that this node's Store does not show yet
	// BatchTxns is the number of Txns in a batch, CommitSeconds the time from taking
	// up a batch to its outcome.
	BatchTxns, CommitSeconds Histogram
}

// Actors are the runtime's figures since the process began.
type Actors struct {
	Kinds []Kind
	// Busiest are single actors, at most BusiestMax are exported; Rest sums all the
	// others, so that the sums over actors stay exact.
	Busiest []Actor
	Rest    Actor
}

// Kind sums up the actors of one kind.
type Kind struct {
	Name        string
	Active      int
	Messages    uint64
	Depth       int
	Rejected    uint64
	Restarts    uint64
	DeadLetters uint64
	// Wait is the time in the mailbox, Processing that in the actor, in seconds.
	Wait, Processing Histogram
}

// Actor is one actor's figures.
type Actor struct {
	Path              string
	Depth             int
	Messages          uint64
	ProcessingSeconds float64
}

// Histogram is a snapshot of a classic histogram. Counts[i] observations were at
// most Bounds[i] and above Bounds[i-1]; the last of Counts, one longer than Bounds,
// holds the rest. The zero Histogram is not exported.
type Histogram struct {
	Bounds []float64
	Counts []uint64
	Sum    float64
}

// valid reports whether the histogram can be exported.
func (h Histogram) valid() bool { return len(h.Bounds) > 0 && len(h.Counts) == len(h.Bounds)+1 }

// The latencies worth a bucket of their own, in seconds: below, everything is well;
// above, everything is bad.
const (
	latencyMin = 30e-6
	latencyMax = 5
)

// within merges the buckets whose bounds lie outside low..high into their
// neighbours.
func (h Histogram) within(low, high float64) Histogram {
	merged := Histogram{Sum: h.Sum}
	var pending uint64
	for i, n := range h.Counts {
		pending += n
		if i < len(h.Bounds) && h.Bounds[i] >= low && h.Bounds[i] <= high {
			merged.Bounds = append(merged.Bounds, h.Bounds[i])
			merged.Counts = append(merged.Counts, pending)
			pending = 0
		}
	}
	if len(h.Counts) > 0 {
		merged.Counts = append(merged.Counts, pending)
	}
	return merged
}
