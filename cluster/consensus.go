package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"golang.org/x/sync/errgroup"

	"github.com/the-block/bursar/cluster/internal/raftlog"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Consensus is this node's part of the Raft group.
type Consensus struct {
	cfg       Config
	log       *slog.Logger
	fatal     func(error)
	failed    sync.Once
	store     *raftlog.Log
	entries   *raft.LogCache // store with the newest entries in memory
	snapshots *raftlog.Snapshots
	machine   *machine
	life      *life
	disks     *disks
	begun     uint64 // the newest Raft snapshot at the start
	transport *transport
	raft      *raft.Raft
	stop      *failStop
	observed  chan raft.Observation // a change to look at; one is as good as many
	halted    atomic.Pointer[error] // see halt
	halting   sync.WaitGroup
	state     atomic.Pointer[stateVersion]
	stalled   atomic.Pointer[stall] // why this node stands still; nil if it does not
	looked    atomic.Int64          // when watchStalls looked last, in ns since 1970
	reads     reads                 // of this node's own, and asked elsewhere if another leads
	served    reads                 // asked by others, or here while this node leads
	newest    readPoint
	forward   forwarder
	inFlight  inFlight
	forming   sync.Mutex // one call of Form at a time
	calls     gate
	counters  Counters
	retired   chan struct{} // closed by Retire
	closing   chan struct{}
}

// OpenConsensus opens the log in cfg.Dir, verifies it, restores state from the
// newest Raft snapshot, and joins the group the node belongs to; with
// BootstrapExpect 1 a new directory becomes a cluster of its own. The entries
// behind the snapshot are applied once a leader is known, which State tells.
//
// fatal is called at most once, from any goroutine, when this node can no longer
// follow the log: it must end the process. It must not wait for Close, and may
// return before the process has ended; nothing is applied any more.
//
// The caller holds the lock of cfg.Dir: LockDir. Errors are ErrForeign, ErrDamaged, or
// the system's; each says what to do. A damaged node is rebuilt from the others: remove its directory and let it
// join again. A lone one is restored from a backup.
func OpenConsensus(cfg Config, state StateMachine, network Network, fatal func(error), log *slog.Logger) (*Consensus, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Consensus{
		cfg: cfg, fatal: fatal, log: log.With("component", "consensus"),
		observed: make(chan raft.Observation, 1), retired: make(chan struct{}), closing: make(chan struct{}),
	}
	c.reads.ask, c.served.ask = c.askLeader, c.askLeadership
	c.machine = newMachine(state, c.fail, c.log)
	c.machine.skip = cfg.Skip
	c.state.Store(&stateVersion{State: State{Node: cfg.Node, Since: time.Now()}, changed: make(chan struct{})})
	if err := c.open(network); err != nil {
		return nil, errors.Join(explain(cfg.Dir, err), c.release())
	}
	return c, nil
}

// explain adds what to do about damage.
func explain(dir string, err error) error {
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	return fmt.Errorf("%w; the node does not start with it: %s", err, adviceDamaged(dir))
}

// adviceDamaged is the three ways on.
func adviceDamaged(dir string) string {
	return "bring back what " + dir + " held last; or keep " + dir + " aside, then let the node join again with an empty directory; " +
		"or, if it was the only one, restore a backup"
}

func (c *Consensus) open(network Network) (err error) {
	raftLog := newRaftLogger(c.log)
	if err = c.openStores(raftLog); err != nil {
		return err
	}
	if err = claimNode(c.store, c.cfg.Dir, c.cfg.Node); err != nil {
		return err
	}
	if c.life, err = openLife(c.store); err != nil {
		return err
	}
	if c.disks, err = openDisks(c.store); err != nil {
		return err
	}
	c.life.voting = c.life.voting || c.cfg.ungated
	if c.transport, err = openTransport(network, c.cfg, c, c.closing, c.log, raftLog); err != nil {
		return err
	}
	if err = c.bootstrapAtStart(); err != nil {
		return err
	}
	return c.startRaft(raftLog)
}

