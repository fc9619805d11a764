package persistence_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/buntdb"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/persistence/persistencetest"
)

const recordBytes = 300

// submission is a birth as the treasury proposes it: a record with two dependencies.
func submission(i int) *persistence.Txn {
	value := make([]byte, recordBytes)
	binary.BigEndian.PutUint64(value, uint64(i))
	t := &persistence.Txn{
		Fences:    []persistence.ShardFence{{Shard: messages.ShardID(i % 64), Fence: 1}},
		Appends:   []persistence.Append{{Table: 1, Tag: 1, Value: value, Slots: []persistence.Slot{{Offset: 8, Number: 0}}}},
		RequestID: fmt.Sprintf("request-%012d", i),
		StampedAt: 1_700_000_000_000,
	}
	if i > 10 {
		t.Conditions = []persistence.Condition{
			persistence.TagNotIn(persistence.RecordKey(1, uint64(i-9)), 7),
			persistence.TagNotIn(persistence.RecordKey(1, uint64(i/2+1)), 7),
		}
	}
	return t
}

// payment is an execution: one record moves on, two counters change, one with history.
func payment(i int) *persistence.Txn {
	key := persistence.RecordKey(1, uint64(i))
	return &persistence.Txn{
		Fences:     []persistence.ShardFence{{Shard: 0, Fence: 1}},
		Conditions: []persistence.Condition{persistence.TagIn(key, 1)},
		Writes:     []persistence.Write{{Key: key, Tag: 5, Value: make([]byte, recordBytes)}},
		Adds: []persistence.Add{
			{Counter: "treasury", Delta: -1, Max: math.MaxInt64, Min: math.MinInt64,
				Row: &persistence.Row{Event: 2, Reference: uint64(i)}},
			{Counter: fmt.Sprintf("account/%d", i%1000), Delta: 1, Max: math.MaxInt64},
		},
	}
}

func benchmarkApply(b *testing.B, cfg persistence.StoreConfig, size int, make func(i int) *persistence.Txn, records int) {
	store, err := persistence.Open(b.TempDir(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	fsm := persistence.NewFSM(store)
	assignAll(b, fsm)
	mustApply(b, fsm, 2, entryOf(b, &persistence.Txn{Level: persistence.LevelMax}))
	index := uint64(3)
	next := 1
	for ; next <= records; next += 1000 {
		var txns []*persistence.Txn
		for i := range 1000 {
			txns = append(txns, submission(next+i))
		}
		mustApply(b, fsm, index, entryOf(b, txns...))
		index++
	}
	if make == nil {
		make = submission
	} else {
		next = 1
	}
	var entries [][]byte
	for done := 0; done < b.N; done += size {
		var txns []*persistence.Txn
		for range min(size, b.N-done) {
			txns = append(txns, make(next))
			next++
		}
		entries = append(entries, entryOf(b, txns...))
	}
	b.ResetTimer()
	before := cpuTime(b)
	defer func() { b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op") }()
	for _, data := range entries {
		for i, r := range mustApply(b, fsm, index, data) {
			if r.Status != persistence.Committed {
				b.Fatalf("transaction %d: %+v", i, r)
			}
		}
		index++
	}
}

// cpuTime is what the process has used: it tells more than the clock on a machine that others use too.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// threeColumns is what a list by destination, epoch and amount needs.
func threeColumns() persistence.StoreConfig {
	cfg := persistence.DefaultStoreConfig()
	cfg.Columns = map[persistence.Table]persistence.Columns{1: {Count: 4, Extract: func(_ byte, data []byte, into []uint64) {
		for i := range into {
			into[i] = binary.BigEndian.Uint64(data[8*i:])
		}
	}}}
	return cfg
}

func BenchmarkApplySubmission(b *testing.B) {
	for _, size := range []int{1, 32, 1024} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			benchmarkApply(b, persistence.DefaultStoreConfig(), size, nil, 10_000)
		})
	}
	b.Run("batch=1024/columns=4", func(b *testing.B) { benchmarkApply(b, threeColumns(), 1024, nil, 10_000) })
}

func BenchmarkApplyPayment(b *testing.B) {
	benchmarkApply(b, persistence.DefaultStoreConfig(), 1024, payment, 200_000)
}

