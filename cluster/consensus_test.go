package cluster_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/persistence"
)

// verifyNoLeaks runs the tests. buntdb ends a goroutine of its own up to a second
// after Close.
func verifyNoLeaks(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/tidwall/buntdb.(*DB).backgroundManager"))
}

// journalled is a state machine that keeps every entry, which makes what was
// applied, and in what order, easy to compare.
type journalled struct {
	mu      sync.Mutex
	index   uint64
	entries []string
	known   map[string]bool // the entries
	refuse  error           // what Apply answers, if not nil
	hold    chan struct{}   // Apply waits for its end; nil for nothing
}

func (j *journalled) Apply(index uint64, data []byte) ([]persistence.Result, error) {
	j.mu.Lock()
	hold := j.hold
	j.mu.Unlock()
	if hold != nil {
		<-hold
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.refuse != nil {
		return nil, j.refuse
	}
	if index <= j.index {
		return nil, fmt.Errorf("entry %d after %d", index, j.index)
	}
	j.index = index
	j.addLocked(string(data))
	return []persistence.Result{{Status: persistence.Committed, Index: index}}, nil
}

func (j *journalled) AppliedIndex() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.index
}

func (j *journalled) Snapshot() (cluster.Snapshot, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return journalledSnapshot{j.index, append([]string(nil), j.entries...)}, nil
}

func (j *journalled) Restore(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.index, b = binary.LittleEndian.Uint64(b), b[8:]
	j.entries, j.known = nil, nil
	for len(b) > 0 {
		n := binary.LittleEndian.Uint32(b)
		j.addLocked(string(b[4 : 4+n]))
		b = b[4+n:]
	}
	return nil
}

func (j *journalled) addLocked(entry string) {
	if j.known == nil {
		j.known = make(map[string]bool)
	}
	j.known[entry] = true
	j.entries = append(j.entries, entry)
}

func (j *journalled) has(entry string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.known[entry]
}

func (j *journalled) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.entries...)
}

type journalledSnapshot struct {
	index   uint64
	entries []string
}

func (s journalledSnapshot) WriteTo(w io.Writer) (int64, error) {
	b := binary.LittleEndian.AppendUint64(nil, s.index)
	for _, e := range s.entries {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(e))), e...)
	}
	return io.Copy(w, bytes.NewReader(b))
}

func (s journalledSnapshot) Release() error { return nil }

// node is a Consensus with its machine, running until stop.
type node struct {
	*cluster.Consensus
	machine *journalled
	fatal   chan error
	broken  bool // it is expected to end by itself
	stop    func()
}

func testConfig(dir string) cluster.Config {
	cfg := cluster.DefaultConfig()
	cfg.Node, cfg.Dir, cfg.RaftAddr = "n1", dir, "127.0.0.1:0"
	cfg.SegmentBytes = 64 << 10
	return cfg
}

