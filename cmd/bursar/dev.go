package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
)

// devEpoch is the time between epochs of a cluster for trying things out.
const devEpoch = 250 * time.Millisecond

// loadDefault is a load that shows in every graph and costs next to nothing.
const loadDefault = 20

func newDev(std streams) *cobra.Command {
	d := dev{std: std}
	command := &cobra.Command{
		Use:   "dev",
		Short: "Try it: a node on this machine relives a real DAO's grants",
		Long: `Starts a node as a process of its own, lets it relive the grants of the Decentraland DAO as any
client would, and shows what becomes of them. An epoch lasts 250 ms and stands for a month.

What the DAO enacted before 2022 the treasury pays by itself, each grant in its month. Every other
grant is a proposal on which both houses vote as the DAO did: enacted ones pass, sit out their
timelock and are paid; rejected ones miss their quorum and are rolled back; what was out of budget
is withdrawn. Expenses wait until their grant is final. One grant is recalled within its rollback
window, on purpose, and the expenses that wait for it go down with it. What must be refused is
refused: 18 expenses of grants that do not exist, and one grant of nothing.

When all is settled, a gentle load of small payments keeps the treasury busy (--load).
Kill the node's process (kill -9): it is started again and nothing is lost. Ctrl-C ends it all.`,
		Example: `  bursar dev
  bursar dev --load 500           500 payments a second when the story is over
  bursar dev --data ./treasury    keep the data; the next start goes on from there
  bursar dev --for 30s            end by itself`,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) },
	}
	flags := command.Flags()
	flags.IntVar(&d.nodes, "nodes", 1, "how many nodes; this version runs 1")
	flags.IntVar(&d.basePort, "base-port", node.DefaultConfig().BasePort, "first of the node's five ports")
	flags.StringVar(&d.dir, "data", "", "directory to keep the data in (default: one that is removed at the end)")
	flags.DurationVar(&d.duration, "for", 0, "end after this time (default: run until Ctrl-C)")
	flags.IntVar(&d.load, "load", loadDefault, "payments a second when the story is over; 0 is none")
	flags.BoolVar(&d.faults, "fault-injection", false, "let supervision.inject make trouble")
	return command
}

// dev is the dev command as its flags describe it.
type dev struct {
	std      streams
	nodes    int
	basePort int
	dir      string
	duration time.Duration
	load     int
	faults   bool
}

func (d *dev) run(ctx context.Context) error {
	if d.nodes != 1 {
		return usagef("--nodes %d: this version runs 1 node", d.nodes)
	}
	if d.load < 0 || d.duration < 0 {
		return usagef("--load and --for must not be negative")
	}
	temporary := d.dir == ""
	if temporary {
		dir, err := os.MkdirTemp("", "bursar-dev-")
		if err != nil {
			return err
		}
		d.dir = dir
		defer os.RemoveAll(dir)
	}
	screen := newDisplay(d.std.out)
	m, err := d.member(screen)
	if err != nil {
		return err
	}
	if err := m.checkPorts(ctx); err != nil {
		return err
	}
	if d.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.duration)
		defer cancel()
	}
	began := time.Now()
	show := newShow(screen, m, d.load, began)
	group, ctx := errgroup.WithContext(ctx)
	ready := make(chan struct{})
	group.Go(func() error { return m.run(ctx, func() { close(ready) }) })
	group.Go(func() error {
		select {
		case <-ready:
			return show.run(ctx)
		case <-ctx.Done():
			return nil
		}
	})
	err = group.Wait()
	screen.keep()
	if err != nil {
		return err
	}
	kept := "kept in " + d.dir
	if temporary {
		kept = "removed"
	}
	screen.event("ended after %s; the data is %s", time.Since(began).Round(100*time.Millisecond), kept)
	return nil
}

// member describes the only node.
func (d *dev) member(screen *display) (*member, error) {
	cfg := node.DefaultConfig()
	cfg.Name = messages.NodeID("n1")
	cfg.BasePort = d.basePort
	cfg.EpochInterval = devEpoch
	cfg.FaultInjection = d.faults
	cfg.DataDir = filepath.Join(d.dir, "n1")
	if err := cfg.Validate(); err != nil {
		return nil, usageError{err}
	}
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &member{program: program, cfg: cfg, logPath: filepath.Join(d.dir, "n1.log"), events: screen.event}, nil
}

// ended reports whether err only says that the work was told to end.
func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
