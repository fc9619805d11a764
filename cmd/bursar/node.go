package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/the-block/bursar/cmd/internal/certs"
	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/cmd/internal/service"
	"github.com/the-block/bursar/cmd/internal/terminal"
)

func newNode(std streams) *cobra.Command {
	cfg := node.DefaultConfig()
	set := nodeSettings(&cfg)
	var file string
	var check, leashed bool
	var form format
	command := &cobra.Command{
		Use:   "node",
		Short: "Run a node",
		Long: `Runs a node until it is interrupted. Logs go to standard error.

A node uses five ports from its base port on: MessagePack-RPC, gossip, Raft, HTTP, actors.
Each setting can be given three ways, the strongest first: --epoch-interval on the command
line, BURSAR_EPOCH_INTERVAL in the environment, epoch_interval in the TOML file of --config.
A key that is not known is an error.`,
		Example: `  bursar node --data /var/lib/bursar
  bursar node --config /etc/bursar.toml --check-config
  bursar node --name pc --role primary --listen 192.168.1.10 --tls-dir /etc/bursar/tls \
      --bootstrap-expect 3 --join 192.168.1.11:9001,192.168.1.12:9001
  BURSAR_BASE_PORT=9100 bursar node --name n2 --data ./n2`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			effective, err := loadSettings(set, os.Environ(), file)
			if err != nil {
				return usageError{err}
			}
			if err := cfg.Validate(); err != nil {
				return usageError{err}
			}
			if check {
				if err := checkFiles(&cfg); err != nil {
					return usageError{err}
				}
				return printSettings(std.out, form, effective.effective())
			}
			cfg.Severable = leashed
			return runNode(cmd.Context(), std, cfg, effective)
		},
	}
	command.Flags().AddFlagSet(set)
	command.Flags().StringVar(&file, "config", "", "TOML file with settings")
	command.Flags().BoolVar(&check, "check-config", false, "print the effective settings and where each comes from, and end")
	command.Flags().BoolVar(&leashed, "leash", false, "standard input is the leash of bursar dev: end with it")
	_ = command.Flags().MarkHidden("leash") // the flag is there
	form.flag(command)
	command.Flags().Lookup("output").Usage = "with --check-config: text for people or json for programs"
	return command
}

// nodeSettings are the flags that fill cfg.
func nodeSettings(cfg *node.Config) *pflag.FlagSet {
	set := pflag.NewFlagSet("node", pflag.ContinueOnError)
	set.StringVar((*string)(&cfg.Name), "name", string(cfg.Name), "the node's name in the cluster and in its data directory")
	set.StringVar((*string)(&cfg.Role), "role", string(cfg.Role), "primary, replica or observer")
	set.StringVar(&cfg.Listen, "listen", cfg.Listen, "address to listen on, which the others call; beyond loopback only with --tls-dir or --insecure")
	intVar(set, &cfg.BasePort, "base-port", cfg.BasePort, "first of the node's five ports")
	set.StringSliceVar(&cfg.Join, "join", cfg.Join, "gossip addresses of other nodes, HOST:PORT,... (their base port + 1); one's own is ignored")
	set.BoolVar(&cfg.Vote, "vote", cfg.Vote, "vote beside the nodes that formed the cluster; without it a node that joins follows only")
	intVar(set, &cfg.BootstrapExpect, "bootstrap-expect", cfg.BootstrapExpect, "how many nodes form a new cluster; 0 joins the one that is there")
	set.StringVar(&cfg.DataDir, "data", cfg.DataDir, "directory of the log and the snapshots")
	set.DurationVar(&cfg.EpochInterval, "epoch-interval", cfg.EpochInterval, "least time between two epochs")
	set.StringVar(&cfg.Timing, "timing", cfg.Timing, "Raft's timeouts: default, or lan for wired networks")
	set.StringVar(&cfg.Submitter, "submitter", cfg.Submitter, "how payments are made: ledger (own accounts) or http (an outside chain)")
	set.StringVar(&cfg.SubmitterURL, "submitter-url", cfg.SubmitterURL, "with --submitter http: URL of the chain's node")
	set.Uint64Var(&cfg.SubmitterConfirmations, "submitter-confirmations", cfg.SubmitterConfirmations, "with --submitter http: how many blocks must confirm a payment before it is final")
	set.StringVar(&cfg.SubmitterKey, "submitter-key", cfg.SubmitterKey, "with --submitter http: file of the ed25519 key that signs, PEM, mode 0600")
	set.StringVar(&cfg.BackupTo, "backup-to", cfg.BackupTo, "URL to which this node ships backups when it is its turn: file:DIR")
	set.StringVar(&cfg.BackupRecipient, "backup-recipient", cfg.BackupRecipient, "encrypt backups for the holder of this age key, age1...")
	set.DurationVar(&cfg.BackupInterval, "backup-interval", cfg.BackupInterval, "how often what is new is shipped to the backup")
	set.BoolVar(&cfg.BackupNoPrune, "backup-no-prune", cfg.BackupNoPrune, "remove nothing from the backup, for targets that only grow")
	set.StringVar(&cfg.TLSDir, "tls-dir", cfg.TLSDir, "directory with ca.crt, node.crt, node.key and gossip.key; see bursar cert")
	set.BoolVar(&cfg.Insecure, "insecure", cfg.Insecure, "allow listening beyond loopback without TLS")
	set.BoolVar(&cfg.TrustLoopback, "trust-loopback", cfg.TrustLoopback, "without TLS, give callers from this machine every role; false behind a proxy on it")
	set.StringVar(&cfg.SkipEntry, "skip-entry", cfg.SkipEntry, "INDEX:CHECKSUM of an entry that no node can apply, as the halted nodes say it: all pass it over")
	set.BoolVar(&cfg.FaultInjection, "fault-injection", cfg.FaultInjection, "let operators inject faults (supervision.inject)")
	set.BoolVar(&cfg.Debug, "debug", cfg.Debug, "serve /debug/pprof and log each message")
	return set
}

