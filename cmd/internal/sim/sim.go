package sim

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/executor"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/cluster/ownership"
	"github.com/the-block/bursar/cluster/placement"
	"github.com/the-block/bursar/cmd/internal/check/checktest"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/supervision/breaker"
)

// Config says what is run.
type Config struct {
	Seed   uint64
	Mutant Mutant
	// Dir is for the Stores' files: memory is faster than a disk. What is there is
	// overwritten.
	Dir string
	// Trace, if not nil, is told what happens.
	Trace io.Writer
}

// Report says what a run has seen.
type Report struct {
	Calls, Acknowledged, Refused, Unknown int
	Entries                               uint64
	Executed, Finalized, RolledBack       int
	Elections                             int
	Trace                                 uint64 // a sum over all entries: equal runs have equal sums
}

// ErrBroken is what Run's error wraps when a promise was broken.
var ErrBroken = errors.New("a promise is broken")

// Run runs one seed: a storm of faults, then calm, then the check. An error that wraps
// ErrBroken is a finding.
func Run(cfg Config) (Report, error) {
	w := newWorld(cfg)
	defer w.close()
	for range clientsMax {
		w.client()
	}
	for _, n := range w.nodes {
		n.start()
	}
	w.storm()
	w.run(stormFor)
	w.heal()
	w.recover()
	if w.failed == nil {
		w.check()
	}
	if w.failed != nil {
		return w.report(), fmt.Errorf("%w: %w", ErrBroken, w.failed)
	}
	return w.report(), nil
}

func newWorld(cfg Config) *world {
	w := &world{
		Rand: rand.New(rand.NewPCG(cfg.Seed, 0xb0b5)), seed: cfg.Seed, mutant: cfg.Mutant, dir: cfg.Dir, trace: cfg.Trace,
	}
	shards := w.treasuryConfig()
	w.monitor = newMonitor(checktest.Layout{Graph: shards.GraphShards, Executor: shards.ExecutorShard(), Clock: shards.ClockShard()})
	w.network.calm()
	roles := [nodesMax]placement.Role{
		placement.Primary, placement.Replica, placement.Observer, placement.Replica, placement.Replica,
	}
	for i := range nodesMax {
		w.nodes = append(w.nodes, &node{w: w, id: i, name: nodeName(i), role: roles[i], found: saved{voted: -1}})
	}
	if w.chance(0.5) {
		signer, err := payout.NewSigner(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
		if err != nil {
			w.fail("%w", err)
		}
		w.chain = &chain{
			w: w, signer: signer, replaces: w.chance(0.5), gapless: w.chance(0.5),
			pending: make(map[uint64]transfer), byHash: make(map[disbursement.Hash]bool),
			returned: make(map[string]payout.Transfer),
		}
	}
	return w
}

// Shards are few, so that each has much to do.
const graphShards = 4

func (w *world) treasuryConfig() treasury.Config {
	cfg := treasury.DefaultConfig()
	cfg.GraphShards, cfg.EnergyShards, cfg.EpochInterval = graphShards, 0, epochInterval
	return cfg
}

// breakerConfig is the default in quick motion.
var breakerConfig = breaker.Config{
	FailureThreshold: 5, SuccessThreshold: 2,
	Timeout: 200 * time.Millisecond, Window: 3 * time.Second, ProbeTimeout: 500 * time.Millisecond,
}

func (w *world) layout() ownership.Layout {
	cfg := w.treasuryConfig()
	return ownership.Layout{
		Shards: cfg.Shards(),
		Single: map[messages.ShardID]bool{cfg.ExecutorShard(): true, cfg.ClockShard(): true, cfg.MarketShard(): true},
		Paying: cfg.ExecutorShard(),
		Timed:  map[messages.ShardID]bool{cfg.ExecutorShard(): true, cfg.ClockShard(): true},
	}
}

const (
	askedFor    = 600 * time.Millisecond // clients go on for so long after the storm
	settledMax  = 15 * time.Second       // and all must be well so long after it
	settledLook = 100 * time.Millisecond
	quietFor    = 250 * time.Millisecond // without an entry, all is at rest
)

// recover lets the clients finish, has some payments made that nothing disturbs, and
// waits until all is well. It ends with everything at rest.
func (w *world) recover() {
	w.run(w.now + askedFor)
	w.clients.stopped = true
	more := []kind{accrue, submit, submit, submit, submit}
	var next func()
	next = func() {
		if len(more) == 0 {
			return
		}
		c := w.compose(more[0])
		c.named, more = true, more[1:]
		if c.kind == submit {
			p := messages.Payload{Disbursement: messages.Disbursement{
				Destination: "tb1payee0", Amount: 1, ScheduledEpoch: 1, Memo: c.marker(0),
			}}
			c.make = func() any { return treasury.Submission{Payload: p} }
		}
		w.begin(c, next)
	}
	next()
	operator := false
	w.every(settledLook, func() bool {
		if id := w.pausedAt(0); id != 0 && !operator {
			operator = true
			c := w.compose(decide)
			c.named = true
			c.make = func() any { return executor.SkipIntent{ID: id, Retry: true} }
			w.begin(c, func() { operator = false })
		}
		return true
	})
	why := "it was not looked at"
	for until := w.now + settledMax; w.now < until && why != "" && w.failed == nil; {
		w.run(w.now + settledLook)
		why = w.unsettled()
	}
	if why != "" {
		w.fail("%s after the last fault all is not well: %s", settledMax, why)
	}
	w.quiet = true
	for until := w.now + settledMax; w.failed == nil; {
		newest := len(w.monitor.history)
		w.run(w.now + quietFor)
		if w.even() && newest == len(w.monitor.history) {
			return
		}
		if w.now > until {
			w.fail("the nodes do not come to rest")
		}
	}
}

// even reports whether all nodes have applied everything.
func (w *world) even() bool {
	for _, n := range w.nodes {
		if n.fsm.Store().Applied() != uint64(len(w.monitor.history)) {
			return false
		}
	}
	return true
}

// close ends what is still open.
func (w *world) close() {
	for _, n := range w.nodes {
		n.close()
	}
}

func (w *world) report() Report {
	r := Report{Calls: len(w.clients.calls), Entries: uint64(len(w.monitor.history)), Trace: w.monitor.sum, Elections: w.monitor.elections}
	for _, c := range w.clients.calls {
		switch {
		case c.result != nil:
			r.Acknowledged++
		case c.unknown || !c.over:
			r.Unknown++
		default:
			r.Refused++
		}
	}
	r.Executed, r.Finalized, r.RolledBack = w.monitor.executed, w.monitor.finalized, w.monitor.rolledBack
	return r
}
