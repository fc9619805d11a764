package main

import (
	"fmt"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/cmd/host"
)

// What a counter is told. Messages are plain values; their fields travel by name.
type (
	// Add adds to the counter, and is replied the Sum.
	Add struct{ N int }
	// Get is replied the Sum.
	Get struct{}
	// Sum says what a counter has reached, and on which node.
	Sum struct {
		N    int
		Node string
	}
)

// counter is one counter: state, and one message at a time.
type counter struct {
	node string
	n    int
}

// Receive implements actors.Actor.
func (c *counter) Receive(ctx *actors.Context, msg any) error {
	switch m := msg.(type) {
	case Add:
		c.n += m.N
	case Get:
	default: // a failure: the supervisor begins the counter anew
		return fmt.Errorf("counter: unknown message %T", msg)
	}
	ctx.Reply(Sum{c.n, c.node})
	return nil
}

// counters is the kind, the same on every node but for the node's name.
func counters(node string) (host.Kind, error) {
	codec, err := host.Msgpack(Add{}, Get{}, Sum{})
	return host.Kind{
		Name: "counter", Codec: codec,
		New: func(*host.Seat) actors.Actor { return &counter{node: node} },
	}, err
}
