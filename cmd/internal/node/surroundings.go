package node

import (
	"context"
	"net"

	"github.com/the-block/bursar/actors/kinds"
	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/membership"
)

// surroundings are what a node finds around it and how much of it there is. A
// simulation puts whole nodes into others than a machine's.
type surroundings struct {
	// network carries streams between nodes, gossip their packets.
	network cluster.Network
	gossip  membership.Network
	// listen binds the port that clients call.
	listen func(ctx context.Context, addr string) (net.Listener, error)
	// pages says whether the HTTP port is served.
	pages bool
	// kinds are the kinds of actors that the program has brought along.
	kinds []kinds.Kind
	// consensus, machine and treasury change what these parts are given.
	consensus func(cluster.Config) cluster.Config
	machine   func(cluster.StateMachine) cluster.StateMachine
	treasury  func(treasury.Config) treasury.Config
}

// onMachine are the surroundings of a node that runs on a machine of its own.
func onMachine() surroundings {
	return surroundings{
		network: cluster.TCP{}, gossip: membership.Sockets{}, pages: true,
		listen: func(ctx context.Context, addr string) (net.Listener, error) {
			return new(net.ListenConfig).Listen(ctx, "tcp", addr)
		},
		consensus: func(cfg cluster.Config) cluster.Config { return cfg },
		machine:   func(m cluster.StateMachine) cluster.StateMachine { return m },
		treasury:  func(cfg treasury.Config) treasury.Config { return cfg },
	}
}
