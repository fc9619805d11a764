package sim

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/actors/treasury/executor"
	"github.com/the-block/bursar/cluster/ownership"
	"github.com/the-block/bursar/cluster/placement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

const (
	tickEvery     = 20 * time.Millisecond
	epochInterval = 150 * time.Millisecond
	applyMax      = 3 * time.Millisecond
	aliveMax      = 150 * time.Millisecond // a leader takes who was silent for longer for dead
	lookEvery     = 50 * time.Millisecond
)

// node is one member: what survives it, and one incarnation of the process.
type node struct {
	w    *world
	id   int
	name messages.NodeID
	role placement.Role

	found  saved         // on the disk, while the process is down
	off    time.Duration // how far its clock is off
	up     bool
	paused bool
	inbox  []func(*node) // what comes while it is paused

	boot     int // the incarnation
	began    time.Duration
	raft     *raft
	fsm      *persistence.FSM
	host     *durable.Host
	treasury *treasury.Treasury
	journal  journal
	applying bool
	moved    bool // an owner may have changed since the treasury was told
	lookedAt time.Duration
	keeping  bool // a decision about owners is on its way
}

func (n *node) note(format string, args ...any) { n.w.note(string(n.name), format, args...) }

// deliver lets something arrive at the process: at once, when it goes on, or never.
func (n *node) deliver(arrive func(*node)) {
	switch {
	case !n.up:
	case n.paused:
		n.inbox = append(n.inbox, arrive)
	default:
		arrive(n)
	}
}

// start begins an incarnation with what the disk holds.
func (n *node) start() {
	n.boot++
	n.up, n.paused, n.inbox, n.began = true, false, nil, n.w.now
	n.applying, n.keeping = false, false
	n.note("starts, incarnation %d, log %d..%d, term %d", n.boot, n.found.base, n.found.last(), n.found.term)
	n.journal = newJournal(n)
	n.open()
	if n.w.failed != nil {
		return
	}
	n.raft = newRaft(n, n.found)
	if n.found.snapshot != nil {
		n.restore(n.found.snapshot)
	}
	boot := n.boot
	n.w.every(tickEvery, func() bool {
		if n.boot == boot && n.up {
			n.deliver(func(n *node) {
				if n.boot == boot {
					n.tick()
				}
			})
		}
		return n.boot == boot && n.up
	})
}

// restart starts the process if it is down.
func (n *node) restart() {
	if !n.up {
		n.start()
	}
}

// open makes an empty Store and a treasury on it.
func (n *node) open() {
	store, err := persistence.Open(filepath.Join(n.w.dir, string(n.name)), storeConfig)
	if err != nil {
		n.w.fail("%s: %w", n.name, err)
		return
	}
	n.fsm = persistence.NewFSM(store)
	n.spawn()
}

var storeConfig = persistence.StoreConfig{RecentChanges: 256, RecentBytes: 1 << 20, CompactBytes: 64 << 20}

// spawn starts the treasury's actors.
func (n *node) spawn() {
	cfg := n.w.treasuryConfig()
	cfg.Node = n.name
	if n.w.chain != nil {
		cfg.Outside = &executor.Outside{Chain: n.w.chain, Signer: n.w.chain.signer, Start: n.ask}
	}
	r := &runtime{n: n, boot: n.boot}
	n.host = durable.NewHost(cfg.Shards(), r, n.fsm.Store(), &n.journal, durable.Machine{
		Wall: n.clock, Steady: n.steady, After: r.after, Chance: n.w.Float64,
	})
	var err error
	n.treasury, err = treasury.New(cfg, n.host, silent)
	n.check(err)
}

var silent = slog.New(slog.DiscardHandler)

// origin is when all worlds begin.
var origin = time.Unix(1_800_000_000, 0)

// clock is what the node's own clock shows.
func (n *node) clock() time.Time { return origin.Add(n.w.now + n.off) }

// steady is a clock that nobody sets.
func (n *node) steady() time.Time { return origin.Add(n.w.now) }

// stop is a kill or a loss of power: what was not synced is gone.
func (n *node) stop() {
	n.found = n.raft.disk.lose()
	n.note("dies; its disk holds %d..%d, term %d", n.found.base, n.found.last(), n.found.term)
	n.up, n.paused, n.inbox = false, false, nil
	n.close()
}

func (n *node) close() {
	if n.fsm == nil {
		return
	}
	if err := n.fsm.Store().Close(); err != nil {
		n.w.fail("%s: %w", n.name, err)
	}
	n.fsm = nil
}

// pause stops the process as it is, to go on later as if nothing had been.
func (n *node) pause() {
	n.note("stands still")
	n.paused = true
}

func (n *node) resume() {
	if !n.up || !n.paused {
		return
	}
	n.note("goes on")
	n.paused = false
	inbox := n.inbox
	n.inbox = nil
	for _, arrive := range inbox {
		n.deliver(arrive)
	}
}

