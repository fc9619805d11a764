package ownership_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/cluster/ownership"
	"github.com/the-block/bursar/cluster/placement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/persistence/persistencetest"
)

const shards = 12

func layout() ownership.Layout {
	return ownership.Layout{
		Shards: shards,
		Single: map[messages.ShardID]bool{10: true, 11: true},
		Timed:  map[messages.ShardID]bool{11: true},
	}
}

// world is a log of one node whose entries commit at once.
type world struct {
	t     interface{ Fatal(...any) }
	store *persistence.Store
	log   *persistencetest.Log
}

func newWorld(t interface{ Fatal(...any) }, dir string) *world {
	store, err := persistence.Open(dir, persistence.DefaultStoreConfig())
	if err != nil {
		t.Fatal(err)
	}
	return &world{t, store, persistencetest.NewLog(persistence.NewFSM(store))}
}

func (w *world) state() *ownership.State {
	s, err := ownership.Read(w.store, shards)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) commit(txn *persistence.Txn) persistence.Result {
	results, err := w.log.Commit(txn)
	if err != nil {
		w.t.Fatal(err)
	}
	return results[0]
}

// Propose implements ownership.Journal.
func (w *world) Propose(p persistence.Proposal) error {
	p.Sink.Committed([]persistence.Outcome{{Token: p.Token, Result: w.commit(p.Txn)}})
	return nil
}

// settle decides and commits until all is well.
func (w *world) settle(live []ownership.Live, now time.Time) {
	for range 10 * shards {
		s := w.state()
		d := ownership.Decide(placement.DefaultConfig(), layout(), s, live, now)
		if d.Empty() {
			return
		}
		if r := w.commit(ownership.TxnOf(&d, s, now)); r.Status != persistence.Committed {
			w.t.Fatal("a decision on the newest state was", r.Status)
		}
	}
	w.t.Fatal("the decisions do not end")
}

var start = time.Unix(1_700_000_000, 0)

func live(id messages.NodeID, boot uint64, role placement.Role) ownership.Live {
	return ownership.Live{ID: id, Boot: boot, Role: role, Since: start}
}

func TestANodeOwnsNothingBeforeTheLogHoldsItsStart(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer w.store.Close()
	w.settle([]ownership.Live{live("n1", 7, placement.Primary)}, start)
	if got := len(w.state().Owned("n1", 7)); got != shards {
		t.Errorf("the start that the log holds owns %d, want %d", got, shards)
	}
	if got := len(w.state().Owned("n1", 8)); got != 0 {
		t.Errorf("a newer start owns %d before the leader has met it, want 0", got)
	}
	before := w.state().Shards[3].Fence
	w.settle([]ownership.Live{live("n1", 8, placement.Primary)}, start)
	if got := w.state(); len(got.Owned("n1", 8)) != shards || got.Shards[3].Fence != before+1 {
		t.Errorf("after the restart: %d owned, fence %d, want %d and %d", len(got.Owned("n1", 8)), got.Shards[3].Fence, shards, before+1)
	}
}

func TestADrainEndsWithTheNextStart(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer w.store.Close()
	nodes := []ownership.Live{live("n1", 1, placement.Primary), live("n2", 2, placement.Replica)}
	later := start.Add(time.Hour)
	w.settle(nodes, later)
	txn, ok := w.state().Drain("n1", true)
	if !ok {
		t.Fatal("n1 cannot be drained")
	}
	w.commit(txn)
	if _, again := w.state().Drain("n1", true); again {
		t.Error("a drained node can be drained")
	}
	w.settle(nodes, later)
	if got := w.state().Count("n1"); got != 0 {
		t.Errorf("the drained node owns %d", got)
	}
	nodes[0].Boot = 3
	w.settle(nodes, later)
	if got := w.state(); got.Nodes["n1"].Drained || got.Count("n1") == 0 {
		t.Errorf("after its next start n1 is drained %t and owns %d", got.Nodes["n1"].Drained, got.Count("n1"))
	}
}

