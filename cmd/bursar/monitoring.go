package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/payfile"
	"github.com/the-block/bursar/monitoring"
)

func newMonitoring(std streams) *cobra.Command {
	command := &cobra.Command{
		Use:   "monitoring",
		Short: "Set up and check Prometheus, Alertmanager and Grafana",
		Args:  cobra.ArbitraryArgs,
		RunE:  needsSubcommand,
	}
	command.AddCommand(newMonitoringExport(std), newMonitoringCheck(std), newMonitoringDrill(std))
	return command
}

func newMonitoringExport(std streams) *cobra.Command {
	export := monitoring.Export{}
	var thresholds map[string]string
	command := &cobra.Command{
		Use:   "export DIR",
		Short: "Write the configuration of Prometheus, Alertmanager and Grafana",
		Long: `Writes into DIR, which need not exist: prometheus.yml with the nodes as targets, recording rules, alerts,
alertmanager.yml and Grafana's dashboards with their provisioning. Thresholds stand in rules/thresholds.yml; --threshold
sets one. What is in DIR under the same names is written anew; files beside them, such as secrets/, stay.

--scale and --webhook make a trial of it: alerts come in seconds, and a program of your own is told of them. --scale
also shortens what rules look back on, so that a rate "5m" of a trial with 0.02 is one of six seconds.`,
		Example: `  bursar monitoring export /etc/prometheus --targets 10.0.0.1:9003,10.0.0.2:9003,10.0.0.3:9003
  bursar monitoring export /etc/prometheus --targets 10.0.0.1:9003 --threshold treasury_backlog=5000
  bursar monitoring export trial --targets localhost:9003 --scale 0.05 --webhook http://localhost:8080`,
		Args: exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			export.Thresholds = make(map[string]float64)
			for name, text := range thresholds {
				value, err := strconv.ParseFloat(text, 64)
				if err != nil {
					return usagef("--threshold: %s=%s is no number", name, text)
				}
				export.Thresholds[name] = value
			}
			files, err := export.Files()
			if err != nil {
				return usagef("%v", err)
			}
			if err := monitoring.Write(args[0], files); err != nil {
				return err
			}
			_, err = fmt.Fprintf(std.out, "%d files are in %s\n", len(files), args[0])
			return err
		},
	}
	flags := command.Flags()
	flags.StringSliceVar(&export.Targets, "targets", nil, "the nodes' pages (base port + 3), host:port,...")
	flags.StringVar(&export.Cluster, "cluster", "bursar", "the cluster's name, a label of all series")
	flags.StringVar(&export.Alertmanager, "alertmanager", "localhost:9093", "where alerts go, host:port; empty for nowhere")
	flags.StringVar(&export.Webhook, "webhook", "", "for a trial: the URL that is told of all alerts in place of the receivers")
	flags.StringToStringVar(&thresholds, "threshold", nil, "another threshold, NAME=NUMBER,...; names as in rules/thresholds.yml")
	flags.Float64Var(&export.Scale, "scale", 1, "for a trial: what the times of alerts and rules are multiplied with, at most 1")
	flags.StringVar(&export.TLSDir, "tls-dir", "", "where Prometheus finds ca.crt, client.crt and client.key, if the nodes have TLS")
	return command
}

// exactly wants so many arguments.
func exactly(n int) cobra.PositionalArgs { return asUsage(cobra.ExactArgs(n)) }

func newMonitoringCheck(std streams) *cobra.Command {
	var address string
	var timeout time.Duration
	command := &cobra.Command{
		Use:   "check",
		Short: "Ask a running Prometheus whether it watches Bursar as it should",
		Long: `Asks Prometheus for its targets and rules: each target of job bursar is up, each rule and alert of this
version is loaded and evaluates without an error. Prints what is wrong, with exit code 1.`,
		Example: `  bursar monitoring check --prometheus http://localhost:9090`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return checkPrometheus(ctx, std, address)
		},
	}
	command.Flags().StringVar(&address, "prometheus", "http://localhost:9090", "its URL")
	command.Flags().DurationVar(&timeout, "timeout", 10*time.Second, "how long to wait for an answer")
	return command
}

// promTargets and promRules are what is read of Prometheus' answers.
type promTargets struct {
	Data struct {
		Active []struct {
			Labels    map[string]string `json:"labels"`
			Health    string            `json:"health"`
			LastError string            `json:"lastError"`
		} `json:"activeTargets"`
	} `json:"data"`
}

type promRules struct {
	Data struct {
		Groups []struct {
			Rules []struct {
				Name      string `json:"name"`
				Health    string `json:"health"`
				LastError string `json:"lastError"`
			} `json:"rules"`
		} `json:"groups"`
	} `json:"data"`
}

