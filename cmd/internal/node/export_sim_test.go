package node

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/membership"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Host is what a simulation lets a node reach others by.
type Host interface {
	cluster.Network
	membership.Network
}

// Around is what a simulation puts a node into: a host of its network, and what it
// changes about its parts.
type Around struct {
	Host      Host
	Consensus func(cluster.Config) cluster.Config
	Machine   func(cluster.StateMachine) cluster.StateMachine
	Treasury  func(treasury.Config) treasury.Config
}

// OpenAround is Open in a simulation. No page is served.
func OpenAround(ctx context.Context, around Around, cfg Config, log *slog.Logger) (*Node, error) {
	s := onMachine()
	s.network, s.gossip, s.pages = around.Host, around.Host, false
	s.listen = func(_ context.Context, addr string) (net.Listener, error) { return around.Host.Listen(addr) }
	s.consensus, s.machine, s.treasury = around.Consensus, around.Machine, around.Treasury
	return openIn(ctx, s, cfg, log)
}

// Kill ends the node as a failure of a part does, without handing anything over.
func (n *Node) Kill(why error) { n.parts.fail(why) }

// Store is the node's projection of the log.
func (n *Node) Store() *persistence.Store { return n.store }

// Treasury is the node's part of the treasury.
func (n *Node) Treasury() *treasury.Treasury { return n.treasury }

// Halted is why the node takes no part in the log any more; nil while it does.
func (n *Node) Halted() error { return n.consensus.Halted() }

// Leads reports whether the node leads, as it sees it.
func (n *Node) Leads() bool { return n.consensus.State().Leading }

// Voting reports whether the node votes, and how many do.
func (n *Node) Voting() (voting bool, voters int) { return n.consensus.Voting(), int(n.voters().all) }

// Misowned says of which shard this node's actors think otherwise than the log; "" of
// none.
func (n *Node) Misowned() string {
	state, err := n.ownership()
	if err != nil {
		return err.Error()
	}
	owned := state.Owned(n.cfg.Name, n.boot)
	for i, o := range state.Shards {
		shard := messages.ShardID(i)
		if _, own := owned[shard]; n.treasury.Owns(shard) != own || o.Owner == "" {
			return fmt.Sprintf("%s owns shard %d: %t; the log says %q", n.cfg.Name, shard, n.treasury.Owns(shard), o.Owner)
		}
	}
	return ""
}

// NotClosed lists the breakers that are not closed.
func (n *Node) NotClosed() (paths []string) {
	found, _ := n.system.Breakers(actors.BreakerPage{NotClosed: true, Limit: 10})
	for _, b := range found {
		paths = append(paths, fmt.Sprintf("%s %s", b.Path, b.State))
	}
	return paths
}
