package breaker_test

import (
	"testing"
	"time"

	"github.com/the-block/bursar/supervision/breaker"
)

var start = time.Unix(1_700_000_000, 0)

func newBreaker(tb testing.TB, cfg breaker.Config) *breaker.Breaker {
	tb.Helper()
	return newBreakerAt(tb, cfg, start)
}

func newBreakerAt(tb testing.TB, cfg breaker.Config, now time.Time) *breaker.Breaker {
	tb.Helper()
	b, err := breaker.New("/guard", cfg, now)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func BenchmarkAdmitClosed(b *testing.B) {
	br := newBreaker(b, breaker.DefaultConfig())
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := br.Admit(); !ok {
			b.Fatal("refused")
		}
	}
}

func BenchmarkAdmitWithoutCell(b *testing.B) {
	var br *breaker.Breaker
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := br.Admit(); !ok {
			b.Fatal("refused")
		}
	}
}

func BenchmarkRejectOpen(b *testing.B) {
	now := time.Now()
	br := newBreakerAt(b, breaker.DefaultConfig(), now)
	br.Trip(breaker.FailureRate, now)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := br.Admit(); ok {
			b.Fatal("admitted")
		}
	}
}

func BenchmarkSuccess(b *testing.B) {
	now := time.Now()
	br := newBreakerAt(b, breaker.DefaultConfig(), now)
	tok, _ := br.Admit()
	b.ReportAllocs()
	for b.Loop() {
		br.Success(tok, now)
	}
}

func BenchmarkRetryAfter(b *testing.B) {
	now := time.Now()
	br := newBreakerAt(b, breaker.DefaultConfig(), now)
	br.Trip(breaker.FailureRate, now)
	b.ReportAllocs()
	for b.Loop() {
		br.RetryAfter(start)
	}
}

// BenchmarkScenario is calls of which every tenth fails, from as many threads as
// -cpu says: one operation is one Admit and its outcome. The time is given, as it
// is where an actor reads the clock once a batch.
func BenchmarkScenario(b *testing.B) {
	now := time.Now()
	br := newBreakerAt(b, breaker.DefaultConfig(), now)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 1; pb.Next(); i++ {
			tok, ok := br.Admit()
			switch {
			case !ok:
				b.Error("refused")
			case i%10 == 0:
				br.Failure(tok, now)
			default:
				br.Success(tok, now)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mop/s")
}
