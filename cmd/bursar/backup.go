package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/check"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/persistence/backup"
)

func newBackup(std streams) *cobra.Command {
	command := &cobra.Command{
		Use:   "backup",
		Short: "Make, list, verify and prune backups",
		Long: `Nodes that are started with --backup-to URL ship the log to a backup, one of them at a time.
These commands have a base made now, and read what is there. A URL is file:DIR.`,
		Args: cobra.ArbitraryArgs,
		RunE: needsSubcommand,
	}
	command.AddCommand(newBackupNow(std), newBackupList(std), newBackupVerify(std), newBackupPrune(std))
	for _, child := range command.Commands() {
		child.Args = asUsage(child.Args)
	}
	return command
}

// source is where a backup is read from.
type source struct {
	from string
	keys []string
}

func (s *source) flags(command *cobra.Command) {
	command.Flags().StringVar(&s.from, "from", "", "URL of the backup: file:DIR")
	command.Flags().StringSliceVar(&s.keys, "key", nil, "file with the age key that decrypts it, as age-keygen writes it")
}

// open gives a reader of the backup and what is there.
func (s *source) open(ctx context.Context) (*backup.Reader, *backup.Set, error) {
	if s.from == "" {
		return nil, nil, usagef("--from: say where the backup is, such as file:/mnt/backup")
	}
	target, err := backup.OpenTarget(s.from)
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("--from: %w", err)}
	}
	r := &backup.Reader{Target: target, Inspect: check.Facts}
	for _, name := range s.keys {
		file, err := os.Open(name)
		if err != nil {
			return nil, nil, fmt.Errorf("--key: %w", err)
		}
		err = r.Keys.ReadIdentities(file)
		file.Close()
		if err != nil {
			return nil, nil, fmt.Errorf("--key %s: %w", name, err)
		}
	}
	set, err := backup.Load(ctx, target)
	if err == nil && len(set.Bases) == 0 && len(set.Faults) == 0 {
		err = fmt.Errorf("%w at %s", backup.ErrEmpty, s.from)
	}
	return r, set, err
}

// showProgress draws how far a reader has come. The caller calls end.
func showProgress(std streams, r *backup.Reader, work string) (end func()) {
	var bar *terminal.Bar
	var done int
	r.Progress = func(read, total int64) {
		if bar == nil {
			bar = terminal.NewBar(std.err, int(total))
		}
		done = int(read)
		bar.Show(done, work)
	}
	return func() {
		if bar != nil {
			bar.End(done, work)
		}
	}
}

func newBackupNow(std streams) *cobra.Command {
	var to target
	var form format
	command := &cobra.Command{
		Use:   "now",
		Short: "Have the archiver make a base now, and wait until it was read back",
		Example: `  bursar backup now --addr 192.168.1.10:9000 --timeout 10m
  bursar backup now --output json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), to.timeout)
			defer cancel()
			link := to.connect()
			defer link.Close()
			var result messages.BackupResult
			if err := link.Call(ctx, messages.MethodBackup, &messages.BackupParams{}, &result); err != nil {
				return err
			}
			return printFacts(std.out, form, "a base was written and read back", append([]fact{{"target", result.Target}}, baseFacts(&result.Base)...))
		},
	}
	to.flags(command)
	form.flag(command)
	return command
}

func baseFacts(b *messages.BaseInfo) []fact {
	return []fact{{"index", b.Index}, {"at", unixTime(b.At)}, {"stored_bytes", b.Stored}, {"held_bytes", b.Held}, {"digest", b.Digest}}
}

func newBackupList(std streams) *cobra.Command {
	var from source
	var form format
	command := &cobra.Command{
		Use:   "list",
		Short: "List what a backup holds, by its manifests",
		Long: `Lists the bases of a backup and how far its pieces lead. Manifests are read and checked; what they
describe is not: 'bursar backup verify' reads everything. The exit code is 1 if something is damaged
or missing, and each fault is named.`,
		Example: `  bursar backup list --from file:/mnt/backup
  bursar backup list --from file:/mnt/backup --output json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, set, err := from.open(cmd.Context())
			if err != nil {
				return err
			}
			if err := printSet(std, form, from.from, set); err != nil {
				return err
			}
			return errors.Join(set.Faults...)
		},
	}
	from.flags(command)
	form.flag(command)
	return command
}

