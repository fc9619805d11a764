package monitoring_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/the-block/bursar/monitoring"
)

// told is who is told of each alert.
var told = map[string][]string{
	"page,sre": {
		"TreasuryCircuitBreakerOpen", "ClusterQuorumLost", "CertificateExpiresNow", "SystemHealthCritical", "BursarTargetsMissing",
	},
	"page,treasury": {"TreasuryExecutorDown", "TreasuryBalanceCriticallyLow", "PaymentsObjectiveBurnsFast"},
	"page,energy":   {"EnergyOracleQuorumLost", "EnergyDisputeBacklogCritical"},
	"page,storage":  {"BackupStale", "BackupUnproven", "DiskAlmostFull"},
	"treasury": {
		"TreasuryHighErrorRate", "TreasuryBacklogHigh", "TreasuryDisbursementLagHigh", "TreasuryDependencyFailuresHigh", "TreasuryCapacityHigh",
		"PaymentsPaused", "PaymentsObjectiveBurnsSlowly", "TreasuryErrorSpike", "TreasuryLagSpike",
	},
	"energy": {
		"EnergyOracleErrorRateHigh", "EnergyDisputeRateHigh", "EnergyMarketPriceAnomaly", "EnergyCapacityHigh", "OracleErrorSpike", "DisputeBacklogSpike",
	},
	"storage": {"StorageRetrievalFailureRateHigh", "DrillOverdue", "FsyncSlow", "DiskFullPredicted"},
	"sre": {
		"SystemHealthDegraded", "TreasuryHealthWarning", "ClusterQuorumAtEdge", "LeaderChangesFrequent", "ReplicaLagHigh", "NodeClockOff",
		"CertificateExpiresSoon", "KeyExpiry", "BursarTargetDown", "SeriesCeilingNear", "OpenFilesHigh", "MailboxSaturated", "ActorStalled",
	},
}

// debian finds a program of Debian's package of Alertmanager, as promtool does for Prometheus'.
func debian(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("REQUIRE_PROMTOOL") != "" {
			t.Fatal(program + " is needed: apt-get install prometheus-alertmanager")
		}
		t.Skip(program + " is not installed (Debian: prometheus-alertmanager); CI runs this")
	}
	return path
}

// Alertmanager tells of each alert whom it should, and of no alert that is gone.
func TestEachAlertGoesToItsReceivers(t *testing.T) {
	amtool := debian(t, "amtool")
	left := make(map[string]monitoring.Alert)
	for _, alert := range monitoring.Alerts() {
		left[alert.Name] = alert
	}
	for receivers, names := range told {
		for _, name := range names {
			alert, known := left[name]
			if delete(left, name); !known {
				t.Errorf("%s is no alert, or is there twice", name)
				continue
			}
			out, err := exec.CommandContext(t.Context(), amtool, "config", "routes", "test", "--config.file=alertmanager.yml", "--verify.receivers="+receivers,
				"alertname="+name, "severity="+alert.Severity, "team="+alert.Team, "cluster=c").CombinedOutput()
			if err != nil {
				t.Errorf("%s should be told to %s: %v\n%s", name, receivers, err, out)
			}
		}
	}
	for name := range left {
		t.Errorf("nobody is said to be told of %s", name)
	}
}

// inhibition is one of alertmanager.yml.
type inhibition struct {
	source string
	target *regexp.Regexp
	words  []string // of the target's pattern
	equal  []string
}

func inhibitions(t *testing.T) (list []inhibition) {
	t.Helper()
	text, err := os.ReadFile("alertmanager.yml")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`source_matchers: \[alertname="(\w+)"\]\n +target_matchers: \[alertname=~?"([^"]+)"\]\n +equal: \[([\w, ]+)\]`).
		FindAllStringSubmatch(string(text), -1)
	for _, m := range found {
		list = append(list, inhibition{m[1], regexp.MustCompile(`^(?:` + m[2] + `)$`), strings.Split(m[2], "|"), strings.Split(m[3], ", ")})
	}
	if count := strings.Count(string(text), "source_matchers"); count != len(list) || count == 0 {
		t.Fatalf("%d of %d inhibitions were read", len(list), count)
	}
	return list
}

