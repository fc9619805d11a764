package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/recovery"
	"github.com/the-block/bursar/persistence/backup"
)

func newDrill(std streams) *cobra.Command {
	var from source
	var form format
	var timeout time.Duration
	command := &cobra.Command{
		Use:   "drill",
		Short: "Restore a backup for practice: rebuild, start, pay, throw away",
		Long: `Restores the newest point of a backup into a temporary directory, checks its digest and its books, starts
a node on it on free ports of loopback, has that make a payment of 1 that it was given before, and throws
all of it away. It prints how old the last entry was (RPO) and how long it took until the payment was made
(RTO). The cluster that is backed up notices nothing. Where the treasury pays on an outside chain, nothing
is paid: the chain hears nothing of a drill.`,
		Example: `  bursar drill --from file:/mnt/backup
  bursar drill --from file:/mnt/backup --key backup.key --output json`,
	}
	from.flags(command)
	scratch := scratchFlag(command)
	command.Flags().DurationVar(&timeout, "timeout", time.Hour, "how long all of it may take")
	form.flag(command)
	command.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		r, set, err := from.open(ctx)
		if err != nil {
			return err
		}
		plan, err := set.Plan(backup.Point{})
		if err != nil {
			return err
		}
		base, err := localcluster.FreePorts(1)
		if err != nil {
			return err
		}
		end := showProgress(std, r, "bytes restored")
		out, err := (&recovery.Drill{Reader: r, Plan: plan, Scratch: *scratch, BasePort: base}).Run(ctx)
		end()
		if err != nil {
			return fmt.Errorf("the drill failed: %w", err)
		}
		rpo := max(0, time.Since(out.At)-out.RTO)
		return printFacts(std.out, form, "the drill went well", append(restoredFacts(&out.Restored),
			fact{"paid_id", uint64(out.Paid)}, fact{"rpo_ms", uint64(rpo.Milliseconds())}, fact{"rto_ms", uint64(out.RTO.Milliseconds())}))
	}
	return command
}
