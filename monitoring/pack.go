package monitoring

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
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
	// Scale makes the times of the alerts shorter, below 1: for a trial.
	Scale float64
	// TLSDir, if not empty, has ca.crt, client.crt and client.key with the role monitor.
	TLSDir string
}

func (e *Export) validate() error {
	var errs []error
	if len(e.Targets) == 0 {
		errs = append(errs, errors.New("targets: at least one node is needed"))
	}
	if !regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`).MatchString(e.Cluster) {
		errs = append(errs, fmt.Errorf("cluster: %q is not 1 to 64 letters, digits, dots, hyphens or underscores", e.Cluster))
	}
	if e.Scale <= 0 || e.Scale > 1 {
		errs = append(errs, fmt.Errorf("scale: %v is not above 0 and at most 1", e.Scale))
	}
	return errors.Join(errs...)
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
		files[name] = text
		if path.Dir(name) == "alerts" {
			files[name] = e.scaled(text)
		}
		return err
	})
	if err != nil {
		return nil, err
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

// scrapeEvery is how often nodes are asked.
const scrapeEvery = 15 * time.Second

func (e *Export) prometheus() string {
	every := max(time.Second, time.Duration(float64(scrapeEvery)*e.Scale).Truncate(time.Second))
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

var forTime = regexp.MustCompile(`(?m)^( +for: )(\S+)$`)

// scaled makes the times of alerts shorter.
func (e *Export) scaled(text []byte) []byte {
	if e.Scale == 1 {
		return text
	}
	return forTime.ReplaceAllFunc(text, func(line []byte) []byte {
		m := forTime.FindSubmatch(line)
		d, err := time.ParseDuration(string(m[2]))
		if err != nil {
			return line
		}
		return fmt.Appendf(nil, "%s%s", m[1], max(time.Second, time.Duration(float64(d)*e.Scale).Truncate(time.Second)))
	})
}

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
	err := fs.WalkDir(pack, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := pack.ReadFile(name)
		for _, found := range ruleName.FindAllStringSubmatch(string(text), -1) {
			names[found[1]] = true
		}
		return err
	})
	if err != nil {
		panic(err) // the files are part of the program
	}
	return names
}
