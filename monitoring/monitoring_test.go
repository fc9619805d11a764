package monitoring_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/monitoring"
	"github.com/the-block/bursar/monitoring/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

func newServer(t *testing.T, sources monitoring.Sources) *monitoring.Server {
	t.Helper()
	if sources.Ready == nil {
		sources.Ready = func() error { return nil }
	}
	server, err := monitoring.New(monitoring.DefaultConfig(), sources, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func get(server *monitoring.Server, path string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	server.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil))
	return answer
}

func treasury() monitoring.Treasury {
	return monitoring.Treasury{
		Balance: 1_234_567, Epoch: 42, AppliedIndex: 9,
		States: map[messages.State]uint64{messages.Draft: 3, messages.Finalized: 1},
	}
}

func TestReadinessTellsTheReason(t *testing.T) {
	var notReady error
	server := newServer(t, monitoring.Sources{Ready: func() error { return notReady }})
	if got := get(server, "/readyz"); got.Code != http.StatusOK {
		t.Errorf("ready node answered %d", got.Code)
	}
	notReady = errors.New("no quorum since 12 s")
	got := get(server, "/readyz")
	if got.Code != http.StatusServiceUnavailable || got.Body.String() != "no quorum since 12 s\n" {
		t.Errorf("node without quorum answered %d %q", got.Code, got.Body)
	}
	if got := get(server, "/healthz"); got.Code != http.StatusOK {
		t.Errorf("the process lives and answered %d", got.Code)
	}
	if got := get(server, "/"); !strings.Contains(got.Body.String(), "no quorum since 12 s") {
		t.Error("the page does not tell why the node is not ready")
	}
}

func gather(t *testing.T, server *monitoring.Server) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := server.Registerer().(prometheus.Gatherer).Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]*dto.MetricFamily)
	for _, family := range families {
		byName[family.GetName()] = family
	}
	return byName
}

func seriesOf(family *dto.MetricFamily) int {
	var n int
	for _, metric := range family.GetMetric() {
		switch {
		case metric.GetHistogram() != nil:
			n += len(metric.GetHistogram().GetBucket()) + 3 // +Inf, sum and count
			if metric.GetHistogram().Schema != nil {
				n++ // a native histogram is one
			}
		case metric.GetSummary() != nil:
			n += len(metric.GetSummary().GetQuantile()) + 2
		default:
			n++
		}
	}
	return n
}

func TestPageShowsTheNodeAndEscapesWhatUsersWrote(t *testing.T) {
	server := newServer(t, monitoring.Sources{
		Node:     monitoring.Node{Name: "n1", Role: "primary", Version: "v1", Started: time.Now()},
		Treasury: treasury,
		Latest: func(n int) []monitoring.Payment {
			return []monitoring.Payment{{
				ID: 7, Destination: "tb1abc", Amount: 5000, State: messages.Draft,
				Note: `<script>alert("paid")</script>`,
			}}
		},
	})
	for _, path := range []string{"/", "/?part=main"} {
		body := get(server, path).Body.String()
		for _, text := range []string{"n1", "1\u2009234\u2009567", "tb1abc", "&lt;script&gt;alert"} {
			if !strings.Contains(body, text) {
				t.Errorf("GET %s lacks %q", path, text)
			}
		}
		if strings.Contains(body, "<script>alert") || strings.Contains(body, "ZgotmplZ") {
			t.Errorf("GET %s: user text reached the page as markup, or a value was filtered out", path)
		}
	}
	if got := get(server, "/nothing"); got.Code != http.StatusNotFound {
		t.Errorf("an unknown path answered %d", got.Code)
	}
}

func TestProfilesAreServedOnlyForDebugging(t *testing.T) {
	ready := monitoring.Sources{Ready: func() error { return nil }}
	for _, debug := range []bool{false, true} {
		cfg := monitoring.DefaultConfig()
		cfg.Debug = debug
		server, err := monitoring.New(cfg, ready, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if got := get(server, "/debug/pprof/").Code == http.StatusOK; got != debug {
			t.Errorf("debug %v: profiles served is %v", debug, got)
		}
	}
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	_, err := monitoring.New(monitoring.Config{}, monitoring.Sources{Ready: func() error { return nil }}, quiet)
	for _, key := range []string{"addr", "header_timeout", "request_timeout", "idle_timeout", "stop_timeout"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("error %v does not name %s", err, key)
		}
	}
	if _, err := monitoring.New(monitoring.DefaultConfig(), monitoring.Sources{}, quiet); err == nil {
		t.Error("a server without the source Ready was built")
	}
}

