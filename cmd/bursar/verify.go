package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/actors/energy"
	"github.com/the-block/bursar/actors/treasury/audit"
	"github.com/the-block/bursar/cmd/internal/check"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/persistence"
)

func newVerify(std streams) *cobra.Command {
	var r check.Rebuilt
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
--to stops at an index that two nodes have reached, to compare them. audit_rows and audit_root are what a checkpoint
of the same number of rows must say (see 'bursar audit').

It needs the memory that the node needs, and in the temporary directory the size of the Raft snapshot.`,
		Example: `  bursar verify --data /var/lib/bursar
  bursar verify --data /var/lib/bursar --to 17000 --output json`,
	}
	data := dataFlag(command)
	command.Flags().StringVar(&r.Scratch, "scratch", os.TempDir(), "where the temporary directory is made")
	uintVar(command.Flags(), &r.To, "to", "", 0, "index of the last entry to carry out; 0 for the newest there is")
	command.Flags().BoolVar(&all, "all", false, "name the first hundred faults, not only the first")
	form.flag(command)
	command.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		var facts []fact
		var bar *terminal.Bar
		const work = "entries carried out"
		r.Data = *data
		r.Progress = func(done, total int) {
			if bar == nil {
				bar = terminal.NewBar(std.err, total)
			}
			bar.Show(done, work)
		}
		var books audit.Report
		var market energy.AuditReport
		err = r.Inspect(cmd.Context(), func(store *persistence.Store) (err error) {
			if books, err = audit.Books(cmd.Context(), store); err != nil {
				return err
			}
			var tree auditTree
			if tree, err = auditTreeOf(store); err != nil {
				return err
			}
			facts = verifyFacts(&r, &books, store, tree)
			market, err = energy.Audit(cmd.Context(), store)
			return err
		})
		if bar != nil {
			bar.End(int(r.Entries), work)
		}
		if errors.Is(err, check.ErrBefore) {
			return usagef("--to %d: %v", r.To, err)
		}
		if err != nil {
			return err
		}
		if err := printFacts(std.out, form, "the books of "+*data, facts); err != nil {
			return err
		}
		return errors.Join(verdict(&books, all), market.Err())
	}
	return command
}

// auditTree is what the audit adds up to, to be held against a checkpoint.
type auditTree struct {
	size uint64
	root persistence.TreeHash
}

func auditTreeOf(store *persistence.Store) (t auditTree, err error) {
	err = store.View(func(v *persistence.View) (err error) {
		tree := v.Tree()
		t.size = tree.Size()
		t.root, err = tree.Root(t.size)
		return err
	})
	return t, err
}

func verifyFacts(r *check.Rebuilt, b *audit.Report, store *persistence.Store, t auditTree) []fact {
	sum, applied := store.Checksum()
	return []fact{
		{"index", applied}, {"rows", uint64(store.Stats().Rows.Load())}, {"checksum", fmt.Sprintf("%016x", sum)},
		{"raft_snapshot", r.Snapshot.Index}, {"entries", r.Entries}, {"transactions", r.Txns},
		{"disbursements", b.Disbursements}, {"payments", b.Payments}, {"history_rows", b.Rows},
		{"treasury", uint64(b.Treasury)}, {"accounts", uint64(b.Accounts)}, {"accruals", uint64(b.Accruals)},
		{"unfinished", b.Unfinished}, {"audit_rows", t.size}, {"audit_root", t.root.String()}, {"faults", b.FaultCount},
	}
}

// verdict is nil if nothing is wrong.
func verdict(books *audit.Report, all bool) error {
	if all || books.FaultCount < 2 {
		return books.Err()
	}
	return fmt.Errorf("%s; and %d more, --all names them", books.Faults[0], books.FaultCount-1)
}