// openStores opens log and Raft snapshots, and verifies them against each other.
func (c *Consensus) openStores(raftLog hclog.Logger) (err error) {
	if c.snapshots, err = raftlog.OpenSnapshots(filepath.Join(c.cfg.Dir, snapshotsDir), c.cfg.SnapshotRetain, c.cfg.disk); err != nil {
		return err
	}
	newest, err := c.snapshots.Newest()
	if err != nil {
		return err
	}
	options := raftlog.Options{
		SegmentBytes: c.cfg.SegmentBytes, MarkDir: c.cfg.Dir, Newest: newest, Disk: c.cfg.disk, OnFailure: c.fail,
	}
	if c.store, err = raftlog.Open(filepath.Join(c.cfg.Dir, logDir), options, raftLog); err != nil {
		return err
	}
	c.begun, c.snapshots.Note = newest.Index, c.store.NoteSnapshot
	c.machine.committed = c.store.NoteCommitted
	if err = c.store.VerifySnapshot(newest); err != nil {
		return err
	}
	return c.store.Verify(newest.Index)
}

// startRaft restores the newest Raft snapshot and starts Raft's goroutines.
func (c *Consensus) startRaft(raftLog hclog.Logger) (err error) {
	cfg := c.raftConfig(raftLog)
	settled := *cfg
	cfg.HeartbeatTimeout += time.Millisecond // room for wake to shorten it
	cfg.ElectionTimeout += time.Millisecond
	if err = c.newRaft(cfg); err != nil {
		return errors.Join(err, c.machine.restore)
	}
	if c.alone() && !c.life.mayVote() {
		return errors.Join(fmt.Errorf("%w: %s is the only voter, and its directory does not say that it may vote", ErrDamaged, c.cfg.Node),
			c.raft.Shutdown().Error())
	}
	c.raft.RegisterObserver(raft.NewObserver(c.observed, false, isLeadership))
	return c.wake(&settled)
}

// wake settles the timeouts. Shortening the heartbeat timeout makes Raft look at
// its clock at once; a lone voter, which has nobody to wait for, then elects itself
// within milliseconds instead of one to two timeouts. Others keep the timeouts they
// were started with, one millisecond longer.
func (c *Consensus) wake(settled *raft.Config) error {
	if !c.alone() {
		return nil
	}
	reload := c.raft.ReloadableConfig()
	reload.HeartbeatTimeout, reload.ElectionTimeout = settled.HeartbeatTimeout, settled.ElectionTimeout
	return c.raft.ReloadConfig(reload)
}

// alone reports whether this node is the only voter.
func (c *Consensus) alone() bool {
	voters := c.raft.GetConfiguration().Configuration().Servers
	return len(voters) == 1 && voters[0].ID == raft.ServerID(c.cfg.Node) && voters[0].Suffrage == raft.Voter
}

const (
	// logCacheEntries is how many of the newest entries stay in memory for voters
	// that are a little behind; at most 64 MiB with entries of 1 MiB.
	logCacheEntries = 64
	// appendEntriesMax is how many entries go to a voter, or into one fsync, at once.
	appendEntriesMax = 64
	// commitTimeout is how late a voter learns of the last commit when nothing
	// follows: at most twice this.
	commitTimeout = 5 * time.Millisecond
	// neverInterval and neverEntries keep Raft from taking snapshots by itself.
	neverInterval = 24 * time.Hour
	neverEntries  = 1 << 62
)

func (c *Consensus) raftConfig(raftLog hclog.Logger) *raft.Config {
	timing := timings[c.cfg.Timing]
	cfg := raft.DefaultConfig()
	cfg.LocalID = raft.ServerID(c.cfg.Node)
	cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaderLeaseTimeout = timing.heartbeat, timing.election, timing.lease
	cfg.CommitTimeout = commitTimeout
	cfg.MaxAppendEntries = appendEntriesMax
	cfg.BatchApplyCh = true
	cfg.TrailingLogs = c.cfg.TrailingLogs
	cfg.SnapshotInterval, cfg.SnapshotThreshold = neverInterval, neverEntries // takeSnapshots does
	cfg.NoLegacyTelemetry = true
	cfg.Logger = raftLog
	return cfg
}

// Run watches leadership, takes Raft snapshots and syncs the high-water mark until ctx
// ends. It is to be running for State to move.
func (c *Consensus) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.watchLeadership(ctx) })
	group.Go(func() error { return c.followLeader(ctx) })
	group.Go(func() error { return c.watchStalls(ctx) })
	group.Go(func() error { return c.takeSnapshots(ctx) })
	group.Go(func() error { return c.syncMark(ctx) })
	return group.Wait()
}

