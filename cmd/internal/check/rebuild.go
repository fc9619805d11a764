package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/persistence"
)

// ErrBefore is returned for an index that lies before the Raft snapshot: the log up to it
// is gone.
var ErrBefore = errors.New("the log before the Raft snapshot is gone")

// Rebuilt is the Store of a data directory, made anew from its Raft snapshot and log. The
// node may run meanwhile; nothing of its directory changes.
type Rebuilt struct {
	// Data is the data directory, Scratch where a temporary directory is made, as large as
	// the Raft snapshot.
	Data, Scratch string
	// To is the index of the last entry to carry out; 0 for the newest there is.
	To uint64
	// Progress is told how many entries of how many were carried out; nil for nobody.
	Progress func(done, total int)

	Snapshot cluster.SnapshotInfo
	Entries  uint64 // carried out
	Txns     uint64
	// Last is the last entry that was carried out or passed by, Term its term, and At the
	// leader's clock when it was appended.
	Last, Term uint64
	At         time.Time
}

// Inspect rebuilds the Store and shows it to look.
func (r *Rebuilt) Inspect(ctx context.Context, look func(*persistence.Store) error) error {
	return r.Rebuild(ctx, func(fsm *persistence.FSM) error { return look(fsm.Store()) })
}

// Rebuild rebuilds the Store and hands over what writes it.
func (r *Rebuilt) Rebuild(ctx context.Context, use func(*persistence.FSM) error) error {
	return InScratch(r.Scratch, func(fsm *persistence.FSM) error {
		if err := r.fill(ctx, fsm); err != nil {
			return err
		}
		return use(fsm)
	})
}

// fillTries is how often a Raft snapshot may be replaced by a running node, and the
// log behind it be removed, before a rebuild gives up.
const fillTries = 5

// fill restores the newest Raft snapshot and carries out the log behind it. A node
// that runs may take another snapshot and cut the log in between: then it begins anew.
func (r *Rebuilt) fill(ctx context.Context, fsm *persistence.FSM) error {
	var err error
	for range fillTries {
		if err = r.restore(fsm); err != nil {
			return err
		}
		if err = r.replay(ctx, fsm); !errors.Is(err, errGap) {
			return err
		}
		if newest, seen := newestSnapshot(r.Data); seen != nil || newest.Index == r.Snapshot.Index {
			break
		}
	}
	return err
}

func newestSnapshot(data string) (cluster.SnapshotInfo, error) {
	return cluster.ReadSnapshot(data, func(cluster.SnapshotInfo, io.Reader) error { return nil })
}

func (r *Rebuilt) restore(fsm *persistence.FSM) (err error) {
	r.Snapshot, err = cluster.ReadSnapshot(r.Data, func(info cluster.SnapshotInfo, state io.Reader) error {
		if r.To > 0 && info.Index > r.To {
			return fmt.Errorf("%w: it is of index %d, and %d was asked for", ErrBefore, info.Index, r.To)
		}
		return fsm.Restore(state)
	})
	return err
}

var (
	// errGap is returned when the log does not begin where the Raft snapshot ends.
	errGap    = errors.New("the log has a gap")
	errEnough = errors.New("all entries asked for were carried out")
)

func (r *Rebuilt) replay(ctx context.Context, fsm *persistence.FSM) error {
	newest, err := cluster.NewestEntry(r.Data)
	if err != nil {
		return err
	}
	if r.To > 0 {
		newest = min(newest, r.To)
	}
	last := r.Snapshot.Index
	total := int(newest - min(newest, last))
	r.Entries, r.Txns = 0, 0
	r.Last, r.Term = last, r.Snapshot.Term
	err = cluster.ReadLog(r.Data, last+1, func(e cluster.Entry) error {
		if e.Index > newest {
			return errEnough
		}
		if e.Index != last+1 {
			return fmt.Errorf("%w: after entry %d comes entry %d", errGap, last, e.Index)
		}
		last = e.Index
		r.Last, r.Term, r.At = e.Index, e.Term, e.AppendedAt
		if e.Kind == cluster.KindBatch {
			results, err := fsm.Apply(e.Index, e.Data)
			if err != nil {
				return err
			}
			r.Entries++
			r.Txns += uint64(len(results))
		}
		if r.Progress != nil {
			r.Progress(int(last-r.Snapshot.Index), total)
		}
		return ctx.Err()
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return err
}

// Dir is the data directory of a node that has ended.
type Dir struct{ Name, Data string }

// Dirs checks what is on the disks of nodes that have ended, rebuilt up to the same
// index: the given one, which all had applied, or that of the newest Raft snapshot, which
// is all that is left of its log before. With index 0 it is what all have.
func Dirs(ctx context.Context, dirs []Dir, index uint64, scratch string, ledger *Ledger) (*Check, error) {
	index, err := common(dirs, index)
	if err != nil {
		return nil, err
	}
	c := New(ledger)
	for _, d := range dirs {
		r := Rebuilt{Data: d.Data, Scratch: scratch, To: index}
		err := r.Inspect(ctx, func(store *persistence.Store) error { return c.Look(ctx, d.Name, store) })
		if err != nil {
			return nil, fmt.Errorf("check %s: %w", d.Name, err)
		}
	}
	return c, nil
}

func common(dirs []Dir, given uint64) (index uint64, err error) {
	var snapshot uint64
	for i, d := range dirs {
		newest, err := newestSnapshot(d.Data)
		if err != nil {
			return 0, fmt.Errorf("check %s: %w", d.Name, err)
		}
		last, err := cluster.NewestEntry(d.Data)
		if err != nil {
			return 0, fmt.Errorf("check %s: %w", d.Name, err)
		}
		snapshot = max(snapshot, newest.Index)
		if last = max(last, newest.Index); i == 0 || last < index {
			index = last
		}
	}
	if given > 0 {
		index = given
	}
	return max(index, snapshot), nil
}

// Index is the index that the first node was looked at.
func (c *Check) Index() uint64 { return c.kept[0].index }
