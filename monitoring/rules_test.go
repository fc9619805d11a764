package monitoring_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/the-block/bursar/monitoring"
)

var update = flag.Bool("update", false, "write the values of recording rules anew; look at each that changes")

const rulesGolden = "testdata/rules.txt"

// busy is three nodes at work, every minute the same: what each rule is to make of it can be
// reckoned in one's head. Replicated facts come from all three, and count once.
var busy = []string{
	`up{job="bursar",ALL} 1`, `treasury_balance{ALL} 5e6`, `bursar_epoch{ALL} 42`, `bursar_treasury_disbursements{ALL,status="draft"} 20+1`,
	`treasury_disbursement_backlog{ALL,status="draft"} 30`, `treasury_disbursement_backlog{ALL,status="queued"} 12`,
	`treasury_circuit_breaker_state{ONE} 0`, `treasury_executor_active{ONE,role="primary"} 1`, `bursar_executor_due{ONE} 7`,
	`governance_disbursements_total{ALL,status="executed"} 0+60`, `treasury_execution_errors_total{ALL,reason="execution_failed"} 0+0.2`,
	`treasury_dependency_failures_total{ONE,failure_type="missing"} 0+0.3`,
	`treasury_disbursement_lag_seconds_bucket{ONE,le="1"} 0+50`, `treasury_disbursement_lag_seconds_bucket{ONE,le="2"} 0+90`,
	`treasury_disbursement_lag_seconds_bucket{ONE,le="4"} 0+100`, `treasury_disbursement_lag_seconds_bucket{ONE,le="+Inf"} 0+100`,
	`treasury_executor_tick_duration_seconds_bucket{ONE,le="0.5"} 0+50`, `treasury_executor_tick_duration_seconds_bucket{ONE,le="1"} 0+100`,
	`treasury_executor_tick_duration_seconds_bucket{ONE,le="+Inf"} 0+100`,
	`bursar_executor_payments_total{ONE,in_time="yes"} 0+99`, `bursar_executor_payments_total{ONE,in_time="no"} 0+1`,
	`oracle_active_count{ALL} 5`, `energy_providers_count{ALL} 4`, `energy_disputes_pending{ALL} 10`, `energy_market_price_current{ALL} 120`,
	`energy_market_volume_current{ALL} 900`, `energy_readings_total{ALL} 0+20`, `oracle_submission_errors_total{ONE,reason="bad_signature"} 0+1`,
	`energy_disputes_raised_total{ONE,type="reading"} 0+2`, `energy_disputes_resolved_total{ONE,outcome="upheld"} 0+1`,
	`energy_slashing_total{ONE,reason="dispute"} 0+0.5`, `energy_kwh_traded_total{ONE} 0+300`,
	`oracle_inclusion_lag_seconds_bucket{ONE,le="1"} 0+50`, `oracle_inclusion_lag_seconds_bucket{ONE,le="2"} 0+100`,
	`oracle_inclusion_lag_seconds_bucket{ONE,le="+Inf"} 0+100`,
	`energy_dispute_resolution_seconds_bucket{ONE,le="1024"} 0+50`, `energy_dispute_resolution_seconds_bucket{ONE,le="2048"} 0+100`,
	`energy_dispute_resolution_seconds_bucket{ONE,le="+Inf"} 0+100`,
	`storage_retrieval_success_total{ALL} 0+19`, `storage_retrieval_failure_total{ALL} 0+1`,
	`bursar_disk_free_bytes{ONE} 6e9-1e6`, `bursar_disk_size_bytes{ONE} 1e10`, `process_open_fds{ONE} 100`, `process_max_fds{ONE} 1000`,
	`process_resident_memory_bytes{ALL} 1e8`, `scrape_samples_post_metric_relabeling{job="bursar",ALL} 900`,
	`bursar_raft_fsync_seconds_bucket{ONE,le="0.001"} 0+50`, `bursar_raft_fsync_seconds_bucket{ONE,le="0.002"} 0+100`,
	`bursar_raft_fsync_seconds_bucket{ONE,le="+Inf"} 0+100`,
	`backup_last_success_timestamp_seconds{ONE,exported_job="pieces"} 3000`, `backup_size_bytes{ONE,exported_job="pieces"} 777`,
	`backup_drill_last_success_timestamp_seconds{ONE} 600`,
	`bursar_cluster_voters{ALL} 3`, `bursar_cluster_members{ALL,state="alive"} 2`, `bursar_cluster_quorum{ALL} 1`,
	`bursar_raft_leader_changes_total{ALL} 0+0.1`, `bursar_cluster_commit_index{ALL} 1000`, `bursar_cluster_applied_index{ONE} 990`,
	`bursar_journal_commit_seconds_bucket{ALL,le="0.01"} 0+50`, `bursar_journal_commit_seconds_bucket{ALL,le="0.02"} 0+100`,
	`bursar_journal_commit_seconds_bucket{ALL,le="+Inf"} 0+100`, `bursar_journal_txns_total{ONE} 0+600`,
	`bursar_rpc_requests_total{ALL,method="epoch.get",outcome="ok"} 0+60`,
	`bursar_actors_messages_total{ALL,kind="shard"} 0+600`, `bursar_actors_rejected_total{ONE,kind="shard"} 0+3`,
	`bursar_actors_restarts_total{ONE,kind="shard"} 0+1`, `bursar_actors_wait_seconds_bucket{ONE,kind="shard",le="1"} 0+98`,
	`bursar_actors_wait_seconds_bucket{ONE,kind="shard",le="2"} 0+100`, `bursar_actors_wait_seconds_bucket{ONE,kind="shard",le="+Inf"} 0+100`,
}

