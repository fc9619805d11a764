package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/persistence"
)

func newJournal(std streams) *cobra.Command {
	command := &cobra.Command{
		Use:   "journal",
		Short: "Read the log of a node",
		Long: `Reads the log of a node from its data directory: what was decided, by whom, and in which
order. Nothing is changed, and the node may run meanwhile; entries it appends or removes while
they are read may be left out. The newest entries of a node in a cluster may not be committed yet.

At damage the commands end with exit code 1 and name the file, the entry, and what to do.`,
		Args: cobra.ArbitraryArgs,
		RunE: needsSubcommand,
	}
	command.AddCommand(newJournalDump(std), newJournalTail(std), newJournalVerify(std))
	for _, child := range command.Commands() {
		child.Args = asUsage(child.Args)
	}
	return command
}

// dataFlag is the flag that names the data directory of a node.
func dataFlag(command *cobra.Command) *string {
	return command.Flags().String("data", node.DefaultConfig().DataDir, "the node's data directory")
}

func newJournalDump(std streams) *cobra.Command {
	var from, to uint64
	var form format
	command := &cobra.Command{
		Use:   "dump",
		Short: "Print the entries of the log",
		Long: `Prints the entries of the log, oldest first. The oldest that a node still has are some hundred
before its newest Raft snapshot. With --output json, each entry is one line.`,
		Example: `  bursar journal dump --data /var/lib/bursar --from 17000
  bursar journal dump --data /var/lib/bursar --output json | jq 'select(.index == 17003)'`,
	}
	data := dataFlag(command)
	uintVar(command.Flags(), &from, "from", "", 0, "index of the first entry; 0 for the oldest there is")
	uintVar(command.Flags(), &to, "to", "", 0, "index of the last entry; 0 for the newest there is")
	form.flag(command)
	command.RunE = func(cmd *cobra.Command, _ []string) error {
		return dumpLog(cmd.Context(), std.out, form, *data, from, to)
	}
	return command
}

func newJournalTail(std streams) *cobra.Command {
	var entries uint64
	var follow bool
	var form format
	command := &cobra.Command{
		Use:   "tail",
		Short: "Print the newest entries of the log",
		Example: `  bursar journal tail --data /var/lib/bursar
  bursar journal tail --data /var/lib/bursar --entries 0 --follow`,
	}
	data := dataFlag(command)
	uintVar(command.Flags(), &entries, "entries", "n", 10, "how many entries")
	command.Flags().BoolVarP(&follow, "follow", "f", false, "go on with each new entry until interrupted")
	form.flag(command)
	command.RunE = func(cmd *cobra.Command, _ []string) error {
		newest, err := cluster.NewestEntry(*data)
		if err != nil {
			return err
		}
		next := newest + 1 - min(entries, newest)
		if !follow {
			return dumpLog(cmd.Context(), std.out, form, *data, next, newest) // a node may append more meanwhile
		}
		return followLog(cmd.Context(), std.out, form, *data, next)
	}
	return command
}

func newJournalVerify(std streams) *cobra.Command {
	var form format
	command := &cobra.Command{
		Use:   "verify",
		Short: "Verify every byte of the log and of the newest Raft snapshot",
		Long: `Reads the newest Raft snapshot and every entry of the log, and verifies checksums, framing, order,
and that nothing is missing between the two. 'bursar verify' also carries the entries out and
holds the books against what they say.`,
		Example: `  bursar journal verify --data /var/lib/bursar`,
	}
	data := dataFlag(command)
	form.flag(command)
	command.RunE = func(cmd *cobra.Command, _ []string) error {
		return verifyLog(cmd.Context(), std, form, *data)
	}
	return command
}

// errEnough ends the reading of a log before its end.
var errEnough = errors.New("enough")

// dumpLog prints the entries from from to to; 0 is the oldest, or the newest.
func dumpLog(ctx context.Context, out io.Writer, form format, data string, from, to uint64) error {
	w := bufio.NewWriterSize(out, 64<<10)
	_, err := printEntries(ctx, w, form, data, from, to)
	return errors.Join(err, w.Flush())
}

// followPoll is how often a log that is followed is looked at.
const followPoll = 200 * time.Millisecond

