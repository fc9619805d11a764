package monitoring_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// promtool finds Prometheus' own judge of rules. CI sets REQUIRE_PROMTOOL; elsewhere, where
// there is none, what it would judge is left to CI.
func promtool(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("REQUIRE_PROMTOOL") != "" {
			t.Fatal("promtool is needed: apt-get install prometheus")
		}
		t.Skip("promtool is not installed (Debian: prometheus); CI runs this")
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", args[0], err, out)
	}
	return string(out)
}

func ruleFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"rules/*.yml", "alerts/*.yml"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatal(pattern, err)
		}
		files = append(files, found...)
	}
	return files
}

func TestPrometheusTakesTheRules(t *testing.T) {
	promtool(t, append([]string{"check", "rules"}, ruleFiles(t)...)...)
}

// rule is one rule of the pack, as it stands in its file.
type rule struct{ text string }

var (
	ruleStart  = regexp.MustCompile(`(?m)^      - (?:\{record: (\S+), labels: \{name: (\w+)\}|record: (\S+)$|alert: (\w+)$)`)
	references = regexp.MustCompile(`bursar:threshold\{name="(\w+)"\}|[a-z]+:[a-z_]+(?::[a-z0-9_]+)?`)
)

// rules are all rules by name; thresholds by "bursar:threshold" and theirs.
func rules(t *testing.T) map[string]rule {
	t.Helper()
	all := make(map[string]rule)
	for _, file := range ruleFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		starts := ruleStart.FindAllStringSubmatchIndex(string(text), -1)
		for i, at := range starts {
			end := len(text)
			if i+1 < len(starts) {
				end = starts[i+1][0]
			}
			block, _, _ := strings.Cut(string(text[at[0]:end]), "\n  - name:")
			m := ruleStart.FindStringSubmatch(block)
			all[m[1]+m[2]+m[3]+m[4]] = rule{strings.TrimRight(block, "\n") + "\n"}
		}
	}
	return all
}

