package membership

import (
	"errors"
	"fmt"
	"time"

	"github.com/the-block/bursar/messages"
)

var (
	// ErrMeta is returned when bytes that tell about a node cannot be read.
	ErrMeta = errors.New("unreadable node metadata")
	// ErrKeys is returned when the file of gossip keys cannot be used.
	ErrKeys = errors.New("unusable gossip keys")
	// ErrLeft is returned by Leave when the node has left already.
	ErrLeft = errors.New("the node has left the cluster")
	// errTooMany refuses a node beyond MembersMax.
	errTooMany = errors.New("there are too many members already")
)

// NameTakenError is what a node ends with when another one, up for longer, answers to
// its name.
type NameTakenError struct {
	Name messages.NodeID
	// Addr is the gossip address of the node that has the name, host:port.
	Addr string
	// Uptime is how long that node has been up.
	Uptime time.Duration
}

func (e *NameTakenError) Error() string {
	return fmt.Sprintf("the name %s is taken: the node at %s has had it for %s; "+
		"start this one with another --name, or stop that one first", e.Name, e.Addr, e.Uptime.Round(time.Second))
}

// foreignError refuses nodes that belong to another cluster.
type foreignError struct{ theirs, ours string }

func (e *foreignError) Error() string {
	return fmt.Sprintf("it belongs to cluster %s and this node to cluster %s: take its address out of --join, "+
		"or give the node that is in the wrong place an empty --data", e.theirs, e.ours)
}
