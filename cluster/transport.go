package cluster

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
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

// keepAlive ends a stream whose other side is gone within five seconds: a Raft snapshot
// on its way to or from a node that was cut off would hold up either side for as long
// as TCP tries again.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 2 * time.Second, Interval: time.Second, Count: 3}

// Listen binds addr.
func (TCP) Listen(addr string) (net.Listener, error) {
	l := net.ListenConfig{KeepAliveConfig: keepAlive}
	return l.Listen(context.Background(), "tcp", addr)
}

// Dial connects to addr.
func (TCP) Dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive}
	return d.DialContext(ctx, "tcp", addr)
}

// Limits of Raft's transport.
const (
	transportTimeout    = 2 * time.Second // without progress
	writeTimeout        = 5 * time.Second // of one piece of at most 256 KiB
	transportPool       = 3               // idle connections kept to each voter
	transportRPCsFlying = 2
)

// transport is Raft's transport. A node that may not vote is no candidate and answers
// none through it.
type transport struct {
	*raft.NetworkTransport
	streams       *streams
	advertise     raft.ServerAddress
	life          *life
	committed     func() uint64 // the newest entry that is known to be committed here
	term          func() uint64 // this node is in
	conflict      func(error)   // hears that another node does not have it
	rpcs          chan raft.RPC // past the gate
	returns       returns
	addresses     addresses
	confirmations confirmations
	reach         reach
	installing    atomic.Int32    // Raft snapshots on their way to others
	transferring  atomic.Int32    // hand-overs of leadership, for a while after each too
	leaving       <-chan struct{} // closed when Raft is about to be shut down
	closed        chan struct{}
	once          sync.Once
	gate          sync.WaitGroup
}

// openTransport listens on the configured address and speaks Raft there.
func openTransport(network Network, cfg Config, c *Consensus, leaving <-chan struct{}, log *slog.Logger, raftLog hclog.Logger) (*transport, error) {
	listener, err := network.Listen(cfg.RaftAddr)
	if err != nil {
		return nil, err
	}
	t := &transport{
		streams:   openStreams(network, listener, c, log),
		advertise: raft.ServerAddress(cfg.AdvertiseAddr), life: c.life, committed: c.store.Committed, term: c.storedTerm, conflict: c.halt,
		leaving: leaving, closed: make(chan struct{}), rpcs: make(chan raft.RPC),
	}
	if t.advertise == "" {
		t.advertise = raft.ServerAddress(listener.Addr().String())
	}
	t.addresses.group = t.streams.members
	t.NetworkTransport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:                  t.streams,
		Logger:                  raftLog,
		MaxPool:                 transportPool,
		MaxRPCsInFlight:         transportRPCsFlying,
		Timeout:                 transportTimeout,
		ServerAddressProvider:   &t.addresses,
		MsgpackUseNewTimeFormat: true,
	})
	t.gate.Go(t.keepGate)
	return t, nil
}

// LocalAddr is where others reach this node.
func (t *transport) LocalAddr() raft.ServerAddress { return t.advertise }

// Close ends the transport. Raft and its owner both call it.
func (t *transport) Close() error {
	t.once.Do(func() { close(t.closed) })
	err := t.NetworkTransport.Close()
	t.gate.Wait()
	return err
}

// errDeposed ends what a leader still sends that has been followed by another.
var errDeposed = errors.New("this node was leader, and its log has gone on without it")

// deposed reports whether entries are younger than the leadership in which they are
// sent. Raft brings a voter up to date from its log as it is, and that grows under the
// next leader while the goroutine of the last leadership still waits for the voter. The
// entries are true, but a voter that stores them before it knows of their term looks,
// after a power loss, as if its term had been lost, which is damage.
func deposed(request *raft.AppendEntriesRequest) bool {
	n := len(request.Entries)
	return n > 0 && request.Entries[n-1].Term > request.Term
}
