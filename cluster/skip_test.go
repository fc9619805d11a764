package cluster_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/internal/raftlog/raftlogtest"
	"github.com/the-block/bursar/persistence"
)

// TestTheLeaderAppendsNothingThatNobodyCanApply: what another node hands over is looked at
// before it is in the log, and its end is certain.
func TestTheLeaderAppendsNothingThatNobodyCanApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		leader := tr.leader(t, "")
		leader.apply(t, "before")
		last := leader.LastIndex()
		for _, entry := range []string{"", "garbage", garbage} {
			f := tr.other(leader).Apply([]byte(entry))
			<-f.Done()
			if _, err := f.Results(); !errors.Is(err, persistence.ErrUnavailable) {
				t.Errorf("%q: %v, want ErrUnavailable", entry, err)
			}
		}
		if leader.LastIndex() != last {
			t.Errorf("the log reaches %d, want %d", leader.LastIndex(), last)
		}
	})
}

// garbage is what stands in a log where no entry should.
const garbage = "garbage that no program has written"

// halting is a node whose log holds an entry that cannot be applied.
type halting struct {
	t     *testing.T
	dir   string
	disk  *raftlogtest.Disk
	books ledger
}

// start starts the node, which passes over an entry if told, and ends it after the test.
func (h *halting) start(skip cluster.Skip, test func(*lone)) {
	h.t.Helper()
	n, err := openLoneWith(h.dir, h.disk, fabricPort{newFabric(), "n1:9002", nil}, skip)
	if err != nil {
		h.t.Fatal(err)
	}
	test(n)
	n.end()
	h.disk = h.disk.Kill()
}

// awaitHalt waits until the node says why it has halted.
func (h *halting) awaitHalt(n *lone) string {
	h.t.Helper()
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(100 * time.Millisecond) {
		if why := n.State().Halted; why != "" {
			return why
		}
	}
	h.t.Fatalf("the node does not halt: %s", n.State())
	return ""
}

func onHalting(t *testing.T, entry []byte, test func(h *halting, index uint64)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := &halting{t: t, dir: dir, disk: raftlogtest.New(), books: ledger{acknowledged: make(map[uint64]uint64)}}
		var index uint64
		h.start(cluster.Skip{}, func(n *lone) {
			if err := errors.Join(n.awaitReady(), h.books.commit(n, 20)); err != nil {
				t.Fatal(err)
			}
			index = n.LastIndex() + 1
			f := n.Apply(entry)
			<-f.Done()
			if _, err := f.Results(); err == nil {
				t.Error("it is acknowledged")
			}
			why := h.awaitHalt(n)
			if !strings.Contains(why, "an entry of the log cannot be applied") {
				t.Errorf("it says %q", why)
			}
			select {
			case err := <-n.fatal:
				t.Errorf("the node ended: %v", err)
			default:
			}
		})
		test(h, index)
		time.Sleep(buntdbEnds)
	})
}

// TestAnEntryThatNobodyCanApply halts the nodes, which run on, start again, and say which
// entry it is and how to get past it; with that they go on, and have all the rest.
func TestAnEntryThatNobodyCanApply(t *testing.T) {
	onHalting(t, []byte(garbage), func(h *halting, index uint64) {
		var named cluster.Skip
		h.start(cluster.Skip{}, func(n *lone) {
			why := h.awaitHalt(n)
			_, flag, _ := strings.Cut(why, "--skip-entry ")
			var err error
			if named, err = cluster.ParseSkip(flag); err != nil || named.Index != index {
				h.t.Errorf("it says %q, which names %s: %v", why, named, err)
			}
		})
		h.start(cluster.Skip{Index: index, Sum: named.Sum + 1}, func(n *lone) { h.awaitHalt(n) }) // another one
		h.start(named, func(n *lone) {
			if err := errors.Join(n.awaitReady(), h.books.check(n.store), h.books.commit(n, 20)); err != nil {
				h.t.Error(err)
			}
			if _, skipped := n.Skipped(); !skipped {
				h.t.Error("it does not say that it has passed over an entry")
			}
			if err := n.Snapshot(context.Background()); err != nil {
				h.t.Error(err)
			}
		})
		h.start(cluster.Skip{}, func(n *lone) { // the Raft snapshot has it behind it
			if err := errors.Join(n.awaitReady(), h.books.check(n.store), h.books.commit(n, 20)); err != nil {
				h.t.Error(err)
			}
		})
	})
}

// TestWhatANewerProgramCanApplyIsNotSkipped: nodes that can would have another history.
func TestWhatANewerProgramCanApplyIsNotSkipped(t *testing.T) {
	newer := persistence.AppendBatch(nil, []byte{0x7f, 0, 0})
	if err := persistence.CheckEntry(newer); !errors.Is(err, persistence.ErrUnsupported) {
		t.Fatal(err)
	}
	onHalting(t, newer, func(h *halting, index uint64) {
		h.start(cluster.SkipOf(index, newer), func(n *lone) {
			if why := h.awaitHalt(n); !strings.Contains(why, "or a newer one") || strings.Contains(why, "--skip-entry") {
				h.t.Errorf("it says %q", why)
			}
		})
	})
}

func TestASkipIsNamedInFull(t *testing.T) {
	want := cluster.Skip{Index: 4711, Sum: 0x00ab12cd}
	if got, err := cluster.ParseSkip(want.String()); err != nil || got != want {
		t.Errorf("%s is read as %v, %v", want, got, err)
	}
	for _, text := range []string{"4711", "4711:", ":00ab12cd", "0:00ab12cd", "4711:ab12cd", "0x10:00ab12cd", "4711:00ab12cd0", "-1:00ab12cd"} {
		if got, err := cluster.ParseSkip(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