// start opens a node and runs it; stop, which is called once at most, closes it.
func start(t testing.TB, cfg cluster.Config, network cluster.Network) *node {
	t.Helper()
	n := &node{machine: &journalled{}, fatal: make(chan error, 1)}
	c, err := cluster.OpenConsensus(cfg, n.machine, network, func(err error) { n.fatal <- err }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	n.Consensus = c
	if port, ok := network.(fabricPort); ok && port.leader != nil {
		c.Connect(port.leader)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	var once sync.Once
	n.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil && !n.broken {
				t.Errorf("run: %v", err)
			}
			if err := c.Close(context.Background()); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	t.Cleanup(n.stop)
	return n
}

// ready waits until the node serves.
func (n *node) ready(t testing.TB) {
	t.Helper()
	n.until(t, func(s cluster.State) bool { return s.Ready })
}

func (n *node) until(t testing.TB, holds func(cluster.State) bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		state, changed := n.Watch()
		if holds(state) {
			return
		}
		select {
		case <-changed:
		case err := <-n.fatal:
			t.Fatalf("fatal: %v", err)
		case <-deadline:
			t.Fatalf("state stays %+v", state)
		}
	}
}

// apply has entries committed one by one.
func (n *node) apply(t testing.TB, entries ...string) {
	t.Helper()
	for _, e := range entries {
		f := n.Apply([]byte(e))
		<-f.Done()
		if _, err := f.Results(); err != nil {
			t.Fatalf("apply %q: %v", e, err)
		}
	}
}

func numbered(from, to int) []string {
	var entries []string
	for i := from; i <= to; i++ {
		entries = append(entries, fmt.Sprintf("entry %d", i))
	}
	return entries
}

func TestALoneVoterKeepsWhatItAcknowledged(t *testing.T) {
	cfg := testConfig(t.TempDir())
	n := start(t, cfg, cluster.TCP{})
	n.ready(t)
	id := n.ClusterID()
	if id == "" {
		t.Error("a formed cluster has no identity")
	}
	n.apply(t, numbered(1, 20)...)
	if err := n.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.apply(t, numbered(21, 30)...)
	n.stop()

	n = start(t, cfg, cluster.TCP{})
	n.ready(t)
	if got, want := fmt.Sprint(n.machine.all()), fmt.Sprint(numbered(1, 30)); got != want {
		t.Errorf("after a restart: got %s, want %s", got, want)
	}
	if got := n.ClusterID(); got != id {
		t.Errorf("cluster id = %q, want %q", got, id)
	}
}

func TestALoneVoterIsReadyWithoutWaitingForATimeout(t *testing.T) {
	cfg := testConfig(t.TempDir())
	n := start(t, cfg, cluster.TCP{})
	n.ready(t)
	n.stop()
	began := time.Now()
	n = start(t, cfg, cluster.TCP{})
	n.ready(t)
	t.Logf("ready after %s", time.Since(began))
	if got := n.Term(); got != 3 {
		t.Errorf("term = %d, want 3: one election a start", got)
	}
}

func TestAStoppedNodeProposesNothing(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), cluster.TCP{})
	n.ready(t)
	n.stop()
	f := n.Apply([]byte("late"))
	<-f.Done()
	if _, err := f.Results(); !errors.Is(err, persistence.ErrUnavailable) {
		t.Errorf("error = %v, want ErrUnavailable", err)
	}
}

func TestAnEntryOverTheLimitIsNotProposed(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), cluster.TCP{})
	n.ready(t)
	f := n.Apply(make([]byte, cluster.EntryBytesMax+1))
	<-f.Done()
	if _, err := f.Results(); !errors.Is(err, persistence.ErrUnavailable) {
		t.Errorf("error = %v, want ErrUnavailable", err)
	}
}

func TestAnErrorOfTheMachineStopsTheNode(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), cluster.TCP{})
	n.ready(t)
	n.apply(t, "good")
	broken := errors.New("checksum")
	n.machine.mu.Lock()
	n.machine.refuse = broken
	n.machine.mu.Unlock()
	f := n.Apply([]byte("bad"))
	<-f.Done()
	if _, err := f.Results(); !errors.Is(err, persistence.ErrUnknown) {
		t.Errorf("error = %v, want ErrUnknown", err)
	}
	if err := <-n.fatal; !errors.Is(err, broken) {
		t.Errorf("fatal = %v, want %v", err, broken)
	}
	n.machine.mu.Lock()
	n.machine.refuse = nil
	n.machine.mu.Unlock()
	f = n.Apply([]byte("after"))
	<-f.Done()
	if _, err := f.Results(); !errors.Is(err, persistence.ErrUnknown) {
		t.Errorf("after a failure: error = %v, want ErrUnknown", err)
	}
	if got := len(n.machine.all()); got != 1 {
		t.Errorf("%d entries applied, want 1: nothing goes on diverged", got)
	}
}

