package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/node"
)

// devEpoch is the time between epochs of a cluster for trying things out.
const devEpoch = 250 * time.Millisecond

// loadDefault is a load that shows in every graph and costs next to nothing.
const loadDefault = 20

func newDev(std streams) *cobra.Command {
	d := dev{std: std}
	command := &cobra.Command{
		Use:   "dev",
		Short: "Try it: three nodes on this machine relive a real DAO's grants",
		Long: `Starts a cluster of three nodes, each a process of its own, lets it relive the grants of the
Decentraland DAO as any client would, and shows what becomes of them. n1 is a primary, n2 a replica,
n3 an observer. An epoch lasts 250 ms and stands for a month.

What the DAO enacted before 2022 the treasury pays by itself, each grant in its month. Every other
grant is a proposal on which both houses vote as the DAO did: enacted ones pass, sit out their
timelock and are paid; rejected ones miss their quorum and are rolled back; what was out of budget
is withdrawn. Expenses wait until their grant is final. One grant is recalled within its rollback
window, on purpose, and the expenses that wait for it go down with it. What must be refused is
refused: 18 expenses of grants that do not exist, and one grant of nothing.

When all is settled, a gentle load of small payments keeps the treasury busy (--load). Then the
leader is killed (kill -9) and started again, and what that cost is told; --calm leaves nodes alone.
On a terminal, keys kill, stop, pause or cut off any node and bring it back. A node that dies
otherwise, say by kill -9 from another terminal, is started again at once.

Ctrl-C ends it all. Then a CHECK of every node's disk is printed: whether the books balance, what
was acknowledged is there once, nothing was paid twice, and all nodes hold the same. The exit code
is 1 if not. Ctrl-C once more leaves the check out.`,
		Example: `  bursar dev
  bursar dev --nodes 1            one node, which is a complete system too
  bursar dev --load 500           500 payments a second when the story is over
  bursar dev --data ./treasury    keep the data; the next start goes on from there
  bursar dev --for 30s            end by itself`,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) },
	}
	flags := command.Flags()
	flags.IntVar(&d.nodes, "nodes", nodesDefault, "how many nodes: 1 or 3")
	flags.IntVar(&d.basePort, "base-port", node.DefaultConfig().BasePort, "first of five ports of n1; those of n2 begin 10 higher, those of n3 20")
	flags.StringVar(&d.dir, "data", "", "directory to keep the data in (default: one that is removed at the end)")
	flags.DurationVar(&d.duration, "for", 0, "end after this time (default: run until Ctrl-C)")
	flags.IntVar(&d.load, "load", loadDefault, "payments a second when the story is over; 0 is none")
	flags.BoolVar(&d.calm, "calm", false, "kill no node to show a failover")
	flags.BoolVar(&d.faults, "fault-injection", false, "let supervision.inject make trouble")
	return command
}

// nodesDefault is the smallest cluster that goes on when a node is lost.
const nodesDefault = 3

// dev is the dev command as its flags describe it.
type dev struct {
	std      streams
	nodes    int
	basePort int
	dir      string
	duration time.Duration
	load     int
	calm     bool
	faults   bool
}

func (d *dev) validate() error {
	if d.nodes != 1 && d.nodes != nodesDefault {
		return usagef("--nodes %d: it is 1 or %d here; bursar node runs any number on machines of their own", d.nodes, nodesDefault)
	}
	if d.load < 0 || d.duration < 0 {
		return usagef("--load and --for must not be negative")
	}
	return nil
}

func (d *dev) run(ctx context.Context) error {
	if err := d.validate(); err != nil {
		return err
	}
	kept := "kept in " + d.dir
	if d.dir == "" {
		dir, err := os.MkdirTemp("", "bursar-dev-")
		if err != nil {
			return err
		}
		d.dir, kept = dir, "removed"
		defer os.RemoveAll(dir)
	} else if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	began := time.Now()
	screen := newDisplay(d.std.out)
	crew, err := newCrew(d, screen.event)
	if err != nil {
		return err
	}
	if err := crew.checkPorts(ctx); err != nil {
		return err
	}
	if err := d.cluster(ctx, crew, screen, began); err != nil {
		return err
	}
	screen.event("ended after %s; the data is %s", time.Since(began).Round(100*time.Millisecond), kept)
	return nil
}

// cluster runs the nodes and the show until ctx or the time is over or somebody says so,
// ends them in order, and checks what they kept.
func (d *dev) cluster(ctx context.Context, crew crew, screen *display, began time.Time) error {
	nodes, endNodes := context.WithCancel(context.WithoutCancel(ctx))
	defer endNodes()
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	if d.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.duration)
		defer cancel()
	}
	show := newShow(screen, crew, d, began)
	hurry, keysDone, err := d.keys(ctx, show, quit)
	if err != nil {
		return err
	}
	defer keysDone()

	serving := make(chan struct{})
	running := make(chan error, 1)
	go func() {
		running <- crew.run(nodes, func() { close(serving) })
		quit() // by an error; else ctx is over already
	}()
	err = show.run(ctx, serving)
	screen.keep()
	check := aftercheck{crew: crew, ledger: show.client.ledger, scratch: d.dir}
	gathered := false
	if err == nil && show.served.Load() && nodes.Err() == nil {
		screen.event("ending; all nodes come together first (Ctrl-C again: at once)")
		if check.index, err = crew.gather(hurry); err == nil {
			gathered = true
		}
		if hurry.Err() != nil {
			err = nil
		}
	}
	endNodes()
	if failed := <-running; failed != nil {
		return failed
	}
	if err != nil || !gathered || hurry.Err() != nil {
		return err
	}
	return check.run(hurry, screen.event)
}

// keys lets the show listen to the terminal, if there is one. The context it returns is
// over when somebody is in a hurry: the second Ctrl-C. done gives the terminal back.
func (d *dev) keys(ctx context.Context, show *show, quit context.CancelFunc) (hurry context.Context, done func(), err error) {
	hurry, cancel := context.WithCancel(context.WithoutCancel(ctx))
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	var board *keyboard
	if show.screen.live {
		if board, err = openKeyboard(d.std.in); err != nil {
			cancel()
			return nil, nil, err
		}
	}
	var pressed <-chan byte
	if board != nil {
		pressed = board.pressed
		show.screen.setRaw(true)
		show.keys = true
	}
	asked := false
	again := func() { // the first time it only quits, unless the time was over anyway
		if asked || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			cancel()
		}
		asked = true
		quit()
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case key, ok := <-pressed:
				if !ok {
					pressed = nil
					continue
				}
				show.command(key, again)
			case <-interrupts:
				again()
			case <-hurry.Done():
				return
			}
		}
	}()
	return hurry, func() {
		signal.Stop(interrupts)
		cancel()
		<-over
		if board != nil {
			show.screen.setRaw(false)
			_ = board.Close() // there is nobody left to tell
		}
	}, nil
}

// ended reports whether err only says that the work was told to end.
func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
