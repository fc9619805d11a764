package cluster_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/persistence"
)

// treasury is a lone voter with the real Store and journal.
type treasury struct {
	consensus *cluster.Consensus
	journal   *persistence.Journal
	store     *persistence.Store
	stop      func()
}

func openTreasury(t testing.TB, dir string) *treasury {
	t.Helper()
	store, err := persistence.Open(dir+"/store", persistence.DefaultStoreConfig())
	if err != nil {
		t.Fatal(err)
	}
	cfg := cluster.DefaultConfig()
	cfg.Node, cfg.Dir, cfg.RaftAddr = "n1", dir, "127.0.0.1:0"
	fatal := func(err error) { panic(err) }
	c, err := cluster.OpenConsensus(cfg, cluster.ForFSM(persistence.NewFSM(store)), cluster.TCP{}, fatal, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	journal, err := persistence.NewJournal(persistence.DefaultJournalConfig(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- c.Run(ctx) }()
	go func() { ended <- journal.Run(ctx) }()
	stop := func() {
		journal.Close()
		if err := <-ended; err != nil { // the journal's: the other waits for ctx
			t.Error(err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
	for {
		state, changed := c.Watch()
		if state.Ready {
			break
		}
		<-changed
	}
	return &treasury{c, journal, store, stop}
}

// replies is a sink that gives back a token for each outcome.
type replies chan persistence.Outcome

func (r replies) Committed(outcomes []persistence.Outcome) {
	for _, o := range outcomes {
		r <- o
	}
}

// append1 is a transaction that appends one record of 200 bytes.
func append1(seq uint64) *persistence.Txn {
	value := make([]byte, 200)
	binary.LittleEndian.PutUint64(value, seq)
	return &persistence.Txn{
		Appends:   []persistence.Append{{Table: persistence.Table(1), Tag: 1, Value: value}},
		RequestID: fmt.Sprintf("request-%d", seq), PayloadHash: [16]byte{1},
	}
}

// BenchmarkJournal has b.N small transactions committed, flying at a time, each
// fsynced and applied before its proposer hears of it.
func BenchmarkJournal(b *testing.B) {
	for _, flying := range []int{1, 16, 256, 4096} {
		b.Run(fmt.Sprintf("flying=%d", flying), func(b *testing.B) {
			n := openTreasury(b, b.TempDir())
			defer n.stop()
			sink := make(replies, flying)
			sent := make([]time.Time, b.N)
			took := make([]time.Duration, 0, b.N)
			propose := func(i int) {
				sent[i] = time.Now()
				if err := n.journal.Propose(persistence.Proposal{Txn: append1(uint64(i)), Sink: sink, Token: uint64(i)}); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			next := 0
			for ; next < min(flying, b.N); next++ {
				propose(next)
			}
			for range b.N {
				o := <-sink
				if o.Err != nil || o.Result.Status != persistence.Committed {
					b.Fatal(o)
				}
				took = append(took, time.Since(sent[o.Token]))
				if next < b.N {
					propose(next)
					next++
				}
			}
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "txn/s")
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
		})
	}
}

// BenchmarkBoot opens a node with 100,000 records in its log, none of them in a Raft
// snapshot yet, until it is ready: what follows a kill -9 at the worst moment.
func BenchmarkBoot(b *testing.B) {
	const records = 100_000
	dir := b.TempDir()
	n := openTreasury(b, dir)
	sink := make(replies, records)
	known := 0 // outcomes received
	for i := range uint64(records) {
		p := persistence.Proposal{Txn: append1(i), Sink: sink, Token: i}
		err := n.journal.Propose(p)
		for ; errors.Is(err, persistence.ErrOverloaded); err = n.journal.Propose(p) {
			<-sink // one goes, one comes
			known++
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	for ; known < records; known++ {
		<-sink
	}
	n.stop()
	b.ResetTimer()
	for range b.N {
		n = openTreasury(b, dir)
		b.StopTimer()
		if got := n.store.Last(1); got != records {
			b.Fatalf("%d records, want %d", got, records)
		}
		n.stop()
		b.StartTimer()
	}
}
