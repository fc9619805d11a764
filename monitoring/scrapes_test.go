package monitoring_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/the-block/bursar/monitoring"
)

// TestScrapersBeyondTheLimitGetTheLastRendering: none is turned away, and none costs more.
func TestScrapersBeyondTheLimitGetTheLastRendering(t *testing.T) {
	var mu sync.Mutex
	rendered, hold := 0, make(chan struct{})
	holding := false
	entered := make(chan struct{}, 100)
	metrics := monitoring.NewScrapes(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		rendered++
		waits := holding
		mu.Unlock()
		if entered <- struct{}{}; waits {
			<-hold
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("up 1\n"))
	}))
	scrape := func(accept string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		metrics.ServeHTTP(w, r)
		return w
	}
	scrape("text/plain")
	<-entered
	mu.Lock()
	holding = true
	mu.Unlock()
	var slow sync.WaitGroup
	for range monitoring.ScrapesMax {
		slow.Go(func() { scrape("text/plain") })
		<-entered
	}
	for range 10 {
		if got := scrape("text/plain"); got.Code != http.StatusOK || got.Body.String() != "up 1\n" || got.Header().Get("Content-Type") != "text/plain" {
			t.Fatalf("got %d, %q", got.Code, got.Body)
		}
	}
	other := make(chan *httptest.ResponseRecorder)
	go func() { other <- scrape("application/openmetrics-text") }() // of which there is none yet
	close(hold)
	if got := <-other; got.Code != http.StatusOK {
		t.Errorf("got %d", got.Code)
	}
	slow.Wait()
	if want := 1 + monitoring.ScrapesMax + 1; rendered != want {
		t.Errorf("rendered %d times, want %d", rendered, want)
	}
}