// TestAnOldCopyOfADiskOwnsNothing: its start is earlier than the one that the log knows.
func TestAnOldCopyOfADiskOwnsNothing(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer w.store.Close()
	boot := func(count uint64) uint64 { return count<<32 | 5 }
	nodes := []ownership.Live{live("n1", boot(7), placement.Primary), live("n2", boot(7), placement.Primary)}
	later := start.Add(time.Hour)
	w.settle(nodes, later)
	if got := w.state().Nodes["n1"].Life; got != "" {
		t.Errorf("the life of a node that does not vote is %q", got)
	}
	nodes[0].Life, nodes[1].Life = "a", "b"
	w.settle(nodes, later)
	if got := w.state(); got.Nodes["n1"].Life != "a" || got.Nodes["n1"].Boot != boot(7) || got.Count("n1") == 0 {
		t.Errorf("a voter's record = %+v", got.Nodes["n1"])
	}
	nodes[0].Boot = boot(6)
	w.settle(nodes, later)
	if got := w.state(); got.Nodes["n1"].Boot != boot(7) || got.Count("n1") != 0 {
		t.Errorf("with an old copy: %+v, %d shards", got.Nodes["n1"], got.Count("n1"))
	}
	nodes[0].Life, nodes[0].Boot = "c", boot(3) // an empty disk, on a machine whose clock is slow
	w.settle(nodes, later)
	if got := w.state(); got.Nodes["n1"].Life != "a" || got.Nodes["n1"].Boot != boot(3) || got.Count("n1") == 0 {
		t.Errorf("with another disk: %+v, %d shards", got.Nodes["n1"], got.Count("n1"))
	}
}

func TestAnAdmissionKeepsTheStart(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer w.store.Close()
	w.settle([]ownership.Live{live("n1", 7, placement.Primary)}, start)
	txn, ok := w.state().Admit("n1", "disk-1", 7)
	if !ok {
		t.Fatal("n1 cannot be admitted")
	}
	w.commit(txn)
	if got := w.state().Nodes["n1"]; got.Life != "disk-1" || got.Boot != 7 {
		t.Errorf("record = %+v", got)
	}
	if _, again := w.state().Admit("n1", "disk-1", 7); again {
		t.Error("it can be admitted again")
	}
}

// A directory made in the second in which the one before it started twice, or while the clock
// is slow, begins with a smaller start. Admitted before anybody decided about its shards it
// must not pass for an old copy of itself.
func TestADiskAdmittedBeforeItsStartIsSeenIsNoOldCopy(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer w.store.Close()
	boot := func(count uint64) uint64 { return count<<32 | 1 }
	nodes := []ownership.Live{live("n1", boot(801), placement.Primary)}
	nodes[0].Life = "a"
	w.settle(nodes, start)
	nodes[0].Life, nodes[0].Boot = "b", boot(800)
	txn, ok := w.state().Admit("n1", "b", nodes[0].Boot)
	if !ok {
		t.Fatal("n1 cannot be admitted")
	}
	w.commit(txn)
	w.settle(nodes, start.Add(time.Minute))
	if got := w.state(); got.Nodes["n1"].Life != "b" || got.Nodes["n1"].Boot != boot(800) || got.Count("n1") == 0 {
		t.Errorf("record %+v, %d shards", got.Nodes["n1"], got.Count("n1"))
	}
}

