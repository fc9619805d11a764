package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/persistence"
)

func newVerify(std streams) *cobra.Command {
	var scratch string
	var to uint64
	var all bool
	var form format
	command := &cobra.Command{
		Use:   "verify",
		Short: "Rebuild the books from the log and check every one of them",
		Long: `Rebuilds the Store from the newest Raft snapshot and the log of a data directory, in a temporary
directory, and holds it against what must be true: treasury plus accounts equal the accruals, each row
of the balance history follows from the one before, each payment has a record, a nonce of its own and
dependencies that were final, and each disbursement took only steps that there are.

Nothing is changed, and the node may run meanwhile. The first fault is named and the exit code is 1;
--all names the first hundred. The checksum of the rows is the same on every node at the same index:
--to stops at an index that two nodes have reached, to compare them.

It needs the memory that the node needs, and in the temporary directory the size of the Raft snapshot.`,
		Example: `  bursar verify --data /var/lib/bursar
  bursar verify --data /var/lib/bursar --to 17000 --output json`,
	}
	data := dataFlag(command)
	command.Flags().StringVar(&scratch, "scratch", os.TempDir(), "where the temporary directory is made")
	command.Flags().Uint64Var(&to, "to", 0, "index of the last entry to carry out; 0 for the newest there is")
	command.Flags().BoolVar(&all, "all", false, "name the first hundred faults, not only the first")
	form.flag(command)
	command.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		dir, err := os.MkdirTemp(scratch, "bursar-verify-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		r := rebuild{data: *data, to: to, progress: std.err}
		report, err := r.audit(cmd.Context(), dir)
		if err != nil {
			return err
		}
		if err := printFacts(std.out, form, "the books of "+*data, report); err != nil {
			return err
		}
		return verdict(&r.books, all)
	}
	return command
}

// rebuild makes the Store of a data directory anew.
type rebuild struct {
	data     string
	to       uint64
	progress io.Writer

	snapshot cluster.SnapshotInfo
	entries  uint64 // carried out
	txns     uint64
	books    treasury.Report
}

// audit rebuilds the Store in dir, checks it, and tells what it saw.
func (r *rebuild) audit(ctx context.Context, dir string) (facts []fact, err error) {
	err = r.inspect(ctx, dir, func(store *persistence.Store) error {
		facts = r.facts(store)
		return nil
	})
	return facts, err
}

// inspect rebuilds the Store in dir, checks its books, and shows it to look.
func (r *rebuild) inspect(ctx context.Context, dir string, look func(*persistence.Store) error) error {
	cfg := persistence.DefaultStoreConfig()
	cfg.Columns = treasury.Columns()
	store, err := persistence.Open(dir, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // its file goes with dir
	if err := r.fill(ctx, persistence.NewFSM(store)); err != nil {
		return err
	}
	if r.books, err = treasury.Audit(ctx, store); err != nil {
		return err
	}
	return look(store)
}

func (r *rebuild) facts(store *persistence.Store) []fact {
	sum, applied := store.Checksum()
	b := &r.books
	return []fact{
		{"index", applied}, {"rows", uint64(store.Stats().Rows.Load())}, {"checksum", fmt.Sprintf("%016x", sum)},
		{"raft_snapshot", r.snapshot.Index}, {"entries", r.entries}, {"transactions", r.txns},
		{"disbursements", b.Disbursements}, {"payments", b.Payments}, {"history_rows", b.Rows},
		{"treasury", uint64(b.Treasury)}, {"accounts", uint64(b.Accounts)}, {"accruals", uint64(b.Accruals)},
		{"unfinished", b.Unfinished}, {"faults", b.FaultCount},
	}
}

// verdict is nil if nothing is wrong.
func verdict(books *treasury.Report, all bool) error {
	if all || books.FaultCount < 2 {
		return books.Err()
	}
	return fmt.Errorf("%s; and %d more, --all names them", books.Faults[0], books.FaultCount-1)
}

// fillTries is how often a Raft snapshot may be replaced by a running node, and the
// log behind it be removed, before a rebuild gives up.
const fillTries = 5

// fill restores the newest Raft snapshot and carries out the log behind it. A node
// that runs may take another snapshot and cut the log in between: then it begins anew.
func (r *rebuild) fill(ctx context.Context, fsm *persistence.FSM) error {
	var err error
	for range fillTries {
		if err = r.restore(fsm); err != nil {
			return err
		}
		if err = r.replay(ctx, fsm); !errors.Is(err, errGap) {
			return err
		}
		var newest cluster.SnapshotInfo
		newest, seen := cluster.ReadSnapshot(r.data, func(cluster.SnapshotInfo, io.Reader) error { return nil })
		if seen != nil || newest.Index == r.snapshot.Index {
			break
		}
	}
	return err
}

func (r *rebuild) restore(fsm *persistence.FSM) (err error) {
	r.snapshot, err = cluster.ReadSnapshot(r.data, func(info cluster.SnapshotInfo, state io.Reader) error {
		if r.to > 0 && info.Index > r.to {
			return usagef("--to %d: the Raft snapshot is of index %d, and the log before it is gone", r.to, info.Index)
		}
		return fsm.Restore(state)
	})
	return err
}

// errGap is returned when the log does not begin where the Raft snapshot ends.
var errGap = errors.New("the log has a gap")

func (r *rebuild) replay(ctx context.Context, fsm *persistence.FSM) error {
	newest, err := cluster.NewestEntry(r.data)
	if err != nil {
		return err
	}
	if r.to > 0 {
		newest = min(newest, r.to)
	}
	last := r.snapshot.Index
	r.entries, r.txns = 0, 0
	progress := newBar(r.progress, int(newest-min(newest, last)))
	err = cluster.ReadLog(r.data, last+1, func(e cluster.Entry) error {
		if e.Index > newest {
			return errEnough
		}
		if e.Index != last+1 {
			return fmt.Errorf("%w: after entry %d comes entry %d", errGap, last, e.Index)
		}
		last = e.Index
		if e.Kind == cluster.KindBatch {
			results, err := fsm.Apply(e.Index, e.Data)
			if err != nil {
				return err
			}
			r.entries++
			r.txns += uint64(len(results))
		}
		progress.show(int(last-r.snapshot.Index), "entries carried out")
		return ctx.Err()
	})
	progress.end(int(last-r.snapshot.Index), "entries carried out")
	if errors.Is(err, errEnough) {
		err = nil
	}
	return err
}
