package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/cmd/internal/recovery"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence/backup"
)

// firstNode is the node with which a new cluster begins.
type firstNode struct {
	name, listen string
	port         int
}

func (f *firstNode) flags(command *cobra.Command) {
	cfg := node.DefaultConfig()
	command.Flags().StringVar(&f.name, "name", string(cfg.Name), "name of the node that starts on the directory")
	command.Flags().StringVar(&f.listen, "listen", cfg.Listen, "address that it listens on")
	intVar(command.Flags(), &f.port, "base-port", cfg.BasePort, "first of its five ports")
}

func (f *firstNode) voter() (cluster.Voter, error) {
	cfg := node.DefaultConfig()
	cfg.Name, cfg.Listen, cfg.BasePort, cfg.Insecure = messages.NodeID(f.name), f.listen, f.port, true
	if err := cfg.Validate(); err != nil {
		return cluster.Voter{}, usageError{err}
	}
	return cluster.Voter{Node: cfg.Name, Addr: net.JoinHostPort(f.listen, strconv.Itoa(f.port+node.PortRaft))}, nil
}

func newRestore(std streams) *cobra.Command {
	var from source
	var first firstNode
	var form format
	var data, at string
	var index uint64
	var dry bool
	command := &cobra.Command{
		Use:   "restore",
		Short: "Make a data directory of a backup",
		Long: `Makes a data directory of a backup: a new cluster of one node, which others join with empty disks. The
nodes of the old cluster, and copies of their disks, are strangers to it. The directory must be empty or
not there, and is there only once all of it is: a backup that is damaged is refused by name, and leaves
nothing behind.

Without --index and --at the newest point is restored. --at stops before the first entry that was
appended after that time. --dry-run reads and checks everything, and makes nothing.

Payments rest until an operator calls gov.treasury.resume.`,
		Example: `  bursar restore --from file:/mnt/backup --data /var/lib/bursar --dry-run
  bursar restore --from file:/mnt/backup --data /var/lib/bursar --name n1
  bursar restore --from file:/mnt/backup --data ./past --at 2026-12-01T12:00:00Z`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			point := backup.Point{Index: index}
			if at != "" {
				var err error
				if point.At, err = time.Parse(time.RFC3339, at); err != nil {
					return usagef("--at: %q is no time such as 2026-12-01T12:00:00Z", at)
				}
				if index > 0 {
					return usagef("--index and --at name two points; give one")
				}
			}
			voter, err := first.voter()
			if err != nil {
				return err
			}
			r, set, err := from.open(cmd.Context())
			if err != nil {
				return err
			}
			plan, err := set.Plan(point)
			if err != nil {
				return err
			}
			if !form.json() {
				fmt.Fprintf(std.err, "restoring cluster %s: base of index %s and %d pieces into %s\n",
					plan.Cluster, terminal.Group(plan.Base.Last), len(plan.Pieces), data)
			}
			restore := recovery.Restore{Reader: r, Plan: plan, Data: data, Voter: voter, DryRun: dry}
			end := showProgress(std, r, "bytes restored")
			result, err := restore.Run(cmd.Context())
			end()
			if err != nil {
				return fmt.Errorf("nothing was restored: %w", err)
			}
			title := "restored into " + data
			if dry {
				title = "all of it can be restored; nothing was made"
			}
			return printFacts(std.out, form, title, recoveredFacts(result, voter))
		},
	}
	from.flags(command)
	command.Flags().StringVar(&data, "data", node.DefaultConfig().DataDir, "the new data directory, empty or not there")
	uintVar(command.Flags(), &index, "index", "", 0, "restore the state after this log entry; 0 for the newest")
	command.Flags().StringVar(&at, "at", "", "restore the state before the first entry after this time")
	command.Flags().BoolVar(&dry, "dry-run", false, "read and check everything, make nothing")
	first.flags(command)
	form.flag(command)
	return command
}

func recoveredFacts(r *recovery.Result, voter cluster.Voter) []fact {
	rpo := uint64(0)
	if !r.At.IsZero() {
		rpo = uint64(max(0, time.Since(r.At)).Milliseconds())
	}
	facts := restoredFacts(&r.Restored)
	if r.Cluster != "" {
		facts = append(facts, fact{"new_cluster", r.Cluster}, fact{"node", string(voter.Node)})
	}
	return append(facts, fact{"rpo_ms", rpo}, fact{"rto_ms", uint64(r.Took.Milliseconds())})
}

func newRecover(std streams) *cobra.Command {
	var first firstNode
	var form format
	var data string
	var lost []string
	var yes bool
	command := &cobra.Command{
		Use:   "recover",
		Short: "Go on with one node after the majority is lost for good",
		Long: `Makes the data directory of a node that has ended a new cluster of that node alone, when so many others
are lost for good that the rest has no majority. What the lost nodes alone had acknowledged is lost; what
this disk holds is kept, audited, and goes on. Other nodes join with empty disks; disks of the old cluster
are refused, so be sure that no node of it still runs.

The old directory is kept beside the new one. Payments rest until an operator calls gov.treasury.resume.`,
		Example: `  bursar recover --data /var/lib/bursar --lost n2,n3 --name n1`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(lost) == 0 {
				return usagef("--lost: name the nodes that are lost for good, such as n2,n3")
			}
			voter, err := first.voter()
			if err != nil {
				return err
			}
			identity, err := cluster.ReadIdentity(data)
			if err != nil {
				return err
			}
			if identity.Node != voter.Node {
				return usagef("--name: %s is the directory of node %s", data, identity.Node)
			}
			if !yes {
				if err := confirmRecovery(std, data, identity.Cluster, lost); err != nil {
					return err
				}
			}
			aside := filepath.Clean(data) + ".before-" + time.Now().UTC().Format("20060102T150405")
			var bar *terminal.Bar
			const work = "entries carried out"
			recover := recovery.Recover{
				Data: data, Aside: aside, Voter: voter,
				Why: fmt.Sprintf("recovered from the disk of %s alone, without %s, of cluster %s", identity.Node, strings.Join(lost, ", "), identity.Cluster),
				Progress: func(done, total int) {
					if bar == nil {
						bar = terminal.NewBar(std.err, total)
					}
					bar.Show(done, work)
				},
			}
			result, err := recover.Run(cmd.Context())
			if bar != nil && result != nil {
				bar.End(int(result.Entries), work)
			}
			if err != nil {
				return fmt.Errorf("%s is as it was: %w", data, err)
			}
			return printFacts(std.out, form, "recovered "+data, append(recoveredFacts(result, voter), fact{"kept_aside", aside}))
		},
	}
	command.Flags().StringVar(&data, "data", node.DefaultConfig().DataDir, "the surviving node's data directory")
	command.Flags().StringSliceVar(&lost, "lost", nil, "names of the nodes that are lost for good")
	command.Flags().BoolVar(&yes, "yes-lose-what-they-alone-acknowledged", false, "do not ask, for scripts")
	first.flags(command)
	form.flag(command)
	return command
}

var errNotConfirmed = errors.New("not confirmed: nothing was changed")

// confirmRecovery has a person type the cluster's identity.
func confirmRecovery(std streams, data, id string, lost []string) error {
	if !terminal.Is(os.Stdin) {
		return usagef("nobody can be asked here; add --yes-lose-what-they-alone-acknowledged")
	}
	fmt.Fprintf(std.err, "%s goes on as a new cluster, without %s. What they alone acknowledged is lost.\nType the cluster's identity, %s, to go on: ",
		data, strings.Join(lost, ", "), id)
	line, err := bufio.NewReader(std.in).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != id {
		return errNotConfirmed
	}
	return nil
}