// checkFiles opens what the settings name.
func checkFiles(cfg *node.Config) error {
	if cfg.SubmitterKey != "" {
		file, err := os.Open(cfg.SubmitterKey)
		if err != nil {
			return fmt.Errorf("submitter_key: %w", err)
		}
		file.Close()
	}
	if cfg.TLSDir == "" {
		return nil
	}
	identity, err := certs.Load(cfg.TLSDir, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return identity.CheckNode(cfg.Name, cfg.Listen)
}

func printSettings(w io.Writer, form format, list []setting) error {
	if form.json() {
		return printJSON(w, list)
	}
	for _, s := range list {
		fmt.Fprintf(w, "%-17s = %-12s # %s\n", s.Key, strconv.Quote(s.Value), s.Origin)
	}
	return nil
}

// runNode runs the node until ctx ends. The effective settings stand first in its log.
func runNode(ctx context.Context, std streams, cfg node.Config, effective *settings) error {
	level := slog.LevelInfo
	if cfg.Debug {
		level = slog.LevelDebug
	}
	out := std.err
	if checked, ok := std.err.(*terminal.Checked); ok {
		out = checked.File // a log that nobody reads any more ends no node
	}
	signal.Ignore(syscall.SIGPIPE)
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level})).With("node", cfg.Name)
	attrs := make([]any, 0, 2*len(effective.origins))
	for _, s := range effective.effective() {
		attrs = append(attrs, s.Key, s.Value)
	}
	log.InfoContext(ctx, "starting", slog.Group("config", attrs...))
	member, err := node.Open(ctx, cfg, log)
	if err != nil {
		return fmt.Errorf("start node %s: %w", cfg.Name, err)
	}
	if cfg.Severable {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		go localcluster.Obey(std.in, member, cancel) // until the leash ends, or the process
	}
	defer reloadOnHangup(ctx, member)()
	defer tellSupervisor(ctx, member, log)()
	return member.Run(ctx)
}

// tellSupervisor tells systemd, if it started this process, how the node is: until ctx ends,
// then that it stops. The node needs no supervisor, so what cannot be told is logged.
func tellSupervisor(ctx context.Context, member *node.Node, log *slog.Logger) (stop func()) {
	lost := func(err error) { log.WarnContext(ctx, "systemd does not hear how this node is", "err", err) }
	supervisor, err := service.Environment()
	if err != nil {
		lost(err)
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		supervisor.Watch(ctx, member, lost)
	}()
	return func() {
		cancel()
		<-over
	}
}

// reloadOnHangup has a node take up renewed files at SIGHUP, until stop is called.
func reloadOnHangup(ctx context.Context, member *node.Node) (stop func()) {
	hangup, over := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		defer close(over)
		for range hangup {
			member.Reload(ctx)
		}
	}()
	return func() {
		signal.Stop(hangup)
		close(hangup)
		<-over
	}
}
