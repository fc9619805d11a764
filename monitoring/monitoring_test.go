package monitoring_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/monitoring"
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
		States:          map[messages.State]uint64{messages.Draft: 3, messages.Finalized: 1},
		Entered:         map[messages.State]uint64{messages.Finalized: 7},
		ExecutionErrors: map[string]uint64{"insufficient_funds": 2, "made up": 5},
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

func TestMetricsHoldTheSourcesFigures(t *testing.T) {
	server := newServer(t, monitoring.Sources{Treasury: treasury})
	text := get(server, "/metrics").Body.String()
	for _, line := range []string{
		"treasury_balance 1.234567e+06",
		"bursar_epoch 42",
		`governance_disbursements_total{status="finalized"} 7`,
		`governance_disbursements_total{status="voting"} 0`,
		`treasury_disbursement_backlog{status="draft"} 3`,
		`bursar_treasury_disbursements{status="finalized"} 1`,
		`treasury_execution_errors_total{reason="insufficient_funds"} 2`,
		`treasury_execution_errors_total{reason="other"} 5`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("/metrics lacks the line %s", line)
		}
	}
	if strings.Contains(text, "made up") || strings.Contains(text, `backlog{status="finalized"}`) {
		t.Error("/metrics holds a label value outside its list")
	}
}

