package nodebench_test

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/the-block/bursar/bench"
	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
	"github.com/the-block/bursar/persistence"
)

var (
	epochRecords = flag.Int("epoch-records", 100_000, "how many open disbursements BenchmarkEpoch goes up to")
	soakFor      = flag.Duration("soak", 0, "how long TestSoak loads a node; 0 skips it")
	soakNew      = flag.Int("soak-new", 200, "how many disbursements a second TestSoak creates")
)

// bareJournal is log, Store and journal in this process, without wire and actors.
type bareJournal struct {
	journal *persistence.Journal
	ended   chan struct{} // one for each outcome
	failed  atomic.Int64
	next    uint64
}

func openJournal(tb testing.TB) *bareJournal {
	tb.Helper()
	dir := tb.TempDir()
	store, err := persistence.Open(filepath.Join(dir, "store"), persistence.DefaultStoreConfig())
	if err != nil {
		tb.Fatal(err)
	}
	cfg := cluster.DefaultConfig()
	cfg.Node, cfg.Dir, cfg.RaftAddr = "n1", dir, "127.0.0.1:0"
	fsm := cluster.ForFSM(persistence.NewFSM(store))
	consensus, err := cluster.OpenConsensus(cfg, fsm, cluster.TCP{}, func(err error) { panic(err) }, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	journal, err := persistence.NewJournal(persistence.DefaultJournalConfig(), consensus)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- consensus.Run(ctx) }()
	go func() { ended <- journal.Run(ctx) }()
	tb.Cleanup(func() {
		journal.Close()
		if err := <-ended; err != nil { // the journal's: the other waits for ctx
			tb.Error(err)
		}
		cancel()
		<-ended
		if err := errors.Join(consensus.Close(context.Background()), store.Close()); err != nil {
			tb.Error(err)
		}
	})
	for state, changed := consensus.Watch(); !state.Ready; state, changed = consensus.Watch() {
		<-changed
	}
	return &bareJournal{journal: journal, ended: make(chan struct{}, 1<<16)}
}

// Committed implements persistence.Sink.
func (j *bareJournal) Committed(outcomes []persistence.Outcome) {
	for _, o := range outcomes {
		if o.Err != nil || o.Result.Status != persistence.Committed {
			j.failed.Add(1)
		}
		j.ended <- struct{}{}
	}
}

// perSecond has records of 200 bytes with request ids committed, inFlight at a time.
func (j *bareJournal) perSecond(tb testing.TB, inFlight int, duration time.Duration) float64 {
	tb.Helper()
	propose := func() {
		value := make([]byte, 200)
		binary.LittleEndian.PutUint64(value, j.next)
		j.next++
		txn := &persistence.Txn{
			Appends:   []persistence.Append{{Table: 1, Tag: 1, Value: value}},
			RequestID: fmt.Sprintf("request-%d", j.next), PayloadHash: [16]byte{1},
		}
		if err := j.journal.Propose(persistence.Proposal{Txn: txn, Sink: j}); err != nil {
			tb.Fatal(err)
		}
	}
	for range inFlight {
		propose()
	}
	began := time.Now()
	n := 0
	for ; time.Since(began) < duration; n++ {
		<-j.ended
		propose()
	}
	took := time.Since(began)
	for range inFlight {
		<-j.ended
	}
	if failed := j.failed.Load(); failed > 0 {
		tb.Fatalf("%d did not commit", failed)
	}
	return float64(n) / took.Seconds()
}

// BenchmarkShareOfTheJournal has a node take submissions over the wire and a bare journal
// commit records of their size in turns, on the same disk, and tells the share of the first.
func BenchmarkShareOfTheJournal(b *testing.B) {
	const turn = 2 * time.Second
	for _, inFlight := range []int{256, 4096} {
		b.Run(fmt.Sprintf("in-flight=%d", inFlight), func(b *testing.B) {
			n, journal := startNode(b, "--epoch-interval", "1h"), openJournal(b)
			var submissions, bare []float64
			for b.Loop() {
				cfg := bench.Config{Connections: 1, InFlight: inFlight, Warmup: time.Second / 2, Duration: turn}
				run := fmt.Sprintf("share-%d", len(bare))
				submissions = append(submissions, n.run(b, bench.Submissions(cfg, run)).PerSecond)
				bare = append(bare, journal.perSecond(b, inFlight, turn))
			}
			slices.Sort(submissions)
			slices.Sort(bare)
			median, of := submissions[len(submissions)/2], bare[len(bare)/2]
			b.ReportMetric(median, "submissions/s")
			b.ReportMetric(of, "bare/s")
			b.ReportMetric(100*median/of, "%-of-bare")
		})
	}
}