// ruleFile writes the rules that one needs, and it, the needed ones first.
func ruleFile(t *testing.T, all map[string]rule, names ...string) string {
	t.Helper()
	var out strings.Builder
	out.WriteString("groups:\n  - name: needed\n    rules:\n")
	written := make(map[string]bool)
	var write func(name string)
	write = func(name string) {
		r, known := all[name]
		if !known || written[name] {
			return
		}
		written[name] = true
		_, body, _ := strings.Cut(r.text, "expr")
		for _, m := range references.FindAllStringSubmatch(body, -1) {
			if m[1] != "" {
				write("bursar:threshold" + m[1])
			} else {
				write(m[0])
			}
		}
		out.WriteString(r.text)
	}
	for _, name := range names {
		write(name)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// input is what nodes export over time, in minutes.
type input struct {
	series string // with labels; {i} is each of three instances
	// calm, edge and bad are the values of a gauge, or the growth a minute of a counter:
	// all is well, just not bad, bad.
	calm, edge, bad float64
	counter         bool
}

// alertCase makes one alert fire.
type alertCase struct {
	alert string
	after int // minutes from bad to firing, as told: its time, and what its condition looks back
	slack int // minutes more, for what was there before
	calm  int // minutes before it becomes bad
	in    []input
	each  bool // fires once a node, not once a cluster
}

func gauge(series string, calm, edge, bad float64) input {
	return input{series: series, calm: calm, edge: edge, bad: bad}
}

func growing(series string, calm, edge, bad float64) input {
	return input{series: series, calm: calm, edge: edge, bad: bad, counter: true}
}

const one, all = `cluster="c",instance="n1"`, `cluster="c",instance="{i}"`

// lag are the buckets of late payments: so many a minute above 4096 s, among ten.
func lag(calm, edge, bad float64) []input {
	const name = `treasury_disbursement_lag_seconds_bucket{cluster="c",instance="n1",le=`
	return []input{
		growing(name+`"1"}`, 10, 10-edge, 10-bad), growing(name+`"2896.3"}`, 10, 10, 10-bad),
		growing(name+`"4096"}`, 10, 10, 10-bad), growing(name+`"8192"}`, 10, 10, 10), growing(name+`"+Inf"}`, 10, 10, 10),
	}
}

var alertCases = []alertCase{
	{alert: "TreasuryCircuitBreakerOpen", after: 1, slack: 1, in: []input{gauge(`treasury_circuit_breaker_state{`+one+`}`, 0, 2, 1)}},
	{alert: "TreasuryExecutorDown", after: 2, slack: 1, in: []input{gauge(`treasury_executor_active{`+one+`}`, 1, 1, 0), gauge(`treasury_executor_active{cluster="c",instance="n2"}`, 0, 0, 0)}},
	{alert: "TreasuryBalanceCriticallyLow", after: 5, slack: 1, in: []input{gauge(`treasury_balance{`+all+`}`, 5e6, 1e6, 999_999)}},
	{alert: "TreasuryHighErrorRate", after: 6, slack: 6, in: []input{growing(`treasury_execution_errors_total{`+one+`,reason="execution_failed"}`, 0, 1, 3)}},
	{alert: "TreasuryBacklogHigh", after: 10, slack: 1, in: []input{gauge(`treasury_disbursement_backlog{`+all+`,status="draft"}`, 5, 60, 61), gauge(`treasury_disbursement_backlog{`+all+`,status="queued"}`, 5, 40, 40)}},
	{alert: "TreasuryDisbursementLagHigh", after: 15, slack: 16, calm: 30, in: lag(0, 10, 10)},
	{alert: "TreasuryDependencyFailuresHigh", after: 5, slack: 6, in: []input{growing(`treasury_dependency_failures_total{`+one+`,failure_type="missing"}`, 0, 0.5, 2)}},
	{alert: "TreasuryHealthWarning", after: 10, slack: 1, in: []input{gauge(`treasury_circuit_breaker_state{`+one+`}`, 0, 0, 1), gauge(`treasury_executor_active{`+one+`}`, 1, 1, 1)}},
	{alert: "TreasuryCapacityHigh", after: 19, slack: 3, in: []input{growing(`governance_disbursements_total{`+one+`,status="executed"}`, 100, 48_000, 59_000)}},
	{alert: "PaymentsPaused", after: 1, slack: 1, in: []input{gauge(`bursar_treasury_paused{`+all+`,scope="treasury"}`, 0, 0, 1)}},
	{alert: "PaymentsPaused", after: 1, slack: 1, in: []input{gauge(`bursar_executor_paused{`+one+`}`, 0, 0, 1)}},
	{alert: "PaymentsObjectiveBurnsFast", after: 3, slack: 20, calm: 90, in: []input{growing(`bursar_executor_payments_total{`+one+`,in_time="yes"}`, 1000, 990, 900), growing(`bursar_executor_payments_total{`+one+`,in_time="no"}`, 0, 10, 100)}},
	{alert: "PaymentsObjectiveBurnsSlowly", after: 16, slack: 90, calm: 400, in: []input{growing(`bursar_executor_payments_total{`+one+`,in_time="yes"}`, 1000, 997, 950), growing(`bursar_executor_payments_total{`+one+`,in_time="no"}`, 0, 3, 50)}},

	{alert: "EnergyOracleQuorumLost", after: 2, slack: 1, in: []input{gauge(`oracle_active_count{`+all+`}`, 5, 3, 2), gauge(`energy_providers_count{`+all+`}`, 4, 4, 4)}},
	{alert: "EnergyDisputeBacklogCritical", after: 5, slack: 1, in: []input{gauge(`energy_disputes_pending{`+all+`}`, 1, 50, 51)}},
	{alert: "EnergyOracleErrorRateHigh", after: 5, slack: 6, in: []input{growing(`oracle_submission_errors_total{`+one+`,reason="bad_signature"}`, 0, 4.9, 20)}},
	{alert: "EnergyDisputeRateHigh", after: 11, slack: 6, in: []input{growing(`energy_disputes_raised_total{`+one+`,type="reading"}`, 0, 9.9, 30)}},
	{alert: "EnergyMarketPriceAnomaly", after: 5, slack: 1, calm: 1500, in: []input{gauge(`energy_market_price_current{`+all+`}`, 100, 100.01, 120)}},
	{alert: "EnergyMarketPriceAnomaly", after: 5, slack: 1, calm: 200, in: []input{gauge(`energy_market_price_current{`+all+`}`, 100, 0, 120)}}, // 0 is no price: nothing was sold
	{alert: "EnergyCapacityHigh", after: 19, slack: 3, in: []input{growing(`energy_readings_total{`+one+`}`, 100, 48_000, 59_000)}},

	{alert: "StorageRetrievalFailureRateHigh", after: 11, slack: 10, in: []input{growing(`storage_retrieval_success_total{`+one+`}`, 100, 95, 50), growing(`storage_retrieval_failure_total{`+one+`}`, 0, 5, 50)}},
	{alert: "StorageRetrievalFailureRateHigh", after: 11, slack: 10, in: []input{growing(`storage_retrieval_success_total{`+one+`}`, 0, 0, 0), growing(`storage_retrieval_failure_total{`+one+`}`, 0, 0, 5)}},
	{alert: "BackupStale", after: 125, slack: 2, calm: 60, in: []input{growing(`backup_last_success_timestamp_seconds{`+one+`,exported_job="pieces"}`, 60, 60, 0)}},
	{alert: "BackupUnproven", after: 2885, slack: 2, calm: 60, in: []input{growing(`backup_last_success_timestamp_seconds{`+one+`,exported_job="verify"}`, 60, 60, 0)}},
	{alert: "DrillOverdue", after: 57_660, slack: 2, calm: 10, in: []input{growing(`backup_drill_last_success_timestamp_seconds{`+one+`}`, 60, 60, 0)}},
	{alert: "FsyncSlow", after: 10, slack: 6, each: true, in: []input{growing(`bursar_raft_fsync_seconds_bucket{`+one+`,le="0.0625"}`, 100, 100, 50), growing(`bursar_raft_fsync_seconds_bucket{`+one+`,le="1"}`, 100, 100, 100), growing(`bursar_raft_fsync_seconds_bucket{`+one+`,le="+Inf"}`, 100, 100, 100)}},
	{alert: "DiskFullPredicted", after: 30, slack: 150, calm: 400, each: true, in: []input{growing(`bursar_disk_free_bytes{`+one+`}`, 0, 0, -2e6)}},
	{alert: "DiskAlmostFull", after: 5, slack: 1, each: true, in: []input{gauge(`bursar_disk_free_bytes{`+one+`}`, 50, 5, 4.9), gauge(`bursar_disk_size_bytes{`+one+`}`, 100, 100, 100)}},

	{alert: "ClusterQuorumLost", after: 1, slack: 1, in: []input{gauge(`bursar_cluster_quorum{`+all+`}`, 1, 1, 0)}},
	{alert: "ClusterQuorumAtEdge", after: 5, slack: 1, in: []input{gauge(`up{job="bursar",`+one+`}`, 1, 1, 0), gauge(`bursar_cluster_voters{cluster="c",instance="n2"}`, 3, 3, 3)}},
	{alert: "LeaderChangesFrequent", after: 30, slack: 35, calm: 70, in: []input{growing(`bursar_raft_leader_changes_total{`+all+`}`, 0, 0.09, 0.24)}},
	{alert: "ReplicaLagHigh", after: 5, slack: 1, each: true, in: []input{gauge(`bursar_cluster_commit_index{cluster="c",instance="n2"}`, 90_000, 90_000, 90_000), gauge(`bursar_cluster_applied_index{`+one+`}`, 90_000, 80_000, 79_999)}},
	{alert: "NodeClockOff", after: 5, slack: 1, each: true, in: []input{gauge(`bursar_cluster_clock_offset_seconds{`+one+`}`, 0, -0.5, -0.6)}},
	{alert: "CertificateExpiresSoon", after: 60, slack: 1, each: true, in: []input{gauge(`bursar_certificate_expiry_timestamp_seconds{`+one+`}`, 9e6, 3e6, 2e6)}},
	{alert: "CertificateExpiresNow", after: 5, slack: 1, each: true, in: []input{gauge(`bursar_certificate_expiry_timestamp_seconds{`+one+`}`, 9e6, 7e5, 6e5)}},
	{alert: "KeyExpiry", after: 60, slack: 1, in: []input{gauge(`bursar_operator_key_expiry_timestamp_seconds{`+all+`}`, 9e6, 3e6, 2e6)}},
	{alert: "BursarTargetDown", after: 5, slack: 1, each: true, in: []input{gauge(`up{job="bursar",`+one+`}`, 1, 1, 0)}},
	{alert: "SeriesCeilingNear", after: 10, slack: 1, each: true, in: []input{gauge(`scrape_samples_post_metric_relabeling{job="bursar",`+one+`}`, 900, 2300, 2301)}},
	{alert: "OpenFilesHigh", after: 10, slack: 1, each: true, in: []input{gauge(`process_open_fds{`+one+`}`, 10, 80, 81), gauge(`process_max_fds{`+one+`}`, 100, 100, 100)}},
	{alert: "MailboxSaturated", after: 6, slack: 6, in: []input{growing(`bursar_actors_rejected_total{`+one+`,kind="shard"}`, 0, 60, 200)}},
	{alert: "MailboxSaturated", after: 5, slack: 6, in: []input{growing(`bursar_actors_wait_seconds_bucket{`+one+`,kind="shard",le="4"}`, 100, 100, 10), growing(`bursar_actors_wait_seconds_bucket{`+one+`,kind="shard",le="8"}`, 100, 100, 100), growing(`bursar_actors_wait_seconds_bucket{`+one+`,kind="shard",le="+Inf"}`, 100, 100, 100)}},
	{alert: "ActorStalled", after: 5, slack: 1, each: true, in: []input{gauge(`bursar_actors_stalled{`+one+`}`, 0, 0, 1)}},

	{alert: "SystemHealthCritical", after: 5, slack: 1, in: []input{gauge(`treasury_executor_active{`+one+`}`, 1, 1, 0), gauge(`treasury_circuit_breaker_state{`+one+`}`, 0, 1, 1), gauge(`bursar_cluster_quorum{`+all+`}`, 1, 1, 1)}},
	{alert: "SystemHealthDegraded", after: 10, slack: 1, in: []input{gauge(`treasury_executor_active{`+one+`}`, 1, 1, 1), gauge(`treasury_circuit_breaker_state{`+one+`}`, 0, 0, 1)}},

	{alert: "TreasuryErrorSpike", after: 6, slack: 6, calm: 90, in: []input{growing(`treasury_execution_errors_total{`+one+`,reason="execution_failed"}`, 0.4, 0.45, 8)}},
	{alert: "OracleErrorSpike", after: 6, slack: 6, calm: 90, in: []input{growing(`oracle_submission_errors_total{`+one+`,reason="bad_signature"}`, 0.5, 0.9, 9)}},
	{alert: "DisputeBacklogSpike", after: 5, slack: 1, calm: 90, in: []input{gauge(`energy_disputes_pending{`+all+`}`, 4, 8, 9)}},
	{alert: "TreasuryLagSpike", after: 6, slack: 16, calm: 1500, in: []input{
		growing(`treasury_disbursement_lag_seconds_bucket{`+one+`,le="64"}`, 10, 10, 0), growing(`treasury_disbursement_lag_seconds_bucket{`+one+`,le="1024"}`, 10, 10, 10), growing(`treasury_disbursement_lag_seconds_bucket{`+one+`,le="+Inf"}`, 10, 10, 10),
	}},
}

// healthy is what three nodes export when nothing happens, for what a case does not say.
var healthy = []input{
	gauge(`up{job="bursar",`+all+`}`, 1, 1, 1), gauge(`bursar_cluster_quorum{`+all+`}`, 1, 1, 1),
	gauge(`bursar_cluster_voters{`+all+`}`, 3, 3, 3), gauge(`bursar_cluster_members{`+all+`,state="alive"}`, 3, 3, 3),
	gauge(`treasury_executor_active{`+one+`,role="primary"}`, 1, 1, 1), gauge(`treasury_circuit_breaker_state{`+one+`}`, 0, 0, 0),
	gauge(`treasury_balance{`+all+`}`, 5e6, 5e6, 5e6), gauge(`bursar_disk_free_bytes{`+all+`}`, 5e12, 5e12, 5e12),
	gauge(`bursar_disk_size_bytes{`+all+`}`, 9e12, 9e12, 9e12), gauge(`treasury_disbursement_backlog{`+all+`,status="draft"}`, 0, 0, 0),
	growing(`treasury_execution_errors_total{`+all+`,reason="execution_failed"}`, 0, 0, 0),
	growing(`storage_retrieval_success_total{`+all+`}`, 0, 0, 0), growing(`storage_retrieval_failure_total{`+all+`}`, 0, 0, 0),
	growing(`bursar_executor_payments_total{`+one+`,in_time="yes"}`, 0, 0, 0), growing(`bursar_executor_payments_total{`+one+`,in_time="no"}`, 0, 0, 0),
}

func name(series string) string { return series[:strings.IndexByte(series, '{')] }

// write gives the series over time as promtool wants them.
func (in input) write(out *strings.Builder, span func(in input) [][2]float64) {
	instances := []string{"n1"}
	if strings.Contains(in.series, "{i}") {
		instances = []string{"n1", "n2", "n3"}
	}
	var values []string
	at := 0.0
	for i, part := range span(in) {
		if part[1] == 0 {
			continue
		}
		step := 0.0
		switch {
		case in.counter && i == 0:
			at, step = 1e9, part[0]
			if strings.Contains(in.series, "timestamp_seconds") { // the time is that of the test, from 0
				at = 0
			}
		case in.counter:
			at, step = at+part[0], part[0]
		default:
			at = part[0]
		}
		values = append(values, fmt.Sprintf("%f%+fx%d", at, step, int(part[1])-1))
		at += step * (part[1] - 1)
	}
	for _, instance := range instances {
		fmt.Fprintf(out, "      - {series: '%s', values: '%s'}\n", strings.ReplaceAll(in.series, "{i}", instance), strings.Join(values, " "))
	}
}

func (c alertCase) inputs() []input {
	in := slices.Clone(c.in)
	for _, h := range healthy {
		if !slices.ContainsFunc(c.in, func(own input) bool { return name(own.series) == name(h.series) }) {
			in = append(in, h)
		} else if name(h.series) == "up" { // of the nodes that are not meant
			for _, instance := range []string{"n2", "n3"} {
				other := h
				other.series = strings.ReplaceAll(h.series, "{i}", instance)
				in = append(in, other)
			}
		}
	}
	return in
}

// expect writes that so many of the alert are firing at a minute.
func expect(out *strings.Builder, alert string, minute, firing int) {
	fmt.Fprintf(out, "      - {expr: 'count(ALERTS{alertname=\"%s\",alertstate=\"firing\"})', eval_time: %dm, exp_samples: [", alert, minute)
	if firing > 0 {
		fmt.Fprintf(out, "{labels: '{}', value: %d}", firing)
	}
	out.WriteString("]}\n")
}

// Each alert fires under its condition at the time it says, is silent before and just below
// its threshold, fires once though three nodes report the fact, and ends.
func TestAlertsFireWhenTheySayAndOnlyThen(t *testing.T) {
	known := rules(t)
	for i, c := range alertCases {
		t.Run(fmt.Sprintf("%s-%d", c.alert, i), func(t *testing.T) {
			t.Parallel()
			interval := 1
			if c.after > 10_000 {
				interval = 30
			}
			calm := max(c.calm, 30)
			bad, clear := c.after+c.slack+30, 150
			if c.calm > 300 {
				clear = 600
			}
			var out strings.Builder
			fmt.Fprintf(&out, "rule_files: [%s]\nevaluation_interval: %dm\ntests:\n", ruleFile(t, known, c.alert), interval)
			scale := func(minutes int) float64 { return float64(minutes / interval) }
			fmt.Fprintf(&out, "  - interval: %dm\n    input_series:\n", interval)
			for _, in := range c.inputs() {
				if in.counter && interval > 1 {
					in.calm, in.edge, in.bad = in.calm*float64(interval), in.edge*float64(interval), in.bad*float64(interval)
				}
				in.write(&out, func(in input) [][2]float64 {
					recover := in.calm
					if in.counter && strings.Contains(in.series, "timestamp_seconds") { // it succeeds again, now
						return [][2]float64{{in.calm, scale(calm)}, {in.bad, scale(bad)}}
					}
					return [][2]float64{{in.calm, scale(calm)}, {in.bad, scale(bad)}, {recover, scale(clear)}}
				})
			}
			fmt.Fprintf(&out, "    promql_expr_test:\n")
			expect(&out, c.alert, calm-1, 0)
			expect(&out, c.alert, calm+c.after-2*interval, 0)
			expect(&out, c.alert, calm+c.after+c.slack, 1)
			if !strings.Contains(c.in[0].series, "timestamp_seconds") || !c.in[0].counter {
				expect(&out, c.alert, calm+bad+clear-1, 0)
			}
			fmt.Fprintf(&out, "  - interval: %dm\n    input_series:\n", interval)
			for _, in := range c.inputs() {
				if in.counter && interval > 1 {
					in.calm, in.edge = in.calm*float64(interval), in.edge*float64(interval)
				}
				in.write(&out, func(in input) [][2]float64 {
					return [][2]float64{{in.calm, scale(calm)}, {in.edge, scale(bad)}}
				})
			}
			fmt.Fprintf(&out, "    promql_expr_test:\n")
			for minute := calm + c.after; minute < calm+bad; minute += 5 * interval {
				expect(&out, c.alert, minute, 0)
			}
			file := filepath.Join(t.TempDir(), "test.yml")
			if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			promtool(t, "test", "rules", file)
		})
	}
}

// An idle cluster of three is silent, and one without targets is not.
func TestAnIdleClusterIsSilent(t *testing.T) {
	var out strings.Builder
	var files []string
	for _, file := range ruleFiles(t) {
		abs, _ := filepath.Abs(file)
		files = append(files, abs)
	}
	fmt.Fprintf(&out, "rule_files: [%s]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n", strings.Join(files, ", "))
	for _, in := range healthy {
		in.write(&out, func(in input) [][2]float64 { return [][2]float64{{in.calm, 80}} })
	}
	out.WriteString("    promql_expr_test:\n")
	for _, minute := range []int{5, 40, 79} {
		fmt.Fprintf(&out, "      - {expr: 'ALERTS', eval_time: %dm, exp_samples: []}\n", minute)
	}
	for _, score := range []string{"treasury", "energy", "storage", "cluster", "system"} {
		fmt.Fprintf(&out, "      - {expr: 'round(%s:health:score, 0.001)', eval_time: 5m, exp_samples: [{labels: '{cluster=\"c\"}', value: 1}]}\n", score)
	}
	out.WriteString("  - interval: 1m\n    input_series: []\n    promql_expr_test:\n")
	expect(&out, "BursarTargetsMissing", 3, 0)
	expect(&out, "BursarTargetsMissing", 6, 1)
	out.WriteString("  - interval: 1m\n    input_series:\n")
	gauge(`energy_market_price_current{`+all+`}`, 0, 0, 100).write(&out, func(in input) [][2]float64 { // nothing is sold for hours, then something
		return [][2]float64{{in.calm, 200}, {in.bad, 60}}
	})
	out.WriteString("    promql_expr_test:\n")
	for minute := 200; minute < 260; minute += 10 {
		expect(&out, "EnergyMarketPriceAnomaly", minute, 0)
	}
	file := filepath.Join(t.TempDir(), "test.yml")
	if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "test", "rules", file)
}

// Hours in which nothing was paid have no latency: they neither are a usual one nor hide it.
func TestAnIdleDayHidesNoSpike(t *testing.T) {
	var out strings.Builder
	fmt.Fprintf(&out, "rule_files: [%s]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n", ruleFile(t, rules(t), "TreasuryLagSpike"))
	for _, bucket := range []input{
		growing(`treasury_disbursement_lag_seconds_bucket{`+one+`,le="64"}`, 10, 0, 0), growing(`treasury_disbursement_lag_seconds_bucket{`+one+`,le="1024"}`, 10, 0, 10),
		growing(`treasury_disbursement_lag_seconds_bucket{`+one+`,le="+Inf"}`, 10, 0, 10),
	} {
		bucket.write(&out, func(in input) [][2]float64 {
			return [][2]float64{{in.edge, 200}, {in.calm, 200}, {in.edge, 100}, {in.calm, 200}, {in.bad, 60}}
		})
	}
	out.WriteString("    promql_expr_test:\n")
	expect(&out, "TreasuryLagSpike", 699, 0)
	expect(&out, "TreasuryLagSpike", 725, 1)
	file := filepath.Join(t.TempDir(), "test.yml")
	if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "test", "rules", file)
}

