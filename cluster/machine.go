package cluster

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/persistence"
)

// StateMachine is what the log drives: on every node the same entries in the same
// order. Apply, Snapshot and Restore are called from one goroutine at a time.
type StateMachine interface {
	// Apply carries out one entry and keeps nothing of data, which Raft uses again.
	// An error, which names the entry, means that this node cannot follow the log any
	// further: the process is stopped.
	Apply(index uint64, data []byte) ([]persistence.Result, error)
	// Snapshot pins the state as it is now, without copying it.
	Snapshot() (Snapshot, error)
	// Restore replaces the state by that of a Raft snapshot.
	Restore(io.Reader) error
	// AppliedIndex is the index of the newest entry in the state, 0 for none.
	AppliedIndex() uint64
}

// Snapshot is a pinned state. WriteTo may run while later entries are applied;
// Release is called once, after it.
type Snapshot interface {
	io.WriterTo
	Release() error
}

// ForFSM shows the state machine of package persistence as that of the log.
func ForFSM(fsm *persistence.FSM) StateMachine { return fsmMachine{fsm} }

type fsmMachine struct{ *persistence.FSM }

func (m fsmMachine) Snapshot() (Snapshot, error) { return m.FSM.Snapshot() }

func (m fsmMachine) AppliedIndex() uint64 { return m.Store().Applied() }

// machine shows a StateMachine to Raft. After the first error it takes nothing
// any more, whatever Raft still hands it.
type machine struct {
	state   StateMachine
	fatal   func(error)
	log     *slog.Logger
	applied atomic.Uint64 // index of the newest applied entry
	// committed hears of each index that is applied, and so committed.
	committed func(index uint64)
	skip      Skip
	skipped   atomic.Bool
	busy      atomic.Pointer[time.Time] // when the entry being applied was begun; nil for none

	mu      sync.Mutex
	advance chan struct{} // closed at the next advance of applied; nil without waiters
	failed  error         // touched by Raft's goroutine only
	restore error         // of the last Restore; Raft logs it and passes on another
}

func newMachine(state StateMachine, fatal func(error), log *slog.Logger) *machine {
	m := &machine{state: state, fatal: fatal, log: log, committed: func(uint64) {}}
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
	data := entry.Data
	if m.skip.passes(entry.Index, data) {
		m.log.Warn("an entry that cannot be applied is passed over", "index", entry.Index, "entry", m.skip.String())
		m.skipped.Store(true)
		data = persistence.AppendBatch(nil)
	}
	began := time.Now()
	m.busy.Store(&began)
	results, err := m.state.Apply(entry.Index, data)
	m.busy.Store(nil)
	if err != nil {
		m.failed = fmt.Errorf("the log cannot be followed: %w", err)
		if unusable(err) {
			m.failed = entryError(entry.Index, data, err)
		}
		m.fatal(m.failed)
		return m.failed
	}
	m.advanceTo(entry.Index)
	return results
}

// unusable reports whether it is the entry that an error of applying it is about, and not
// a disk.
func unusable(err error) bool {
	return errors.Is(err, persistence.ErrCorrupt) || errors.Is(err, persistence.ErrInvalid) || errors.Is(err, persistence.ErrUnsupported)
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
	return machineSnapshot{pinned, m.log}, nil
}

// Restore replaces the state.
func (m *machine) Restore(source io.ReadCloser) error {
	if m.failed != nil {
		return m.failed
	}
	if m.restore = m.state.Restore(source); m.restore != nil {
		return m.restore
	}
	m.advanceTo(m.state.AppliedIndex())
	return nil
}

// applyingSince is when the entry that is being applied was begun, zero for none.
func (m *machine) applyingSince() time.Time {
	if began := m.busy.Load(); began != nil {
		return *began
	}
	return time.Time{}
}

func (m *machine) advanceTo(index uint64) {
	m.committed(index)
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
type machineSnapshot struct {
	pinned Snapshot
	log    *slog.Logger
}

func (s machineSnapshot) Persist(sink raft.SnapshotSink) error {
	_, err := s.pinned.WriteTo(sink)
	return err
}

// Release cannot tell Raft of an error; the snapshot is written by then.
func (s machineSnapshot) Release() {
	if err := s.pinned.Release(); err != nil {
		s.log.Warn("a pinned state was not let go", "err", err)
	}
}

var _ raft.BatchingFSM = (*machine)(nil)
