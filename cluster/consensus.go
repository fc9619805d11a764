package cluster

import (
	"context"
	"io"
	"log/slog"

	"github.com/the-block/bursar/messages"
)

// StateMachine is what the log drives: on every node the same entries in the
// same order. Apply, Snapshot and Restore are called from one goroutine.
type StateMachine interface {
	// Apply carries out one entry. data may be kept. An error means that this node
	// can no longer follow the log: the process is stopped.
	Apply(index uint64, data []byte) (result any, err error)
	// Snapshot pins the state as it is now, without copying it.
	Snapshot() (Snapshot, error)
	// Restore replaces the state by a snapshot's, or leaves an error: the process is
	// stopped, or refuses to start.
	Restore(io.Reader) error
	// AppliedIndex is the index of the newest entry in the state, 0 for none.
	AppliedIndex() uint64
}

// Snapshot is a pinned state. Persist may run while later entries are applied;
// Release is called once, after it.
type Snapshot interface {
	Persist(io.Writer) error
	Release()
}

// Consensus is this node's part of the Raft group.
type Consensus struct{}

// OpenConsensus opens the log in cfg.Dir and joins the group it belongs to, or
// forms one. fatal is called at most once, when the node can no longer follow the
// log; it must end the process.
func OpenConsensus(cfg Config, machine StateMachine, fatal func(error), log *slog.Logger) (*Consensus, error) {
	return nil, cfg.validate()
}

// Run takes Raft snapshots and watches leadership until ctx ends.
func (c *Consensus) Run(ctx context.Context) error { return nil }

// Close stops Raft, then the log, and gives the data directory back.
func (c *Consensus) Close(ctx context.Context) error { return nil }

// Apply proposes one entry. It returns at once; entry must not be changed after.
func (c *Consensus) Apply(entry []byte) Future { return Future{} }

// Future is the outcome of a proposal to come.
type Future struct{}

// Wait blocks until the entry is committed and applied here, and returns what the
// state machine answered. Errors are ErrUnavailable or ErrOutcomeUnknown.
func (f Future) Wait() (index uint64, result any, err error) { return 0, nil, nil }

// ReadIndex returns an index such that a state that has applied it answers
// linearizably. It fails with ErrUnavailable where this node does not lead.
func (c *Consensus) ReadIndex(ctx context.Context) (uint64, error) { return 0, nil }

// Leader names the leader as far as this node knows.
func (c *Consensus) Leader() (messages.NodeID, bool) { return "", false }
