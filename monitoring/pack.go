package monitoring

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pack is what Prometheus, Alertmanager and Grafana are told of Bursar.
//
//go:embed rules/*.yml alerts/*.yml alertmanager.yml
var pack embed.FS

// Export says what the pack is made for.
type Export struct {
	// Targets are the nodes' pages, host:port; at least one.
	Targets []string
	// Cluster is the label by which clusters are told from each other.
	Cluster string
	// Alertmanager is where alerts go, host:port; empty for none.
	Alertmanager string
	// Webhook, if not empty, is told of every alert instead of the receivers of
	// alertmanager.yml: for a trial.
	Webhook string
	// Scale makes the times of the alerts shorter, and what rules look back on: below 1, for a
	// trial.
	Scale float64
	// Thresholds replace those of rules/thresholds.yml that have their names.
	Thresholds map[string]float64
	// TLSDir, if not empty, has ca.crt, client.crt and client.key with the role monitor.
	TLSDir string
}

func (e *Export) validate() error {
	var errs []error
	if len(e.Targets) == 0 {
		errs = append(errs, errors.New("targets: at least one node is needed"))
	}
	for i, target := range e.Targets {
		if err := checkAddress(target); err != nil {
			errs = append(errs, fmt.Errorf("targets: %w", err))
		} else if slices.Contains(e.Targets[:i], target) {
			errs = append(errs, fmt.Errorf("targets: %s is there twice", target))
		}
	}
	if e.Alertmanager != "" {
		if err := checkAddress(e.Alertmanager); err != nil {
			errs = append(errs, fmt.Errorf("alertmanager: %w", err))
		}
	}
	if u, err := url.Parse(e.Webhook); e.Webhook != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		errs = append(errs, fmt.Errorf("webhook: %q is no URL; one looks like http://localhost:8080", e.Webhook))
	}
	for name, value := range e.Thresholds {
		switch {
		case !bytes.Contains(must(pack.ReadFile(thresholdsFile)), []byte("{name: "+name+"}")):
			errs = append(errs, fmt.Errorf("threshold: there is none named %q; rules/thresholds.yml lists them", name))
		case math.IsNaN(value) || math.IsInf(value, 0):
			errs = append(errs, fmt.Errorf("threshold: %s must be a number, not %v", name, value))
		}
	}
	if !regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`).MatchString(e.Cluster) {
		errs = append(errs, fmt.Errorf("cluster: %q is not 1 to 64 letters, digits, dots, hyphens or underscores", e.Cluster))
	}
	if e.Scale <= 0 || e.Scale > 1 {
		errs = append(errs, fmt.Errorf("scale: %v is not above 0 and at most 1", e.Scale))
	}
	return errors.Join(errs...)
}

var hostName = regexp.MustCompile(`^[a-zA-Z0-9_.:%-]+$`)

// checkAddress wants a host and a port, as Prometheus does: no URL, no path.
func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err == nil && !hostName.MatchString(host) {
		err = errors.New("the host is empty, or has characters that no name has")
	}
	if n, bad := strconv.ParseUint(port, 10, 16); err == nil && (bad != nil || n == 0) {
		err = errors.New("the port is not 1 to 65535")
	}
	if err != nil {
		return fmt.Errorf("%q is not host:port, such as 10.0.0.1:9003: %w", address, err)
	}
	return nil
}

// Files gives the pack by path, ready to be started with.
func (e *Export) Files() (map[string][]byte, error) {
	if err := e.validate(); err != nil {
		return nil, fmt.Errorf("monitoring: %w", err)
	}
	files := map[string][]byte{"prometheus.yml": []byte(e.prometheus())}
	err := fs.WalkDir(pack, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := pack.ReadFile(name)
		files[name] = e.scaled(text)
		return err
	})
	if err != nil {
		return nil, err
	}
	files["alertmanager.yml"] = must(pack.ReadFile("alertmanager.yml"))
	for name, value := range e.Thresholds {
		files[thresholdsFile] = regexp.MustCompile(`(\{name: `+name+`\}, expr: vector)\([^)]*\)`).
			ReplaceAll(files[thresholdsFile], fmt.Appendf(nil, "${1}(%v)", value))
	}
	if e.Webhook != "" {
		files["alertmanager.yml"] = e.trial(files["alertmanager.yml"])
	}
	for name, text := range Dashboards() {
		files["grafana/dashboards/"+name] = text
	}
	files["grafana/provisioning/dashboards/bursar.yml"] = []byte(grafanaDashboards)
	files["grafana/provisioning/datasources/bursar.yml"] = []byte(grafanaSource)
	return files, nil
}

const (
	grafanaDashboards = "apiVersion: 1\nproviders:\n  - name: bursar\n    folder: Bursar\n    type: file\n    options: {path: /var/lib/grafana/dashboards}\n"
	grafanaSource     = "apiVersion: 1\ndatasources:\n  - {name: Prometheus, uid: prometheus, type: prometheus, access: proxy, url: \"http://localhost:9090\", isDefault: true}\n"
)

// thresholdsFile has all thresholds.
const thresholdsFile = "rules/thresholds.yml"

// scrapeEvery is how often nodes are asked.
const scrapeEvery = 15 * time.Second

func (e *Export) every() time.Duration {
	return max(time.Second, time.Duration(float64(scrapeEvery)*e.Scale).Truncate(time.Second))
}

func (e *Export) prometheus() string {
	every := e.every()
	var b strings.Builder
	fmt.Fprintf(&b, "global: {scrape_interval: %s, evaluation_interval: %s}\n\nrule_files: [rules/*.yml, alerts/*.yml]\n\n", every, every)
	if e.Alertmanager != "" {
		fmt.Fprintf(&b, "alerting:\n  alertmanagers:\n    - static_configs: [{targets: [%q]}]\n\n", e.Alertmanager)
	}
	b.WriteString("scrape_configs:\n  - job_name: bursar\n")
	if e.TLSDir != "" {
		fmt.Fprintf(&b, "    scheme: https\n    tls_config: {ca_file: %q, cert_file: %q, key_file: %q}\n",
			path.Join(e.TLSDir, "ca.crt"), path.Join(e.TLSDir, "client.crt"), path.Join(e.TLSDir, "client.key"))
	}
	b.WriteString("    static_configs:\n      - targets:\n")
	for _, target := range e.Targets {
		fmt.Fprintf(&b, "          - %q\n", target)
	}
	fmt.Fprintf(&b, "        labels: {cluster: %q}\n", e.Cluster)
	return b.String()
}

var (
	forTime = regexp.MustCompile(`(?m)^( +for: )(\w+)()$`)
	// lookBack is a range or an offset of an expression.
	lookBack = regexp.MustCompile(`(\[|offset )(\d+[smhd])(\]?)`)
)

// scaled makes the times of alerts shorter, and those that expressions look back on, as far as
// there are samples enough.
func (e *Export) scaled(text []byte) []byte {
	if e.Scale == 1 {
		return text
	}
	for times, least := range map[*regexp.Regexp]time.Duration{forTime: time.Second, lookBack: samplesMin * e.every()} {
		text = times.ReplaceAllFunc(text, func(found []byte) []byte {
			m := times.FindSubmatch(found)
			d := time.Duration(float64(duration(string(m[2]))) * e.Scale).Truncate(time.Second)
			return fmt.Appendf(nil, "%s%s%s", m[1], prometheusTime(max(least, d)), m[3])
		})
	}
	return text
}

// samplesMin is how many samples a rate is taken from at least.
const samplesMin = 4

// duration reads a time of Prometheus' that is a number and a unit.
func duration(text string) time.Duration {
	unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[text[len(text)-1]]
	n, err := strconv.Atoi(text[:len(text)-1])
	if err != nil || unit == 0 {
		panic("monitoring: a time of the pack: " + text) // the files are part of the program
	}
	return time.Duration(n) * unit
}

// prometheusTime writes whole seconds.
func prometheusTime(d time.Duration) string { return fmt.Sprintf("%ds", int(d.Seconds())) }

// trial sends what every receiver gets to the webhook, each under its own name, and soon.
func (e *Export) trial(text []byte) []byte {
	head, _, _ := strings.Cut(string(text), "\nreceivers:\n")
	var b strings.Builder
	b.WriteString(regexp.MustCompile(`(group_wait|group_interval): \S+`).ReplaceAllString(head, "$1: 1s"))
	b.WriteString("\nreceivers:\n")
	for _, name := range regexp.MustCompile(`(?m)^  - name: (\w+)$`).FindAllStringSubmatch(string(text), -1) {
		if name[1] != "maintenance" {
			fmt.Fprintf(&b, "  - name: %s\n    webhook_configs: [{url: \"%s/%s\", send_resolved: true}]\n", name[1], strings.TrimSuffix(e.Webhook, "/"), name[1])
		}
	}
	return []byte(b.String())
}

var ruleName = regexp.MustCompile(`(?m)^ +- (?:\{record: |record: |alert: )([\w:]+)`)

// RuleNames are the names of all recording rules and alerts.
func RuleNames() map[string]bool {
	names := make(map[string]bool)
	for _, found := range ruleName.FindAllStringSubmatch(rulesText(), -1) {
		names[found[1]] = true
	}
	return names
}

// Alert is an alert of the pack.
type Alert struct {
	Name, Severity, Team string
	// Runbook is the address of the page that says what to do.
	Runbook string
}

var alertText = regexp.MustCompile(`- alert: (\w+)\n(?s:.*?)severity: (\w+)\n +team: (\w+)\n(?s:.*?)runbook_url: (\S+)\n`)

// Alerts are all alerts, by name.
func Alerts() []Alert {
	var list []Alert
	for _, m := range alertText.FindAllStringSubmatch(rulesText(), -1) {
		list = append(list, Alert{m[1], m[2], m[3], m[4]})
	}
	slices.SortFunc(list, func(a, b Alert) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// rulesText is all rules and alerts.
func rulesText() string {
	var text strings.Builder
	for _, pattern := range []string{"rules/*.yml", "alerts/*.yml"} {
		for _, name := range must(fs.Glob(pack, pattern)) {
			text.Write(must(pack.ReadFile(name)))
		}
	}
	return text.String()
}

// must is for the files that are part of the program.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// Write writes files by path below a directory, which need not exist.
func Write(dir string, files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, files[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}
