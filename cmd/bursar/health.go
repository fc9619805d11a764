package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/certs"
	"github.com/the-block/bursar/cmd/internal/localcluster"
)

func newHealth(std streams) *cobra.Command {
	var to target
	var form format
	command := &cobra.Command{
		Use:   "health",
		Short: "Ask whether a node serves linearizable reads and writes",
		Long: `Asks a node's /readyz, as a load balancer does. Prints "ready" with exit code 0, or the reason
with exit code 1.`,
		Example: `  bursar health
  until bursar health; do sleep 1; done`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), to.timeout)
			defer cancel()
			addr, err := to.httpAddr()
			if err != nil {
				return err
			}
			ready, reason, err := to.readiness(ctx, addr)
			if err != nil {
				return fmt.Errorf("no node answers at %s (%w); is it running, and is --addr its base port?", addr, err)
			}
			if form.json() {
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
	form.flag(command)
	return command
}

// readiness asks the node whose pages are at addr, without TLS.
func readiness(ctx context.Context, addr string) (ready bool, reason string, err error) {
	return new(target).readiness(ctx, addr)
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