var alertNames = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)

// Each alert has a case that makes it fire, a page that says what to do, and no page is left
// of one that is gone.
func TestEveryAlertHasACaseAndARunbook(t *testing.T) {
	cases := map[string]bool{"BursarTargetsMissing": true} // in the test of an idle cluster
	for _, c := range alertCases {
		cases[c.alert] = true
	}
	pages, err := filepath.Glob("../docs/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	left := make(map[string]bool)
	for _, page := range pages {
		left[strings.TrimSuffix(filepath.Base(page), ".md")] = true
	}
	delete(left, "README")
	for _, file := range ruleFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range alertNames.FindAllStringSubmatch(string(text), -1) {
			alert := found[1]
			if !cases[alert] {
				t.Errorf("%s has no case that makes it fire", alert)
			}
			page, err := os.ReadFile("../docs/runbooks/" + alert + ".md")
			if err != nil {
				t.Errorf("%s has no runbook", alert)
				continue
			}
			for _, part := range []string{"## What it means", "## What to look at", "## When to escalate"} {
				if !strings.Contains(string(page), part) {
					t.Errorf("the runbook of %s lacks %q", alert, part)
				}
			}
			delete(left, alert)
		}
	}
	for page := range left {
		t.Errorf("docs/runbooks/%s.md is of no alert", page)
	}
}
