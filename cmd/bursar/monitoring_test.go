package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/monitoring"
	"github.com/the-block/bursar/monitoring/metrics"
)

// coming are families that rules name already and nodes export once their part is there:
// drills.
var coming = map[string][]string{
	"backup_drill_last_success_timestamp_seconds": nil,
}

// prometheusOwn are what Prometheus itself and Go's library add.
var prometheusOwn = []string{
	"up", "scrape_samples_post_metric_relabeling", "process_open_fds", "process_max_fds", "process_resident_memory_bytes", "ALERTS",
}

var (
	expression = regexp.MustCompile(`(?m)^ +(?:- \{.*)?expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)`)
	selector   = regexp.MustCompile(`([a-zA-Z_:][\w:]*)(\{[^}]*\}|\()?`)
	matcher    = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
	grouping   = regexp.MustCompile(`\b(?:by|on|without|ignoring|group_left|group_right) \([^)]*\)`)
	window     = regexp.MustCompile(`\[[^\]]*\]`)
	quoted     = regexp.MustCompile(`"[^"]*"`)
)

var keywords = []string{"or", "and", "unless", "bool", "offset", "m", "h", "d", "e", "sum", "max", "min", "count"}

// Rules, alerts and dashboards use only names and labels that nodes export, or will.
func TestRulesUseWhatIsExported(t *testing.T) {
	labels := maps.Clone(coming)
	for _, f := range node.Families() {
		if _, early := coming[f.Name]; early {
			t.Errorf("%s is exported: take it off the list of what is coming", f.Name)
		}
		labels[f.Name] = f.Labels
	}
	for _, name := range prometheusOwn {
		labels[name] = []string{"job", "alertname", "alertstate"}
	}
	recorded := monitoring.RuleNames()
	exprs := make(map[string]string)
	for name, text := range monitoring.Dashboards() {
		var dashboard struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(text, &dashboard); err != nil {
			t.Fatal(err)
		}
		for _, p := range dashboard.Panels {
			exprs[name+": "+p.Title] = p.Targets[0].Expr
		}
	}
	export := monitoring.Export{Targets: []string{"a:1"}, Cluster: "c", Scale: 1}
	files, err := export.Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if strings.HasPrefix(name, "rules/") && name != "rules/thresholds.yml" || strings.HasPrefix(name, "alerts/") {
			for _, m := range expression.FindAllStringSubmatch(string(text), -1) {
				exprs[name+": "+m[1]+m[2]] = m[1] + m[2]
			}
		}
	}
	if len(exprs) < 150 {
		t.Fatalf("only %d expressions were found", len(exprs))
	}
	used, awaited := 0, maps.Clone(coming)
	for where, expr := range exprs {
		bare := window.ReplaceAllString(quoted.ReplaceAllString(grouping.ReplaceAllString(expr, ""), `""`), "")
		for _, m := range selector.FindAllStringSubmatch(bare, -1) {
			name, rest := m[1], m[2]
			switch {
			case rest == "(", slices.Contains(keywords, name), recorded[name], strings.HasPrefix(name, "__"):
				continue
			}
			family, ok := name, false
			for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
				if _, known := labels[strings.TrimSuffix(name, suffix)]; known {
					family, ok = strings.TrimSuffix(name, suffix), true
					break
				}
			}
			if !ok {
				t.Errorf("%s uses %s, which nobody exports", where, name)
				continue
			}
			used++
			delete(awaited, family)
			for _, l := range matcher.FindAllStringSubmatch(rest, -1) {
				if !slices.Contains(append([]string{"job", "cluster", "instance", "le"}, labels[family]...), l[1]) {
					t.Errorf("%s: %s has no label %s", where, family, l[1])
				}
			}
		}
	}
	for name := range awaited {
		t.Errorf("%s is said to be coming, and no rule awaits it", name)
	}
	if used < 80 {
		t.Errorf("only %d uses of families were found", used)
	}
}

// A quantile is told from buckets, so none is found above the largest: a threshold there would
// never be reached.
func TestThresholdsLieWithinTheBuckets(t *testing.T) {
	export := monitoring.Export{Targets: []string{"a:1"}, Cluster: "c", Scale: 1}
	files, err := export.Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, threshold := range map[string]string{
		"bursar_actors_wait_seconds": "mailbox_wait_seconds", "treasury_disbursement_lag_seconds": "treasury_lag_seconds",
		"bursar_raft_fsync_seconds": "fsync_seconds",
	} {
		m := regexp.MustCompile(`\{name: ` + threshold + `\}, expr: vector\(([\d.]+)\)`).FindSubmatch(files["rules/thresholds.yml"])
		if m == nil {
			t.Fatalf("there is no threshold %s", threshold)
		}
		limit, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(node.Families(), func(f metrics.Family) bool { return f.Name == name })
		if at < 0 {
			t.Fatalf("nobody exports %s", name)
		}
		if largest := node.Families()[at].Largest(); largest <= limit {
			t.Errorf("%s is %v, and the largest bucket of %s ends at %v", threshold, limit, name, largest)
		}
	}
}

