package node

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/the-block/bursar/actors/kinds"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// OpenWith is Open for a node with kinds of actors that its program brings along.
func OpenWith(ctx context.Context, cfg Config, own []kinds.Kind, log *slog.Logger) (*Node, error) {
	around := onMachine()
	around.kinds = own
	return openIn(ctx, around, cfg, log)
}

// Cluster reaches the actors of the program's kinds, on every node.
func (n *Node) Cluster() *kinds.Cluster { return n.kinds.Cluster() }

// openKinds makes the actors of the program's kinds, on the treasury's shards.
func (n *Node) openKinds() (err error) {
	n.kinds, err = kinds.New(n.around.kinds, n.treasury.Config().GraphShards, n.system, toOwner{n})
	return err
}

// toOwner takes messages to the nodes that own their shards, the way of callers' calls.
type toOwner struct{ node *Node }

// Route implements kinds.Router.
func (r toOwner) Route(p *messages.SendParams, deadline time.Time, done func([]byte, *messages.Error)) {
	method := messages.CarriedTable().ByName(messages.MethodActorsSend)
	call := wire.Own(method, p, deadline, func(result messages.Result, err *messages.Error) {
		if err != nil {
			done(nil, err)
			return
		}
		done(result.(*messages.SendResult).Reply, nil)
	})
	r.node.service.take([]*wire.Call{call}, false)
}

// deliver hands a message to its actor on this node, which owns the shard as far as it has
// followed the log. Cut off from the leader it cannot know, and does not.
func (n *Node) deliver(a *attempt) {
	if _, known := n.consensus.Leader(); !known {
		a.Fail(n.unavailable())
		return
	}
	n.kinds.Deliver(a.call.Params.(*messages.SendParams), a.call.Deadline, a)
}

// kindAt is the address of an actor of the program's kinds by its path.
func kindAt(path string) (kinds.Address, bool) {
	below, ok := strings.CutPrefix(path, kinds.Root+"/")
	kind, key, _ := strings.Cut(below, "/")
	return kinds.Address{Kind: kind, Key: key}, ok
}