// hostile returns sources that tell far more than there is room for.
func hostile() monitoring.Sources {
	wide := monitoring.Histogram{Bounds: make([]float64, 40), Counts: make([]uint64, 41)}
	for i := range wide.Bounds {
		wide.Bounds[i] = float64(i)
	}
	garbage := func(i int) string { return fmt.Sprintf("\xff\x00 %d", i) }
	counts := make(map[string]uint64)
	var nodes []monitoring.Member
	codes := make(map[messages.Code]uint64)
	var methods []monitoring.Method
	var kinds []monitoring.Kind
	var actors []monitoring.Actor
	var breakers monitoring.Breakers
	breakers.Trips = counts
	for i := range 10_000 {
		counts[garbage(i)], codes[messages.Code(-i)] = 1, 1
		nodes = append(nodes, monitoring.Member{
			Name: messages.NodeID(garbage(i)), State: garbage(i), Voter: true, Leader: i == 0, Self: i == 5000, RTT: 1, Linked: true,
		})
		methods = append(methods, monitoring.Method{Name: garbage(i), OK: 1, Refused: 1, Failed: 1})
		kinds = append(kinds, monitoring.Kind{Name: garbage(i), Messages: 1, Wait: wide, Processing: wide})
		actors = append(actors, monitoring.Actor{Path: garbage(i), Messages: 1})
		breakers.Counts = append(breakers.Counts, monitoring.BreakerCount{
			Kind: garbage(i), Scope: garbage(i % 7), State: garbage(i % 11), Count: 1,
		})
		breakers.NotClosed = append(breakers.NotClosed,
			monitoring.Breaker{Path: garbage(i), Scope: "own", State: "open"},
			monitoring.Breaker{Path: fmt.Sprintf("\xfe\x00 %d", i), Scope: "own", State: "open"})
	}
	return monitoring.Sources{
		Node:  monitoring.Node{Name: "n1", Role: "observer"},
		Ready: func() error { return errors.New("never") },
		Treasury: func() monitoring.Treasury {
			return monitoring.Treasury{ExecutionErrors: counts, DependencyFailures: counts}
		},
		Executor: func() (monitoring.Executor, bool) { return monitoring.Executor{Lag: wide, Tick: wide}, true },
		RPC:      func() monitoring.RPC { return monitoring.RPC{Methods: methods, Refusals: codes} },
		Journal:  func() monitoring.Journal { return monitoring.Journal{BatchTxns: wide, CommitSeconds: wide} },
		Cluster: func() monitoring.Cluster {
			return monitoring.Cluster{Nodes: nodes, Moves: counts, Peers: monitoring.Peers{Methods: methods}}
		},
		Actors:   func() monitoring.Actors { return monitoring.Actors{Kinds: kinds, Busiest: actors} },
		Breakers: func() monitoring.Breakers { return breakers },
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

func TestNoFamilyExceedsItsCeilingWhateverIsThrownAtIt(t *testing.T) {
	gathered := gather(t, newServer(t, hostile()))
	ceilings := monitoring.RuntimeSeriesMax
	for _, family := range monitoring.Families() {
		ceilings += family.SeriesMax
		got, ok := gathered[family.Name]
		if !ok {
			t.Errorf("%s is declared and never exported", family.Name)
			continue
		}
		if n := seriesOf(got); n > family.SeriesMax {
			t.Errorf("%s has %d series, its ceiling is %d", family.Name, n, family.SeriesMax)
		}
		delete(gathered, family.Name)
	}
	if ceilings > monitoring.SeriesMax {
		t.Errorf("the ceilings add up to %d, over %d", ceilings, monitoring.SeriesMax)
	}
	var runtime int
	for name, family := range gathered {
		if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s is exported and not declared", name)
		}
		runtime += seriesOf(family)
	}
	if runtime > monitoring.RuntimeSeriesMax {
		t.Errorf("the runtime has %d series, over %d", runtime, monitoring.RuntimeSeriesMax)
	}
}

func TestSumsOverActorsAndMethodsStayExact(t *testing.T) {
	gathered := gather(t, newServer(t, hostile()))
	for name, want := range map[string]float64{
		"bursar_actor_messages_total":  10_000,
		"bursar_actors_messages_total": 10_000,
		"bursar_rpc_requests_total":    30_000,
		"bursar_rpc_refusals_total":    10_000,
		"bursar_peers_requests_total":  30_000,
		"bursar_cluster_moves_total":   10_000,
		"bursar_cluster_members":       10_000,

		"bursar_supervision_breaker_trips_total": 10_000,
		"bursar_supervision_breakers":            10_000,
	} {
		var got float64
		for _, metric := range gathered[name].GetMetric() {
			got += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
		if got != want {
			t.Errorf("%s sums to %v, want %v", name, got, want)
		}
	}
}

func TestHistogramsMergeBucketsAndKeepTheirSums(t *testing.T) {
	txns := monitoring.Histogram{Sum: 99} // 40 bounds: 1, 2, 3 ...
	commit := monitoring.Histogram{Sum: 9, Bounds: []float64{1e-6, 1e-3, 1, 100}, Counts: []uint64{1, 2, 3, 4, 5}}
	for i := range 40 {
		txns.Bounds = append(txns.Bounds, float64(i+1))
		txns.Counts = append(txns.Counts, 1)
	}
	txns.Counts = append(txns.Counts, 5)
	sources := monitoring.Sources{Journal: func() monitoring.Journal {
		return monitoring.Journal{BatchTxns: txns, CommitSeconds: commit}
	}}
	text := get(newServer(t, sources), "/metrics").Body.String()
	for _, line := range []string{
		`bursar_journal_batch_txns_bucket{le="3"} 3`,
		`bursar_journal_batch_txns_bucket{le="39"} 39`,
		`bursar_journal_batch_txns_bucket{le="+Inf"} 45`,
		`bursar_journal_batch_txns_sum 99`,
		`bursar_journal_batch_txns_count 45`,
		`bursar_journal_commit_seconds_bucket{le="0.001"} 3`,
		`bursar_journal_commit_seconds_bucket{le="1"} 6`,
		`bursar_journal_commit_seconds_bucket{le="+Inf"} 15`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("/metrics lacks the line %s", line)
		}
	}
	if n := strings.Count(text, "bursar_journal_batch_txns_bucket"); n > monitoring.BoundsMax+1 {
		t.Errorf("%d buckets are exported, over %d and +Inf", n, monitoring.BoundsMax)
	}
	if n := strings.Count(text, "bursar_journal_commit_seconds_bucket"); n != 3 {
		t.Errorf("%d buckets of a latency are exported, want those within reason and +Inf", n)
	}
}

func TestPageShowsTheNodeAndEscapesWhatUsersWrote(t *testing.T) {
	server := newServer(t, monitoring.Sources{
		Node:     monitoring.Node{Name: "n1", Role: "primary", Version: "v1", Started: time.Now()},
		Treasury: treasury,
		Latest: func(n int) []monitoring.Payment {
			return []monitoring.Payment{{
				ID: 7, Destination: "tb1abc", Amount: 5000, State: messages.Draft,
				Memo: `<script>alert("paid")</script>`,
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

func TestBreakersAreShownByKindScopeAndState(t *testing.T) {
	server := newServer(t, monitoring.Sources{Breakers: func() monitoring.Breakers {
		return monitoring.Breakers{
			Counts: []monitoring.BreakerCount{
				{Kind: "shard", Scope: "cell", State: "open", Count: 2},
				{Kind: "shard", Scope: "own", State: "closed", Count: 64},
			},
			Trips:     map[string]uint64{"shard": 3},
			NotClosed: []monitoring.Breaker{{Path: "/treasury/shard-07/disbursement-7", Scope: "cell", State: "open"}},
		}
	}})
	page := get(server, "/metrics").Body.String()
	for _, line := range []string{
		`bursar_supervision_breakers{kind="shard",scope="cell",state="open"} 2`,
		`bursar_supervision_breakers{kind="shard",scope="own",state="closed"} 64`,
		`bursar_supervision_breaker_trips_total{kind="shard"} 3`,
		`bursar_supervision_breaker_not_closed{actor="/treasury/shard-07/disbursement-7",scope="cell",state="open"} 1`,
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("/metrics lacks %s", line)
		}
	}
}
