package clustertest

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// socket takes packets.
type socket struct {
	host   *Host
	addr   *net.UDPAddr
	queue  chan packet
	closed chan struct{}
	once   sync.Once
}

type packet struct {
	body []byte
	from net.Addr
}

// ListenPacket waits for packets to addr.
func (h *Host) ListenPacket(addr string) (net.PacketConn, error) {
	ip, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case h.dead:
		return nil, errDead
	case n.sockets[addr] != nil:
		return nil, syscall.EADDRINUSE
	}
	s := &socket{host: h, addr: net.UDPAddrFromAddrPort(ip), queue: make(chan packet, packetsMax), closed: make(chan struct{})}
	n.sockets[addr] = s
	return s, nil
}

func (s *socket) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case p := <-s.queue:
		return copy(b, p.body), p.from, nil
	case <-s.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo sends a packet, which may get lost, come late, and come twice.
func (s *socket) WriteTo(b []byte, addr net.Addr) (int, error) {
	to, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return 0, err
	}
	n := s.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.host.dead {
		return 0, errDead
	}
	n.sent++
	l := n.link(s.addr.IP.String(), to.Addr().String())
	p := packet{append([]byte(nil), b...), s.addr}
	deliver := func() { n.deliver(to.String(), p) }
	copies := 1
	if l.Repeat > 0 && n.rng.Float64() < l.Repeat {
		copies = 2
	}
	for range copies {
		switch delay, lost := n.late(l.Weather, l.Loss); {
		case l.cut || lost, n.barred[bar{to.String(), s.addr.IP.String()}], n.barred[bar{s.addr.String(), to.Addr().String()}]:
		case l.clogged:
			l.held = append(l.held, deliver)
		case delay == 0:
			n.arrive(to.String(), p)
		default:
			time.AfterFunc(delay, deliver)
		}
	}
	return len(b), nil
}

func (n *Network) deliver(to string, p packet) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.arrive(to, p)
}

// arrive hands over a packet, if somebody has room for it. mu is held.
func (n *Network) arrive(to string, p packet) {
	if s := n.sockets[to]; s != nil {
		select {
		case s.queue <- p:
		default:
		}
	}
}

func (s *socket) shut() { s.once.Do(func() { close(s.closed) }) }

func (s *socket) Close() error {
	s.shut()
	n := s.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sockets[s.addr.String()] == s {
		delete(n.sockets, s.addr.String())
	}
	return nil
}

func (s *socket) LocalAddr() net.Addr              { return s.addr }
func (s *socket) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (s *socket) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (s *socket) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
