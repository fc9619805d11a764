package persistence_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

var (
	someCounters = []string{"treasury", "a", "b"}
	someRequests = []string{"r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8"}
	someShards   = []messages.ShardID{0, 1, 63}
	someTables   = []persistence.Table{1, 2}
	someTags     = []byte{0, 1, 2, 3}
)

func openFSM(t testing.TB) *persistence.FSM {
	t.Helper()
	cfg := persistence.DefaultStoreConfig()
	cfg.Audited = []persistence.Key{persistence.NameKey(audited, "")}
	store, err := persistence.Open(t.TempDir(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return persistence.NewFSM(store)
}

func entryOf(t interface{ Fatal(...any) }, txns ...*persistence.Txn) []byte {
	encoded := make([][]byte, 0, len(txns))
	for _, x := range txns {
		b, err := persistence.AppendTxn(nil, x)
		if err != nil {
			t.Fatal(err)
		}
		encoded = append(encoded, b)
	}
	return persistence.AppendBatch(nil, encoded...)
}

// describe writes everything a reader can see of the Store, as the twin does.
func describe(t interface{ Fatal(...any) }, s *persistence.Store) string {
	var b strings.Builder
	fmt.Fprintln(&b, "level", s.Level())
	err := s.Scan(persistence.Key("\x01"), persistence.Key("\xf0"), false, 1000,
		func(key persistence.Key, v persistence.Value) bool {
			fmt.Fprintf(&b, "row %x %d %d %x\n", string(key), v.Tag, v.Version, v.Data)
			return true
		})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range someCounters {
		n, err := s.Counter(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, "counter", name, n)
		rows, err := s.History(name, 0, math.MaxInt)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			fmt.Fprintf(&b, "history %+v\n", r)
		}
	}
	for _, shard := range someShards {
		fmt.Fprintf(&b, "owner %d %+v\n", shard, s.Owner(shard))
	}
	for _, id := range someRequests {
		r, ok, err := s.Request(id)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "request %s %t %x %d %d %d %v %q\n",
			id, ok, r.PayloadHash, r.Index, r.First, r.Count, r.After, r.Reply)
	}
	for _, table := range someTables {
		fmt.Fprintln(&b, "last", table, s.Last(table))
	}
	size, root := treeOf(t, s)
	fmt.Fprintf(&b, "tree of %d: %x\n", size, root[:])
	return b.String()
}

func drawKey(t *rapid.T) persistence.Key {
	table := rapid.SampledFrom(someTables).Draw(t, "table")
	return persistence.RecordKey(table, rapid.Uint64Range(1, 6).Draw(t, "number"))
}

func drawSlots(t *rapid.T, size, first, appends int) []persistence.Slot {
	var slots []persistence.Slot
	for range rapid.IntRange(0, 2).Draw(t, "slots") {
		if size < first+8 {
			return nil
		}
		s := persistence.Slot{Offset: uint32(rapid.IntRange(first, size-8).Draw(t, "offset")), Number: persistence.SlotIndex}
		if appends > 0 && rapid.Bool().Draw(t, "assigned") {
			s.Number = uint16(rapid.IntRange(0, appends-1).Draw(t, "slot"))
		}
		slots = append(slots, s)
	}
	return slots
}

func drawCondition(t *rapid.T) persistence.Condition {
	key := drawKey(t)
	n := rapid.Int64Range(0, 4).Draw(t, "n")
	tags := rapid.SliceOfN(rapid.SampledFrom(someTags), 1, 3).Draw(t, "tags")
	counter := rapid.SampledFrom(someCounters).Draw(t, "counter")
	return rapid.SampledFrom([]persistence.Condition{
		persistence.Exists(key), persistence.Absent(key), persistence.VersionIs(key, uint64(n)),
		persistence.TagIn(key, tags...), persistence.TagNotIn(key, tags...),
		persistence.CounterBelow(counter, n*10), persistence.CounterAtLeast(counter, n*10),
		persistence.Unchanged(key, uint64(n)),
	}).Draw(t, "condition")
}

