package node

import (
	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/membership"
)

// Cable is a cut between a node and the machine's network.
type Cable struct{ *cut }

// NewCable gives the cable and the networks behind it.
func NewCable() (Cable, cluster.Network, membership.Network) {
	c := &cut{streams: make(map[*cutStream]struct{})}
	return Cable{c}, cutNetwork{c, cluster.TCP{}}, cutGossip{c, membership.Sockets{}}
}

// Pull pulls the cable.
func (c Cable) Pull() { c.sever() }

// Mend mends it.
func (c Cable) Mend() { c.mend() }

// Streams counts the open streams.
func (c Cable) Streams() int { return len(c.streams) }
