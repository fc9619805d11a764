package main

import (
	"bufio"
	"context"
	"io"

	"github.com/the-block/bursar/cmd/internal/node"
)

// A leash is a pipe from bursar dev to the standard input of a node it started. Its end
// is the node's: so no node outlives its dev, however that ended. Down the leash come
// orders, one a line.
const (
	orderCut  = "cut"  // hear and reach no other node
	orderMend = "mend" // until this
)

// obey carries out the orders that come down the leash, and calls ended at its end.
func obey(leash io.Reader, member *node.Node, ended context.CancelFunc) {
	defer ended()
	for lines := bufio.NewScanner(leash); lines.Scan(); {
		switch lines.Text() {
		case orderCut:
			member.CutOff(true)
		case orderMend:
			member.CutOff(false)
		}
	}
}
