package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/cluster/internal/raftlog"
	"github.com/the-block/bursar/messages"
)

// Foundation is a state with which a new cluster begins: that of a backup, or of the one
// disk that is left of a cluster.
type Foundation struct {
	// Voter is the new cluster's only one.
	Voter Voter
	// Index and Term are those of the entry whose state it is.
	Index, Term uint64
	// State writes it, as a Snapshot does.
	State func(io.Writer) error
}

// Found makes dir, which must not be there or be empty, the data directory of a new cluster
// of one voter, and gives the new cluster's identity. The directory gets its name only when
// it is whole. It has a new identity too, so that nodes of the cluster before, and copies of
// their disks, are strangers to it.
func Found(dir string, f Foundation) (id string, err error) {
	if err := MustBeEmpty(dir); err != nil {
		return "", err
	}
	building := filepath.Clean(dir) + ".unfinished"
	if err := os.RemoveAll(building); err != nil {
		return "", err
	}
	if err := os.MkdirAll(building, 0o700); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(building)) }()
	if id, err = f.write(building); err != nil {
		return "", err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if err := os.Rename(building, dir); err != nil {
		return "", err
	}
	return id, syncDir(filepath.Dir(filepath.Clean(dir)))
}

// MustBeEmpty refuses a directory in which something is.
func MustBeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: %s is there; name a directory that is not there yet", dir, entries[0].Name())
	}
	return nil
}

// foundSegmentBytes is the size of the log's first file.
const foundSegmentBytes = 64 << 20

// write makes what a data directory holds.
func (f *Foundation) write(dir string) (id string, err error) {
	snapshots, err := raftlog.OpenSnapshots(filepath.Join(dir, snapshotsDir), 1, nil)
	if err != nil {
		return "", err
	}
	log, err := raftlog.Open(filepath.Join(dir, logDir), raftlog.Options{SegmentBytes: foundSegmentBytes, MarkDir: dir}, hclog.NewNullLogger())
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if err := claimNode(log, dir, f.Voter.Node); err != nil {
		return "", err
	}
	life, err := openLife(log)
	if err != nil {
		return "", err
	}
	id = newIdentity()
	if _, err := life.keep(promise{
		FormRequest: FormRequest{Cluster: id, Initiator: f.Voter.Node, Voters: []Voter{f.Voter}}, Collected: true,
	}); err != nil {
		return "", err
	}
	if err := log.SetUint64([]byte("CurrentTerm"), f.Term); err != nil {
		return "", err
	}
	snapshots.Note = log.NoteSnapshot
	sink, err := snapshots.Create(raft.SnapshotVersionMax, f.Index, f.Term, groupOf([]Voter{f.Voter}), f.Index, nil)
	if err != nil {
		return "", err
	}
	if err := f.State(sink); err != nil {
		return "", errors.Join(err, sink.Cancel())
	}
	return id, sink.Close()
}

func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// Identity is whose a data directory is.
type Identity struct {
	Cluster string
	Node    messages.NodeID
}

// ReadIdentity reads whose the data directory dir is. It changes nothing.
func ReadIdentity(dir string) (Identity, error) {
	get, err := raftlog.ReadStable(filepath.Join(dir, logDir))
	if err != nil {
		return Identity{}, readError(dir, err)
	}
	l := life{cluster: string(get(keyCluster))}
	if noted := get(keyPromise); len(noted) > 0 {
		l.promise = new(promise)
		if err := json.Unmarshal(noted, l.promise); err != nil {
			return Identity{}, fmt.Errorf("%w: what this node promised: %w", ErrDamaged, err)
		}
	}
	id := Identity{Cluster: l.clusterID(), Node: messages.NodeID(get(keyNode))}
	if id.Node == "" {
		return id, fmt.Errorf("%w in %s", ErrNoLog, dir)
	}
	return id, nil
}