const busyMinutes = 90

// growth is a value and what it grows by in a minute.
var growth = regexp.MustCompile(`^([\d.e]+)([+-][\d.e]+)$`)

// busyTest writes a test that expects these samples of each rule.
func busyTest(t *testing.T, names []string, samples map[string][]string) string {
	t.Helper()
	var out strings.Builder
	// Newer versions do not count a sample at the very beginning of a range, so a minute must
	// have more than one, as it has where nodes are scraped.
	fmt.Fprintf(&out, "rule_files: [%s]\nevaluation_interval: 1m\ntests:\n  - interval: 30s\n    input_series:\n", ruleFile(t, rules(t), names...))
	for _, line := range busy {
		at := strings.LastIndexByte(line, ' ')
		series, value := line[:at], line[at+1:]
		if m := growth.FindStringSubmatch(value); m != nil {
			step, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				t.Fatal(err)
			}
			value = fmt.Sprintf("%s%+f", m[1], step/2)
		} else {
			value += "+0"
		}
		instances := []string{"n1"}
		if strings.Contains(series, "ALL") {
			instances = []string{"n1", "n2", "n3"}
		}
		for _, instance := range instances {
			labels := strings.NewReplacer("ALL", `cluster="c",instance="`+instance+`"`, "ONE", `cluster="c",instance="`+instance+`"`).Replace(series)
			fmt.Fprintf(&out, "      - {series: '%s', values: '%sx%d'}\n", labels, value, 2*busyMinutes)
		}
	}
	out.WriteString("    promql_expr_test:\n")
	for _, name := range names {
		fmt.Fprintf(&out, "      - expr: 'round(%s, 0.000001)'\n        eval_time: %dm\n        exp_samples: [%s]\n", name, busyMinutes-1, strings.Join(samples[name], ", "))
	}
	file := filepath.Join(t.TempDir(), "test.yml")
	if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Every recording rule has the value it is to have when three nodes are at work.
func TestRecordingRulesHaveTheirValues(t *testing.T) {
	var names []string
	for name := range monitoring.RuleNames() {
		if strings.Contains(name, ":") && name != "bursar:threshold" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) < 50 {
		t.Fatalf("only %d recording rules", len(names))
	}
	if *update {
		writeValues(t, names)
	}
	text, err := os.ReadFile(rulesGolden)
	if err != nil {
		t.Fatal(err)
	}
	samples := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		labels, value, _ := strings.Cut(rest, "} ")
		samples[name] = append(samples[name], fmt.Sprintf("{labels: '%s}', value: %s}", labels, value))
	}
	for _, name := range names {
		if len(samples[name]) == 0 {
			t.Errorf("%s has no value in %s", name, rulesGolden)
		}
	}
	for _, gone := range slices.Sorted(maps.Keys(samples)) {
		if !slices.Contains(names, gone) {
			t.Errorf("%s of %s is no rule", gone, rulesGolden)
		}
	}
	promtool(t, "test", "rules", busyTest(t, names, samples))
}

var got = regexp.MustCompile(`(?s)expr: "round\(([\w:]+), .*?got: (.*?)\n\s*\n`)

// writeValues asks promtool, by expecting nothing, what the values are.
func writeValues(t *testing.T, names []string) {
	t.Helper()
	said, _ := exec.CommandContext(t.Context(), "promtool", "test", "rules", busyTest(t, names, nil)).CombinedOutput()
	var out strings.Builder
	for _, m := range got.FindAllStringSubmatch(string(said)+"\n\n", -1) {
		for sample := range strings.SplitSeq(m[2], ", {") {
			fmt.Fprintf(&out, "%s {%s\n", m[1], strings.TrimPrefix(sample, "{"))
		}
	}
	if err := os.WriteFile(rulesGolden, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
