package persistence_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

func appendRows(n int) *persistence.Txn {
	t := new(persistence.Txn)
	for i := range n {
		t.Appends = append(t.Appends, persistence.Append{Table: 1, Tag: byte(i), Value: []byte{byte(i)}})
	}
	return t
}

func TestScanPages(t *testing.T) {
	fsm := openFSM(t)
	mustApply(t, fsm, 1, entryOf(t, appendRows(2500)))
	store := fsm.Store()
	read := func(reverse bool) (got []uint64) {
		from, to := persistence.RecordKey(1, 11), persistence.RecordKey(1, 2490)
		for {
			page := 0
			err := store.Scan(from, to, reverse, 5000, func(key persistence.Key, v persistence.Value) bool {
				n, _ := key.Number()
				if v.Tag != byte(n-1) || v.Version != 1 || !bytes.Equal(v.Data, []byte{byte(n - 1)}) {
					t.Fatalf("row %d is %+v", n, v)
				}
				got = append(got, n)
				if page++; reverse {
					to = key
				} else {
					from = key + "\x00"
				}
				return true
			})
			if err != nil {
				t.Fatal(err)
			}
			if page > persistence.ViewRowsMax {
				t.Fatalf("a page of %d rows", page)
			}
			if page == 0 {
				return got
			}
		}
	}
	want := numbers(11, 2489)
	if diff := cmp.Diff(read(false), want); diff != "" {
		t.Errorf("upwards (-got +want):\n%s", diff)
	}
	for i, n := range read(true) {
		if n != uint64(2489-i) {
			t.Fatalf("downwards, row %d is %d", i, n)
		}
	}
}

func TestViewIsBounded(t *testing.T) {
	fsm := openFSM(t)
	mustApply(t, fsm, 1, entryOf(t, appendRows(10)))
	err := fsm.Store().View(func(v *persistence.View) error {
		for range persistence.ViewRowsMax {
			v.Get(persistence.RecordKey(1, 1))
		}
		if _, ok := v.Get(persistence.RecordKey(1, 1)); ok {
			t.Error("a row beyond the limit was read")
		}
		return nil
	})
	if !errors.Is(err, persistence.ErrViewFull) {
		t.Errorf("got %v, want ErrViewFull", err)
	}
	if err := fsm.Store().Scan("\x01", "\xf1", false, 10, nil); !errors.Is(err, persistence.ErrInvalid) {
		t.Errorf("scan of reserved tables: %v", err)
	}
}

// TestHistoryPages crosses several packed blocks, in entries of several sizes.
func TestHistoryPages(t *testing.T) {
	fsm := openFSM(t)
	var want []persistence.HistoryRow
	index := uint64(0)
	for _, size := range []int{1, 62, 1, 1, 64, 130, 5} {
		var txns []*persistence.Txn
		for range size {
			n := int64(len(want) + 1)
			want = append(want, persistence.HistoryRow{
				Seq: uint64(n), Delta: 2, After: 2 * n, StampedAt: 1000 + n, Event: byte(n), Reference: uint64(n * n),
			})
			txns = append(txns, &persistence.Txn{StampedAt: 1000 + n, Adds: []persistence.Add{{
				Counter: "treasury", Delta: 2, Max: math.MaxInt64,
				Row: &persistence.Row{Event: byte(n), Reference: uint64(n * n)},
			}}})
		}
		index++
		mustApply(t, fsm, index, entryOf(t, txns...))
	}
	for _, limit := range []int{1, 7, 64, 1000} {
		var got []persistence.HistoryRow
		for before := uint64(0); before != 1; {
			rows, err := fsm.Store().History("treasury", before, limit)
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) == 0 || len(rows) > limit {
				t.Fatalf("page of %d rows, limit %d", len(rows), limit)
			}
			got = append(got, rows...)
			before = rows[len(rows)-1].Seq
		}
		for i, row := range got {
			if row != want[len(want)-1-i] {
				t.Fatalf("limit %d: row %d is %+v, want %+v", limit, i, row, want[len(want)-1-i])
			}
		}
		if len(got) != len(want) {
			t.Fatalf("limit %d: %d rows, want %d", limit, len(got), len(want))
		}
	}
}

