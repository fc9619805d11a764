package treasury_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/the-block/bursar/actors/treasury/chain"
	"github.com/the-block/bursar/actors/treasury/executor"
	"github.com/the-block/bursar/messages"
)

// distant is a way to a chain node on which each request and its answer take a while.
type distant struct {
	http.RoundTripper
	trip time.Duration
}

// RoundTrip implements http.RoundTripper.
func (d distant) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(d.trip)
	return d.RoundTripper.RoundTrip(r)
}

// BenchmarkOutside pays on an outside chain whose node is 50 ms away. A payment waits
// for its submission, its staging, the chain and its recording.
func BenchmarkOutside(b *testing.B) {
	a := &abroad{}
	a.world = bench(b, a.found, func(w *world) {
		cfg := chain.DefaultConfig()
		cfg.URL, cfg.Account = "http://chain.test/", a.account
		client, err := chain.New(cfg, distant{a.node.Transport(), 50 * time.Millisecond})
		w.ok(err)
		w.cfg.Outside = &executor.Outside{Chain: client, Signer: w.cfg.Outside.Signer}
	})
	a.funded(messages.Amount(b.N))
	result[*messages.EpochResult](a.advance())
	b.ResetTimer()
	a.submitAll(b, b.N, payment(1, 1))
	for a.Model().InState(messages.Executed) < b.N {
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "payments/s")
}
