package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/clustertest"
	"github.com/the-block/bursar/cmd/internal/check/checktest"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// simMutant is a defence that is taken out, to see that the simulation misses it.
type simMutant string

const (
	simSound     simMutant = ""
	simNoSync    simMutant = "fsync"
	simNoFencing simMutant = "fencing"
)

// simWorld is whole nodes and their clients on one network, in virtual time.
type simWorld struct {
	seed    uint64
	mutant  simMutant
	dir     string
	began   time.Time
	net     *clustertest.Network
	members []*simMember
	clients *simClients
	applied simApplied

	mu       sync.Mutex
	trace    []string
	problems []string
}

// simTraceMax bounds the trace that is kept of a run: the newest lines.
const simTraceMax = 4000

// tell notes what happens.
func (w *simWorld) tell(who, format string, args ...any) {
	line := fmt.Sprintf("%9.3fs %-3s ", time.Since(w.began).Seconds(), who) + fmt.Sprintf(format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.trace) == simTraceMax {
		w.trace = append(w.trace[:0], w.trace[simTraceMax/4:]...)
	}
	w.trace = append(w.trace, line)
}

// problem notes what must not be.
func (w *simWorld) problem(format string, args ...any) {
	w.tell("!!", format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// err is what must not be and was.
func (w *simWorld) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.problems) == 0 {
		return nil
	}
	return errors.New(strings.Join(w.problems, "\n"))
}

// simLogLines makes a node's log part of the trace.
type simLogLines struct {
	w    *simWorld
	name string
}

// Write takes one line.
func (l simLogLines) Write(line []byte) (int, error) {
	l.w.tell(l.name, "%s", bytes.TrimSpace(line))
	return len(line), nil
}