func TestADirectoryIsUsedByOneProcessAndOneNode(t *testing.T) {
	cfg := testConfig(t.TempDir())
	lock, err := cluster.LockDir(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.LockDir(cfg.Dir); !errors.Is(err, cluster.ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", os.Getpid())) {
		t.Errorf("second process: error = %v, want ErrInUse and who holds it", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if again, err := cluster.LockDir(cfg.Dir); err != nil || again.Close() != nil {
		t.Errorf("after the first has let go: %v", err)
	}
	start(t, cfg, cluster.TCP{}).stop()
	cfg.Node = "n2"
	_, err = cluster.OpenConsensus(cfg, &journalled{}, cluster.TCP{}, func(error) {}, slog.New(slog.DiscardHandler))
	if !errors.Is(err, cluster.ErrForeign) {
		t.Errorf("another name: error = %v, want ErrForeign", err)
	}
	cfg.Node = "n1"
	start(t, cfg, cluster.TCP{}).ready(t)
}

func TestReadsSeeWhatWasAcknowledged(t *testing.T) {
	cfg := testConfig(t.TempDir())
	n := start(t, cfg, cluster.TCP{})
	n.ready(t)
	if got, err := n.ReadIndex(t.Context()); err != nil || got != 0 {
		t.Errorf("read index of an empty log = %d, %v, want 0", got, err)
	}
	n.apply(t, numbered(1, 5)...)
	want := n.AppliedIndex()
	var readers sync.WaitGroup
	for range 50 {
		readers.Go(func() {
			got, err := n.ReadIndex(t.Context())
			if err != nil || got != want {
				t.Errorf("read index = %d, %v, want %d", got, err, want)
			}
		})
	}
	readers.Wait()
	n.stop()

	n = start(t, cfg, cluster.TCP{})
	n.ready(t)
	got, err := n.ReadIndex(t.Context())
	if err != nil || got != want {
		t.Errorf("read index after a restart = %d, %v, want %d: raft's own entries do not count", got, err, want)
	}
	if err := n.WaitApplied(t.Context(), got); err != nil {
		t.Error(err)
	}
}

func TestRaftSnapshotsAreTakenByBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig(t.TempDir())
		cfg.RaftAddr = "n1:9002"
		cfg.SnapshotBytes, cfg.TrailingLogs = 64<<10, 4
		n := start(t, cfg, fabricPort{newFabric(), cfg.RaftAddr, nil})
		n.ready(t)
		big := string(make([]byte, 16<<10))
		n.apply(t, big, big, big)
		time.Sleep(time.Second)
		if first := oldest(t, cfg.Dir); first != 1 {
			t.Errorf("after 48 KiB the log begins at %d, want 1", first)
		}
		n.apply(t, big, big, big)
		time.Sleep(time.Second)
		if first := oldest(t, cfg.Dir); first <= 1 {
			t.Error("after 96 KiB no entry was removed")
		}
		n.stop()
		n = start(t, cfg, fabricPort{newFabric(), cfg.RaftAddr, nil})
		n.ready(t)
		if got := len(n.machine.all()); got != 6 {
			t.Errorf("%d entries after a restart from a raft snapshot, want 6", got)
		}
	})
}

// oldest is the index of the first entry in the log on disk.
func oldest(t *testing.T, dir string) (first uint64) {
	t.Helper()
	enough := errors.New("enough")
	err := cluster.ReadLog(dir, 0, func(e cluster.Entry) error {
		first = e.Index
		return enough
	})
	if !errors.Is(err, enough) {
		t.Error(err)
	}
	return first
}

func TestADamagedRaftSnapshotIsNotStartedWith(t *testing.T) {
	cfg := testConfig(t.TempDir())
	n := start(t, cfg, cluster.TCP{})
	n.ready(t)
	n.apply(t, numbered(1, 20)...)
	if err := n.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.stop()
	files, err := filepath.Glob(filepath.Join(cfg.Dir, "snapshots", "*.snap"))
	if err != nil || len(files) != 1 {
		t.Fatalf("raft snapshots: %v, %v, want one", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-20] ^= 1
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = cluster.OpenConsensus(cfg, &journalled{}, cluster.TCP{}, func(error) {}, slog.New(slog.DiscardHandler))
	if !errors.Is(err, cluster.ErrDamaged) {
		t.Errorf("error = %v, want ErrDamaged", err)
	}
}
