package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/ownership"
	"github.com/the-block/bursar/cmd/internal/check"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/persistence/backup"
)

// Result is what a new cluster begins with.
type Result struct {
	Cluster string // its identity; "" where nothing was made
	// Restored is the state that was found, at its index.
	backup.Restored
	Took time.Duration
}

// Restore is a backup that becomes a data directory.
type Restore struct {
	Reader *backup.Reader
	Plan   *backup.Plan
	// Data is the new directory, and Voter the node that starts on it.
	Data  string
	Voter cluster.Voter
	// DryRun does all of it but the directory.
	DryRun bool
}

// Run restores. Nothing is left of it after an error.
func (r *Restore) Run(ctx context.Context) (*Result, error) {
	began := time.Now()
	if !r.DryRun {
		if err := cluster.MustBeEmpty(r.Data); err != nil {
			return nil, err
		}
	}
	result := new(Result)
	err := check.InScratch(scratchBeside(r.Data), func(fsm *persistence.FSM) error {
		restored, err := r.Reader.Restore(ctx, r.Plan, fsm)
		if err != nil {
			return err
		}
		result.Restored = *restored
		if r.DryRun {
			return nil
		}
		why := fmt.Sprintf("restored from a backup of cluster %s at index %d", r.Plan.Cluster, restored.Index)
		result.Cluster, err = found(fsm, restored.Index, restored.Term, r.Data, r.Voter, why)
		return err
	})
	result.Took = time.Since(began)
	return result, err
}

// Recover makes a new cluster of the disk of a node that has ended, whatever the others had.
type Recover struct {
	// Data is the node's directory: what it held is kept beside it, under Aside.
	Data  string
	Aside string
	Voter cluster.Voter
	// Why stands in the log: who was lost.
	Why      string
	Progress func(done, total int)
}

// Run recovers. At an error the directory is as it was.
func (r *Recover) Run(ctx context.Context) (result *Result, err error) {
	began := time.Now()
	lock, err := cluster.LockDir(r.Data)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	result = new(Result)
	fresh := filepath.Clean(r.Data) + ".recovered"
	if err := os.RemoveAll(fresh); err != nil {
		return nil, err
	}
	rebuilt := check.Rebuilt{Data: r.Data, Scratch: scratchBeside(r.Data), Progress: r.Progress}
	err = rebuilt.Rebuild(ctx, func(fsm *persistence.FSM) (err error) {
		if result.Facts, err = check.Facts(ctx, fsm.Store()); err != nil {
			return err
		}
		result.Index, result.Term, result.Entries = rebuilt.Last, rebuilt.Term, rebuilt.Entries
		result.At = rebuilt.At
		result.Cluster, err = found(fsm, result.Index, result.Term, fresh, r.Voter, r.Why)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := os.Rename(r.Data, r.Aside); err != nil {
		return nil, err
	}
	result.Took = time.Since(began)
	return result, os.Rename(fresh, r.Data)
}

// scratchBeside is where the Store is rebuilt: on the disk of the directory it is for, which
// has room for it.
func scratchBeside(data string) string {
	dir := filepath.Dir(filepath.Clean(data))
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return dir
	}
	return ""
}

// found makes a data directory of a Store. The first entry of the new cluster forgets the
// nodes of the old one and has the executor rest.
func found(fsm *persistence.FSM, index, term uint64, data string, voter cluster.Voter, why string) (id string, err error) {
	index++
	txn, err := firstTxn(fsm.Store(), why)
	if err != nil {
		return "", err
	}
	encoded, err := persistence.AppendTxn(nil, txn)
	if err != nil {
		return "", err
	}
	results, err := fsm.Apply(index, persistence.AppendBatch(nil, encoded))
	if err != nil {
		return "", err
	}
	if results[0].Status != persistence.Committed {
		return "", fmt.Errorf("the new cluster's first entry is refused: %v", results[0].Status)
	}
	pinned, err := fsm.Snapshot()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, pinned.Release()) }()
	return cluster.Found(data, cluster.Foundation{
		Voter: voter, Index: index, Term: term + 1,
		State: func(w io.Writer) error {
			_, err := pinned.WriteTo(w)
			return err
		},
	})
}

// firstTxn forgets the nodes that were, and has the executor rest.
func firstTxn(store *persistence.Store, why string) (*persistence.Txn, error) {
	now := time.Now()
	txn := &persistence.Txn{StampedAt: now.UnixMilli(), Writes: []persistence.Write{rows.RestWrite(rows.Rest{At: now, Why: why})}}
	txn.Deletes = node.ArchiverKeys()
	err := store.View(func(v *persistence.View) error {
		return v.Scan(persistence.NameKey(ownership.TableNodes, ""), persistence.TableEnd(ownership.TableNodes), false, ownership.NodesMax,
			func(key persistence.Key, _ persistence.Value) bool {
				txn.Deletes = append(txn.Deletes, key)
				return true
			})
	})
	return txn, err
}
