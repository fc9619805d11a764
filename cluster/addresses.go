package cluster

import (
	"strings"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/messages"
)

// addresses know where nodes are reached now. The log says where they were when it was
// written; machines are renumbered while they are down, one or all of them. So a node is
// called by its name, at the address that was heard of last, and a stream to it begins
// with the proof that it is that node.
type addresses struct {
	group func() raft.Configuration

	mu    sync.Mutex
	heard map[raft.ServerID]raft.ServerAddress
}

// ServerAddr is what Raft calls a node by: its name and where it is.
func (a *addresses) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	a.mu.Lock()
	addr, known := a.heard[id]
	a.mu.Unlock()
	if !known {
		for _, server := range a.group().Servers {
			if server.ID == id {
				addr = server.Address
			}
		}
	}
	return raft.ServerAddress(string(id) + atSign + string(addr)), nil
}

// atSign stands between a name, which has none, and an address.
const atSign = "@"

// parseTarget takes apart what ServerAddr makes.
func parseTarget(target raft.ServerAddress) (id raft.ServerID, addr string) {
	name, addr, _ := strings.Cut(string(target), atSign)
	return raft.ServerID(name), addr
}

// set notes where a node is, and reports whether that is news.
func (a *addresses) set(id raft.ServerID, addr raft.ServerAddress) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.heard == nil {
		a.heard = make(map[raft.ServerID]raft.ServerAddress)
	}
	before, known := a.heard[id]
	a.heard[id] = addr
	return known && before != addr
}

// Locate says where a node's Raft is reached now, whatever the log says. Streams to where
// it was before end.
func (c *Consensus) Locate(node messages.NodeID, raftAddr string) {
	if node == c.cfg.Node || raftAddr == "" {
		return
	}
	if id := raft.ServerID(node); c.transport.addresses.set(id, raft.ServerAddress(raftAddr)) {
		c.transport.streams.forget(id, raftAddr)
	}
}
