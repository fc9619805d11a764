package node_test

import (
	"bufio"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/the-block/bursar/monitoring"
)

// samples reads the node's metrics: each series with its value.
func (m *member) samples(t *testing.T) map[string]float64 {
	t.Helper()
	_, text := m.get(t, "/metrics")
	all := make(map[string]float64)
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		series, value, ok := cutLast(lines.Text())
		if !ok || strings.HasPrefix(series, "#") {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		all[series] = v
	}
	return all
}

// counters reads what must never fall: counters, and all parts of histograms.
func (m *member) counters(t *testing.T) map[string]float64 {
	t.Helper()
	_, text := m.get(t, "/metrics")
	all := m.samples(t)
	maps.DeleteFunc(all, func(series string, _ float64) bool {
		name, _, _ := strings.Cut(series, "{")
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base, ok := strings.CutSuffix(name, suffix); ok && strings.Contains(text, "# TYPE "+base+" histogram\n") {
				return false
			}
		}
		return !strings.Contains(text, "# TYPE "+name+" counter\n")
	})
	return all
}

func cutLast(line string) (before, after string, ok bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 {
		return "", "", false
	}
	return line[:i], line[i+1:], true
}

func labelled(name, label string, values ...string) []string {
	var series []string
	for _, v := range values {
		series = append(series, fmt.Sprintf("%s{%s=%q}", name, label, v))
	}
	return series
}

func TestTheFixedMetricsAreThereUnderTheirNames(t *testing.T) {
	all := world.samples(t)
	states := []string{"draft", "voting", "queued", "timelocked", "executed", "finalized", "rolled_back"}
	var want []string
	want = append(want, labelled("governance_disbursements_total", "status", states...)...)
	want = append(want, labelled("treasury_disbursement_backlog", "status", states[:5]...)...)
	want = append(want, labelled("treasury_execution_errors_total", "reason", "insufficient_funds", "invalid_target", "stale_dependency",
		"circular_dependency", "execution_failed", "quorum_not_reached", "epoch_expired")...)
	want = append(want, labelled("treasury_dependency_failures_total", "failure_type", "circular", "missing", "stale",
		"rolled_back_dependency")...)
	want = append(want, "treasury_balance", "treasury_circuit_breaker_state", "treasury_circuit_breaker_failures",
		"treasury_circuit_breaker_successes", "treasury_disbursement_lag_seconds_count",
		"treasury_executor_tick_duration_seconds_count", `treasury_executor_active{role="primary"}`,
		`bursar_actors_active{kind="shard"}`, `bursar_rpc_requests_total{method="gov.treasury.balance",outcome="ok"}`)
	for _, series := range want {
		if _, ok := all[series]; !ok {
			t.Errorf("%s is missing", series)
		}
	}
}

func TestMetricsTellWhatHappened(t *testing.T) {
	m := start(t)
	c := dial(t, m)
	must(t, c, "gov.treasury.accrue", object{"amount": 100})
	advance(t, c)
	paid := submit(t, c, direct(40))
	awaitState(t, c, paid, "executed")
	waiting := submit(t, c, direct(1000))
	refused(t, c, missingDependency, "missing_dependency", "gov.treasury.submit_disbursement",
		direct(1, func(p object) { p["memo"] = "depends_on=999" }))
	refused(t, c, insufficientFunds, "insufficient_funds", "gov.treasury.execute_disbursement", object{"id": waiting})
	refused(t, c, methodNotFound, "method_not_found", "made.up.by.a.user", object{})
	all := m.samples(t)
	for series, want := range map[string]float64{
		`treasury_balance`: 60,
		`governance_disbursements_total{status="draft"}`:                                         2,
		`governance_disbursements_total{status="executed"}`:                                      1,
		`treasury_disbursement_backlog{status="draft"}`:                                          1,
		`treasury_disbursement_backlog{status="executed"}`:                                       1,
		`treasury_disbursement_lag_seconds_count`:                                                1,
		`treasury_circuit_breaker_state`:                                                         0,
		`treasury_executor_active{role="primary"}`:                                               1,
		`treasury_dependency_failures_total{failure_type="missing"}`:                             1,
		`bursar_rpc_requests_total{method="gov.treasury.submit_disbursement",outcome="ok"}`:      2,
		`bursar_rpc_requests_total{method="gov.treasury.submit_disbursement",outcome="refused"}`: 1,
		`bursar_rpc_requests_total{method="other",outcome="refused"}`:                            1,
		`bursar_rpc_refusals_total{code="missing_dependency"}`:                                   1,
		`bursar_rpc_refusals_total{code="method_not_found"}`:                                     1,
		`bursar_actors_active{kind="shard"}`:                                                     64,
		`bursar_ready`:                                                                           1,
	} {
		if got, ok := all[series]; !ok || got != want {
			t.Errorf("%s = %v, want %v", series, got, want)
		}
	}
	if all[`treasury_execution_errors_total{reason="insufficient_funds"}`] < 1 {
		t.Error("the payment without funds is not counted")
	}
}