// What export writes, Prometheus and Alertmanager start with; each alert reaches a receiver.
func TestExportIsReadyToStart(t *testing.T) {
	dir := t.TempDir()
	var out, errs bytes.Buffer
	code := run(t.Context(), streams{out: &out, err: &errs}, []string{"monitoring", "export", dir, "--targets", "10.0.0.1:9003,[::1]:9003", "--scale", "0.1",
		"--webhook", "http://localhost:1", "--threshold", "treasury_backlog=5000,objective=0.99"})
	if code != 0 {
		t.Fatal(errs.String())
	}
	for _, file := range []string{
		"prometheus.yml", "rules/thresholds.yml", "alerts/treasury.yml", "alertmanager.yml",
		"grafana/dashboards/bursar-overview.json", "grafana/provisioning/dashboards/bursar.yml",
	} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Error(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "alerts", "treasury.yml"))
	if err != nil || !strings.Contains(string(text), "for: 6s") || strings.Contains(string(text), "for: 1m\n") {
		t.Errorf("the times are not a tenth: %v", err)
	}
	for file, want := range map[string][]string{
		"rules/thresholds.yml": {"{name: treasury_backlog}, expr: vector(5000)", "{name: objective}, expr: vector(0.99)"},
		"rules/objectives.yml": {"[30s]", "[180s]", "[25920s]"}, "rules/anomalies.yml": {"[360s] offset 60s"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		for _, part := range want {
			if err != nil || !strings.Contains(string(text), part) {
				t.Errorf("%s lacks %s (%v)", file, part, err)
			}
		}
	}
	for _, tool := range [][]string{
		{"promtool", "check", "config", filepath.Join(dir, "prometheus.yml")},
		{"amtool", "check-config", filepath.Join(dir, "alertmanager.yml")},
		{"amtool", "check-config", "../../monitoring/alertmanager.yml"},
	} {
		if _, err := exec.LookPath(tool[0]); err != nil && os.Getenv("REQUIRE_PROMTOOL") == "" {
			continue // CI has them
		}
		if out, err := exec.CommandContext(t.Context(), tool[0], tool[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", tool, err, out)
		}
	}
	for _, wrong := range [][]string{
		{"monitoring", "export", dir}, {"monitoring", "export", dir, "--targets", "a:1", "--scale", "2"},
		{"monitoring", "export", dir, "--targets", "a:1", "--cluster", `x"y`},
		{"monitoring", "export", dir, "--targets", ""}, {"monitoring", "export", dir, "--targets", "http://a:1/metrics"},
		{"monitoring", "export", dir, "--targets", "a"}, {"monitoring", "export", dir, "--targets", ":9003"},
		{"monitoring", "export", dir, "--targets", "a:99999"}, {"monitoring", "export", dir, "--targets", "a:1,a:1"},
		{"monitoring", "export", dir, "--targets", "a:1", "--alertmanager", "nonsense"},
		{"monitoring", "export", dir, "--targets", "a:1", "--webhook", "nonsense"},
		{"monitoring", "export", dir, "--targets", "a:1", "--threshold", "nonsense=1"},
		{"monitoring", "export", dir, "--targets", "a:1", "--threshold", "objective=high"},
		{"monitoring", "export", dir, "--targets", "a:1", "--threshold", "objective=NaN"},
	} {
		if code := run(t.Context(), streams{out: &out, err: &errs}, wrong); code != exitUsage {
			t.Errorf("%v ends with %d", wrong, code)
		}
	}
}

func TestHealthJudgesACluster(t *testing.T) {
	page := func(status int, text string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		}))
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	good, bad := page(http.StatusOK, "ready\n"), page(http.StatusServiceUnavailable, "no quorum\n")
	for _, c := range []struct {
		targets string
		form    string
		code    int
		want    string
	}{
		{good + "," + good, "nagios", 0, "BURSAR OK: 2 of 2 nodes are ready | ready=2;1;1;0;2"},
		{good + "," + good + "," + bad, "nagios", healthWarning, "BURSAR WARNING: 2 of 3 nodes are ready; " + bad + " no quorum"},
		{good + "," + bad, "table", healthCritical, "CRITICAL: 1 of 2 nodes are ready"},
		{good + "," + bad, "prometheus", healthCritical, `bursar_health_ready{target="` + bad + `"} 0`},
		{good, "json", 0, `"health": "ok"`},
		{"nonsense", "json", exitUsage, ""},
		{good, "xml", exitUsage, ""},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), streams{out: &out, err: &errs}, []string{"health", "--targets", c.targets, "--output", c.form})
		if code != c.code || !strings.Contains(out.String(), c.want) {
			t.Errorf("health of %s as %s: code %d\n%s%s", c.targets, c.form, code, out.String(), errs.String())
		}
	}
}

func TestCheckTellsWhatPrometheusLacks(t *testing.T) {
	answers := map[string]string{
		"/api/v1/targets": `{"data":{"activeTargets":[{"labels":{"job":"bursar","instance":"n1"},"health":"up"},{"labels":{"job":"bursar","instance":"n2"},"health":"down","lastError":"refused"}]}}`,
		"/api/v1/rules":   `{"data":{"groups":[{"rules":[{"name":"treasury:balance:max","health":"err","lastError":"many-to-many"}]}]}}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(answers[r.URL.Path])) }))
	defer server.Close()
	var out, errs bytes.Buffer
	if code := run(t.Context(), streams{out: &out, err: &errs}, []string{"monitoring", "check", "--prometheus", server.URL}); code != 1 {
		t.Errorf("it ends with %d", code)
	}
	for _, want := range []string{"n2 is down: refused", "treasury:balance:max fails: many-to-many", "TreasuryExecutorDown is not loaded"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("%q is not told in\n%s", want, errs.String())
		}
	}
}

func TestTargetsAreHostsWithPorts(t *testing.T) {
	for target, fine := range map[string]bool{
		"10.0.0.1:9003": true, "localhost:9003": true, "[::1]:9003": true, "n1.example-2.com:65535": true,
		"9003": false, ":9003": false, "n1:": false, "n1:0": false, "n1:65536": false, "n1:http": false, "n1:0x10": false,
		"http://n1:9003": false, "a b:9003": false, "n1/metrics:9003": false, "\"n1\":9003": false, "": false,
	} {
		if err := checkTargets([]string{target}); (err == nil) != fine {
			t.Errorf("%q: %v", target, err)
		}
	}
}
