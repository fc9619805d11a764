package peers

import (
	"time"

	"github.com/the-block/bursar/messages"
)

// Pong is how a node says it is when it is pinged.
type Pong struct {
	// Life is the id of its data directory.
	Life   string
	Voting bool
	// Misbound says that it may not pay: it is configured for another submitter.
	Misbound bool
	// Applied is the index of the log that it has applied, LastIndex where its log ends.
	Applied   uint64
	LastIndex uint64
	// Leader is whom it follows, empty while there is none, and Term is Raft's.
	Leader messages.NodeID
	Term   uint64
	// Sums are checksums of its state, for whoever knows how to compare them.
	Sums string
}

// Status is what is known of another node.
type Status struct {
	Node messages.NodeID
	Addr string
	// Up says that the node is there, Since when it became so or not, and Err why it
	// cannot be called now: a node whose connection broke is up while that is made again.
	Up    bool
	Since time.Time
	Err   error
	// Linked says that there is a connection, Links counts those that were made. A node
	// stays up while a broken one is made again.
	Linked bool
	Links  uint64
	// Boot tells one start of the node from the next, as its last hello said; Version is
	// its program's, and Protocol the one spoken with it.
	Boot     uint64
	Version  string
	Protocol uint64
	// LastHeard is when the node's last bytes arrived; zero for never.
	LastHeard time.Time
	// RTT is the time the quickest of the last pings took, and ClockOffset the node's
	// wall clock minus ours as that ping tells, correct to half of RTT and a millisecond.
	RTT         time.Duration
	ClockOffset time.Duration
	// Pong is what the last ping told; zero before there was one.
	Pong
}
