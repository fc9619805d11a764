package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/certs"
	"github.com/the-block/bursar/messages/wire"
)

func newCert(std streams) *cobra.Command {
	command := &cobra.Command{
		Use:   "cert",
		Short: "Make the certificates of a cluster",
		Long: `Makes the certificates by which nodes know each other and callers are allowed what they do.

Once: make the cluster's authority in a directory that stays with you. Then issue a directory for each
node and for each person or program, and copy it to where it is used. A node and every command that
calls one take it with --tls-dir.

A role in a certificate is what its holder may do:
  node      be a node: speak to other nodes; give it --host, where it is reached
  operator  what moves money or state: accrue, roll back, advance the epoch, drain, force a breaker
  voter     vote
  client    read, and submit proposals for a vote
  monitor   read

Whoever has no certificate may do what a client may, with the authority's ca.crt alone.`,
		Example: `  bursar cert init certs
  bursar cert issue --dir certs --role node --name pc --host 192.168.1.10
  bursar cert issue --dir certs --role operator,voter --name alice
  scp -r certs/pc pc:/etc/bursar/tls
  bursar status --addr 192.168.1.10:9000 --tls-dir certs/alice`,
		Args: cobra.ArbitraryArgs,
		RunE: needsSubcommand,
	}
	command.AddCommand(newCertInit(std), newCertIssue(std))
	for _, child := range command.Commands() {
		child.Args = asUsage(child.Args)
	}
	return command
}

func newCertInit(std streams) *cobra.Command {
	return &cobra.Command{
		Use:   "init DIR",
		Short: "Make the authority of a cluster",
		Long: `Makes the authority of a cluster in DIR: its certificate ca.crt for ten years, its key ca.key, and
gossip.key, which encrypts the gossip of the nodes. Nothing is overwritten.

Who has ca.key can make itself an operator: keep DIR away from the nodes, and a copy of it in a safe.`,
		Example: "  bursar cert init certs",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name a DIR for the authority")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			dir := args[0]
			if err := certs.Init(dir, time.Now()); err != nil {
				return err
			}
			fmt.Fprintf(std.out, "%s holds the authority of a new cluster; keep it to yourself.\n"+
				"Next: bursar cert issue --dir %s --role node --name NAME --host ADDRESS\n", dir, dir)
			return nil
		},
	}
}

func newCertIssue(std streams) *cobra.Command {
	var dir string
	var request certs.Request
	var days int
	command := &cobra.Command{
		Use:   "issue",
		Short: "Issue a certificate",
		Long: `Issues a certificate of the authority in --dir and makes the directory DIR/NAME, which holds all that
--tls-dir needs: for a node ca.crt, node.crt, node.key and gossip.key, for others ca.crt, client.crt
and client.key. Copy it as a whole; the keys must stay readable by their owner only.

A node's certificate is good for the addresses of --host, those at which the other nodes and the
callers reach it, and on its own machine. Its name is that of bursar node --name.

To renew a certificate move DIR/NAME away, issue it again and replace the files: a running node and
its callers take them up within seconds.`,
		Example: `  bursar cert issue --dir certs --role node --name pc --host 192.168.1.10,pc.local
  bursar cert issue --dir certs --role operator,voter --name alice
  bursar cert issue --dir certs --role monitor --name prometheus --days 365`,
	}
	flags := command.Flags()
	flags.StringVar(&dir, "dir", "", "directory of the authority, from bursar cert init")
	flags.StringSliceVar(&request.Roles, "role", nil, "what the holder may do: "+strings.Join(certs.Roles(), ", ")+"; several with commas, node alone")
	flags.StringVar(&request.Name, "name", "", "the node's, person's or program's name")
	flags.StringSliceVar(&request.Hosts, "host", nil, "for a node: IP addresses and host names at which it is reached, with commas")
	intVar(flags, &days, "days", 825, "how many days it is good for, 1 to 825")
	command.RunE = func(*cobra.Command, []string) error {
		if dir == "" {
			return usagef("--dir: name the directory of the authority")
		}
		request.Valid = time.Duration(days) * 24 * time.Hour
		if err := request.Validate(); err != nil {
			return usageError{err}
		}
		issued, err := certs.Issue(dir, request, time.Now())
		if err != nil {
			return err
		}
		use := "bursar status --tls-dir " + issued
		if slices.Contains(request.Roles, wire.CertNode) {
			use = fmt.Sprintf("copy it to the node, then: bursar node --name %s --listen %s --tls-dir %s",
				request.Name, request.Hosts[0], filepath.Base(issued))
		}
		fmt.Fprintf(std.out, "%s is ready for --tls-dir, for %d days.\nNext: %s\n", issued, days, use)
		return nil
	}
	return command
}
