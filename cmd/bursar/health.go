package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/certs"
	"github.com/the-block/bursar/cmd/internal/localcluster"
)

func newHealth(std streams) *cobra.Command {
	var to target
	var form string
	var targets []string
	command := &cobra.Command{
		Use:   "health",
		Short: "Ask whether a node serves linearizable reads and writes",
		Long: `Asks a node's /readyz, as a load balancer does. Prints "ready" with exit code 0, or the reason
with exit code 1.

With --targets it asks all of a cluster's nodes, at their pages (base port + 3), and judges the cluster: exit code 0 if
all are ready, 1 if a majority is, 2 if not. --output nagios is a check of Nagios and its kin, --output prometheus a
textfile of the node exporter: that is what a cron line runs.`,
		Example: `  bursar health
  bursar health --targets 10.0.0.1:9003,10.0.0.2:9003,10.0.0.3:9003 --output nagios
  until bursar health; do sleep 1; done`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), to.timeout)
			defer cancel()
			if !slices.Contains([]string{"text", "table", "json", "nagios", "prometheus"}, form) {
				return usagef("--output: %q is none of table, json, nagios and prometheus", form)
			}
			if len(targets) > 0 {
				if err := checkTargets(targets); err != nil {
					return err
				}
				return showHealth(std, form, to.clusterHealth(ctx, targets))
			}
			addr, err := to.httpAddr()
			if err != nil {
				return err
			}
			ready, reason, err := to.readiness(ctx, addr)
			if err != nil {
				return fmt.Errorf("no node answers at %s (%w); is it running, and is --addr its base port?", addr, err)
			}
			if form == "json" {
				if err := printJSON(std.out, object{{"ready", ready}, {"reason", reason}}); err != nil {
					return err
				}
			} else if ready {
				fmt.Fprintln(std.out, reason)
			}
			if !ready {
				return fmt.Errorf("not ready: %s", reason)
			}
			return nil
		},
	}
	to.flags(command)
	command.Flags().StringVar(&form, "output", "table", "table for people, json for programs; of --targets also nagios and prometheus")
	command.Flags().StringSliceVar(&targets, "targets", nil, "ask all of these nodes' pages, host:port,...")
	return command
}

// readiness asks the node whose pages are at addr, with the target's TLS if it has any.
func (t *target) readiness(ctx context.Context, addr string) (ready bool, reason string, err error) {
	url, client := "http://"+addr+"/readyz", http.DefaultClient
	cfg, err := t.secure()
	if err != nil {
		return false, "", err
	}
	if cfg != nil {
		transport := &http.Transport{TLSClientConfig: cfg}
		defer transport.CloseIdleConnections()
		url, client = "https://"+addr+"/readyz", &http.Client{Transport: transport}
	}
	status, body, err := localcluster.Fetch(ctx, client, url)
	if err != nil {
		err = certs.Explain(addr, err)
	}
	return status == http.StatusOK, strings.TrimSpace(body), err
}
