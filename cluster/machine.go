package cluster

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/persistence"
)

// StateMachine is what the log drives: on every node the same entries in the same
// order. Apply, Snapshot and Restore are called from one goroutine at a time.
type StateMachine interface {
	// Apply carries out one entry and keeps nothing of data, which Raft uses again.
	// An error means that this node cannot follow the log any further: the process is
	// stopped.
	Apply(index uint64, data []byte) ([]persistence.Result, error)
	// Snapshot pins the state as it is now, without copying it.
	Snapshot() (Snapshot, error)
	// Restore replaces the state by that of a Raft snapshot.
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

// machine shows a StateMachine to Raft. After the first error it takes nothing
// any more, whatever Raft still hands it.
type machine struct {
	state   StateMachine
	fatal   func(error)
	applied atomic.Uint64 // index of the newest applied entry

	mu      sync.Mutex
	advance chan struct{} // closed at the next advance of applied; nil without waiters
	failed  error         // touched by Raft's goroutine only
}

func newMachine(state StateMachine, fatal func(error)) *machine {
	m := &machine{state: state, fatal: fatal}
	m.applied.Store(state.AppliedIndex())
	return m
}

// ApplyBatch carries out committed entries. The response to each is its results or
// an error.
func (m *machine) ApplyBatch(entries []*raft.Log) []any {
	responses := make([]any, len(entries))
	for i, entry := range entries {
		if entry.Type == raft.LogCommand {
			responses[i] = m.Apply(entry)
		}
	}
	return responses
}

// Apply carries out one committed entry.
func (m *machine) Apply(entry *raft.Log) any {
	if m.failed != nil {
		return m.failed
	}
	results, err := m.state.Apply(entry.Index, entry.Data)
	if err != nil {
		m.failed = fmt.Errorf("apply entry %d of term %d: %w", entry.Index, entry.Term, err)
		m.fatal(m.failed)
		return m.failed
	}
	m.advanceTo(entry.Index)
	return results
}

// Snapshot pins the state.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	if m.failed != nil {
		return nil, m.failed
	}
	pinned, err := m.state.Snapshot()
	if err != nil {
		return nil, err
	}
	return machineSnapshot{pinned}, nil
}

// Restore replaces the state.
func (m *machine) Restore(source io.ReadCloser) error {
	if m.failed != nil {
		return m.failed
	}
	if err := m.state.Restore(source); err != nil {
		return err
	}
	m.advanceTo(m.state.AppliedIndex())
	return nil
}

func (m *machine) advanceTo(index uint64) {
	m.applied.Store(index)
	m.mu.Lock()
	if m.advance != nil {
		close(m.advance)
		m.advance = nil
	}
	m.mu.Unlock()
}

// advanced returns a channel that is closed when applied moves on.
func (m *machine) advanced() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.advance == nil {
		m.advance = make(chan struct{})
	}
	return m.advance
}

// machineSnapshot shows a Snapshot to Raft, which closes the sink itself.
type machineSnapshot struct{ Snapshot }

func (s machineSnapshot) Persist(sink raft.SnapshotSink) error { return s.Snapshot.Persist(sink) }

var _ raft.BatchingFSM = (*machine)(nil)
