// Command bursar is the whole program: a node, the tools to talk to one, and a
// cluster on this machine to try it all. Each command has a file of its own.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/the-block/bursar/cmd/internal/terminal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, streams{in: os.Stdin, out: &terminal.Checked{File: os.Stdout}, err: &terminal.Checked{File: os.Stderr}}, os.Args[1:])
	stop()
	os.Exit(code)
}