// What holds back, and each of what is held back, exists; and a real Alertmanager holds back
// just that, in the same cluster (and instance, where it says so).
func TestInhibitionsHoldBackWhatTheySay(t *testing.T) {
	alerts := monitoring.Alerts()
	exists := func(pattern string) bool {
		whole := regexp.MustCompile(`^(?:` + pattern + `)$`)
		return slices.ContainsFunc(alerts, func(a monitoring.Alert) bool { return whole.MatchString(a.Name) })
	}
	rules := inhibitions(t)
	for _, r := range rules {
		for _, word := range append([]string{r.source}, r.words...) {
			if !exists(word) {
				t.Errorf("an inhibition speaks of %s, which is no alert", word)
			}
		}
	}
	manager := startAlertmanager(t)
	var posted []map[string]map[string]string
	post := func(name, cluster, instance string) {
		posted = append(posted, map[string]map[string]string{"labels": {"alertname": name, "cluster": cluster, "instance": instance}})
	}
	// A cluster for each pair of a source and an alert, so that no other source is there.
	for _, r := range rules {
		for _, a := range alerts {
			if a.Name != r.source {
				post(r.source, r.source+"/"+a.Name, "n1")
				post(a.Name, r.source+"/"+a.Name, "n1")
				post(a.Name, r.source+"/"+a.Name, "n2")
				post(a.Name, "elsewhere/"+r.source+"/"+a.Name, "n1")
			}
		}
	}
	body, err := json.Marshal(posted)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Post(manager+"/api/v2/alerts", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("the alerts are answered with %s", answer.Status)
	}
	held := heldBack(t, manager, len(posted))
	for _, r := range rules {
		for _, a := range alerts {
			if a.Name == r.source {
				continue
			}
			pair, meant := r.source+"/"+a.Name, r.target.MatchString(a.Name)
			for where, want := range map[string]bool{
				pair + " n1": meant, pair + " n2": meant && !slices.Contains(r.equal, "instance"), "elsewhere/" + pair + " n1": false,
			} {
				if held[a.Name+" "+where] != want {
					t.Errorf("%s beside %s (%s): held back is %v, want %v", a.Name, r.source, where, !want, want)
				}
			}
		}
	}
}

// heldBack are the alerts that are inhibited, by name, cluster and instance.
func heldBack(t *testing.T, manager string, want int) map[string]bool {
	t.Helper()
	answer, err := http.Get(manager + "/api/v2/alerts")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var list []struct {
		Labels map[string]string `json:"labels"`
		Status struct {
			InhibitedBy []string `json:"inhibitedBy"`
		} `json:"status"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	if len(list) != want {
		t.Fatalf("%d alerts are there of %d", len(list), want)
	}
	held := make(map[string]bool)
	for _, a := range list {
		held[a.Labels["alertname"]+" "+a.Labels["cluster"]+" "+a.Labels["instance"]] = len(a.Status.InhibitedBy) > 0
	}
	return held
}

var listening = regexp.MustCompile(`address=(127\.0\.0\.1:\d+)`)

// startAlertmanager runs it with the pack's routes and gives its address.
func startAlertmanager(t *testing.T) string {
	t.Helper()
	program := debian(t, "prometheus-alertmanager")
	export := monitoring.Export{Targets: []string{"localhost:1"}, Cluster: "c", Webhook: "http://127.0.0.1:1", Scale: 1}
	files, err := export.Files()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := monitoring.Write(dir, map[string][]byte{"alertmanager.yml": files["alertmanager.yml"]}); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), program, "--config.file="+filepath.Join(dir, "alertmanager.yml"), "--storage.path="+filepath.Join(dir, "data"),
		"--web.listen-address=127.0.0.1:0", "--cluster.listen-address=")
	log, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	address := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case address <- m[1]:
				default:
				}
			}
		}
		close(address)
	}()
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	got, ok := <-address
	if !ok {
		t.Fatal("Alertmanager ended before it listened")
	}
	return fmt.Sprintf("http://%s", got)
}
