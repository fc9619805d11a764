package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
)

func newVersion(std streams) *cobra.Command {
	var form format
	command := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of the program and of its wire",
		RunE: func(*cobra.Command, []string) error {
			facts := []fact{
				{"version", node.Version},
				{"wire", messages.WireVersion},
				{"go", runtime.Version()},
				{"platform", runtime.GOOS + "/" + runtime.GOARCH},
			}
			return printFacts(std.out, form, fmt.Sprintf("bursar %s", node.Version), facts)
		},
	}
	form.flag(command)
	return command
}
