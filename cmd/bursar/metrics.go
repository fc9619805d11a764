package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/monitoring"
)

func newMetrics(std streams) *cobra.Command {
	command := &cobra.Command{
		Use:   "metrics",
		Short: "Tell about the metrics a node exports",
		Args:  cobra.ArbitraryArgs,
		RunE:  needsSubcommand,
	}
	command.AddCommand(newMetricsList(std))
	return command
}

func newMetricsList(std streams) *cobra.Command {
	var form format
	command := &cobra.Command{
		Use:   "list",
		Short: "List every metric family with the most series it can have",
		Args:  asUsage(nil),
		RunE: func(*cobra.Command, []string) error {
			if form.json() {
				return printJSON(std.out, node.Families())
			}
			total := monitoring.RuntimeSeriesMax
			for _, family := range node.Families() {
				total += family.SeriesMax
				labels := ""
				if len(family.Labels) > 0 {
					labels = "{" + strings.Join(family.Labels, ",") + "}"
				}
				fmt.Fprintf(std.out, "%5d  %-9s  %s%s\n", family.SeriesMax, family.Type, family.Name, labels)
			}
			fmt.Fprintf(std.out, "%5d  of Go's runtime and the process\n%5d  in all, of at most %d\n",
				monitoring.RuntimeSeriesMax, total, monitoring.SeriesMax)
			return nil
		},
	}
	form.flag(command)
	return command
}