func printSet(std streams, form format, from string, set *backup.Set) error {
	facts := []fact{
		{"cluster", set.Cluster}, {"bases", len(set.Bases)}, {"pieces", len(set.Pieces)}, {"bytes", uint64(set.Bytes())},
		{"newest_index", set.Newest()}, {"faults", len(set.Faults)},
	}
	if form.json() {
		gaps := set.Gaps
		if gaps == nil {
			gaps = []backup.Gap{}
		}
		return printJSON(std.out, object(append(facts, fact{"base_list", set.Bases}, fact{"gaps", gaps})))
	}
	if err := printFacts(std.out, form, "the backup at "+from, facts); err != nil {
		return err
	}
	for _, b := range set.Bases {
		fmt.Fprintf(std.out, "  base  index %s  %s  %s bytes\n", terminal.Group(b.Last), b.LastAt.Format(time.RFC3339), terminal.Group(uint64(b.Stored.Bytes)))
	}
	for _, g := range set.Gaps {
		fmt.Fprintf(std.out, "  no index between %s and %s can be restored\n", terminal.Group(g.After), terminal.Group(g.Before))
	}
	return nil
}

// scratchFlag names where a Store is rebuilt.
func scratchFlag(command *cobra.Command) *string {
	return command.Flags().String("scratch", os.TempDir(), "where the temporary directory is made")
}

func newBackupVerify(std streams) *cobra.Command {
	var from source
	var form format
	command := &cobra.Command{
		Use:   "verify",
		Short: "Read everything back and rebuild the books from it",
		Long: `Reads every object of a backup back, checks each hash and the chain between pieces, rebuilds the Store
from the oldest base on, compares it with every later one, and checks the books. The first thing that
does not hold ends it, is named, and the exit code is 1.

It needs the memory that a node needs, and in the temporary directory the size of the largest base.`,
		Example: `  bursar backup verify --from file:/mnt/backup
  bursar backup verify --from file:/mnt/backup --key backup.key --output json`,
	}
	from.flags(command)
	scratch := scratchFlag(command)
	form.flag(command)
	command.RunE = func(cmd *cobra.Command, _ []string) error {
		r, set, err := from.open(cmd.Context())
		if err != nil {
			return err
		}
		began := time.Now()
		var proven *backup.Restored
		end := showProgress(std, r, "bytes read back")
		err = check.InScratch(*scratch, func(fsm *persistence.FSM) (err error) {
			proven, err = r.Verify(cmd.Context(), set, fsm)
			return err
		})
		end()
		if err != nil {
			return err
		}
		return printFacts(std.out, form, "the backup holds", append(restoredFacts(proven),
			fact{"bases", len(set.Bases)}, fact{"pieces", len(set.Pieces)}, fact{"bytes", uint64(set.Bytes())},
			fact{"gaps", len(set.Gaps)}, fact{"took_ms", uint64(time.Since(began).Milliseconds())}))
	}
	return command
}

func restoredFacts(r *backup.Restored) []fact {
	return []fact{
		{"index", r.Index}, {"at", unixTime(r.At.Unix())}, {"digest", r.Facts.Digest}, {"rows", r.Facts.Rows},
		{"disbursements", r.Facts.Disbursements}, {"treasury", r.Facts.Treasury}, {"entries", r.Entries},
	}
}

func newBackupPrune(std streams) *cobra.Command {
	var from source
	var form format
	var dry bool
	command := &cobra.Command{
		Use:   "prune",
		Short: "Remove what no kept point needs",
		Long: `Removes what no kept point needs. Kept are any moment of the last 48 hours, one base an hour for 30
days and one a day for 180. The archiver does it by itself after each base, unless the node was started
with --backup-no-prune. Nothing is removed while anything is damaged.`,
		Example: `  bursar backup prune --from file:/mnt/backup --dry-run`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, set, err := from.open(cmd.Context())
			if err != nil {
				return err
			}
			if len(set.Faults) > 0 {
				return fmt.Errorf("nothing is removed from a damaged backup: %w", errors.Join(set.Faults...))
			}
			names := backup.DefaultRetention().Superfluous(set, time.Now())
			removed := 0
			if !dry {
				if removed, err = backup.Prune(cmd.Context(), r.Target, names); err != nil {
					return err
				}
			}
			return printFacts(std.out, form, "the backup at "+from.from, []fact{{"superfluous", len(names)}, {"removed", removed}})
		},
	}
	from.flags(command)
	command.Flags().BoolVar(&dry, "dry-run", false, "remove nothing, say how many objects would go")
	form.flag(command)
	return command
}
