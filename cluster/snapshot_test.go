package cluster_test

import (
	"context"
	"flag"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/persistence"
)

var snapshotRecords = flag.Int("snapshot-records", 100_000, "how many records BenchmarkSnapshotStall stores")

// BenchmarkSnapshotStall takes Raft snapshots of many records while proposals are made one
// by one, and tells the slowest of these beside each snapshot and of those in the second
// before it, which is what disk and machine do anyway.
func BenchmarkSnapshotStall(b *testing.B) {
	n := openTreasury(b, b.TempDir())
	defer n.stop()
	n.fill(b, *snapshotRecords)
	sink := make(replies, 1)
	probe := func() time.Duration {
		asked := time.Now()
		txn := &persistence.Txn{Adds: []persistence.Add{{Counter: "probe", Delta: 1, Max: math.MaxInt64}}}
		if err := n.journal.Propose(persistence.Proposal{Txn: txn, Sink: sink}); err != nil {
			b.Fatal(err)
		}
		if o := <-sink; o.Err != nil {
			b.Fatal(o.Err)
		}
		return time.Since(asked)
	}
	slowest := func(over func() bool) (worst time.Duration) {
		for !over() {
			worst = max(worst, probe())
		}
		return worst
	}
	var alone, beside, snapshots []time.Duration
	for b.Loop() {
		began := time.Now()
		alone = append(alone, slowest(func() bool { return time.Since(began) > time.Second }))
		began = time.Now()
		done := make(chan error, 1)
		go func() { done <- n.consensus.Snapshot(context.Background()) }()
		beside = append(beside, slowest(func() bool { return len(done) == 1 }))
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		snapshots = append(snapshots, time.Since(began))
	}
	report := func(what string, took []time.Duration) {
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, what+"-median-ms")
		b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, what+"-max-ms")
	}
	report("alone", alone)
	report("beside", beside)
	report("snapshot", snapshots)
}

// fill commits records, 4,096 in flight.
func (n *treasury) fill(tb testing.TB, records int) {
	tb.Helper()
	sink := make(replies, 4096)
	waiting := 0
	await := func(most int) {
		for ; waiting > most; waiting-- {
			if o := <-sink; o.Err != nil {
				tb.Fatal(o.Err)
			}
		}
	}
	for i := range uint64(records) {
		await(cap(sink) - 1)
		if err := n.journal.Propose(persistence.Proposal{Txn: append1(i), Sink: sink, Token: i}); err != nil {
			tb.Fatal(err)
		}
		waiting++
	}
	await(0)
}

// TestManySmallEntriesAreNotReplayed: they are few bytes and take long.
func TestManySmallEntriesAreNotReplayed(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.SnapshotEntries, cfg.TrailingLogs = 50, 8
	n := start(t, cfg, cluster.TCP{})
	n.ready(t)
	n.apply(t, numbered(1, 60)...)
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		info, err := cluster.ReadSnapshot(cfg.Dir, func(_ cluster.SnapshotInfo, state io.Reader) error {
			_, err := io.Copy(io.Discard, state)
			return err
		})
		if err == nil && info.Index >= 50 {
			return
		}
		if time.Since(began) > 30*time.Second {
			t.Fatalf("the newest raft snapshot is %+v, %v", info, err)
		}
	}
}