func checkPrometheus(ctx context.Context, std streams, address string) error {
	var targets promTargets
	if err := askPrometheus(ctx, address, "/api/v1/targets?state=active", &targets); err != nil {
		return err
	}
	var loaded promRules
	if err := askPrometheus(ctx, address, "/api/v1/rules", &loaded); err != nil {
		return err
	}
	var wrong []string
	up := 0
	for _, t := range targets.Data.Active {
		switch {
		case t.Labels["job"] != "bursar":
		case t.Health == "up":
			up++
		default:
			wrong = append(wrong, fmt.Sprintf("target %s is %s: %s", t.Labels["instance"], t.Health, t.LastError))
		}
	}
	if up == 0 {
		wrong = append(wrong, "no target of job bursar is up")
	}
	missing := monitoring.RuleNames()
	for _, g := range loaded.Data.Groups {
		for _, r := range g.Rules {
			if missing[r.Name] && r.Health == "err" {
				wrong = append(wrong, fmt.Sprintf("rule %s fails: %s", r.Name, r.LastError))
			}
			delete(missing, r.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		wrong = append(wrong, "rule "+name+" is not loaded")
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s does not watch as it should:\n%s", address, strings.Join(wrong, "\n"))
	}
	_, err := fmt.Fprintf(std.out, "%s watches %d nodes with %d rules\n", address, up, len(monitoring.RuleNames()))
	return err
}

func askPrometheus(ctx context.Context, address, what string, answer any) error {
	if u, err := url.Parse(address); err != nil || u.Host == "" {
		return usagef("--prometheus: %q is no URL; one looks like http://localhost:9090", address)
	}
	status, body, err := localcluster.Fetch(ctx, http.DefaultClient, strings.TrimSuffix(address, "/")+what)
	if err != nil {
		return fmt.Errorf("ask Prometheus: %w", err)
	}
	if status != http.StatusOK {
		return fmt.Errorf("ask Prometheus at %s: it answers %d", address, status)
	}
	if err := json.Unmarshal([]byte(body), answer); err != nil {
		return fmt.Errorf("what %s answers is not Prometheus' language: %w", address, err)
	}
	return nil
}

// nodeHealth is how one node is.
type nodeHealth struct {
	target string
	ready  bool
	reason string
}

// clusterHealth asks all targets at once.
func (t *target) clusterHealth(ctx context.Context, targets []string) []nodeHealth {
	nodes := make([]nodeHealth, len(targets))
	done := make(chan struct{})
	for i, addr := range targets {
		go func() {
			ready, reason, err := t.readiness(ctx, addr)
			if err != nil {
				reason = "no answer: " + err.Error()
			}
			nodes[i] = nodeHealth{addr, ready && err == nil, reason}
			done <- struct{}{}
		}()
	}
	for range targets {
		<-done
	}
	return nodes
}

// The exit codes of a cluster's health, as Nagios has them.
const (
	healthWarning  = 1 // some nodes are not ready, a majority is
	healthCritical = 2 // no majority is
)

func showHealth(std streams, form string, nodes []nodeHealth) error {
	ready := 0
	var lines []string
	for _, n := range nodes {
		if n.ready {
			ready++
		} else {
			lines = append(lines, n.target+" "+n.reason)
		}
	}
	word, code := "OK", exitDone
	switch {
	case ready <= len(nodes)/2:
		word, code = "CRITICAL", healthCritical
	case ready < len(nodes):
		word, code = "WARNING", healthWarning
	}
	summary := fmt.Sprintf("%d of %d nodes are ready", ready, len(nodes))
	switch form {
	case "json":
		list := make([]object, 0, len(nodes))
		for _, n := range nodes {
			list = append(list, object{{"target", n.target}, {"ready", n.ready}, {"reason", n.reason}})
		}
		if err := printJSON(std.out, object{{"health", strings.ToLower(word)}, {"ready", ready}, {"nodes", list}}); err != nil {
			return err
		}
	case "nagios":
		fmt.Fprintf(std.out, "BURSAR %s: %s%s | ready=%d;%d;%d;0;%d\n", word, summary, prefixed("; ", strings.Join(lines, "; ")), ready,
			len(nodes)-1, len(nodes)/2, len(nodes))
	case "prometheus":
		fmt.Fprintln(std.out, "# HELP bursar_health_ready 1 if the node serves linearizable reads and writes.\n# TYPE bursar_health_ready gauge")
		for _, n := range nodes {
			value := 0
			if n.ready {
				value = 1
			}
			fmt.Fprintf(std.out, "bursar_health_ready{target=%q} %d\n", n.target, value)
		}
	default:
		fmt.Fprintf(std.out, "%s: %s\n", word, summary)
		for _, n := range nodes {
			fmt.Fprintf(std.out, "  %-24s %s\n", n.target, n.reason)
		}
	}
	if code != exitDone {
		return exitError{code, summary}
	}
	return nil
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// notInHost reports whether a character is in no name or address of a host.
func notInHost(r rune) bool {
	return r <= ' ' || !unicode.IsPrint(r) || strings.ContainsRune("/@?#\"'{}<>,;$`\\", r)
}

// checkTargets refuses what cannot be a node's page.
func checkTargets(targets []string) error {
	for _, one := range targets {
		host, port, err := net.SplitHostPort(one)
		if err != nil || strings.ContainsFunc(host, notInHost) || host == "" {
			return usagef("--targets: %q is not host:port", one)
		}
		if n, err := payfile.ParseUint(port); err != nil || n == 0 || n > 65535 {
			return usagef("--targets: %q: %q is no port, want 1 to 65535", one, port)
		}
	}
	return nil
}
