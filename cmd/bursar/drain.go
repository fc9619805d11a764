package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/messages"
)

func newDrain(std streams) *cobra.Command {
	var to target
	var form format
	var off bool
	command := &cobra.Command{
		Use:   "drain NODE",
		Short: "Let a node hand over its shards and its leadership",
		Long: `Lets a node hand over its shards and its leadership to the others, and waits until they have them.
The node still votes and takes calls; a restart, or --off, gives it its share again. Use it before
work on a machine. Any node takes the command for any other. A node that is stopped in order drains
itself: no need to do it before.

The exit code is 1 if shards are left when --timeout is over.`,
		Example: `  bursar drain n1 --addr 192.168.1.11:9000
  bursar drain n1 --off`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name a NODE; 'bursar status' lists those there are")
			}
			return atMost(1)(nil, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), to.timeout)
			defer cancel()
			link := to.connect()
			defer link.Close()
			var result messages.DrainResult
			params := &messages.DrainParams{Node: args[0], Off: off}
			if err := link.Call(ctx, messages.MethodClusterDrain, params, &result); err != nil {
				return err
			}
			title := fmt.Sprintf("%s is drained", result.Node)
			if !result.Draining {
				title = fmt.Sprintf("%s takes its share again", result.Node)
			}
			facts := []fact{{"node", result.Node}, {"draining", result.Draining}, {"shards", result.Shards}}
			if err := printFacts(std.out, form, title, facts); err != nil {
				return err
			}
			if result.Draining && result.Shards > 0 {
				return fmt.Errorf("%s still owns %d shards; there may be nobody to take them", result.Node, result.Shards)
			}
			return nil
		},
	}
	to.flags(command)
	command.Flags().BoolVar(&off, "off", false, "end it: the node takes its share again")
	form.flag(command)
	return command
}
