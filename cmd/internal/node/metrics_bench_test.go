package node_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/the-block/bursar/monitoring"
)

// manyActors is how many live actors a node is scraped with.
const manyActors = 100_000

// crowded is a node with as many actors, each of which has had a message.
func crowded(b *testing.B) *member {
	b.Helper()
	m, err := beginWith(counters(b), config(b.TempDir()))
	mustDo(b, err)
	b.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections() // one that was never used keeps the port open
		if err := m.stop(); err != nil {
			b.Error(err)
		}
	})
	for m.node.Ready() != nil {
		time.Sleep(time.Millisecond)
	}
	cluster := m.node.Cluster()
	slots := make(chan struct{}, 256)
	for i := range manyActors {
		slots <- struct{}{}
		cluster.Go(time.Now().Add(time.Minute), at(fmt.Sprint("crowd-", i)), add{1}, func(_ any, err error) {
			if err != nil {
				b.Error(err)
			}
			<-slots
		})
	}
	for range cap(slots) {
		slots <- struct{}{}
	}
	return m
}

// scrape asks a node for its metrics in one of the forms that Prometheus takes.
func scrape(b *testing.B, m *member, accept string) (status int, body []byte) {
	b.Helper()
	request, err := http.NewRequest(http.MethodGet, m.url("/metrics"), http.NoBody)
	mustDo(b, err)
	request.Header.Set("Accept", accept)
	request.Header.Set("Accept-Encoding", "identity")
	answer, err := http.DefaultClient.Do(request)
	mustDo(b, err)
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	mustDo(b, err)
	return answer.StatusCode, body
}

// BenchmarkScrape is a scrape of a node with 100,000 live actors, and what ten Prometheuses
// that scrape every 100 ms cost it.
func BenchmarkScrape(b *testing.B) {
	m := crowded(b)
	for name, accept := range map[string]string{
		"text": "text/plain;version=0.0.4", "openmetrics": "application/openmetrics-text;version=1.0.0",
		"protobuf": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
	} {
		b.Run(name, func(b *testing.B) {
			var body []byte
			for b.Loop() {
				_, body = scrape(b, m, accept)
			}
			b.ReportMetric(float64(len(body))/1024, "KiB")
			if name == "text" {
				series := 0
				for line := range bytes.Lines(body) {
					if line[0] != '#' {
						series++
					}
				}
				b.ReportMetric(float64(series), "series")
				if series > monitoring.SeriesMax || len(body) > 300<<10 {
					b.Errorf("%d series in %d bytes", series, len(body))
				}
			}
		})
	}
	// Those who scrape within a second share a walk over all actors; this one makes its own.
	b.Run("withAWalk", func(b *testing.B) {
		var used time.Duration
		for b.Loop() {
			b.StopTimer()
			time.Sleep(1100 * time.Millisecond)
			began := processorTime(b)
			b.StartTimer()
			scrape(b, m, "text/plain")
			used += processorTime(b) - began
		}
		b.ReportMetric(float64(used)/float64(b.N), "cpu-ns/op")
	})
	b.Run("tenEvery100ms", func(b *testing.B) {
		for b.Loop() {
			var wg sync.WaitGroup
			var answered, refused atomic.Int64
			began, used := time.Now(), processorTime(b)
			for range 10 {
				wg.Go(func() {
					for tick := range 50 {
						time.Sleep(time.Until(began.Add(time.Duration(tick) * 100 * time.Millisecond)))
						if status, _ := scrape(b, m, "text/plain"); status == http.StatusOK {
							answered.Add(1)
						} else {
							refused.Add(1)
						}
					}
				})
			}
			wg.Wait()
			elapsed := time.Since(began)
			b.ReportMetric(float64(processorTime(b)-used)/float64(elapsed), "cores")
			b.ReportMetric(float64(answered.Load()), "answered")
			b.ReportMetric(float64(refused.Load()), "refused")
		}
	})
}
