package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cmd/internal/check"
	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/cmd/internal/show"
	"github.com/the-block/bursar/cmd/internal/terminal"
)

// devEpoch is the time between epochs of a cluster for trying things out.
const devEpoch = 250 * time.Millisecond

// loadDefault is a load that shows in every graph and costs next to nothing.
const loadDefault = 20

// speedDefault lets the year pass in a few seconds.
const speedDefault = 60

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

Then three oracles report Germany's electricity of 2017, day by day (--speed), and some of it is
sold; one reading is no meter's, and the market disputes it by itself. When all that is settled, a
gentle load of small payments keeps the treasury busy (--load). Then the leader is killed (kill -9)
and started again, and what that cost is told; --calm leaves nodes alone.
On a terminal, keys kill, stop, pause or cut off any node and bring it back. A node that dies
otherwise, say by kill -9 from another terminal, is started again at once.

Ctrl-C ends it all. Then a CHECK of every node's disk is printed: whether the books balance, what
was acknowledged is there once, nothing was paid twice, and all nodes hold the same. The exit code
is 1 if not. Ctrl-C once more leaves the check out.`,
		Example: `  bursar dev
  bursar dev --nodes 1            one node, which is a complete system too
  bursar dev --load 500           500 payments a second when the demo is over
  bursar dev --data ./treasury    keep the data; the next start goes on from there
  bursar dev --for 30s            end by itself`,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) },
	}
	flags := command.Flags()
	intVar(flags, &d.nodes, "nodes", nodesDefault, "how many nodes: 1 or 3")
	intVar(flags, &d.basePort, "base-port", node.DefaultConfig().BasePort, "first of five ports of n1; those of n2 begin 10 higher, those of n3 20")
	flags.StringVar(&d.dir, "data", "", "directory to keep the data in (default: one that is removed at the end)")
	flags.DurationVar(&d.duration, "for", 0, "end after this time (default: run until Ctrl-C)")
	intVar(flags, &d.load, "load", loadDefault, "payments a second when the demo is over; 0 is none")
	intVar(flags, &d.speed, "speed", speedDefault, "days of 2017 that pass in a second on the energy market; 0 is as many as it takes")
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
	speed    int
	calm     bool
	faults   bool
}

func (d *dev) validate() error {
	if d.nodes != 1 && d.nodes != nodesDefault {
		return usagef("--nodes %d: it is 1 or %d here; bursar node runs any number on machines of their own", d.nodes, nodesDefault)
	}
	if d.load < 0 || d.duration < 0 || d.speed < 0 {
		return usagef("--load, --speed and --for must not be negative")
	}
	return nil
}

func (d *dev) run(ctx context.Context) error {
	if err := d.validate(); err != nil {
		return err
	}
	kept := "kept in " + d.dir
	if d.dir == "" {
		dir, err := os.MkdirTemp("", devPrefix)
		if err != nil {
			return err
		}
		d.dir, kept = dir, "removed"
		defer os.RemoveAll(dir)
		lock, err := cluster.LockDir(dir)
		if err != nil {
			return err
		}
		defer lock.Close()
		removeLeftovers(dir)
	} else if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	began := time.Now()
	screen := terminal.NewDisplay(d.std.out)
	nodes, err := localcluster.New(localcluster.Config{
		Nodes: d.nodes, BasePort: d.basePort, Dir: d.dir, EpochInterval: devEpoch, Faults: d.faults,
	}, screen.Event)
	if err != nil {
		return usageError{err}
	}
	if err := nodes.CheckPorts(ctx); err != nil {
		return err
	}
	if err := d.show(ctx, nodes, screen, began); err != nil {
		return err
	}
	screen.Event("ended after %s; the data is %s", time.Since(began).Round(100*time.Millisecond), kept)
	return nil
}

// devPrefix begins the names of directories that are removed at the end.
const devPrefix = "bursar-dev-"

// removeLeftovers removes the directories beside dir of runs that were killed, and whose
// nodes are gone.
func removeLeftovers(dir string) {
	others, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), devPrefix+"*")) // the pattern is sound
	for _, other := range others {
		locks, _ := filepath.Glob(filepath.Join(other, "*", "lock"))
		locks = append(locks, filepath.Join(other, "lock"))
		if other != dir && !slices.ContainsFunc(locks, held) {
			os.RemoveAll(other)
		}
	}
}

// held reports whether the directory of a lock is in use, or is no such directory.
func held(lock string) bool {
	if _, err := os.Stat(lock); err != nil {
		return true
	}
	file, err := cluster.LockDir(filepath.Dir(lock))
	if err != nil {
		return true
	}
	file.Close()
	return false
}

// show runs the nodes and the show until ctx or the time is over or somebody says so,
// ends them in order, and checks what they kept.
func (d *dev) show(ctx context.Context, cluster localcluster.Cluster, screen *terminal.Display, began time.Time) error {
	nodes, endNodes := context.WithCancel(context.WithoutCancel(ctx))
	defer endNodes()
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	if d.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.duration)
		defer cancel()
	}
	board, err := d.keyboard(screen)
	if err != nil {
		return err
	}
	shown := show.New(screen, cluster, show.Config{Load: d.load, Speed: d.speed, Calm: d.calm, Keys: board != nil, Began: began})
	hurry, keysDone := listen(ctx, shown, screen, board, quit)
	defer keysDone()

	serving := make(chan struct{})
	running := make(chan error, 1)
	go func() {
		running <- cluster.Run(nodes, func() { close(serving) })
		quit() // by an error; else ctx is over already
	}()
	err = shown.Run(ctx, serving)
	screen.Keep()
	var index uint64
	gathered := false
	if err == nil && shown.Served() && nodes.Err() == nil {
		screen.Event("ending; all nodes come together first (Ctrl-C again: at once)")
		if index, err = cluster.Gather(hurry); err == nil {
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
	return d.check(hurry, cluster, index, shown.Ledger(), screen)
}

// check rebuilds the books of every node from its own disk and tells what it found.
func (d *dev) check(
	ctx context.Context, cluster localcluster.Cluster, index uint64, ledger *check.Ledger, screen *terminal.Display,
) error {
	var dirs []check.Dir
	for _, n := range cluster {
		dirs = append(dirs, check.Dir{Name: string(n.Cfg.Name), Data: n.Cfg.DataDir})
	}
	done, err := check.Dirs(ctx, dirs, index, d.dir, ledger)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("CHECK of what is on the disks of %s, rebuilt from their logs up to index %s:",
		done.Names(), terminal.Group(done.Index()))
	failed := false
	for _, v := range done.Verdicts() {
		mark := "✓"
		if !v.Kept {
			mark, failed = "✗", true
		}
		text += "\n  " + mark + " " + v.Text
	}
	screen.Event("%s", text)
	if failed {
		return check.ErrFailed
	}
	return nil
}

// keyboard takes the terminal's keys; it is nil where nobody watches.
func (d *dev) keyboard(screen *terminal.Display) (*terminal.Keyboard, error) {
	if !screen.Live {
		return nil, nil
	}
	board, err := terminal.OpenKeyboard(d.std.in)
	if board != nil {
		screen.SetRaw(true)
	}
	return board, err
}

// listen lets the show listen to the terminal, if there is one. The context it returns is
// over when somebody is in a hurry: the second Ctrl-C. done gives the terminal back.
func listen(
	ctx context.Context, shown *show.Show, screen *terminal.Display, board *terminal.Keyboard, quit context.CancelFunc,
) (hurry context.Context, done func()) {
	hurry, cancel := context.WithCancel(context.WithoutCancel(ctx))
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	var pressed <-chan byte
	if board != nil {
		pressed = board.Pressed
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
				shown.Key(key, again)
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
			screen.SetRaw(false)
			_ = board.Close() // there is nobody left to tell
		}
	}
}