func drawAdd(t *rapid.T, appends int) persistence.Add {
	a := persistence.Add{
		Counter: rapid.SampledFrom(someCounters).Draw(t, "counter"),
		Delta:   rapid.Int64Range(-20, 40).Draw(t, "delta"),
		Max:     math.MaxInt64,
	}
	switch rapid.IntRange(0, 9).Draw(t, "extreme") {
	case 0:
		a.Delta, a.Min = math.MaxInt64, math.MinInt64
	case 1:
		a.Delta, a.Min = math.MinInt64, math.MinInt64
	case 2:
		a.Max = 50
	}
	if rapid.Bool().Draw(t, "row") {
		a.Row = &persistence.Row{Event: 7, Reference: rapid.Uint64Range(0, 9).Draw(t, "reference")}
		if appends > 0 {
			a.Row.Reference = persistence.SlotID(uint16(rapid.IntRange(0, appends-1).Draw(t, "cited")))
		}
	}
	return a
}

func drawTxn(t *rapid.T) *persistence.Txn {
	x := &persistence.Txn{StampedAt: rapid.Int64().Draw(t, "stamp"), Keep: persistence.Keep(rapid.IntRange(0, 1).Draw(t, "keep"))}
	few := func(what string, odds int, do func()) {
		if rapid.IntRange(0, odds).Draw(t, what) == 0 {
			for range rapid.IntRange(1, 3).Draw(t, "how many") {
				do()
			}
		}
	}
	few("appends", 2, func() {
		x.Appends = append(x.Appends, persistence.Append{
			Table: rapid.SampledFrom(someTables).Draw(t, "table"),
			Tag:   rapid.SampledFrom(someTags).Draw(t, "tag"),
			Value: rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value"),
		})
	})
	for i := range x.Appends {
		x.Appends[i].Slots = drawSlots(t, len(x.Appends[i].Value), 0, len(x.Appends))
	}
	few("notes", 4, func() {
		value := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value")
		x.Notes = append(x.Notes, persistence.Append{
			Table: rapid.SampledFrom(someTables).Draw(t, "table"), Tag: rapid.SampledFrom(someTags).Draw(t, "tag"),
			Value: value, Slots: drawSlots(t, len(value), 0, len(x.Appends)),
		})
	})
	few("conditions", 2, func() { x.Conditions = append(x.Conditions, drawCondition(t)) })
	few("deletes", 5, func() { x.Deletes = append(x.Deletes, drawKey(t)) })
	few("writes", 2, func() {
		value := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value")
		w := persistence.Write{Key: drawKey(t), Tag: rapid.SampledFrom(someTags).Draw(t, "tag"), Value: value}
		w.Slots = drawSlots(t, len(value), 0, len(x.Appends))
		w.KeySlots = drawSlots(t, len(w.Key), 1, len(x.Appends))
		x.Writes = append(x.Writes, w)
	})
	few("adds", 2, func() { x.Adds = append(x.Adds, drawAdd(t, len(x.Appends))) })
	few("fences", 5, func() {
		x.Fences = append(x.Fences, persistence.ShardFence{
			Shard: rapid.SampledFrom(someShards).Draw(t, "shard"),
			Fence: messages.Fence(rapid.Uint64Range(1, 3).Draw(t, "fence")),
		})
	})
	if rapid.IntRange(0, 3).Draw(t, "assign") == 0 {
		x.Assigns = []persistence.Assign{{
			Shard: rapid.SampledFrom(someShards).Draw(t, "shard"),
			Owner: messages.NodeID(rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "owner")),
			From:  messages.Fence(rapid.Uint64Range(0, 2).Draw(t, "from")),
		}}
	}
	if rapid.Bool().Draw(t, "request") {
		x.RequestID = rapid.SampledFrom(someRequests).Draw(t, "id")
		x.PayloadHash[0] = rapid.SampledFrom([]byte{0, 0, 0, 1}).Draw(t, "hash")
		x.Reply = rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "reply")
	}
	x.Level = rapid.SampledFrom([]uint16{0, 0, 1, 2, persistence.LevelAudit}).Draw(t, "level")
	return x
}

