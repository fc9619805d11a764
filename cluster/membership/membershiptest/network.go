// Package membershiptest is a network in memory for nodes that gossip in a test, in
// virtual time or not: hosts with packets and streams, cuts in either direction, and
// loss of packets.
package membershiptest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// Network connects hosts. Its zero value is not usable; see New.
type Network struct {
	mu        sync.Mutex
	packets   map[string]*packetConn
	listeners map[string]*listener
	cuts      map[route]bool
	loss      float64
	chance    *rand.Rand
}

// route is one direction between two hosts.
type route struct{ from, to string }

// New makes a network whose losses follow from the seed.
func New(seed uint64) *Network {
	return &Network{
		packets: make(map[string]*packetConn), listeners: make(map[string]*listener),
		cuts: make(map[route]bool), chance: rand.New(rand.NewPCG(seed, seed)),
	}
}

// Cut drops what goes from one host to another, but not what comes back.
func (n *Network) Cut(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts[route{from, to}] = true
}

// Isolate cuts a host off from the others, in both directions.
func (n *Network) Isolate(host string, others ...string) {
	for _, other := range others {
		n.Cut(host, other)
		n.Cut(other, host)
	}
}

// Heal ends all cuts.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cuts)
}

// Lose drops that share of all packets, 0 to 1.
func (n *Network) Lose(share float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss = share
}

// cut reports whether nothing gets from one host to another.
func (n *Network) cut(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cuts[route{from, to}]
}

// Host is the network as one host sees it.
func (n *Network) Host(ip string) *Host { return &Host{network: n, ip: ip} }

// Host is a machine on a Network. It has what membership.Network asks for.
type Host struct {
	network *Network
	ip      string
}

// Faults of the network.
var (
	errRefused = errors.New("connection refused")
	errInUse   = errors.New("address in use")
)

const packetsMax = 1024 // that wait at a socket; more are lost

// ListenPacket binds addr for packets.
func (h *Host) ListenPacket(addr string) (net.PacketConn, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	n := h.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.packets[addr] != nil {
		return nil, fmt.Errorf("%s: %w", addr, errInUse)
	}
	p := &packetConn{host: h, addr: net.UDPAddrFromAddrPort(at), queue: make(chan packet, packetsMax), closed: make(chan struct{})}
	n.packets[addr] = p
	return p, nil
}

// Listen binds addr for streams.
func (h *Host) Listen(addr string) (net.Listener, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	n := h.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return nil, fmt.Errorf("%s: %w", addr, errInUse)
	}
	l := &listener{host: h, addr: net.TCPAddrFromAddrPort(at), queue: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

// Dial connects to addr. Across a cut, in whichever direction, it waits until ctx ends;
// where nobody listens it is refused at once.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	n, far := h.network, to.Addr().String()
	if n.cut(h.ip, far) || n.cut(far, h.ip) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	n.mu.Lock()
	l := n.listeners[addr]
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("%s: %w", addr, errRefused)
	}
	here, there := net.Pipe()
	select {
	case l.queue <- &stream{Conn: there, network: n, at: far, peer: h.ip, addr: l.addr, from: &net.TCPAddr{IP: net.ParseIP(h.ip)}}:
		return &stream{Conn: here, network: n, at: h.ip, peer: far, addr: &net.TCPAddr{IP: net.ParseIP(h.ip)}, from: l.addr}, nil
	case <-l.closed:
		return nil, fmt.Errorf("%s: %w", addr, errRefused)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// stream is one end of a connection.
type stream struct {
	net.Conn
	network    *Network
	at, peer   string
	addr, from net.Addr
}

// Write sends, into the void where the route is cut.
func (s *stream) Write(b []byte) (int, error) {
	if s.network.cut(s.at, s.peer) {
		return len(b), nil
	}
	return s.Conn.Write(b)
}

// LocalAddr is where this end is.
func (s *stream) LocalAddr() net.Addr { return s.addr }

// RemoteAddr is where the other end is.
func (s *stream) RemoteAddr() net.Addr { return s.from }

type listener struct {
	host   *Host
	addr   net.Addr
	queue  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.queue:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		n := l.host.network
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.listeners, l.addr.String())
	})
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }

type packet struct {
	body []byte
	from net.Addr
}

type packetConn struct {
	host   *Host
	addr   net.Addr
	queue  chan packet
	closed chan struct{}
	once   sync.Once
}

// ReadFrom waits for a packet.
func (p *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case got := <-p.queue:
		return copy(b, got.body), got.from, nil
	case <-p.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo sends a packet, which arrives at once or never.
func (p *packetConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	to, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return 0, err
	}
	n := p.host.network
	n.mu.Lock()
	defer n.mu.Unlock()
	lost := n.chance.Float64() < n.loss || n.cuts[route{p.host.ip, to.Addr().String()}]
	if target := n.packets[to.String()]; target != nil && !lost {
		select {
		case target.queue <- packet{body: append([]byte(nil), b...), from: p.addr}:
		default:
		}
	}
	return len(b), nil
}

func (p *packetConn) Close() error {
	p.once.Do(func() {
		close(p.closed)
		n := p.host.network
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.packets, p.addr.String())
	})
	return nil
}

func (p *packetConn) LocalAddr() net.Addr              { return p.addr }
func (p *packetConn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (p *packetConn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (p *packetConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// Garble answers every stream at addr with bytes that make no sense, until stop is
// called.
func (h *Host) Garble(addr string) (stop func(), err error) {
	l, err := h.Listen(addr)
	if err != nil {
		return nil, err
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(time.Second))
				_, _ = io.CopyN(io.Discard, conn, 16)
				_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			})
		}
	})
	return func() { _ = l.Close(); serving.Wait() }, nil
}
