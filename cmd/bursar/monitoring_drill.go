package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/alertdrill"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/monitoring"
)

func newMonitoringDrill(std streams) *cobra.Command {
	d := &alertDrill{std: std}
	command := &cobra.Command{
		Use:   "drill [ALERT...]",
		Short: "See an alert come: make its fault in a cluster of its own and follow it",
		Long: `Starts three nodes, Prometheus and Alertmanager on this machine, makes the fault that ALERT is for, and
tells when the alert is pending, when it fires, which receivers are told, and, once the fault is taken back, when it is
resolved, with the address of its runbook. Nothing of a cluster that runs already is touched.

The rules are those of export with --scale 0.02: five minutes are six seconds. A program of the drill's own stands for
all receivers. Without any ALERT it goes through all alerts that can be drilled, which takes about a quarter of an hour.
It needs Debian's packages prometheus and prometheus-alertmanager, or newer ones. --list tells which alerts can be
drilled, by which fault, and why others cannot.`,
		Example: `  bursar monitoring drill TreasuryCircuitBreakerOpen
  bursar monitoring drill --list`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if d.list {
				return d.print()
			}
			faults := alertdrill.Faults()
			if len(args) > 0 {
				faults = nil
			}
			for _, name := range args {
				one, err := drillable(name)
				if err != nil {
					return err
				}
				faults = append(faults, *one)
			}
			return d.run(cmd.Context(), faults)
		},
	}
	command.Flags().BoolVar(&d.list, "list", false, "list the alerts with their faults")
	intVar(command.Flags(), &d.basePort, "base-port", 0, "first of 32 ports; 0 looks for free ones")
	command.Flags().StringVar(&d.dir, "data", "", "directory to keep data, logs and configuration in (default: one that is removed at the end)")
	return command
}

// drillable is the fault of an alert by its name.
func drillable(alert string) (*alertdrill.Fault, error) {
	one := alertdrill.FaultOf(alert)
	switch {
	case one == nil:
		return nil, usagef("there is no alert %q; bursar monitoring drill --list lists them", alert)
	case !one.Can():
		return nil, usagef("%s cannot be drilled here: %s", alert, one.Why)
	}
	return one, nil
}

// alertDrill is the drill command as its flags describe it.
type alertDrill struct {
	std      streams
	list     bool
	basePort int
	dir      string
}

func (d *alertDrill) print() error {
	rows := terminal.Table{{"alert", "fault"}}
	for _, f := range alertdrill.Faults() {
		text := f.Does
		switch {
		case !f.Can():
			text = "cannot be drilled here: " + f.Why
		case f.HeldBack != "":
			text += "; " + f.HeldBack + " holds it back"
		}
		rows = append(rows, []string{f.Alert, text})
	}
	rows.Print(d.std.out)
	return nil
}

func (d *alertDrill) run(ctx context.Context, faults []alertdrill.Fault) error {
	if d.dir == "" {
		dir, err := os.MkdirTemp("", "bursar-drill-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		d.dir = dir
	} else if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	fmt.Fprintln(d.std.out, "starting three nodes, Prometheus and Alertmanager; a calm cluster is waited for")
	trial, err := alertdrill.Start(ctx, alertdrill.Config{Dir: d.dir, BasePort: d.basePort, Tell: func(string, ...any) {}})
	if err != nil {
		return err
	}
	var failed []string
	for i := range faults {
		if !faults[i].Can() {
			continue
		}
		if err := d.one(ctx, trial, &faults[i]); err != nil {
			if ctx.Err() != nil {
				break
			}
			failed = append(failed, faults[i].Alert)
			fmt.Fprintf(d.std.out, "           NOT as it should be: %v\n", err)
		}
	}
	err = errors.Join(ctx.Err(), trial.Stop())
	if len(failed) > 0 {
		err = errors.Join(fmt.Errorf("not seen from end to end: %s", strings.Join(failed, ", ")), err)
	}
	return err
}

// one drills one alert and prints what is seen.
func (d *alertDrill) one(ctx context.Context, trial *alertdrill.Trial, f *alertdrill.Fault) error {
	if err := trial.Calm(ctx, f); err != nil {
		return err
	}
	fmt.Fprintln(d.std.out, f.Alert)
	_, err := trial.Run(ctx, f, func(at time.Duration, text string) {
		fmt.Fprintf(d.std.out, "  %7s  %s\n", at.Round(100*time.Millisecond), text)
	})
	for _, alert := range monitoring.Alerts() {
		if alert.Name == f.Alert {
			fmt.Fprintf(d.std.out, "           runbook: %s\n", alert.Runbook)
		}
	}
	return err
}