// While disbursements and their actors come and go, no counter falls from one scrape to the
// next, and neither does any part of a histogram.
func TestNoCounterFallsUnderChurn(t *testing.T) {
	m := start(t)
	c := dial(t, m)
	must(t, c, "gov.treasury.accrue", object{"amount": 1_000_000})
	last := make(map[string]float64)
	const handled = `bursar_actors_messages_total{kind="shard"}`
	for looks := 0; looks < 4; { // all actors are looked at once a second at most
		for range 20 {
			id := submit(t, c, proposed())
			must(t, c, "gov.treasury.rollback_disbursement", object{"id": id, "reason": "churn"}) // its actor ends
			submit(t, c, direct(1))
		}
		advance(t, c)
		now := m.counters(t)
		if now[handled] != last[handled] {
			looks++
		}
		for series, v := range now {
			if v < last[series] {
				t.Errorf("%s falls from %v to %v", series, last[series], v)
			}
		}
		last = now
	}
	if len(last) < 100 {
		t.Errorf("only %d counters", len(last))
	}
}

// Whatever is thrown at it, a node exports less than 2,500 series, and nothing a
// user typed among them.
func TestSeriesAreBounded(t *testing.T) {
	m := start(t)
	c := dial(t, m)
	for i := range 400 {
		id := submit(t, c, proposed(func(p, d object) {
			p["title"], d["destination"], d["memo"] = fmt.Sprint("typed", i), fmt.Sprint("tb1typed", i), fmt.Sprint("typed", i)
		}))
		must(t, c, "gov.treasury.queue_disbursement", object{"id": id}) // loads an actor
		_, _ = c.call(t, fmt.Sprint("typed.", i), object{})
	}
	for range 2 {
		all := m.samples(t)
		if len(all) > monitoring.SeriesMax {
			t.Errorf("%d series", len(all))
		}
		for series := range all {
			if strings.Contains(series, "typed") {
				t.Errorf("%s holds what a user typed", series)
			}
		}
	}
}

// The sums over the actors are those over their kinds.
func TestTheBusiestActorsAndTheRestAddUp(t *testing.T) {
	m := start(t)
	c := dial(t, m)
	for range 300 {
		submit(t, c, later())
	}
	for range 2 {
		all := m.samples(t)
		var kinds, actors float64
		named, busyShards := 0, 0
		for series, v := range all {
			switch {
			case strings.HasPrefix(series, "bursar_actors_messages_total{"):
				kinds += v
			case strings.HasPrefix(series, "bursar_actor_messages_total{"):
				actors += v
				named++
				if strings.Contains(series, "/treasury/shard-") && v > 0 {
					busyShards++
				}
			}
		}
		if kinds == 0 || kinds != actors || named < 2 || named > 51 {
			t.Errorf("%v messages by kind, %v by %d actors", kinds, actors, named)
		}
		if _, ok := all[`bursar_actor_messages_total{actor="_other"}`]; !ok {
			t.Error("the rest is missing")
		}
		// 300 submissions are spread by chance: which shards are busiest is not ours to say.
		if busyShards < 20 {
			t.Errorf("only %d busy shards among the named", busyShards)
		}
	}
}
