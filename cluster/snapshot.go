package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// How often the size of the log is looked at, and how long a failed Raft snapshot
// waits before it is tried again.
const (
	snapshotPoll  = 250 * time.Millisecond
	snapshotRetry = time.Minute
)

// takeSnapshots takes a Raft snapshot whenever SnapshotBytes were written since the
// last one. Raft's own trigger counts entries, whose sizes differ a thousandfold.
func (c *Consensus) takeSnapshots(ctx context.Context) error {
	var notBefore time.Time
	return every(ctx, snapshotPoll, func() error {
		if c.halted.Load() != nil || c.store.Written() < c.cfg.SnapshotBytes || time.Now().Before(notBefore) {
			return nil
		}
		began := time.Now()
		if err := c.Snapshot(ctx); err != nil && ctx.Err() == nil {
			notBefore = time.Now().Add(snapshotRetry)
			c.log.Warn("raft snapshot was not taken; the log keeps growing until the next try",
				"err", err, "took", time.Since(began))
		}
		return nil
	})
}

// Snapshot takes a Raft snapshot now and removes the entries it makes superfluous,
// all but TrailingLogs. Writers are not stopped.
func (c *Consensus) Snapshot(ctx context.Context) error {
	written, began := c.store.Written(), time.Now()
	err := c.await(ctx, func() raft.Future { return c.raft.Snapshot() })
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return nil
	}
	if err != nil {
		return err
	}
	c.store.ResetWritten(written)
	c.counters.Snapshot.ObserveTime(time.Since(began))
	c.log.Info("raft snapshot taken", "index", c.AppliedIndex(), "took", time.Since(began))
	return nil
}