// BenchmarkEpoch advances the epoch of a node that holds a thousand open disbursements, and
// then ever more of them: what an epoch takes the caller, and the node's processors.
func BenchmarkEpoch(b *testing.B) {
	n := startNode(b, "--epoch-interval", "1h")
	client, err := wire.Dial(b.Context(), n.rpc())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	held := 0
	for records := 1000; records <= *epochRecords; records *= 10 {
		submit(b, client, held, records)
		held = records
		b.Run(fmt.Sprintf("open=%d", records), func(b *testing.B) {
			var took []time.Duration
			cpu := n.processor(b)
			for b.Loop() {
				asked := time.Now()
				if err := client.Call(b.Context(), messages.MethodEpochAdvance, new(messages.NoParams), nil); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(asked))
			}
			cpu = n.processor(b) - cpu
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
			b.ReportMetric(float64(cpu.Microseconds())/float64(len(took)), "cpu-us/epoch")
		})
	}
}

// submit makes disbursements from, to of them that do not fall due.
func submit(tb testing.TB, client *wire.Client, from, to int) {
	tb.Helper()
	cfg := bench.Submissions(bench.Config{}, "records")
	answers := make(chan error, 1024)
	waiting := 0
	await := func(most int) {
		for ; waiting > most; waiting-- {
			if err := <-answers; err != nil {
				tb.Fatal(err)
			}
		}
	}
	for i := from; i < to; i++ {
		await(cap(answers) - 1)
		client.Go(cfg.Method, cfg.Call(uint64(i)), func(r wire.Reply) { answers <- r.Err })
		waiting++
	}
	await(0)
}

// TestSoak loads a node with new submissions, repeated ones and reads, and tells every
// minute what it holds: memory may grow with the records, goroutines not at all. Without
// new ones (-soak-new 0) nothing may grow.
func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("a measurement that takes as long as it is told: -soak 10m runs it")
	}
	n := startNode(t, "--epoch-interval", "10s")
	cfg := func(rate int, duration time.Duration) bench.Config {
		return bench.Config{Connections: 2, InFlight: 512, Rate: rate, Duration: duration}
	}
	began := time.Now()
	records := 1000 // those that are repeated
	for minute := 0; time.Since(began) < *soakFor; minute++ {
		const while = time.Minute
		loads := []bench.Config{
			repeated(bench.Submissions(cfg(1000, while), "repeated"), 1000),
			bench.Reads(cfg(2000, while), 1),
		}
		if *soakNew > 0 {
			loads = append(loads, bench.Submissions(cfg(*soakNew, while), fmt.Sprintf("soak-%d", minute)))
			records += *soakNew * int(while.Seconds())
		}
		answered := make(chan *bench.Result, len(loads))
		for _, load := range loads {
			go func() { answered <- n.run(t, load) }()
		}
		for range loads {
			result := <-answered
			for code, count := range result.Refused {
				t.Logf("%d refused: %s", count, code)
			}
		}
		t.Logf("minute %2d: %6d records, resident %5.0f MiB, heap in use %5.0f MiB, %3.0f goroutines, %3.0f files",
			minute+1, records, n.resident(t), n.metric(t, "go_memstats_heap_inuse_bytes")/(1<<20),
			n.metric(t, "go_goroutines"), n.metric(t, "process_open_fds"))
	}
}

// repeated makes a load come again from its beginning after every calls.
func repeated(cfg bench.Config, every uint64) bench.Config {
	call := cfg.Call
	cfg.Call = func(n uint64) messages.Params { return call(n % every) }
	return cfg
}
