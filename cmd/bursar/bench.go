package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/bench"
	"github.com/the-block/bursar/messages"
)

func newBench(std streams) *cobra.Command {
	cfg := bench.DefaultConfig()
	var to target
	var form format
	var scenario string
	var also []string
	command := &cobra.Command{
		Use:   "bench",
		Short: "Measure nodes from outside, over the wire",
		Long: `Measures a running node, or several of one cluster, as clients see them. Scenarios:

  submissions  durable submissions that do not fall due: the way to the disk and back
  payments     whole lives, accrued, submitted, executed and finalized
  reads        linearizable reads of one disbursement

It leaves its payments in the books: measure a cluster that you can throw away.`,
		Example: `  bursar bench --in-flight 1
  bursar bench --in-flight 256 --duration 30s
  bursar bench --scenario payments --rate 5000
  bursar bench --addr 127.0.0.1:9000 --also 127.0.0.1:9010,127.0.0.1:9020 --in-flight 4096`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			cfg.Addrs = append([]string{to.addr}, also...)
			cfg.Connections = max(cfg.Connections, len(cfg.Addrs))
			if cfg.TLS, err = to.secure(); err != nil {
				return err
			}
			load, err := scenarioConfig(cmd, cfg, scenario, to)
			if err != nil {
				return err
			}
			result, err := bench.Run(cmd.Context(), load)
			if err != nil {
				return err
			}
			if form.json() {
				return printJSON(std.out, benchFacts(result))
			}
			result.Print(std.out)
			return nil
		},
	}
	to.flags(command)
	form.flag(command)
	flags := command.Flags()
	flags.StringVar(&scenario, "scenario", "submissions", "submissions, payments or reads")
	flags.StringSliceVar(&also, "also", nil, "addresses of further nodes that share the connections, host:port,...")
	intVar(flags, &cfg.Connections, "connections", cfg.Connections, "connections that share the load")
	intVar(flags, &cfg.InFlight, "in-flight", cfg.InFlight, "calls that wait for an answer at the same time")
	intVar(flags, &cfg.Rate, "rate", 0, "calls a second, whatever the answers do (default: one for each answer)")
	flags.DurationVar(&cfg.Warmup, "warmup", cfg.Warmup, "time before measuring")
	flags.DurationVar(&cfg.Duration, "duration", cfg.Duration, "time measured")
	return command
}

// scenarioConfig completes cfg and prepares the node for the scenario.
func scenarioConfig(cmd *cobra.Command, cfg bench.Config, scenario string, to target) (bench.Config, error) {
	run := fmt.Sprintf("bench-%x", time.Now().UnixNano())
	link := to.connect()
	defer link.Close()
	switch scenario {
	case "submissions":
		return bench.Submissions(cfg, run), nil
	case "payments":
		params := &messages.AccrueParams{Options: messages.Options{RequestID: run}, Amount: 1 << 40, Source: "bench"}
		return bench.Payments(cfg, run), link.Call(cmd.Context(), messages.MethodAccrue, params, nil)
	case "reads":
		first := bench.Submissions(cfg, run).Call(0)
		var result messages.SubmitDisbursementResult
		err := link.Call(cmd.Context(), messages.MethodSubmitDisbursement, first, &result)
		return bench.Reads(cfg, result.ID), err
	default:
		return cfg, usageError{errors.New("--scenario: " + scenario + " is none of submissions, payments, reads")}
	}
}

func benchFacts(r *bench.Result) object {
	refused := make(map[string]uint64)
	for code, n := range r.Refused {
		refused[code.String()] = n
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return object{
		{"answered", r.Answered}, {"seconds", r.Took.Seconds()}, {"per_second", r.PerSecond},
		{"min_ms", ms(r.Min)}, {"p50_ms", ms(r.P50)}, {"p90_ms", ms(r.P90)}, {"p99_ms", ms(r.P99)},
		{"p999_ms", ms(r.P999)}, {"max_ms", ms(r.Max)}, {"refused", refused},
	}
}
