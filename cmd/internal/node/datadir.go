package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/the-block/bursar/cluster"
)

// openData makes this node the only one that touches its data directory, before the
// Store there is wiped: it would be another's. The kernel frees the directory however
// the process ends.
func (n *Node) openData(context.Context) error {
	if err := os.MkdirAll(n.cfg.DataDir, 0o700); err != nil {
		return err
	}
	dir, err := os.Open(n.cfg.DataDir)
	if err != nil {
		return err
	}
	n.parts.onStop("data directory", func(context.Context) error { return dir.Close() })
	err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return fmt.Errorf("%w: another bursar process uses %s; stop it, or name another directory with --data",
			cluster.ErrInUse, n.cfg.DataDir)
	case err != nil:
		return fmt.Errorf("lock %s: %w", n.cfg.DataDir, err)
	}
	return cluster.CheckDir(n.consensusConfig())
}
