package cluster

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/cluster/internal/raftlog"
)

// Entry is one entry of the log as it is on disk.
type Entry struct {
	Index uint64
	Term  uint64
	// Kind is KindBatch for what a journal proposed, and Raft's own otherwise:
	// "noop", "barrier" or "configuration".
	Kind string
	// AppendedAt is the leader's clock when it appended the entry.
	AppendedAt time.Time
	Data       []byte
}

// KindBatch is the Kind of an entry that a journal proposed.
const KindBatch = "batch"

// ReadLog calls fn with each entry in the data directory dir from index from on,
// oldest first. It changes nothing and may run beside the node: entries appended or
// removed meanwhile may be left out. It stops at the first error of fn, which it
// returns, and at damage, with ErrDamaged, which names file and entry and says what
// to do. A directory without a log is ErrNoLog.
func ReadLog(dir string, from uint64, fn func(Entry) error) error {
	err := raftlog.Read(filepath.Join(dir, logDir), dir, from, func(l *raft.Log) error {
		return fn(Entry{Index: l.Index, Term: l.Term, Kind: entryKind(l.Type), AppendedAt: l.AppendedAt, Data: l.Data})
	})
	return readError(dir, err)
}

// NewestEntry is the index of the newest entry in the data directory dir that is
// known to be durable, 0 for none. It may run beside the node.
func NewestEntry(dir string) (uint64, error) {
	index, _, err := raftlog.Newest(filepath.Join(dir, logDir), dir)
	return index, readError(dir, err)
}

// SnapshotInfo describes a Raft snapshot.
type SnapshotInfo struct {
	Index uint64
	Term  uint64
	Bytes int64 // of state
}

// ReadSnapshot calls fn with the newest Raft snapshot in the data directory dir and
// its state, which fn reads to the end: only then is it verified. It changes nothing
// and may run beside the node. The zero SnapshotInfo means that there is none, and
// fn was not called.
func ReadSnapshot(dir string, fn func(SnapshotInfo, io.Reader) error) (SnapshotInfo, error) {
	meta, state, err := raftlog.OpenNewestSnapshot(filepath.Join(dir, snapshotsDir))
	if err != nil || meta == nil {
		return SnapshotInfo{}, readError(dir, err)
	}
	info := SnapshotInfo{Index: meta.Index, Term: meta.Term, Bytes: meta.Size}
	err = fn(info, state)
	return info, readError(dir, errors.Join(err, state.Close()))
}

// readError names the directory in errors of reading it.
func readError(dir string, err error) error {
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w in %s", ErrNoLog, dir)
	}
	return explain(dir, err)
}

func entryKind(t raft.LogType) string {
	switch t {
	case raft.LogCommand:
		return KindBatch
	case raft.LogNoop:
		return "noop"
	case raft.LogBarrier:
		return "barrier"
	case raft.LogConfiguration:
		return "configuration"
	case raft.LogAddPeerDeprecated, raft.LogRemovePeerDeprecated:
	}
	return "unknown"
}
