package node

import (
	"context"

	"github.com/the-block/bursar/cluster"
)

// openData makes this node the only one that touches its data directory, before the
// Store there is wiped: it would be another's.
func (n *Node) openData(context.Context) error {
	lock, err := cluster.LockDir(n.cfg.DataDir)
	if err != nil {
		return err
	}
	n.parts.onStop("data directory", func(context.Context) error { return lock.Close() })
	return cluster.CheckDir(n.consensusConfig())
}