// restore takes a snapshot for the Store.
func (n *node) restore(snapshot []byte) {
	if err := n.fsm.Restore(bytes.NewReader(snapshot)); err != nil {
		n.w.fail("%s: %w", n.name, err)
		return
	}
	n.w.monitor.restored(n)
	n.moved = true
	n.follow()
}

// applySoon has committed entries applied at the node's own pace.
func (n *node) applySoon() {
	if n.applying {
		return
	}
	n.applying = true
	boot := n.boot
	n.w.after(n.w.between(0, applyMax), func() {
		n.deliver(func(n *node) {
			if n.boot == boot {
				n.apply()
			}
		})
	})
}

// applyMost is how many entries are applied before others get their turn.
const applyMost = 8

func (n *node) apply() {
	n.applying = false
	r := n.raft
	for range applyMost {
		index := n.fsm.Store().Applied() + 1
		if index > r.commit || n.w.failed != nil {
			break
		}
		e := r.log[index-r.base-1]
		results, err := n.fsm.Apply(index, e.data)
		if err != nil {
			n.w.fail("%s cannot apply entry %d: %w", n.name, index, err)
			return
		}
		n.w.monitor.applied(n, index, e, results)
		n.moved = n.moved || e.moves()
		n.journal.applied(e.uid, index, results)
	}
	n.follow()
	if n.fsm.Store().Applied() < r.commit {
		n.applySoon()
	}
	if n.fsm.Store().Applied() >= r.base+snapshotEvery {
		n.snapshot()
	}
}

// follow lets the treasury see what was applied, and act on it.
func (n *node) follow() {
	n.check(n.treasury.CatchUp(context.Background()))
	if n.moved {
		n.own()
	}
	n.journal.outcomes()
}

// own lets the treasury know what the log says that it owns.
func (n *node) own() {
	n.moved = false
	state, err := ownership.Read(n.fsm.Store(), n.treasury.Config().Shards())
	if err != nil {
		n.w.fail("%s: %w", n.name, err)
		return
	}
	n.host.Own(state.Owned(n.name, uint64(n.boot)))
}

// check ends the run if a node's treasury says that it cannot go on: nothing that is
// simulated here is a reason to.
func (n *node) check(err error) {
	if err != nil {
		n.w.fail("%s: %w", n.name, err)
	}
}

func (n *node) snapshot() {
	s, err := n.fsm.Snapshot()
	if err != nil {
		n.w.fail("%s: %w", n.name, err)
		return
	}
	var b bytes.Buffer
	if _, err := s.WriteTo(&b); err != nil {
		n.w.fail("%s: %w", n.name, err)
	}
	if err := s.Release(); err != nil {
		n.w.fail("%s: %w", n.name, err)
	}
	n.raft.compact(s.Index(), b.Bytes())
}

// tick does what time brings.
func (n *node) tick() {
	if n.w.failed != nil {
		return
	}
	n.raft.tick()
	n.journal.tick()
	n.keep()
}

// keep is the leader's look at who owns what.
func (n *node) keep() {
	if n.raft.role != leading || n.keeping || n.w.now-n.lookedAt < lookEvery {
		return
	}
	n.lookedAt = n.w.now
	if term, ok := n.raft.termAt(n.fsm.Store().Applied()); !ok || term != n.raft.term {
		return // it has not seen all that was committed before its term
	}
	state, err := ownership.Read(n.fsm.Store(), n.treasury.Config().Shards())
	if err != nil {
		n.w.fail("%s: %w", n.name, err)
		return
	}
	now := n.steady()
	d := ownership.Decide(placementConfig, n.w.layout(), state, n.live(), now)
	if d.Empty() {
		return
	}
	n.keeping = true
	n.journal.own(d.Txn(state, now), func(persistence.Outcome) { n.keeping = false })
}

var placementConfig = placement.Config{HoldDown: 200 * time.Millisecond, WillingMost: 1, DrainedMost: 1}

// live lists the nodes that the leader has heard of lately, and itself.
func (n *node) live() []ownership.Live {
	var list []ownership.Live
	for i, other := range n.w.nodes {
		boot := n.raft.boots[i]
		if i == n.id {
			boot = n.boot
		} else if n.w.now-n.raft.heard[i] > aliveMax || n.raft.heard[i] == 0 {
			continue
		}
		list = append(list, ownership.Live{
			ID: other.name, Boot: uint64(boot), Role: other.role, Since: origin.Add(n.raft.leadSince),
		})
	}
	return list
}

// leaderChanged has what was sent to the old leader answered.
func (n *node) leaderChanged() { n.journal.failPending() }

// stamp overwrites the time that a proposal carries by the node's own.
func (n *node) stamp(t *persistence.Txn) { t.StampedAt = n.clock().UnixMilli() }

func nodeName(id int) messages.NodeID { return messages.NodeID(fmt.Sprintf("n%d", id+1)) }