// TestTwin holds results and every readable row against the naive machine, for random
// logs; then the same log replayed, and a snapshot restored, must give the same bytes.
func TestTwin(t *testing.T) {
	const recentMax = 3
	rapid.Check(t, func(rt *rapid.T) {
		fsm, again, restored := openFSM(t), openFSM(t), openFSM(t)
		w := newTwin(recentMax)
		for _, f := range []*persistence.FSM{fsm, again, restored} {
			f.RememberAtMost(recentMax)
		}
		entries := rapid.IntRange(1, 8).Draw(rt, "entries")
		cut := rapid.IntRange(1, entries).Draw(rt, "snapshot after")
		for i := range entries {
			index := uint64(i*3 + 1) // the log has entries that are not ours
			txns := rapid.SliceOfN(rapid.Custom(drawTxn), 0, 6).Draw(rt, "txns")
			data := entryOf(rt, txns...)
			got, err := fsm.Apply(index, data)
			if err != nil {
				rt.Fatal(err)
			}
			want := w.apply(index, txns)
			if diff := cmp.Diff(got, want, cmpEmpty); diff != "" {
				rt.Fatalf("results of entry %d (-got +want):\n%s", index, diff)
			}
			mustApply(rt, again, index, data)
			if i+1 > cut {
				mustApply(rt, restored, index, data)
			}
			if i+1 == cut {
				if err := restored.Restore(bytes.NewReader(snapshotOf(rt, fsm))); err != nil {
					rt.Fatal(err)
				}
			}
		}
		got, want := describe(rt, fsm.Store()), w.describe(someCounters, someRequests, someShards)
		if diff := cmp.Diff(got, want); diff != "" {
			rt.Fatalf("Store (-got +want):\n%s", diff)
		}
		if diff := cmp.Diff(describe(rt, restored.Store()), want); diff != "" {
			rt.Fatalf("restored Store (-got +want):\n%s", diff)
		}
		sum := digestOf(rt, fsm)
		if digestOf(rt, again) != sum || digestOf(rt, restored) != sum {
			rt.Fatal("Stores differ in their bytes")
		}
	})
}

var cmpEmpty = cmp.Options{
	cmp.FilterValues(func(a, b []byte) bool { return len(a) == 0 && len(b) == 0 }, cmp.Ignore()),
	cmp.FilterValues(func(a, b []persistence.Result) bool { return len(a) == 0 && len(b) == 0 }, cmp.Ignore()),
}

