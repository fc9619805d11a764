package ownership

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/cluster/placement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Journal takes proposals. Propose does not block; an error says that the proposal
// was certainly not taken.
type Journal interface {
	Propose(persistence.Proposal) error
}

// Config tunes a Keeper.
type Config struct {
	Placement placement.Config
	Layout    Layout
	// LookEvery is how often the Keeper looks again when nobody pokes it. Lowered: a
	// drain that another node wrote is seen sooner.
	LookEvery time.Duration
}

// DefaultConfig returns the configuration of a Keeper of the given shards.
func DefaultConfig(layout Layout) Config {
	cfg := placement.DefaultConfig()
	return Config{Placement: cfg, Layout: layout, LookEvery: 50 * time.Millisecond}
}

// Metrics counts the moves that this node has written.
type Metrics struct {
	Orphaned   atomic.Uint64 `metric:"bursar_cluster_moves_total{cause=orphaned}" help:"Moves of shards that this node has written as leader, by cause. Sum over nodes."`
	Drained    atomic.Uint64 `metric:"bursar_cluster_moves_total{cause=drained}"`
	Rebalanced atomic.Uint64 `metric:"bursar_cluster_moves_total{cause=rebalanced}"`
}

func (m *Metrics) moved(cause placement.Cause) {
	switch cause {
	case placement.Orphaned:
		m.Orphaned.Add(1)
	case placement.Drained:
		m.Drained.Add(1)
	case placement.Rebalanced:
		m.Rebalanced.Add(1)
	}
}

// Keeper writes moves into the log while its node leads.
type Keeper struct {
	cfg     Config
	store   *persistence.Store
	journal Journal
	log     *slog.Logger
	poked   chan struct{} // of capacity 1
	metrics Metrics
	untold  map[way]int // committed moves, told together; Run's own
}

// way is what moves of shards have in common.
type way struct {
	from, to messages.NodeID
	cause    placement.Cause
}

// New gives a Keeper that has nothing to do until Run.
func New(cfg Config, store *persistence.Store, journal Journal, log *slog.Logger) *Keeper {
	return &Keeper{
		cfg: cfg, store: store, journal: journal, log: log.With("component", "placement"),
		poked: make(chan struct{}, 1), untold: make(map[way]int),
	}
}

// Poke makes a running Keeper look at once: a node came, went, or is to be drained.
func (k *Keeper) Poke() {
	select {
	case k.poked <- struct{}{}:
	default:
	}
}

// Metrics counts the moves that this node has written.
func (k *Keeper) Metrics() *Metrics { return &k.metrics }

// Run writes moves until ctx ends: it is to be called while this node leads. live
// lists the nodes that live, this one among them. A decision that the log refuses was
// made on an old state, and is made anew.
func (k *Keeper) Run(ctx context.Context, live func() []Live) error {
	tick := time.NewTicker(k.cfg.LookEvery)
	defer tick.Stop()
	for {
		ticks, err := k.look(ctx, live())
		if err != nil {
			return err
		}
		if !k.rest(ctx, tick.C, ticks) {
			return nil
		}
	}
}

// How many ticks pass until the next look.
const (
	atOnce = 0 // there may be more to move
	soon   = 1 // the log did not take the decision
	// later is when all is well: time alone, or a clock that goes wrong, may give reason to
	// move a shard too. A log that moves on is looked at with the next tick.
	later = 10
)

// rest waits so many ticks, or until there may be something new to see, and returns
// false if ctx ends first. An idle leader has little to do.
func (k *Keeper) rest(ctx context.Context, tick <-chan time.Time, ticks int) bool {
	applied := k.store.Applied()
	for range ticks {
		select {
		case <-tick:
			if k.store.Applied() != applied {
				return true
			}
		case <-k.poked:
			return true
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}

// look makes one decision and writes it. ticks says when to look again.
func (k *Keeper) look(ctx context.Context, live []Live) (ticks int, err error) {
	s, err := Read(k.store, k.cfg.Layout.Shards)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	d := Decide(k.cfg.Placement, k.cfg.Layout, s, live, now)
	if d.Empty() {
		k.logMoves()
		return later, nil
	}
	result, err := persistence.Commit(ctx, k.journal, persistence.Proposal{Txn: d.Txn(s, now)})
	switch {
	case errors.Is(err, persistence.ErrInvalid):
		return 0, fmt.Errorf("place the shards: %w", err)
	case err != nil || result.Status != persistence.Committed:
		return soon, nil // the next look sees why
	}
	k.note(&d)
	return atOnce, nil
}

// note counts what was committed, and logs starts at once: moves of the same kind come
// one after the other and are told together.
func (k *Keeper) note(d *Decision) {
	for _, l := range d.Started {
		k.log.Info("node has started", "member", string(l.ID), "role", l.Role.String())
	}
	for _, m := range d.Moves {
		k.metrics.moved(m.Cause)
		k.untold[way{m.From, m.To, m.Cause}]++
	}
}

// logMoves logs the moves since the last time, once there is a pause.
func (k *Keeper) logMoves() {
	for w, n := range k.untold {
		k.log.Info("shards moved", "from", string(w.from), "to", string(w.to), "cause", w.cause.String(), "shards", n)
	}
	clear(k.untold)
}
