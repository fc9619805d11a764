package cluster

import (
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/cluster/internal/raftlog"
)

// Entry is one entry of the log as it is on disk.
type Entry struct {
	Index uint64
	Term  uint64
	// Kind is "batch" for what a journal proposed, and Raft's own otherwise:
	// "noop", "barrier" or "configuration".
	Kind string
	// AppendedAt is the leader's clock when it appended the entry.
	AppendedAt time.Time
	Data       []byte
}

// ReadLog calls fn with each entry in the data directory dir from index from on,
// oldest first. It changes nothing and may run beside the node. It stops at the
// first error of fn, which it returns, and at damage, with ErrDamaged.
func ReadLog(dir string, from uint64, fn func(Entry) error) error {
	return raftlog.Read(filepath.Join(dir, logDir), from, func(l *raft.Log) error {
		return fn(Entry{Index: l.Index, Term: l.Term, Kind: entryKind(l.Type), AppendedAt: l.AppendedAt, Data: l.Data})
	})
}

func entryKind(t raft.LogType) string {
	switch t {
	case raft.LogCommand:
		return "batch"
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