// followLog prints the entries from next on and each new one until ctx ends.
func followLog(ctx context.Context, out io.Writer, form format, data string, next uint64) error {
	w := bufio.NewWriterSize(out, 64<<10)
	for ctx.Err() == nil {
		newest, err := cluster.NewestEntry(data)
		if err != nil {
			return err
		}
		if newest >= next {
			if next, err = printEntries(ctx, w, form, data, next, newest); err != nil {
				return errors.Join(err, w.Flush())
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
		localcluster.Wait(ctx, followPoll)
	}
	return nil
}

// printEntries prints the entries from from to to and gives the index after the last.
func printEntries(ctx context.Context, w io.Writer, form format, data string, from, to uint64) (next uint64, err error) {
	next = from
	err = cluster.ReadLog(data, from, func(e cluster.Entry) error {
		if to > 0 && e.Index > to {
			return errEnough
		}
		entry, err := readEntry(&e)
		if err != nil { // no node can apply it either; whoever decides about it must see it
			entry.Fault, entry.Data = err.Error(), e.Data[:min(len(e.Data), faultyBytesMax)]
		}
		next = e.Index + 1
		if err := printEntry(w, form, entry); err != nil {
			return err
		}
		return ctx.Err()
	})
	if errors.Is(err, errEnough) || errors.Is(err, context.Canceled) {
		err = nil
	}
	return next, err
}

func printEntry(w io.Writer, form format, e *loggedEntry) error {
	if form.json() {
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		_, err = w.Write(append(line, '\n'))
		return err
	}
	return e.text(w)
}

// logCensus is what a log was found to hold.
type logCensus struct {
	Snapshot     uint64 // index of the newest Raft snapshot
	First, Last  uint64 // entries
	Terms        int
	Batches      uint64
	Transactions uint64
	Bytes        uint64
	term         uint64
}

// verifyLog reads all that a data directory holds and checks everything that can be
// checked without carrying it out.
func verifyLog(ctx context.Context, std streams, form format, data string) error {
	newest, err := cluster.NewestEntry(data)
	if err != nil {
		return err
	}
	var c logCensus
	info, err := cluster.ReadSnapshot(data, func(_ cluster.SnapshotInfo, state io.Reader) error {
		_, err := io.Copy(io.Discard, state)
		return err
	})
	if err != nil {
		return err
	}
	c.Snapshot = info.Index
	progress := terminal.NewBar(std.err, int(newest))
	err = cluster.ReadLog(data, 0, func(e cluster.Entry) error {
		if err := c.add(&e); err != nil {
			return err
		}
		progress.Show(int(e.Index), "entries verified")
		return ctx.Err()
	})
	progress.End(int(c.Last), "entries verified")
	if err != nil {
		return err
	}
	if err := c.gap(); err != nil {
		return err
	}
	return printFacts(std.out, form, data+" is whole", []fact{
		{"raft_snapshot", c.Snapshot}, {"snapshot_bytes", uint64(info.Bytes)},
		{"first_entry", c.First}, {"last_entry", c.Last}, {"terms", c.Terms},
		{"batches", c.Batches}, {"transactions", c.Transactions}, {"batch_bytes", c.Bytes},
	})
}

// add checks one entry and counts it.
func (c *logCensus) add(e *cluster.Entry) error {
	if c.First == 0 {
		c.First = e.Index
	} else if e.Index != c.Last+1 {
		return fmt.Errorf("entry %d follows entry %d", e.Index, c.Last)
	}
	if e.Term < c.term {
		return fmt.Errorf("entry %d is of term %d, the one before it of term %d", e.Index, e.Term, c.term)
	}
	if e.Term > c.term {
		c.term = e.Term
		c.Terms++
	}
	c.Last = e.Index
	entry, err := readEntry(e)
	if err != nil {
		return err
	}
	if e.Kind == cluster.KindBatch {
		c.Batches++
		c.Transactions += uint64(len(entry.Transactions))
		c.Bytes += uint64(len(e.Data))
	}
	return nil
}

// gap reports entries that are neither in the log nor in the Raft snapshot.
func (c *logCensus) gap() error {
	if c.First > c.Snapshot+1 {
		return fmt.Errorf("entries %d to %d are neither in the log nor in a Raft snapshot", c.Snapshot+1, c.First-1)
	}
	return nil
}

// faultyBytesMax is how much is shown of an entry that cannot be read.
const faultyBytesMax = 256

// readEntry takes an entry apart, as far as that goes.
func readEntry(e *cluster.Entry) (*loggedEntry, error) {
	entry := &loggedEntry{Index: e.Index, Term: e.Term, Kind: e.Kind, AppendedAt: e.AppendedAt.UTC(), Bytes: len(e.Data)}
	if e.Kind != cluster.KindBatch {
		return entry, nil
	}
	txns, err := persistence.DecodeBatch(e.Data)
	if err != nil {
		return entry, fmt.Errorf("entry %d: %w", e.Index, err)
	}
	for i, encoded := range txns {
		txn, err := persistence.DecodeTxn(encoded)
		if err != nil {
			return entry, fmt.Errorf("entry %d: transaction %d: %w", e.Index, i+1, err)
		}
		entry.Transactions = append(entry.Transactions, logTxn(txn))
	}
	return entry, nil
}

// text writes an entry as people read it.
func (e *loggedEntry) text(w io.Writer) error {
	var b strings.Builder
	at := "without a time" // what Raft itself writes first
	if !e.AppendedAt.IsZero() {
		at = e.AppendedAt.Format("2006-01-02T15:04:05.000Z")
	}
	fmt.Fprintf(&b, "entry %d  term %d  %s  %s", e.Index, e.Term, at, e.Kind)
	if e.Kind == cluster.KindBatch {
		fmt.Fprintf(&b, " of %d, %d B", len(e.Transactions), e.Bytes)
	}
	b.WriteByte('\n')
	for i := range e.Transactions {
		e.Transactions[i].text(&b, i+1)
	}
	if e.Fault != "" {
		fmt.Fprintf(&b, "  cannot be applied: %s\n  it begins with %x\n", e.Fault, e.Data)
	}
	_, err := io.WriteString(w, terminal.VisibleLines(b.String()))
	return err
}
