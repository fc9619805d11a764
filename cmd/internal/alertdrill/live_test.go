package alertdrill

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/localcluster/localclustertest"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/monitoring"
)

var live = flag.String("live", "", "drill alerts on real nodes, with a real Prometheus and Alertmanager: short, full, or the name of an alert")

// short are what CI drills: one that is routed to two receivers, and one that another holds back.
var short = []string{"TreasuryCircuitBreakerOpen", "TreasuryHealthWarning"}

// Every alert of the pack has a fault or a reason, and no fault is of an alert that is gone.
func TestEveryAlertHasAFaultOrAReason(t *testing.T) {
	left := make(map[string]bool)
	for _, alert := range monitoring.Alerts() {
		left[alert.Name] = true
	}
	for _, f := range Faults() {
		if !left[f.Alert] {
			t.Errorf("%s is no alert, or is there twice", f.Alert)
		}
		delete(left, f.Alert)
		if made := f.begin != nil || f.keep != nil; made != f.Can() || made != (f.Does != "") {
			t.Errorf("%s must have either a fault or a reason", f.Alert)
		}
		if f.HeldBack != "" && (FaultOf(f.HeldBack) == nil || !FaultOf(f.HeldBack).Can()) {
			t.Errorf("%s is held back by %s, which cannot fire", f.Alert, f.HeldBack)
		}
	}
	for alert := range left {
		t.Errorf("%s has neither a fault nor a reason", alert)
	}
}

// A real Prometheus and Alertmanager see each alert pending, firing, routed or held back, and
// resolved.
func TestAlertsComeAndGo(t *testing.T) {
	if *live == "" {
		t.Skip("runs real nodes; -live short or full asks for it (make drill)")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "bursar")
	if err := localclustertest.Build(program); err != nil {
		t.Fatal(err)
	}
	trial, err := Start(t.Context(), Config{Dir: dir, Program: program, Tell: func(string, ...any) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := trial.Stop(); err != nil {
			t.Error(err)
		}
	}()
	severity := make(map[string]string)
	for _, alert := range monitoring.Alerts() {
		severity[alert.Name] = alert.Severity
	}
	t.Run("runbooks", func(t *testing.T) { followRunbooks(t, trial, program) })
	drilled := 0
	for _, f := range Faults() {
		if !f.Can() || *live != "full" && *live != f.Alert && (*live != "short" || !slices.Contains(short, f.Alert)) {
			continue
		}
		drilled++
		t.Run(f.Alert, func(t *testing.T) {
			if err := trial.Calm(t.Context(), &f); err != nil {
				t.Fatal(err)
			}
			seen, err := trial.Run(t.Context(), &f, func(at time.Duration, text string) {
				t.Log(at.Round(100*time.Millisecond), text)
			})
			if err != nil {
				t.Fatal(err)
			}
			order := []time.Duration{1, seen.Pending, seen.Firing, seen.Routed, seen.Ended, seen.Resolved - 1}
			if !slices.IsSorted(order) {
				t.Errorf("seen out of order: %+v", seen)
			}
			switch paged := slices.Contains(seen.Receivers, "page"); {
			case f.HeldBack != "" && len(seen.Receivers) > 0:
				t.Errorf("%v were told of what %s explains", seen.Receivers, f.HeldBack)
			case f.HeldBack == "" && paged != (severity[f.Alert] == "critical"):
				t.Errorf("%s, which is %s, was told to %v", f.Alert, severity[f.Alert], seen.Receivers)
			}
		})
	}
	if drilled == 0 {
		t.Errorf("-live %s names no alert that can be drilled", *live)
	}
}

// runbookLine is a command of a runbook that calls the program.
var runbookLine = regexp.MustCompile(`(?m)^ {4}(bursar [^#\n]*)`)

// notHere are commands of runbooks that need what a trial has not: a stopped node, a plan, a
// backup, operators.
var notHere = regexp.MustCompile(`verify|FILE|backup|bursar drill|operators\.`)

// followRunbooks runs the commands that the runbooks tell one to run, as they stand there but
// for the addresses. They end well, or tell of a fault; none is refused as wrong usage.
func followRunbooks(t *testing.T, trial *Trial, program string) {
	place := strings.NewReplacer("HOST:9000", trial.cluster[0].Cfg.Address(node.PortRPC), "HOST:9003,...", trial.cluster[0].Cfg.Address(node.PortHTTP),
		"http://HOST:9090", trial.ask.prometheus, "ID", "1")
	followed := 0
	for _, alert := range monitoring.Alerts() {
		text, err := os.ReadFile("../../../docs/runbooks/" + alert.Name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range runbookLine.FindAllStringSubmatch(string(text), -1) {
			if notHere.MatchString(line[1]) {
				continue
			}
			followed++
			command := exec.CommandContext(t.Context(), "sh", "-c", place.Replace(line[1]))
			command.Env = append(os.Environ(), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"), "BURSAR_ADDR="+trial.cluster[0].Cfg.Address(node.PortRPC))
			if out, err := command.CombinedOutput(); err != nil || len(out) == 0 {
				t.Errorf("%s: %s: %v\n%s", alert.Name, line[1], err, out)
			}
		}
	}
	if followed < 40 {
		t.Errorf("only %d commands were followed", followed)
	}
}

func Example() {
	f := FaultOf("TreasuryCircuitBreakerOpen")
	fmt.Println(f.Does)
	_, err := new(Trial).Run(context.Background(), FaultOf("FsyncSlow"), nil)
	fmt.Println(err)
	// Output:
	// the executor's breaker is forced open
	// this alert cannot be drilled here: it needs a slow disk
}
