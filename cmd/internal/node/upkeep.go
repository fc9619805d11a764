package node

import (
	"context"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

const (
	// levelEvery is how often the leader looks whether all nodes know a newer level.
	levelEvery = time.Second
	// clockEvery is how often a node looks at its clock, and clockWarnEvery how often it
	// warns that it is off.
	clockEvery     = time.Second
	clockWarnEvery = time.Minute
)

// raiseLevel raises the log's feature level, while this node leads, to what every node
// of the group knows: from then on an older program cannot follow the log.
func (n *Node) raiseLevel(ctx context.Context) error {
	tick := time.NewTicker(levelEvery)
	defer tick.Stop()
	for {
		if level := n.levelOfAll(); level > n.store.Level() {
			ctx, cancel := context.WithTimeout(ctx, levelEvery)
			result, err := persistence.Commit(ctx, n.journal, persistence.Proposal{Txn: &persistence.Txn{Level: level}})
			cancel()
			if err == nil && result.Status == persistence.Committed {
				n.log.Info("feature level raised", "component", "level", "to", level)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// levelOfAll is the newest level that every node of the group knows, 0 while one of them
// was not met.
func (n *Node) levelOfAll() uint16 {
	known := make(map[messages.NodeID]uint16)
	for _, m := range n.membership.Members() {
		known[m.Name] = m.Level
	}
	lowest := persistence.LevelMax
	for _, m := range n.consensus.Configuration() {
		lowest = min(lowest, known[m.Node])
	}
	return lowest
}

// filesEvery is how often a node looks whether its certificates have changed.
const filesEvery = 5 * time.Second

// watchFiles takes up certificates that were renewed, though nobody calls.
func (n *Node) watchFiles(ctx context.Context) error {
	tick := time.NewTicker(filesEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if n.identity != nil {
				n.identity.Reload()
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// Reload takes up certificates and gossip keys that have changed, at once. What cannot be
// used leaves the old in use.
func (n *Node) Reload(ctx context.Context) {
	if n.identity != nil {
		n.identity.Reload()
	}
	if err := n.membership.Reload(); err != nil {
		n.log.WarnContext(ctx, "the new gossip keys cannot be used; the old ones stay", "err", err)
	}
}

// watchClock warns while this node's clock is off those of most nodes: it owns nothing
// that needs the right time then.
func (n *Node) watchClock(ctx context.Context) error {
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	var warned time.Time
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		right := n.rightTime()
		switch off := right.Abs() > clockOffsetMax; {
		case !off && warned.IsZero():
		case !off:
			warned = time.Time{}
			n.log.Info("clock is right again", "component", "clock")
		case time.Since(warned) >= clockWarnEvery:
			warned = time.Now()
			n.log.Warn("this node's clock is off those of most nodes: it owns no clock, executor or energy shard; set it right, with NTP for good",
				"component", "clock", "took", -right)
		}
	}
}

// skipEvery is how often a leader looks whether a skipped entry is to be recorded.
const skipEvery = time.Second

// auditSkip enters an entry that was passed over into the audit log, once.
func (n *Node) auditSkip(ctx context.Context) error {
	tick := time.NewTicker(skipEvery)
	defer tick.Stop()
	for {
		if skip, skipped := n.consensus.Skipped(); skipped {
			if err := n.operations.RecordSkip(ctx, skip.String()); err == nil {
				<-ctx.Done()
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