// Retire tells that this node is about to stop. What a leader elsewhere has decided for it
// is then waited for no longer than LeaderWait without anything being applied: where all
// stop together, nobody is left to say that it is committed. It is called at most once,
// before Close.
func (c *Consensus) Retire() { close(c.retired) }

// Close ends the calls under way, then Raft, then the log, and gives the data
// directory back. If ctx ends first, what hangs is left behind. It is called once,
// after Run has returned.
func (c *Consensus) Close(ctx context.Context) error {
	close(c.closing)
	c.closeForward()
	drained := c.calls.close(ctx)
	stopped := make(chan error, 1)
	go func() {
		c.halting.Wait()
		stopped <- c.raft.Shutdown().Error()
	}()
	select {
	case err := <-stopped:
		return errors.Join(drained, err, c.release())
	case <-ctx.Done():
		go func() {
			err := <-stopped
			_ = errors.Join(err, c.release()) // nobody waits for it any more
		}()
		return errors.Join(drained, fmt.Errorf("raft does not stop: %w", ctx.Err()))
	}
}

// release closes the files, in the reverse order of open.
func (c *Consensus) release() error {
	var errs []error
	if c.transport != nil {
		errs = append(errs, c.transport.Close())
	}
	if c.store != nil {
		errs = append(errs, c.store.Close())
	}
	return errors.Join(errs...)
}

// fail reports the one error that ends the process, with what to do about it; or it
// halts this node, where nothing is wrong with what it has.
func (c *Consensus) fail(err error) {
	if errors.Is(err, ErrEntry) {
		c.halt(err)
		return
	}
	if errors.Is(err, ErrCommitted) {
		if group := c.transport.streams.group.Load(); group != nil {
			_, leader := group.LeaderWithID()
			err = fmt.Errorf("%w; %s leads in term %d", err, leader, group.CurrentTerm())
		}
		c.halt(err)
		return
	}
	if c.halted.Load() != nil {
		return
	}
	c.failed.Do(func() {
		if c.transport != nil && c.transport.streams.group.Load() != nil && c.leads() {
			c.urgeSuccessor() // the others would only miss this node's heartbeats
		}
		c.fatal(advise(c.cfg.Dir, err))
	})
}

// advise adds what to do about an error that ends the process.
func advise(dir string, err error) error {
	switch {
	case errors.Is(err, ErrDamaged), errors.Is(err, persistence.ErrCorrupt):
		return fmt.Errorf("%w; %s", err, adviceDamaged(dir))
	case errors.Is(err, persistence.ErrUnsupported):
		return fmt.Errorf("%w; start the node with the version of the program that wrote it, or a newer one", err)
	case Cure(err) != "":
		return fmt.Errorf("%w; nothing after it was acknowledged in %s: %s", err, dir, Cure(err))
	}
	return fmt.Errorf("%w; nothing after it was acknowledged: look after the disk of %s, then start the node again", err, dir)
}

// syncMark makes the high-water mark survive a power loss, once an interval.
func (c *Consensus) syncMark(ctx context.Context) error {
	return every(ctx, c.cfg.MarkInterval, func() error {
		err := c.store.SyncMark()
		if c.halted.Load() != nil {
			return nil // nothing is stored any more
		}
		return err
	})
}

// every calls do at each tick until ctx ends or do fails.
func every(ctx context.Context, interval time.Duration, do func() error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := do(); err != nil {
				return err
			}
		}
	}
}

// AppliedIndex is the index of the newest entry in this node's state.
func (c *Consensus) AppliedIndex() uint64 { return c.machine.applied.Load() }

// Term is Raft's current term.
func (c *Consensus) Term() uint64 { return c.raft.CurrentTerm() }

// Leader names the leader as far as this node knows.
func (c *Consensus) Leader() (messages.NodeID, bool) {
	state := c.State()
	return state.Leader, state.Leader != ""
}

// ClusterID is the identity of the cluster this node belongs to or has promised to
// form, "" for none.
func (c *Consensus) ClusterID() string { return c.life.clusterID() }

// RaftAddr is the address at which the other voters reach this node.
func (c *Consensus) RaftAddr() string { return string(c.transport.LocalAddr()) }

// LastIndex is the index of the newest entry in this node's log.
func (c *Consensus) LastIndex() uint64 { return c.raft.LastIndex() }

// CommitIndex is the index up to which this node knows the log to be committed.
func (c *Consensus) CommitIndex() uint64 { return c.raft.CommitIndex() }