// BenchmarkApplyNaive is the layout to beat: a record, two index rows, two history rows
// and a request row for each submission, nothing else checked.
func BenchmarkApplyNaive(b *testing.B) {
	db, err := buntdb.Open(b.TempDir() + "/naive.db")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.SetConfig(buntdb.Config{SyncPolicy: buntdb.Never, AutoShrinkDisabled: true}); err != nil {
		b.Fatal(err)
	}
	value := string(make([]byte, recordBytes))
	for done := 0; done < b.N; {
		n := min(1024, b.N-done)
		err := db.Update(func(tx *buntdb.Tx) error {
			for i := done; i < done+n; i++ {
				for _, kv := range [...][2]string{
					{fmt.Sprintf("d:%016x", i), value},
					{fmt.Sprintf("i:status:%d:%016x", i%7, i), ""},
					{fmt.Sprintf("i:dest:%08d:%016x", i%1000, i), ""},
					{fmt.Sprintf("h:%016x:0", i), "0123456789012345678901234567890123"},
					{fmt.Sprintf("h:%016x:1", i), "0123456789012345678901234567890123"},
					{fmt.Sprintf("r:request-%012d", i), "01234567890123456789012345678901"},
				} {
					if _, _, err := tx.Set(kv[0], kv[1], nil); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		done += n
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkRestore loads a snapshot of 100,000 records and says what they cost in memory.
func BenchmarkRestore(b *testing.B) {
	const records = 100_000
	source := openFSM(b)
	assignAll(b, source)
	for i := 0; i < records; i += 1000 {
		var txns []*persistence.Txn
		for k := range 1000 {
			txns = append(txns, submission(i+k+1))
		}
		mustApply(b, source, uint64(i+2), entryOf(b, txns...))
	}
	data := snapshotOf(b, source)
	before := heap()
	fsm := openFSM(b)
	b.ResetTimer()
	for range b.N {
		if err := fsm.Restore(bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric((float64(heap())-float64(before))/records, "B/record")
	runtime.KeepAlive(source)
	runtime.KeepAlive(data)
	b.ReportMetric(float64(len(data))/records, "snapshot-B/record")
	if got := fsm.Store().Last(1); got != records {
		b.Fatalf("last = %d, want %d", got, records)
	}
}

// BenchmarkSelect finds the newest 64 of a million records by a rare value.
func BenchmarkSelect(b *testing.B) {
	const records = 1_000_000
	cfg := threeColumns()
	store, err := persistence.Open(b.TempDir(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	fsm := persistence.NewFSM(store)
	value := make([]byte, 32)
	for i := 0; i < records; i += 1000 {
		var txns []*persistence.Txn
		for k := range 1000 {
			binary.BigEndian.PutUint64(value, uint64(i+k)%15_000)
			binary.BigEndian.PutUint64(value[8:], uint64(i+k)/1000)
			a := persistence.Append{Table: 1, Tag: byte((i+k)%7 + 1), Value: bytes.Clone(value)}
			if i+k < 100 {
				a.Tag = 9
			}
			txns = append(txns, &persistence.Txn{Appends: []persistence.Append{a}})
		}
		mustApply(b, fsm, uint64(i+1), entryOf(b, txns...))
	}
	for name, q := range map[string]persistence.Selection{
		"destination":   {Ranges: []persistence.Range{{Column: 0, Min: 77, Max: 77}}},
		"epoch":         {Ranges: []persistence.Range{{Column: 1, Min: 3, Max: 5}}},
		"rarest status": {Tags: []byte{9}},
	} {
		q.Table, q.Limit = 1, 64
		b.Run(name, func(b *testing.B) {
			for range b.N {
				if got, _ := store.Select(q); len(got) != 64 {
					b.Fatalf("%d numbers, want 64", len(got))
				}
			}
		})
	}
}

// waiter counts outcomes.
type waiter struct {
	sync.WaitGroup
	b *testing.B
}

func (w *waiter) Committed(outcomes []persistence.Outcome) {
	for i := range outcomes {
		if outcomes[i].Err != nil || outcomes[i].Result.Status != persistence.Committed {
			w.b.Errorf("outcome %+v", outcomes[i])
		}
	}
	w.Add(-len(outcomes))
}

// BenchmarkJournal is the path from Propose to the outcome with a log in memory.
func BenchmarkJournal(b *testing.B) {
	fsm := openFSM(b)
	assignAll(b, fsm)
	journal, err := persistence.NewJournal(persistence.DefaultJournalConfig(), persistencetest.NewLog(fsm))
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- journal.Run(context.Background()) }()
	sink := &waiter{b: b}
	slots := make(chan struct{}, 4096)
	release := &releasing{waiter: sink, slots: slots}
	sink.Add(b.N)
	b.ResetTimer()
	for i := range b.N {
		slots <- struct{}{}
		if err := journal.Propose(persistence.Proposal{Txn: submission(i + 1), Sink: release}); err != nil {
			b.Fatal(err)
		}
	}
	sink.Wait()
	b.StopTimer()
	journal.Close()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

type releasing struct {
	*waiter
	slots chan struct{}
}

func (r *releasing) Committed(outcomes []persistence.Outcome) {
	for range outcomes {
		<-r.slots
	}
	r.waiter.Committed(outcomes)
}

// BenchmarkSnapshot writes a snapshot of a million records while entries of one
// submission go on, and says how long the slowest of them took beside it and without it.
func BenchmarkSnapshot(b *testing.B) {
	const records = 1_000_000
	fsm := openFSM(b)
	assignAll(b, fsm)
	for i := 0; i < records; i += 1000 {
		var txns []*persistence.Txn
		for k := range 1000 {
			txns = append(txns, submission(i+k+1))
		}
		mustApply(b, fsm, fsm.Store().Applied()+1, entryOf(b, txns...))
	}
	next := records
	slowest := func(until func() bool) (worst time.Duration) {
		for !until() {
			next++
			data := entryOf(b, submission(next))
			began := time.Now()
			mustApply(b, fsm, fsm.Store().Applied()+1, data)
			worst = max(worst, time.Since(began))
		}
		return worst
	}
	begin := time.Now()
	alone := slowest(func() bool { return time.Since(begin) > time.Second })
	b.ResetTimer()
	var captured, beside time.Duration
	for range b.N {
		began := time.Now()
		snapshot, err := fsm.Snapshot()
		if err != nil {
			b.Fatal(err)
		}
		captured = max(captured, time.Since(began))
		written := make(chan error, 1)
		go func() {
			_, err := snapshot.WriteTo(io.Discard)
			written <- err
		}()
		beside = max(beside, slowest(func() bool {
			select {
			case err = <-written:
				return true
			default:
				return false
			}
		}))
		if err != nil {
			b.Fatal(err)
		}
		if err := snapshot.Release(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(captured.Microseconds()), "us-capture")
	b.ReportMetric(float64(alone.Microseconds()), "us-stall-without")
	b.ReportMetric(float64(beside.Microseconds()), "us-stall-beside")
}

// BenchmarkCompaction compacts the file of a million records, all of them written
// three times, while entries of one submission go on, and says how long the slowest took.
func BenchmarkCompaction(b *testing.B) {
	const records = 1_000_000
	for range b.N {
		b.StopTimer()
		fsm := openFSM(b)
		assignAll(b, fsm)
		for i := 0; i < records; i += 1000 {
			var txns []*persistence.Txn
			for k := range 1000 {
				txns = append(txns, submission(i+k+1))
			}
			mustApply(b, fsm, fsm.Store().Applied()+1, entryOf(b, txns...))
		}
		for i := 0; i < 2*records; i += 1000 {
			var txn persistence.Txn
			for k := range 1000 {
				key := persistence.RecordKey(1, uint64((i+k)%records+1))
				txn.Writes = append(txn.Writes, persistence.Write{Key: key, Tag: 2, Value: make([]byte, recordBytes)})
			}
			mustApply(b, fsm, fsm.Store().Applied()+1, entryOf(b, &txn))
		}
		b.StartTimer()
		snapshot, err := fsm.Snapshot() // begins the compaction
		if err != nil {
			b.Fatal(err)
		}
		compacted := make(chan uint64, 1)
		go func() { compacted <- fsm.Store().AwaitCompactions() }()
		var worst time.Duration
		for next, done := records, false; !done; {
			next++
			data := entryOf(b, submission(next))
			began := time.Now()
			mustApply(b, fsm, fsm.Store().Applied()+1, data)
			worst = max(worst, time.Since(began))
			select {
			case n := <-compacted:
				if n != 1 {
					b.Fatalf("%d compactions, want 1", n)
				}
				done = true
			default:
			}
		}
		b.ReportMetric(float64(worst.Microseconds()), "us-stall")
		if err := snapshot.Release(); err != nil {
			b.Fatal(err)
		}
	}
}
