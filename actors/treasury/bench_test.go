package treasury_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// counting answers a benchmark's requests.
type counting struct {
	left chan struct{}
	fail func(*messages.Error)
}

func (c *counting) Reply(any)                { c.left <- struct{}{} }
func (c *counting) Fail(err *messages.Error) { c.fail(err); c.left <- struct{}{} }

// bench is a node's treasury in real time, on a log in memory that costs nothing.
func bench(b *testing.B, tune ...func(*world)) *world {
	b.Helper()
	w := newWorld(b, append(tune, func(w *world) { w.cfg.GraphShards = 64 })...)
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		w.ok(w.Stop(ctx))
		w.cancel()
		w.tasks.Wait()
		w.ok(w.system.Stop(ctx))
		w.ok(w.store.Close())
	})
	return w
}

// submitAll gives n submissions to the treasury, in bursts, and waits for the answers.
func (w *world) submitAll(b *testing.B, n int, p messages.Payload) {
	b.Helper()
	const burst = 128
	all := &counting{left: make(chan struct{}, 64*burst), fail: func(err *messages.Error) { b.Error(err) }}
	flight := 0
	for i := 0; i < n; {
		var list []treasury.Appendable
		for ; len(list) < burst && i < n; i++ {
			list = append(list, &treasury.Submission{Payload: p, Request: durable.Request{
				To: all, ID: fmt.Sprint("bench-", w.asked.Add(1)), Deadline: time.Now().Add(time.Minute),
			}})
		}
		w.Append(list)
		for flight += len(list); flight > 32*burst; flight-- {
			<-all.left
		}
	}
	for ; flight > 0; flight-- {
		<-all.left
	}
}

func BenchmarkSubmit(b *testing.B) {
	w := bench(b)
	b.ReportAllocs()
	b.ResetTimer()
	w.submitAll(b, b.N, payment(1, 1000))
}

// BenchmarkLife is a whole life: submitted, executed, finalized.
func BenchmarkLife(b *testing.B) {
	w := bench(b)
	w.funded(messages.Amount(b.N))
	result[*messages.EpochResult](w.advance())
	b.ReportAllocs()
	b.ResetTimer()
	w.submitAll(b, b.N, payment(1, 1))
	for w.Model().InState(messages.Executed)+w.Model().InState(messages.Finalized) < b.N {
		time.Sleep(time.Millisecond)
	}
	result[*messages.EpochResult](w.advance())
	for w.Model().InState(messages.Finalized) < b.N {
		time.Sleep(time.Millisecond)
	}
}

// BenchmarkRebuild builds the read model of 100,000 disbursements from the Store.
func BenchmarkRebuild(b *testing.B) {
	w := bench(b)
	w.submitAll(b, 100_000, payment(1, 1000))
	system, err := actors.New(actors.DefaultConfig(), slog.New(slog.DiscardHandler))
	w.ok(err)
	defer func() { w.ok(system.Stop(context.Background())) }()
	var journal *persistence.Journal
	for b.Loop() {
		b.StopTimer()
		host := durable.NewHost(w.cfg.Shards(), durable.On(system), w.store, journal, durable.ThisMachine())
		t, err := treasury.New(w.cfg, host, slog.New(slog.DiscardHandler))
		w.ok(err)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		b.StartTimer()
		go func() { done <- t.Follow(ctx) }()
		w.ok(t.Model().Wait(ctx, w.store.Applied()))
		b.StopTimer()
		cancel()
		w.ok(<-done)
		w.ok(t.Stop(context.Background()))
		b.StartTimer()
	}
}
