package cluster

import (
	"errors"

	"github.com/the-block/bursar/cluster/internal/raftlog"
)

var (
	// ErrInUse is returned when another process holds the data directory.
	ErrInUse = errors.New("data directory is in use")
	// ErrForeign is returned when the data directory belongs to another node or
	// another cluster.
	ErrForeign = errors.New("data directory belongs to another")
	// ErrDamaged is returned when what is on disk is not what was written there:
	// the log ends before its high-water mark, a file is missing or from another time, an entry or a Raft snapshot fails its
	// checksum, or entries are missing. A node with such a log must not vote.
	ErrDamaged = raftlog.ErrDamaged
	// ErrCommitted is returned when another node's log was to replace entries that this
	// node knows to be committed: there are two histories.
	ErrCommitted = raftlog.ErrCommitted
	// ErrOldCopy is why a node halts, or refuses another, whose data directory is known to
	// have had more than it has: an old copy was put back.
	ErrOldCopy = errors.New("an old copy of a data directory")
	// ErrDiverged is why a node halts whose state is another than the others' at the same
	// index.
	ErrDiverged = errors.New("two histories")
	// ErrNoLog is returned when a directory that is to be read holds no log.
	ErrNoLog = errors.New("there is no log")
	// ErrRefused is returned when a cluster is not formed as asked for: a node has
	// promised another, belongs to one, or expects another group.
	ErrRefused = errors.New("refused to form a cluster")
	// ErrNoSuccessor is returned by TransferLeadership when no other voter can lead.
	ErrNoSuccessor = errors.New("no other voter can lead")
)
