package bench_test

import (
	"context"
	"flag"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/the-block/bursar/bench"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
	"github.com/the-block/bursar/persistence"
)

var queueDelay = flag.Duration("queue-delay", 50*time.Millisecond, "QueueDelayMax of BenchmarkFlood's journal; 1h for none")

// narrow is a log that settles an entry each while, one after the other: what a slow disk
// or a far majority makes of a node whose processors have time.
type narrow struct {
	each    time.Duration
	entries chan *promise
}

type promise struct {
	txns    int
	done    chan struct{}
	results []persistence.Result
}

func (p *promise) Done() <-chan struct{}                  { return p.done }
func (p *promise) Applied() <-chan struct{}               { return p.done }
func (p *promise) Results() ([]persistence.Result, error) { return p.results, nil }

func (n *narrow) Apply(entry []byte) persistence.Future {
	txns, err := persistence.DecodeBatch(entry)
	if err != nil {
		panic(err)
	}
	p := &promise{txns: len(txns), done: make(chan struct{})}
	n.entries <- p
	return p
}

func (n *narrow) run() {
	for p := range n.entries {
		time.Sleep(n.each)
		for range p.txns {
			p.results = append(p.results, persistence.Result{Status: persistence.Committed, First: 1, Count: 1})
		}
		close(p.done)
	}
}

// teller is a node that has the journal decide: what it takes is answered once settled.
type teller struct {
	journal *persistence.Journal
	tokens  atomic.Uint64
	calls   sync.Map // token -> *wire.Call
}

func (t *teller) Serve(calls []*wire.Call) {
	for _, call := range calls {
		if err := t.propose(call); err != nil {
			call.Fail(messages.Errorf(messages.CodeOverloaded, "%v", err))
		}
	}
}

func (t *teller) propose(call *wire.Call) error {
	if err := t.journal.Admit(call.Received, call.Deadline); err != nil {
		return err
	}
	token := t.tokens.Add(1)
	t.calls.Store(token, call)
	err := t.journal.Propose(persistence.Proposal{
		Txn:      &persistence.Txn{Appends: []persistence.Append{{Table: 1, Value: make([]byte, 200)}}},
		Deadline: call.Deadline, Received: call.Received, Sink: t, Token: token,
	})
	if err != nil {
		t.calls.Delete(token)
	}
	return err
}

func (t *teller) Committed(outcomes []persistence.Outcome) {
	for _, o := range outcomes {
		call, _ := t.calls.LoadAndDelete(o.Token)
		if o.Err != nil {
			call.(*wire.Call).Fail(messages.Errorf(messages.CodeUnavailable, "%v", o.Err))
			continue
		}
		call.(*wire.Call).Reply(&messages.SubmitDisbursementResult{ID: 1})
	}
}

// BenchmarkFlood measures, over the wire, a journal in front of a log of 2,000 transactions
// a second: at capacity, with ten times as many coming whatever the answers are, and from
// a second after that on. It is one measurement of about 15 s, whatever b.N.
func BenchmarkFlood(b *testing.B) {
	const capacity, flood = 2000, 20_000
	cfg := persistence.DefaultJournalConfig()
	cfg.BatchTxns, cfg.QueueDelayMax = 32, *queueDelay
	log := &narrow{each: time.Second * 32 / capacity, entries: make(chan *promise, cfg.InFlight)}
	journal, err := persistence.NewJournal(cfg, log)
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- journal.Run(context.Background()) }()
	go log.run()
	defer func() {
		journal.Close()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		close(log.entries)
	}()
	addr := serve(b, &teller{journal: journal})
	run := func(inFlight, connections, rate int, duration time.Duration) *bench.Result {
		result, err := bench.Run(b.Context(), bench.Submissions(bench.Config{
			Addrs: []string{addr}, Connections: connections, InFlight: inFlight, Rate: rate,
			Warmup: time.Second, Duration: duration,
		}, "flood"))
		if err != nil {
			b.Fatal(err)
		}
		return result
	}
	for b.Loop() {
		atCapacity := run(128, 1, 0, 4*time.Second)
		before := heap()
		flooded := run(16_384, 4, flood, 4*time.Second)
		b.ReportMetric(float64(heap()-before)/(1<<20), "heap-MiB-more")
		after := run(1024, 1, capacity/2, time.Second)
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		b.ReportMetric(atCapacity.PerSecond, "capacity/s")
		b.ReportMetric(ms(atCapacity.P99), "capacity-p99-ms")
		b.ReportMetric(flooded.PerSecond, "admitted/s")
		b.ReportMetric(float64(flooded.Refused[messages.CodeOverloaded])/flooded.Took.Seconds(), "refused/s")
		b.ReportMetric(ms(flooded.P99), "flood-p99-ms")
		b.ReportMetric(ms(after.P99), "after-p99-ms")
		b.ReportMetric(float64(after.Refused[messages.CodeOverloaded]), "after-refused")
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