func TestWaitAndSubscribe(t *testing.T) {
	fsm := openFSM(t)
	store := fsm.Store()
	var told []uint64
	cancel := store.Subscribe(func(applied uint64) { told = append(told, applied) })
	waited := make(chan error)
	go func() { waited <- store.Wait(t.Context(), 3) }()
	mustApply(t, fsm, 2, entryOf(t))
	mustApply(t, fsm, 5, entryOf(t, appendRows(1)))
	if err := <-waited; err != nil {
		t.Errorf("wait: %v", err)
	}
	cancel()
	mustApply(t, fsm, 6, entryOf(t))
	if diff := cmp.Diff(told, []uint64{2, 5}); diff != "" {
		t.Errorf("told (-got +want):\n%s", diff)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := store.Wait(ctx, 7); !errors.Is(err, context.Canceled) {
		t.Errorf("wait with an ended context: %v", err)
	}
	go func() { waited <- store.Wait(t.Context(), 7) }()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; !errors.Is(err, persistence.ErrClosed) {
		t.Errorf("wait on a closed store: %v", err)
	}
	if _, _, err := store.Get(persistence.RecordKey(1, 1)); !errors.Is(err, persistence.ErrClosed) {
		t.Errorf("get from a closed store: %v", err)
	}
	if _, err := fsm.Apply(8, entryOf(t)); !errors.Is(err, persistence.ErrClosed) {
		t.Errorf("apply to a closed store: %v", err)
	}
}

func TestChanges(t *testing.T) {
	cfg := persistence.DefaultStoreConfig()
	cfg.RecentChanges = 10
	store, err := persistence.Open(t.TempDir(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	fsm := persistence.NewFSM(store)
	mustApply(t, fsm, 1, entryOf(t, everyTxn()...))
	changes, ok := store.Changes(0, 100)
	if !ok {
		t.Fatal("the first entry's changes are gone")
	}
	var got []string
	for _, c := range changes {
		switch name, value, isCounter := c.Counter(); {
		case isCounter:
			got = append(got, fmt.Sprintf("counter %s %d", name, value))
		default:
			if shard, owner, isOwner := c.Ownership(); isOwner {
				got = append(got, fmt.Sprintf("owner %d %s %d", shard, owner.Owner, owner.Fence))
				continue
			}
			got = append(got, fmt.Sprintf("row %x %d %d %q", string(c.Key), c.Value.Tag, c.Value.Version, c.Value.Data))
		}
	}
	want := []string{
		`row 010000000000000001 1 1 "first, with 8 bytes: \x00\x00\x00\x00\x00\x00\x00\x02"`,
		`row 010000000000000002 2 1 "second"`,
		`row 030000000000000001 0 1 ""`,
		`row 026e616d650000000000000001 9 1 "at index \x00\x00\x00\x00\x00\x00\x00\x01"`,
		`owner 63 n1 1`, `owner 64 n2 1`, `counter epoch 1`, `counter treasury 500`,
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("changes (-got +want):\n%s", diff)
	}

	mustApply(t, fsm, 2, entryOf(t, appendRows(2)))
	mustApply(t, fsm, 4, entryOf(t, &persistence.Txn{Deletes: []persistence.Key{persistence.RecordKey(1, 2)}}))
	if _, ok := store.Changes(0, 100); ok {
		t.Error("changes beyond the bound are said to be complete")
	}
	changes, ok = store.Changes(1, 1)
	if !ok || len(changes) != 2 || changes[1].Index != 2 {
		t.Errorf("a page must be a whole entry: %+v, %t", changes, ok)
	}
	changes, ok = store.Changes(2, 1)
	if !ok || len(changes) != 1 || !changes[0].Deleted || changes[0].Index != 4 {
		t.Errorf("the next page is %+v, %t", changes, ok)
	}
	if changes, ok = store.Changes(4, 1); !ok || len(changes) != 0 {
		t.Errorf("at the end: %+v, %t", changes, ok)
	}
	restoreFrom(t, fsm, fsm)
	if _, ok = store.Changes(3, 1); ok {
		t.Error("changes from before a restore are said to be complete")
	}
	if _, ok = store.Changes(4, 1); !ok {
		t.Error("a consumer that has the restored index must be able to follow")
	}
}

// TestSnapshotBesideApply writes a snapshot while entries go on, in the middle of a
// compaction of the file: what it restores is the Store at its index.
func TestSnapshotBesideApply(t *testing.T) {
	cfg := persistence.DefaultStoreConfig()
	cfg.CompactBytes = 1
	store, err := persistence.Open(t.TempDir(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	fsm := persistence.NewFSM(store)
	index := uint64(0)
	overwrite := func() {
		x := new(persistence.Txn)
		for i := range 100 {
			x.Writes = append(x.Writes, persistence.Write{Key: persistence.RecordKey(2, uint64(i)), Value: fmt.Appendf(nil, "%d at %d", i, index)})
		}
		index++
		mustApply(t, fsm, index, entryOf(t, x, appendRows(1)))
	}
	var compacted uint64
	for round := range 4 {
		for range 20 {
			overwrite()
		}
		want := digestOf(t, fsm)
		snapshot, err := fsm.Snapshot() // begins a compaction
		if err != nil {
			t.Fatal(err)
		}
		if round%2 == 1 {
			compacted = store.AwaitCompactions() // the name now leads to another file
		}
		overwrite()
		var b bytes.Buffer
		if _, err := snapshot.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		if err := snapshot.Release(); err != nil {
			t.Fatal(err)
		}
		other := openFSM(t)
		if err := other.Restore(&b); err != nil {
			t.Fatal(err)
		}
		if digestOf(t, other) != want || other.Store().Applied() != index-1 {
			t.Fatalf("round %d: the snapshot is not the Store at its index", round)
		}
	}
	if compacted == 0 {
		t.Error("no compaction: the test tests nothing")
	}
	want := digestOf(t, fsm)
	sum, _ := store.Checksum()
	restoreFrom(t, fsm, fsm)
	if again, at := store.Checksum(); again != sum || at != index {
		t.Errorf("checksum %x at %d, was %x at %d", again, at, sum, index)
	}
	if digestOf(t, fsm) != want {
		t.Error("the compacted Store differs from itself restored")
	}
	overwrite()
}

// failing is a reader that breaks in the middle.
type failing struct{ n int }

func (r *failing) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.ErrClosedPipe
	}
	n := min(r.n, len(p))
	r.n -= n
	return n, nil
}

func TestRestoreFromABrokenReader(t *testing.T) {
	fsm := someFSM(t)
	before := digestOf(t, fsm)
	if err := fsm.Restore(&failing{n: 5}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want the reader's error", err)
	}
	if digestOf(t, fsm) != before {
		t.Error("the Store changed")
	}
	mustApply(t, fsm, 2, entryOf(t, appendRows(1)))
}

// TestReadersBesideApply runs every kind of reader while entries are applied and the
// Store is restored; the race detector and the sums judge. Each view must be whole.
func TestReadersBesideApply(t *testing.T) {
	fsm := openFSM(t)
	store := fsm.Store()
	stop := make(chan struct{})
	var readers sync.WaitGroup
	read := func(fn func() error) {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if err := fn(); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	read(func() error {
		return store.View(func(v *persistence.View) error {
			if sum := v.Counter("a") + v.Counter("b"); sum != 0 {
				return fmt.Errorf("at %d the counters add up to %d", v.Applied(), sum)
			}
			return nil
		})
	})
	read(func() error {
		return store.Scan("\x01", "\x02", true, 10, func(persistence.Key, persistence.Value) bool { return true })
	})
	read(func() error {
		_, err := store.History("a", 0, 100)
		return err
	})
	read(func() error {
		_, _, err := store.Request("id 5")
		return err
	})
	var after uint64
	read(func() error {
		changes, ok := store.Changes(after, 10)
		if len(changes) > 0 {
			after = changes[len(changes)-1].Index
		} else if !ok {
			after = store.Applied()
		}
		return nil
	})
	read(func() error {
		store.Owner(1)
		store.Level()
		store.Stats().Committed.Load()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return store.Wait(ctx, 1)
	})
	for i := range 300 {
		mustApply(t, fsm, store.Applied()+1, entryOf(t,
			&persistence.Txn{
				RequestID: fmt.Sprintf("id %d", i),
				Adds: []persistence.Add{
					{Counter: "a", Delta: int64(i), Max: math.MaxInt64, Row: &persistence.Row{}},
					{Counter: "b", Delta: -int64(i), Min: math.MinInt64},
				},
				Assigns: []persistence.Assign{{Shard: 1, Owner: "n", From: store.Owner(1).Fence}},
			}, appendRows(1)))
		if i%100 == 50 {
			restoreFrom(t, fsm, fsm)
		}
	}
	close(stop)
	readers.Wait()
}

// TestOwnersVersion: it moves with every assignment and every restore, with nothing else,
// and is there before anybody is told of the entry.
func TestOwnersVersion(t *testing.T) {
	fsm := openFSM(t)
	store := fsm.Store()
	told := uint64(0) // version when the newest entry was announced
	defer store.Subscribe(func(uint64) { told = store.OwnersVersion() })()
	version := store.OwnersVersion()
	step := func(what string, moves bool) {
		t.Helper()
		now := store.OwnersVersion()
		if moved := now > version; moved != moves || told != now {
			t.Errorf("%s: version %d, before %d, told %d", what, now, version, told)
		}
		version = now
	}
	assign := func(from messages.Fence, owner messages.NodeID) []byte {
		return entryOf(t, &persistence.Txn{Assigns: []persistence.Assign{{Shard: 1, Owner: owner, From: from}}})
	}
	mustApply(t, fsm, 1, assign(0, "n1"))
	step("an owner", true)
	mustApply(t, fsm, 2, entryOf(t, appendRows(3)))
	step("rows", false)
	mustApply(t, fsm, 3, assign(0, "n2"))
	step("an assignment that is fenced", false)
	mustApply(t, fsm, 4, assign(1, "n2"))
	step("another owner", true)
	owners, at := store.Owners()
	want := map[messages.ShardID]persistence.Ownership{1: {Owner: "n2", Fence: 2}}
	if diff := cmp.Diff(owners, want); diff != "" || at != version {
		t.Errorf("owners at version %d, want %d (-got +want):\n%s", at, version, diff)
	}
	clear(owners)
	if got := store.Owner(1); got != want[1] {
		t.Errorf("the store's own map was given away: %+v", got)
	}
	if err := fsm.Restore(bytes.NewReader(snapshotOf(t, fsm))); err != nil {
		t.Fatal(err)
	}
	step("a restored snapshot", true)
}
