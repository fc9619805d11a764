package cluster

import (
	"context"
	"net"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// Network carries streams between nodes: plain TCP, TLS, or memory in a test.
type Network interface {
	Listen(addr string) (net.Listener, error)
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

// TCP is the plain network.
type TCP struct{}

// Listen binds addr.
func (TCP) Listen(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }

// Dial connects to addr.
func (TCP) Dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

// Limits of Raft's transport.
const (
	transportTimeout    = 2 * time.Second
	transportPool       = 3 // idle connections kept to each voter
	transportRPCsFlying = 2
)

// streams is Raft's stream layer over a Network.
type streams struct {
	net.Listener
	network Network
}

// Dial connects to another voter.
func (s streams) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return s.network.Dial(ctx, string(addr))
}

// openTransport listens on addr and speaks Raft there.
func openTransport(network Network, addr string, log hclog.Logger) (*raft.NetworkTransport, error) {
	listener, err := network.Listen(addr)
	if err != nil {
		return nil, err
	}
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:                  streams{listener, network},
		Logger:                  log,
		MaxPool:                 transportPool,
		MaxRPCsInFlight:         transportRPCsFlying,
		Timeout:                 transportTimeout,
		MsgpackUseNewTimeFormat: true,
	}), nil
}