func (w *simWorld) log(name string) *slog.Logger {
	return slog.New(slog.NewTextHandler(simLogLines{w, name}, &slog.HandlerOptions{
		Level: slog.LevelInfo,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// simMember is one node: its disk, and the process that runs, if one does.
type simMember struct {
	w    *simWorld
	name messages.NodeID
	ip   string
	cfg  node.Config
	log  *slog.Logger

	disk  *clustertest.Disk
	hangs atomic.Pointer[chan struct{}] // closed when the disk moves again; nil if it moves
	// breaks is what the disk answers to the next write of the log; nil for nothing.
	breaks atomic.Pointer[error]
	host   *clustertest.Host
	node   atomic.Pointer[node.Node] // nil while it is down
	// errs makes the node apply something of its own beside the next entry, once.
	errs  atomic.Bool
	leave context.CancelFunc
	ended chan error
}

const (
	simEpoch = time.Second
	// Few shards, so that each has much to do.
	simGraphShards, simEnergyShards = 4, 1
)

// newSimWorld makes nodes that have not begun. Of five nodes the first three form the
// cluster, and the others join it.
func newSimWorld(seed uint64, mutant simMutant, dir string, nodes int) *simWorld {
	w := &simWorld{seed: seed, mutant: mutant, dir: dir, began: time.Now()}
	layout := treasury.DefaultConfig()
	layout.GraphShards, layout.EnergyShards = simGraphShards, simEnergyShards
	w.applied = simApplied{entries: make(map[uint64]simEntry), judge: checktest.NewJudge(checktest.Layout{
		Graph: layout.GraphShards, Executor: layout.ExecutorShard(), Clock: layout.ClockShard()})}
	w.net = clustertest.NewNetwork(seed, clustertest.Weather{DelayMin: 100 * time.Microsecond, DelayMax: 300 * time.Microsecond})
	w.net.KeepAlive = 5 * time.Second
	roles := []node.Role{node.RolePrimary, node.RoleReplica, node.RoleObserver, node.RoleReplica, node.RoleReplica}
	const founders = 3
	var join []string
	for i := range nodes {
		cfg := node.DefaultConfig()
		cfg.Name, cfg.Role = messages.NodeID(fmt.Sprintf("n%d", i+1)), roles[i]
		cfg.Listen = fmt.Sprintf("127.0.1.%d", i+1)
		cfg.DataDir = filepath.Join(dir, string(cfg.Name))
		cfg.EpochInterval = simEpoch
		if i < founders {
			cfg.BootstrapExpect = founders
		} else {
			cfg.BootstrapExpect, cfg.Vote = 0, true
		}
		join = append(join, cfg.Address(node.PortGossip))
		w.members = append(w.members, &simMember{
			w: w, name: cfg.Name, ip: cfg.Listen, cfg: cfg, log: w.log(string(cfg.Name)), disk: clustertest.NewDisk(),
		})
	}
	for _, m := range w.members {
		m.cfg.Join = join
	}
	return w
}

// start starts a process on the member's disk.
func (m *simMember) start() error {
	m.disk.Strike = m.strike
	m.disk.Lies = m.w.mutant == simNoSync
	m.host = m.w.net.Host(m.ip)
	n, err := node.OpenAround(context.Background(), node.Around{
		Host: m.host, Consensus: m.consensus, Machine: m.machine, Treasury: m.treasury,
	}, m.cfg, m.log)
	if err != nil {
		m.host.Kill(false)
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.leave, m.ended = cancel, make(chan error, 1)
	m.node.Store(n)
	m.w.tell(string(m.name), "started")
	go func() {
		err := n.Run(ctx)
		if err != nil && !errors.Is(err, errSimKilled) {
			m.w.tell(string(m.name), "ended: %v", err)
		}
		m.ended <- err
	}()
	return nil
}

// strike lets a disk that hangs hang where a log does: when it is synced. Whatever else
// waits for a disk holds a lock meanwhile, and time, which is virtual, would stand still
// for those who wait for the lock.
func (m *simMember) strike(op clustertest.Op) error {
	if moves := m.hangs.Load(); moves != nil && op.Kind == clustertest.Sync && strings.HasSuffix(op.Name, ".wal") {
		<-*moves
	}
	if fault := m.breaks.Load(); fault != nil && op.Kind == clustertest.Write && strings.HasSuffix(op.Name, ".wal") {
		return *fault
	}
	return nil
}

func (m *simMember) consensus(cfg cluster.Config) cluster.Config {
	cfg.SegmentBytes, cfg.SnapshotBytes, cfg.TrailingLogs = 64<<10, 64<<10, 32
	cfg.HandOverAfter = 5 * time.Second
	return cfg.OnDisk(m.disk)
}

func (m *simMember) treasury(cfg treasury.Config) treasury.Config {
	cfg.GraphShards, cfg.EnergyShards = simGraphShards, simEnergyShards
	return cfg
}

var errSimKilled = errors.New("killed")

// kill ends the process in the middle of whatever it does, and gives the disk as the
// next one finds it: all that was written, or, after a power loss, what was synced and
// some of the rest.
func (m *simMember) kill(power bool, rng *rand.Rand) {
	if m.node.Load() == nil {
		return
	}
	if power {
		m.disk = m.disk.PowerLoss(rng)
	} else {
		m.disk = m.disk.Kill()
	}
	m.host.Kill(power)
	m.move()
	m.node.Load().Kill(errSimKilled)
	_ = m.gone() // its disk is off: nothing of it ends well
}

// gone waits until the process is no more.
func (m *simMember) gone() error {
	err := <-m.ended
	m.host.Kill(false)
	m.leave()
	m.node.Store(nil)
	return err
}

// stop has the process hand over what it has and end.
func (m *simMember) stop() error {
	if m.node.Load() == nil {
		return nil
	}
	m.leave()
	return m.gone()
}

// hang has the disk stand still until it moves again.
func (m *simMember) hang() {
	moves := make(chan struct{})
	m.hangs.Store(&moves)
}

func (m *simMember) move() {
	if moves := m.hangs.Swap(nil); moves != nil {
		close(*moves)
	}
}

// running lists the members whose process runs.
func (w *simWorld) running() (list []*simMember) {
	for _, m := range w.members {
		if m.node.Load() != nil {
			list = append(list, m)
		}
	}
	return list
}

// simApplied holds what any node has applied at an index against what the others have, and
// against the rules.
type simApplied struct {
	mu      sync.Mutex
	judge   *checktest.Judge
	entries map[uint64]simEntry
}

type simEntry struct {
	data, results uint32
	by            messages.NodeID
}

// note takes what a node has applied.
func (w *simWorld) note(by messages.NodeID, index uint64, data []byte, txns []*persistence.Txn, results []persistence.Result) {
	entry := simEntry{crc32.ChecksumIEEE(data), crc32.ChecksumIEEE(persistence.AppendResults(nil, results)), by}
	a := &w.applied
	a.mu.Lock()
	defer a.mu.Unlock()
	e, known := a.entries[index]
	switch {
	case !known:
		a.entries[index] = entry
		if err := a.judge.Entry(index, txns, results); err != nil {
			w.problem("%v", err)
		}
	case e.data != entry.data:
		w.problem("%s and %s have applied different entries %d", e.by, by, index)
	case e.results != entry.results:
		w.problem("I6: %s and %s judge entry %d differently", e.by, by, index)
	}
}

// simMachine is a node's state machine, watched.
type simMachine struct {
	cluster.StateMachine
	m *simMember
}

func (m *simMember) machine(sm cluster.StateMachine) cluster.StateMachine { return simMachine{sm, m} }

// Apply implements cluster.StateMachine.
func (s simMachine) Apply(index uint64, data []byte) ([]persistence.Result, error) {
	txns, said := decodeEntry(data), data
	if s.m.w.mutant == simNoFencing {
		data = withoutFences(txns)
	}
	if len(txns) > 0 && s.m.errs.CompareAndSwap(true, false) {
		data = withAnother(txns)
	}
	results, err := s.StateMachine.Apply(index, data)
	results = results[:min(len(results), len(txns))]
	if err == nil {
		s.m.w.note(s.m.name, index, said, txns, results)
	}
	return results, err
}

// decodeEntry gives the transactions of an entry, nil where it is none.
func decodeEntry(data []byte) []*persistence.Txn {
	encoded, err := persistence.DecodeBatch(data)
	if err != nil {
		return nil
	}
	txns := make([]*persistence.Txn, len(encoded))
	for i := range encoded {
		if txns[i], err = persistence.DecodeTxn(encoded[i]); err != nil {
			return nil
		}
	}
	return txns
}

// withAnother is an entry with a transaction more.
func withAnother(txns []*persistence.Txn) []byte {
	row := persistence.Write{Key: persistence.NameKey(0xee, "another"), Tag: 1, Value: []byte("history")}
	var encoded [][]byte
	for _, txn := range append(slices.Clone(txns), &persistence.Txn{Writes: []persistence.Write{row}}) {
		b, err := persistence.AppendTxn(nil, txn)
		if err != nil {
			panic(err)
		}
		encoded = append(encoded, b)
	}
	return persistence.AppendBatch(nil, encoded...)
}

// withoutFences is an entry whose transactions may be anybody's.
func withoutFences(txns []*persistence.Txn) []byte {
	encoded := make([][]byte, len(txns))
	for i, txn := range txns {
		anybodys := *txn
		anybodys.Fences = nil
		var err error
		if encoded[i], err = persistence.AppendTxn(nil, &anybodys); err != nil {
			panic(err) // it was encoded with them
		}
	}
	return persistence.AppendBatch(nil, encoded...)
}