func mustApply(t interface{ Fatal(...any) }, f *persistence.FSM, index uint64, data []byte) []persistence.Result {
	r, err := f.Apply(index, data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func snapshotOf(t interface{ Fatal(...any) }, f *persistence.FSM) []byte {
	s, err := f.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	_, err = s.WriteTo(&b)
	if err = errors.Join(err, s.Release()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func digestOf(t interface{ Fatal(...any) }, f *persistence.FSM) [32]byte {
	sum, _, err := f.Store().Digest()
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// TestSetsPerTxn holds the FSM to its cost: what it hands to the database for each kind
// of Txn, alone and in a batch.
func TestSetsPerTxn(t *testing.T) {
	dir := t.TempDir()
	store, err := persistence.Open(dir, persistence.DefaultStoreConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	fsm := persistence.NewFSM(store)
	assignAll(t, fsm)
	sets := func(txns ...*persistence.Txn) int {
		t.Helper()
		before := setsIn(t, dir)
		for i, r := range mustApply(t, fsm, store.Applied()+1, entryOf(t, txns...)) {
			if r.Status != persistence.Committed {
				t.Fatalf("transaction %d: %+v", i, r)
			}
		}
		return setsIn(t, dir) - before
	}
	var hundred []*persistence.Txn
	for i := range 100 {
		hundred = append(hundred, submission(i+2))
	}
	accrual := &persistence.Txn{
		RequestID: "accrual", Keep: persistence.KeepForever,
		Adds: []persistence.Add{{Counter: "treasury", Delta: 1000, Max: math.MaxInt64, Row: &persistence.Row{Event: 1}}},
	}
	for _, c := range []struct {
		what string
		got  int
		want int
	}{
		{"a submission: record, sequence", sets(submission(1)), 2},
		{"100 submissions: records, one sequence", sets(hundred...), 101},
		{"an accrual: counter, history, request, sequence", sets(accrual), 4},
		{"a payment: record, two counters, history", sets(payment(1)), 4},
		{"four payments to four accounts", sets(payment(2), payment(3), payment(4), payment(5)), 4 + 1 + 1 + 4},
		{"a repeat", setsOfRepeat(t, fsm, dir), 0},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d sets, want %d", c.what, c.got, c.want)
		}
	}
}

func setsOfRepeat(t *testing.T, fsm *persistence.FSM, dir string) int {
	before := setsIn(t, dir)
	r := mustApply(t, fsm, fsm.Store().Applied()+1, entryOf(t, submission(1)))
	want := persistence.Result{Status: persistence.Duplicate, Index: 2, First: 1, Count: 1}
	if diff := cmp.Diff(r[0], want, cmpEmpty); diff != "" {
		t.Errorf("repeat (-got +want):\n%s", diff)
	}
	return setsIn(t, dir) - before
}

func setsIn(t *testing.T, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(data, []byte("*3\r\n$3\r\nset\r\n"))
}

// TestAFormerFenceChangesNothing: neither a change of a former owner's nor an assignment
// that was decided under a former fence, nor one from a future that the log does not know.
func TestAFormerFenceChangesNothing(t *testing.T) {
	fsm := openFSM(t)
	defer func() { _ = fsm.Store().Close() }()
	index := uint64(0)
	apply := func(x *persistence.Txn) persistence.Status {
		t.Helper()
		index++
		results, err := fsm.Apply(index, entryOf(t, x))
		if err != nil {
			t.Fatal(err)
		}
		return results[0].Status
	}
	assign := func(from messages.Fence) *persistence.Txn {
		return &persistence.Txn{Assigns: []persistence.Assign{{Shard: 1, Owner: "n1", From: from}}}
	}
	under := func(fence messages.Fence) *persistence.Txn {
		return &persistence.Txn{Fences: []persistence.ShardFence{{Shard: 1, Fence: fence}}, Adds: []persistence.Add{{Counter: "c", Delta: 1, Max: 100}}}
	}
	for from := range messages.Fence(3) {
		if got := apply(assign(from)); got != persistence.Committed {
			t.Fatalf("an assignment from %d is %s", from, got)
		}
	}
	for _, fence := range []messages.Fence{1, 2, 4} {
		if got := apply(under(fence)); got != persistence.Fenced {
			t.Errorf("a change under fence %d, after 3, is %s", fence, got)
		}
		if got := apply(assign(fence)); got != persistence.Fenced {
			t.Errorf("an assignment from fence %d, after 3, is %s", fence, got)
		}
	}
	if got := apply(under(3)); got != persistence.Committed {
		t.Errorf("a change under the newest fence is %s", got)
	}
}

// TestAHistoryGoesForwardThoughAClockWasSetBack, from the level on that all nodes know, over
// the borders of blocks and a restored snapshot too.
func TestAHistoryGoesForwardThoughAClockWasSetBack(t *testing.T) {
	fsm := openFSM(t)
	defer func() { _ = fsm.Store().Close() }()
	index := uint64(0)
	book := func(stamp int64) int64 {
		t.Helper()
		index++
		mustApply(t, fsm, index, entryOf(t, &persistence.Txn{StampedAt: stamp,
			Adds: []persistence.Add{{Counter: "c", Delta: 1, Max: 1000, Row: &persistence.Row{}}}}))
		rows, err := fsm.Store().History("c", 0, 1)
		if err != nil || len(rows) != 1 {
			t.Fatal(rows, err)
		}
		return rows[0].StampedAt
	}
	if book(500); book(400) != 400 {
		t.Error("a program that does not know the level stamps otherwise")
	}
	index++
	mustApply(t, fsm, index, entryOf(t, &persistence.Txn{Level: 2}))
	for range 3 * persistence.HistoryBlock {
		if got := book(300); got != 400 {
			t.Fatalf("row %d is stamped %d, after 400", index, got)
		}
	}
	if got := book(600); got != 600 {
		t.Errorf("stamped %d, want 600", got)
	}
	if err := fsm.Restore(bytes.NewReader(snapshotOf(t, fsm))); err != nil {
		t.Fatal(err)
	}
	if got := book(1); got != 600 {
		t.Errorf("after a snapshot stamped %d, want 600", got)
	}
}