// TestFencesGrowWhateverHappens draws nodes that come, go, restart and drain, and
// leaders that decide on old states.
func TestFencesGrowWhateverHappens(t *testing.T) {
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		w := newWorld(t, fmt.Sprintf("%s/%d", dir, run))
		defer w.store.Close()
		names := []messages.NodeID{"n1", "n2", "n3"}
		roles := []placement.Role{placement.Primary, placement.Replica, placement.Observer}
		boots := []uint64{1, 1, 1}
		old := w.state()
		now := start.Add(time.Hour)
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			i := rapid.IntRange(0, 2).Draw(t, "node")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				boots[i]++
			case 1:
				if txn, ok := old.Drain(names[i], rapid.Bool().Draw(t, "on")); ok {
					w.commit(txn)
				}
			case 2:
				old = w.state()
			}
			var nodes []ownership.Live
			for j, up := range rapid.SliceOfN(rapid.Bool(), 3, 3).Draw(t, "up") {
				if up {
					nodes = append(nodes, ownership.Live{ID: names[j], Boot: boots[j], Role: roles[j], Since: start})
				}
			}
			before := w.state()
			d := ownership.Decide(placement.DefaultConfig(), layout(), old, nodes, now)
			if d.Empty() {
				continue
			}
			r := w.commit(ownership.TxnOf(&d, old, now))
			after := w.state()
			for s := range after.Shards {
				b, a := before.Shards[s], after.Shards[s]
				if a.Fence < b.Fence || a.Owner != b.Owner && a.Fence != b.Fence+1 {
					t.Errorf("shard %d went from %+v to %+v", s, b, a)
				}
				if r.Status != persistence.Committed && a != b {
					t.Errorf("a refused decision changed shard %d", s)
				}
			}
			for j, name := range names {
				if after.Nodes[name].Boot > boots[j] {
					t.Errorf("%s: the log holds start %d, the newest is %d", name, after.Nodes[name].Boot, boots[j])
				}
			}
		}
	})
}

func TestTheKeeperMovesWhatADeadNodeOwned(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir)
		k := ownership.New(ownership.DefaultConfig(layout()), w.store, w, slog.New(slog.DiscardHandler))
		nodes := []ownership.Live{live("n1", 1, placement.Primary), live("n2", 2, placement.Replica)}
		up := 2
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- k.Run(ctx, func() []ownership.Live { return nodes[:up] }) }()
		time.Sleep(time.Second)
		synctest.Wait()
		if s := w.state(); s.Count("n1")+s.Count("n2") != shards || s.Shards[10].Owner != "n1" {
			t.Errorf("n1 owns %d, n2 %d, the single one is with %s", s.Count("n1"), s.Count("n2"), s.Shards[10].Owner)
		}
		nodes[0] = nodes[1]
		up = 1
		k.Poke()
		synctest.Wait()
		if got := w.state().Count("n2"); got != shards {
			t.Errorf("the survivor owns %d, want %d", got, shards)
		}
		if k.Metrics().Orphaned.Load() == 0 {
			t.Error("no move was counted")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = w.store.Close()
		time.Sleep(2 * time.Second) // the Store's ticker ends
	})
}

// TestARestartTakesNewFencesForAllItOwned: what the earlier start has on its way must not
// pass for the later one's, even where nobody is fit to own the shard.
func TestARestartTakesNewFencesForAllItOwned(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer w.store.Close()
	later := start.Add(time.Hour)
	w.settle([]ownership.Live{live("n1", 1, placement.Primary)}, later)
	nodes := []ownership.Live{live("n1", 1, placement.Primary), live("n2", 2, placement.Replica)}
	w.settle(nodes[1:], start) // n2 is known
	w.settle(nodes[:1], start) // and n1 has all again
	txn, _ := w.state().Drain("n2", true)
	w.commit(txn)
	before := w.state()
	nodes[0].Boot, nodes[0].ClockOff = 8, true
	w.settle(nodes, later)
	after := w.state()
	for shard, fence := range after.Owned("n1", 8) {
		if was := before.Shards[shard]; was.Owner == "n1" && fence == was.Fence {
			t.Errorf("the later start owns shard %d under fence %d of the earlier one", shard, fence)
		}
	}
	if len(after.Owned("n1", 8)) == 0 {
		t.Error("n1 owns nothing")
	}
}
