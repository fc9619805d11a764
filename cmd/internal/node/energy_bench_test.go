package node_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/the-block/bursar/actors/energy/signing"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// providers registers n providers over one connection.
func providers(b *testing.B, c *wire.Client, n int) []*meter {
	b.Helper()
	list := make([]*meter, n)
	inFlight(b, 256, n, func(ctx context.Context, i int) error {
		signer := signing.NewSigner([32]byte{byte(i), byte(i >> 8), byte(i >> 16), 7})
		m := &meter{signer: signer, address: fresh("bench"), at: uint64(time.Now().Unix()) - 200}
		var result messages.RegisterProviderResult
		err := c.Call(ctx, messages.MethodRegisterProvider, &messages.RegisterProviderParams{Owner: "tb1bench", Capacity: 1e9,
			Price: 5, Jurisdiction: "DE", Meter: m.address, Stake: 1000, Key: signer.Public()}, &result)
		m.id = result.Provider
		list[i] = m
		return err
	})
	return list
}

// inFlight makes n calls, so many at a time.
func inFlight(b *testing.B, width, n int, call func(context.Context, int) error) {
	b.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	for range width {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := call(b.Context(), i); err != nil {
					b.Errorf("call %d: %v", i, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// Readings signed, verified, durable, acknowledged: one a call, 256 in flight, each from
// another oracle than the one before. The submitter is in the same process.
func BenchmarkReadings(b *testing.B) {
	c, err := wire.Dial(b.Context(), world.cfg.Address(node.PortRPC))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	list := providers(b, c, 4000)
	signed := make([]messages.Reading, b.N)
	for i := range signed {
		m := list[i%len(list)]
		m.nonce, m.kwh, m.at = m.nonce+1, m.kwh+3, m.at+1
		signed[i] = messages.Reading{Provider: m.id, Meter: m.address, KWh: m.kwh, Timestamp: m.at, Nonce: m.nonce}
		m.signer.SignReading(&signed[i])
	}
	b.ResetTimer()
	before := processorTime(b)
	inFlight(b, 256, b.N, func(ctx context.Context, i int) error {
		var result messages.SubmitReadingResult
		return c.Call(ctx, messages.MethodSubmitReading, &messages.SubmitReadingParams{Reading: signed[i]}, &result)
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "readings/s")
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-us/reading")
}

// processorTime is what this process has used so far: unlike the time that passes, it says
// something on a busy machine too.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// Oracles of which each reports once within a minute, as many as -benchtime says (100000x):
// what that takes of a core and of memory. Signer and submitter are in the
// same process.
func BenchmarkOracles(b *testing.B) {
	c, err := wire.Dial(b.Context(), world.cfg.Address(node.PortRPC))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	list := providers(b, c, b.N)
	used := heap()
	signed := make([]messages.Reading, b.N)
	for i, m := range list {
		signed[i] = messages.Reading{Provider: m.id, Meter: m.address, KWh: 3, Timestamp: uint64(time.Now().Unix()), Nonce: 1}
		m.signer.SignReading(&signed[i])
	}
	b.ResetTimer()
	before, began := processorTime(b), time.Now()
	inFlight(b, 64, b.N, func(ctx context.Context, i int) error {
		if b.N > 1 { // the first run only tells that it works
			time.Sleep(time.Until(began.Add(time.Duration(i) * time.Minute / time.Duration(b.N))))
		}
		var result messages.SubmitReadingResult
		return c.Call(ctx, messages.MethodSubmitReading, &messages.SubmitReadingParams{Reading: signed[i]}, &result)
	})
	b.ReportMetric(100*(processorTime(b)-before).Seconds()/time.Since(began).Seconds(), "%core")
	b.ReportMetric(used, "MiB-registered")
	b.ReportMetric(heap(), "MiB-reported")
}

// heap is what is in use, in MiB.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse+m.StackInuse) / (1 << 20)
}

// A page of 100 providers of 10,000.
func BenchmarkMarketState(b *testing.B) {
	c, err := wire.Dial(b.Context(), world.cfg.Address(node.PortRPC))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	providers(b, c, 10_000)
	for b.Loop() {
		var state messages.MarketStateResult
		if err := c.Call(b.Context(), messages.MethodMarketState, &messages.MarketStateParams{Page: messages.Page{Cursor: 5000, Limit: 100}}, &state); err != nil {
			b.Fatal(err)
		}
	}
}
