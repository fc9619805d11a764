package node

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/membership"
)

// cut is a cable that can be pulled between this node and the others. While it is
// pulled, what the node sends goes nowhere and what arrives is not heard; nobody is told
// that anything broke, as with a real one. Callers' connections do not go through it.
// Streams that lived through a cut have lost bytes and break when it is mended.
type cut struct {
	mu      sync.Mutex
	severed bool
	over    chan struct{} // of the cut; closed when it is mended
	streams map[*cutStream]struct{}
}

// openCut puts a cable that can be pulled between this node and the others, where the
// configuration asks for it.
func (n *Node) openCut(context.Context) error {
	if !n.cfg.Severable {
		return nil
	}
	n.cut = &cut{streams: make(map[*cutStream]struct{})}
	n.network, n.gossip = cutNetwork{n.cut, n.network}, cutGossip{n.cut, n.gossip}
	return nil
}

// CutOff pulls the cable to the other nodes, or mends it. It does nothing to a node
// whose configuration is not Severable.
func (n *Node) CutOff(off bool) {
	if n.cut == nil {
		return
	}
	n.log.Info("the network to the other nodes", "component", "cut", "cut", off)
	if off {
		n.cut.sever()
	} else {
		n.cut.mend()
	}
}

func (c *cut) sever() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.severed {
		return
	}
	c.severed, c.over = true, make(chan struct{})
	for s := range c.streams {
		s.lost = true
	}
}

func (c *cut) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.severed {
		return
	}
	c.severed = false
	close(c.over)
	for s := range c.streams {
		if s.lost {
			_ = s.Conn.Close() // its owner hears of it by its next read
		}
	}
}

// state tells whether the cable is pulled, and gives the channel that is closed when it
// is mended.
func (c *cut) state() (severed bool, over <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.severed, c.over
}

// stream leads a stream through the cable.
func (c *cut) stream(conn net.Conn) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &cutStream{Conn: conn, cut: c, lost: c.severed}
	c.streams[s] = struct{}{}
	return s
}

// cutDialTimeout is how long a node that is cut off tries to reach another.
const cutDialTimeout = 5 * time.Second

// dial is dial through the cable: while it is pulled nobody answers.
func (c *cut) dial(ctx context.Context, dial func() (net.Conn, error)) (net.Conn, error) {
	if severed, over := c.state(); severed {
		timer := time.NewTimer(cutDialTimeout)
		defer timer.Stop()
		select {
		case <-over:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
			return nil, context.DeadlineExceeded
		}
	}
	conn, err := dial()
	if err != nil {
		return nil, err
	}
	return c.stream(conn), nil
}

// cutStream is a stream that a cut makes useless, for both sides and for good.
type cutStream struct {
	net.Conn
	cut  *cut
	lost bool // guarded by cut.mu
}

func (s *cutStream) isLost() bool {
	s.cut.mu.Lock()
	defer s.cut.mu.Unlock()
	return s.lost
}

// Read does not return what comes through a pulled cable.
func (s *cutStream) Read(b []byte) (int, error) {
	for {
		n, err := s.Conn.Read(b)
		if err != nil || !s.isLost() {
			return n, err
		}
	}
}

// Write succeeds, as it does into the buffers of a system whose cable is pulled.
func (s *cutStream) Write(b []byte) (int, error) {
	if s.isLost() {
		return len(b), nil
	}
	return s.Conn.Write(b)
}

// Close ends the stream.
func (s *cutStream) Close() error {
	s.cut.mu.Lock()
	delete(s.cut.streams, s)
	s.cut.mu.Unlock()
	return s.Conn.Close()
}

// cutNetwork is the network of Raft and of calls between nodes behind the cable.
type cutNetwork struct {
	cut *cut
	cluster.Network
}

// Listen takes streams that go through the cable.
func (n cutNetwork) Listen(addr string) (net.Listener, error) {
	return n.cut.listen(n.Network.Listen(addr))
}

// Dial connects through the cable.
func (n cutNetwork) Dial(ctx context.Context, addr string) (net.Conn, error) {
	return n.cut.dial(ctx, func() (net.Conn, error) { return n.Network.Dial(ctx, addr) })
}

// cutGossip is the network of gossip behind the cable.
type cutGossip struct {
	cut *cut
	membership.Network
}

// Listen takes streams that go through the cable.
func (g cutGossip) Listen(addr string) (net.Listener, error) {
	return g.cut.listen(g.Network.Listen(addr))
}

// Dial connects through the cable.
func (g cutGossip) Dial(ctx context.Context, addr string) (net.Conn, error) {
	return g.cut.dial(ctx, func() (net.Conn, error) { return g.Network.Dial(ctx, addr) })
}

// ListenPacket takes packets that come through the cable.
func (g cutGossip) ListenPacket(addr string) (net.PacketConn, error) {
	conn, err := g.Network.ListenPacket(addr)
	if err != nil {
		return nil, err
	}
	return cutPackets{conn, g.cut}, nil
}

func (c *cut) listen(listener net.Listener, err error) (net.Listener, error) {
	if err != nil {
		return nil, err
	}
	return cutListener{listener, c}, nil
}

type cutListener struct {
	net.Listener
	cut *cut
}

// Accept takes a stream; through a pulled cable nothing will come out of it.
func (l cutListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.cut.stream(conn), nil
}

type cutPackets struct {
	net.PacketConn
	cut *cut
}

// ReadFrom does not return what comes through a pulled cable.
func (p cutPackets) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := p.PacketConn.ReadFrom(b)
		if severed, _ := p.cut.state(); err != nil || !severed {
			return n, from, err
		}
	}
}

// WriteTo loses what is sent through a pulled cable.
func (p cutPackets) WriteTo(b []byte, to net.Addr) (int, error) {
	if severed, _ := p.cut.state(); severed {
		return len(b), nil
	}
	return p.PacketConn.WriteTo(b, to)
}