func TestRunServesUntilItsContextEnds(t *testing.T) {
	cfg := monitoring.DefaultConfig()
	cfg.Addr = "127.0.0.1:0"
	server, err := monitoring.New(cfg, monitoring.Sources{Ready: func() error { return nil }}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := server.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()

	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+server.Addr().String()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	if string(body) != "ok\n" {
		t.Errorf("/healthz answered %q", body)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run ended with %v", err)
	}
}

// figured are figures of each type, a row more than there may be among them.
type figured struct {
	Paid   atomic.Uint64     `metric:"paid_total" help:"Payments."`
	Commit metrics.Histogram `metric:"commit_seconds" help:"Time." le:"-2..2"`
	Rows   []colouredRow     `max:"2"`
}

type colouredRow struct {
	Colour string `label:"colour"`
	Depth  int    `metric:"depth" help:"What waits."`
}

func TestFiguresAreExported(t *testing.T) {
	f := &figured{Rows: []colouredRow{{"red", 1}, {"b\xffad\n", 2}, {"blue", 4}}}
	f.Paid.Add(7)
	for _, v := range []float64{0.25, 1.5, 3, 100} {
		f.Commit.Observe(v)
	}
	server := newServer(t, monitoring.Sources{Figures: []metrics.Source{metrics.From(func() *figured { return f })}})
	text := get(server, "/metrics").Body.String()
	for _, line := range []string{
		"paid_total 7", `depth{colour="red"} 1`, `depth{colour="other"} 6`,
		`commit_seconds_bucket{le="0.25"} 1`, `commit_seconds_bucket{le="1"} 1`, `commit_seconds_bucket{le="2"} 2`,
		`commit_seconds_bucket{le="4"} 3`, `commit_seconds_bucket{le="+Inf"} 4`, "commit_seconds_sum 104.75", "commit_seconds_count 4",
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("/metrics lacks the line %s", line)
		}
	}
	families := gather(t, server)
	h := families["commit_seconds"].GetMetric()[0].GetHistogram()
	if h.GetSchema() != 2 || h.GetSampleCount() != 4 || len(h.GetBucket()) != 5 || len(h.GetPositiveSpan()) == 0 {
		t.Errorf("beside the classic buckets there is no native histogram: %v", h)
	}
	runtime := 0
	for name, family := range families {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			runtime += seriesOf(family)
		}
	}
	if runtime == 0 || runtime > monitoring.RuntimeSeriesMax {
		t.Errorf("the runtime has %d series, want some, and at most %d", runtime, monitoring.RuntimeSeriesMax)
	}
}

// What a scraper asks for it gets: OpenMetrics, protobuf and compression too.
func TestFormatsAreNegotiated(t *testing.T) {
	server := newServer(t, monitoring.Sources{})
	for accept, want := range map[string]string{
		"": "text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0": "application/openmetrics-text; version=1.0.0",
		"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited": "application/vnd.google.protobuf",
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
		request.Header.Set("Accept", accept)
		request.Header.Set("Accept-Encoding", "gzip")
		answer := httptest.NewRecorder()
		server.Handler().ServeHTTP(answer, request)
		if got := answer.Header().Get("Content-Type"); !strings.HasPrefix(got, want) || answer.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("asked for %q and got %q, %v", accept, got, answer.Header())
		}
	}
}

// The page does not show all is well while nothing is paid.
func TestPageTellsWhyPaymentsStandStill(t *testing.T) {
	executor := monitoring.Executor{Node: "n1", Here: true, Due: 122, Breaker: "open", Trouble: "the executor's breaker is open: 503"}
	server := newServer(t, monitoring.Sources{Executor: func() monitoring.Executor { return executor }})
	for _, text := range []string{"payments stand still", "the executor&#39;s breaker is open: 503", "122 due", `<b class="no">open</b>`} {
		if body := get(server, "/?part=main").Body.String(); !strings.Contains(body, text) {
			t.Errorf("the page lacks %q", text)
		}
	}
	executor = monitoring.Executor{Node: "n2"}
	body := get(server, "/?part=main").Body.String()
	if strings.Contains(body, "stand still") || !strings.Contains(body, "on n2") {
		t.Error("the page does not say that the executor is elsewhere, and well as far as is known")
	}
}
