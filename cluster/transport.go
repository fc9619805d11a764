package cluster

import (
	"context"
	"errors"
	"net"
	"sync"
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
func (TCP) Listen(addr string) (net.Listener, error) {
	var l net.ListenConfig
	return l.Listen(context.Background(), "tcp", addr)
}

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

// streams is Raft's stream layer over a Network. It closes what Raft leaves open
// when it is shut down, on either side.
type streams struct {
	net.Listener
	network Network

	mu     sync.Mutex
	open   map[*stream]struct{}
	closed bool
}

// stream is a connection that streams knows of.
type stream struct {
	net.Conn
	of *streams
}

// Dial connects to another voter.
func (s *streams) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := s.network.Dial(ctx, string(addr))
	if err != nil {
		return nil, err
	}
	return s.track(conn)
}

// Accept waits for another voter to connect.
func (s *streams) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return s.track(conn)
}

// Close ends the listener and every stream.
func (s *streams) Close() error {
	s.mu.Lock()
	s.closed = true
	open := s.open
	s.open = nil
	s.mu.Unlock()
	err := s.Listener.Close()
	for c := range open {
		err = errors.Join(err, c.Conn.Close())
	}
	return err
}

func (s *streams) track(conn net.Conn) (net.Conn, error) {
	c := &stream{conn, s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	s.open[c] = struct{}{}
	return c, nil
}

// Close ends the stream.
func (c *stream) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// openTransport listens on addr and speaks Raft there.
func openTransport(network Network, addr string, log hclog.Logger) (*raft.NetworkTransport, error) {
	listener, err := network.Listen(addr)
	if err != nil {
		return nil, err
	}
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:                  &streams{Listener: listener, network: network, open: make(map[*stream]struct{})},
		Logger:                  log,
		MaxPool:                 transportPool,
		MaxRPCsInFlight:         transportRPCsFlying,
		Timeout:                 transportTimeout,
		MsgpackUseNewTimeFormat: true,
	}), nil
}
