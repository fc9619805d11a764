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

// snapshotBytesAnEntry is how much of the last Raft snapshot an entry has to make good
// before the next is taken for the number of entries alone: replaying one takes about as
// long as writing that much.
const snapshotBytesAnEntry = 4 << 10

// snapshotDue reports whether a start would take too long to replay what was written since
// the last Raft snapshot, by bytes or by entries.
func (c *Consensus) snapshotDue() bool {
	if c.store.Written() >= c.cfg.SnapshotBytes {
		return true
	}
	newest, size := c.snapshots.Extent()
	entries := max(c.cfg.SnapshotEntries, uint64(size)/snapshotBytesAnEntry)
	return c.AppliedIndex() >= newest+entries
}

// takeSnapshots takes a Raft snapshot whenever one is due. Raft's own trigger counts
// entries alone, whose sizes differ a thousandfold.
func (c *Consensus) takeSnapshots(ctx context.Context) error {
	var notBefore time.Time
	return every(ctx, snapshotPoll, func() error {
		if c.halted.Load() != nil || !c.snapshotDue() || time.Now().Before(notBefore) {
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
