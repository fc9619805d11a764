// Package host is a node of Bursar with kinds of actors of your own: what a program in
// another module uses to have its actors placed, failed over and reached by the cluster.
//
// Every node of the cluster runs the same program. It brings along its [Kind]s, opens a
// [Node] and runs it; the node is a whole member of the cluster, with the treasury's
// actors beside the program's, one tree, one set of metrics, one console. An actor is
// known by kind and key ([Address]). It lives on the node that the log says owns the key's
// shard, is made at its first message, and is made anew on another node when its own is
// gone. Whoever has the [Cluster] tells and asks it by its address, from any node.
//
// What an actor remembers is in its node's memory and ends with it: an actor that is made
// anew begins with what its Start reads from elsewhere. For an instant, while a node is
// cut off and does not know it yet, two nodes may have an actor of the same address.
package host

import (
	"context"
	"log/slog"

	"github.com/the-block/bursar/actors/kinds"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages/values"
)

// What a program tells a node, and what its actors are. Each is documented where it is
// declared.
type (
	// Config is everything a node is told at its start.
	Config = node.Config
	// Kind is one kind of actors.
	Kind = kinds.Kind
	// Seat is what an actor is given when it is made.
	Seat = kinds.Seat
	// Codec turns what a kind's actors are told and reply into bytes and back.
	Codec = kinds.Codec
	// Address says which actor is meant: its kind and key.
	Address = kinds.Address
	// Cluster reaches the actors of all kinds, on whatever node they live.
	Cluster = kinds.Cluster
)

// DefaultConfig is that of a lone node on loopback.
func DefaultConfig() Config { return node.DefaultConfig() }

// Msgpack is the usual Codec: MessagePack for the types of the samples, whose values do
// not matter, each under the name of its type. The error names a sample that cannot be
// carried.
func Msgpack(samples ...any) (Codec, error) { return values.New(samples...) }

// Node is one node of the cluster with the program's kinds.
type Node struct {
	*Cluster
	node *node.Node
}

// Open binds the ports and makes the node ready to run. Nothing happens before Run, but a
// node that is opened must be run.
func Open(ctx context.Context, cfg Config, kinds []Kind, log *slog.Logger) (*Node, error) {
	n, err := node.OpenWith(ctx, cfg, kinds, log)
	if err != nil {
		return nil, err
	}
	return &Node{Cluster: n.Cluster(), node: n}, nil
}

// Run serves until ctx ends or a part of the node fails, and then stops it in order: the
// actors have handled what they had accepted when it returns.
func (n *Node) Run(ctx context.Context) error { return n.node.Run(ctx) }

// Ready says why the node cannot tell and ask yet, nil if it can.
func (n *Node) Ready() error { return n.node.Ready() }

// Ask asks an actor and waits for its reply, which must be an R. See Cluster.Ask.
func Ask[R any](ctx context.Context, c *Cluster, to Address, msg any) (R, error) {
	return kinds.Ask[R](ctx, c, to, msg)
}
