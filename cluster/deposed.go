package cluster

import (
	"errors"

	"github.com/hashicorp/raft"
)

// errDeposed ends what a leader still sends that has been followed by another.
var errDeposed = errors.New("this node was leader, and its log has gone on without it")

// deposed reports whether entries are younger than the leadership in which they are
// sent. Raft brings a voter up to date from its log as it is, and that grows under the
// next leader while the goroutine of the last leadership still waits for the voter. The
// entries are true, but a voter that stores them before it knows of their term looks,
// after a power loss, as if its term had been lost, which is damage.
func deposed(request *raft.AppendEntriesRequest) bool {
	n := len(request.Entries)
	return n > 0 && request.Entries[n-1].Term > request.Term
}
