package node_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// simNetwork joins hosts in memory and in virtual time. Raft, the links between nodes,
// gossip and clients all go through it, and each direction between two hosts has a
// weather of its own.
type simNetwork struct {
	mu        sync.Mutex
	moved     sync.Cond // a link opened or a listener came: dials look again
	rng       *rand.Rand
	calm      weather
	links     map[simRoute]*simLink
	listeners map[string]*simListener
	sockets   map[string]*simSocket
	conns     map[*simConn]struct{}
	sent      int // packets and pieces of streams
}

// simRoute is one direction between two hosts, by their addresses.
type simRoute struct{ from, to string }

// weather is how well one direction carries.
type weather struct {
	// loss is the share of packets that are lost. A piece of a stream is sent again
	// after a fifth of a second, then two, and holds up what follows it.
	loss float64
	// repeat is the share of packets that arrive once more, later.
	repeat float64
	// delayMin and delayMax bound how long a packet or a piece is on its way. Packets
	// overtake each other.
	delayMin, delayMax time.Duration
}

// simLink is one direction between two hosts.
type simLink struct {
	weather
	// cut loses packets and lets no stream move; streams that stand still for as long as
	// a keep-alive waits break.
	cut bool
	// clogged holds everything back, and lets it go when it is opened.
	clogged bool
	changes int      // of cut
	held    []func() // packets that a clogged link holds back
}

const (
	simWindow    = 1 << 20 // bytes of a stream under way or unread before its writer waits
	simBacklog   = 128
	simResend    = 200 * time.Millisecond
	simKeepAlive = 5 * time.Second
	simPackets   = 1024 // that wait at a socket; more are lost
)

func newSimNetwork(rng *rand.Rand, calm weather) *simNetwork {
	n := &simNetwork{
		rng: rng, calm: calm, links: make(map[simRoute]*simLink), listeners: make(map[string]*simListener),
		sockets: make(map[string]*simSocket), conns: make(map[*simConn]struct{}),
	}
	n.moved.L = &n.mu
	return n
}

// link is one direction. mu is held.
func (n *simNetwork) link(from, to string) *simLink {
	l := n.links[simRoute{from, to}]
	if l == nil {
		l = &simLink{weather: n.calm}
		n.links[simRoute{from, to}] = l
	}
	return l
}

func (l *simLink) passes() bool { return !l.cut && !l.clogged }

// wakeLocked has everybody look again.
func (n *simNetwork) wakeLocked() {
	n.moved.Broadcast()
	for c := range n.conns {
		c.in.moved.Broadcast()
		c.out.moved.Broadcast()
	}
}

// cut cuts one direction, or mends it.
func (n *simNetwork) cut(from, to string, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.link(from, to)
	if l.cut == cut {
		return
	}
	l.cut = cut
	l.changes++
	if change := l.changes; cut {
		time.AfterFunc(simKeepAlive, func() { n.keepAlive(from, to, change) })
	}
	n.wakeLocked()
}

// keepAlive breaks the streams over a direction that has been cut since a change.
func (n *simNetwork) keepAlive(from, to string, change int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.link(from, to).changes != change {
		return
	}
	for c := range n.conns {
		if c.out.from == from && c.out.to == to || c.in.from == from && c.in.to == to {
			c.broken = true
		}
	}
	n.wakeLocked()
}

// clog holds back what goes in one direction, or lets it go.
func (n *simNetwork) clog(from, to string, clogged bool) {
	n.mu.Lock()
	l := n.link(from, to)
	l.clogged = clogged
	var held []func()
	if !clogged {
		held, l.held = l.held, nil
		n.rng.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
	}
	n.wakeLocked()
	n.mu.Unlock()
	for _, deliver := range held {
		deliver()
	}
}

// setWeather gives one direction another weather.
func (n *simNetwork) setWeather(from, to string, w weather) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link(from, to).weather = w
}

// heal ends all cuts and clogs, and all bad weather.
func (n *simNetwork) heal() {
	n.mu.Lock()
	routes := make([]simRoute, 0, len(n.links))
	for route := range n.links {
		routes = append(routes, route)
	}
	n.mu.Unlock()
	for _, r := range routes {
		n.setWeather(r.from, r.to, n.calm)
		n.cut(r.from, r.to, false)
		n.clog(r.from, r.to, false)
	}
}

// late draws how long something is on its way, and whether it gets there at all. mu is
// held.
func (n *simNetwork) late(w weather) (delay time.Duration, lost bool) {
	delay = w.delayMin
	if spread := w.delayMax - w.delayMin; spread > 0 {
		delay += time.Duration(n.rng.Int64N(int64(spread)))
	}
	return delay, w.loss > 0 && n.rng.Float64() < w.loss
}

// simHost is one start of a process on a host: what it has open ends with it.
type simHost struct {
	net  *simNetwork
	ip   string
	dead bool // the network's mu guards it
}

// host starts a process there. Streams of one that lost its power there break: their
// far ends hear it now.
func (n *simNetwork) host(ip string) *simHost {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		if c.in.from == ip && c.orphan {
			c.broken = true
		}
	}
	n.wakeLocked()
	return &simHost{net: n, ip: ip}
}

var errSimDead = errors.New("the process is dead")

// kill ends the process. Its peers hear it at once, as far as they can be reached; if it
// lost its power, they hear nothing until a keep-alive fails or the host is back.
func (h *simHost) kill(power bool) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	h.dead = true
	for addr, l := range n.listeners {
		if l.host == h {
			delete(n.listeners, addr)
			l.shut()
		}
	}
	for addr, s := range n.sockets {
		if s.host == h {
			delete(n.sockets, addr)
			s.shut()
		}
	}
	for c := range n.conns {
		switch {
		case c.host == h:
			c.broken = true
			if !power {
				c.out.reset = true
			}
		case c.far.host == h && power:
			c.orphan = true
			time.AfterFunc(simKeepAlive, func() {
				n.mu.Lock()
				defer n.mu.Unlock()
				c.broken = true
				n.wakeLocked()
			})
		}
	}
	n.wakeLocked()
}

// Listen waits for streams to addr.
func (h *simHost) Listen(addr string) (net.Listener, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case h.dead:
		return nil, errSimDead
	case n.listeners[addr] != nil:
		return nil, syscall.EADDRINUSE
	}
	l := &simListener{host: h, addr: net.TCPAddrFromAddrPort(at), queue: make(chan net.Conn, simBacklog), closed: make(chan struct{})}
	n.listeners[addr] = l
	n.wakeLocked()
	return l, nil
}

// Dial connects to addr. It waits while nothing gets there or back.
func (h *simHost) Dial(ctx context.Context, addr string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	n, far := h.net, to.Addr().String()
	stop := context.AfterFunc(ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.moved.Broadcast()
	})
	defer stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	there, back := n.link(h.ip, far), n.link(far, h.ip)
	for !there.passes() || !back.passes() {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		n.moved.Wait()
	}
	l := n.listeners[addr]
	switch {
	case h.dead:
		return nil, errSimDead
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case l == nil:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	from := &net.TCPAddr{IP: net.ParseIP(h.ip), Port: 30_000 + n.rng.IntN(30_000)}
	out, in := newSimWay(n, h.ip, far), newSimWay(n, far, h.ip)
	near := &simConn{host: h, local: from, remote: l.addr, out: out, in: in}
	end := &simConn{host: l.host, local: l.addr, remote: from, out: in, in: out}
	near.far, end.far = end, near
	select {
	case l.queue <- end:
	default:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	n.conns[near], n.conns[end] = struct{}{}, struct{}{}
	return near, nil
}

type simListener struct {
	host   *simHost
	addr   net.Addr
	queue  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *simListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *simListener) shut() { l.once.Do(func() { close(l.closed) }) }

func (l *simListener) Close() error {
	l.shut()
	n := l.host.net
	n.mu.Lock()
	if n.listeners[l.addr.String()] == l {
		delete(n.listeners, l.addr.String())
	}
	n.mu.Unlock()
	for {
		select {
		case c := <-l.queue: // nobody will accept it
			_ = c.Close()
		default:
			return nil
		}
	}
}

func (l *simListener) Addr() net.Addr { return l.addr }

// simWay is one direction of a stream. The network's mu guards it.
type simWay struct {
	net      *simNetwork
	from, to string
	moved    sync.Cond
	pieces   []simPiece
	size     int
	last     time.Time // when the last piece arrives
	ended    bool      // its writer writes no more
	deaf     bool      // its reader reads no more
	reset    bool
}

// simPiece is what was written at once.
type simPiece struct {
	bytes []byte
	at    time.Time // when it arrives
}

func newSimWay(n *simNetwork, from, to string) *simWay {
	w := &simWay{net: n, from: from, to: to}
	w.moved.L = &n.mu
	return w
}

func (w *simWay) passes() bool { return w.net.link(w.from, w.to).passes() }

// put sends a piece. It arrives after those before it.
func (w *simWay) put(b []byte) {
	n := w.net
	n.sent++
	l := n.link(w.from, w.to)
	delay, lost := n.late(l.weather)
	for again := simResend; lost && again < simKeepAlive; again *= 2 {
		var more time.Duration
		more, lost = n.late(l.weather)
		delay += again + more
	}
	now := time.Now()
	if at := now.Add(delay); at.After(w.last) {
		w.last = at
	}
	w.pieces = append(w.pieces, simPiece{append([]byte(nil), b...), w.last})
	w.size += len(b)
	if !w.last.After(now) {
		w.moved.Broadcast()
		return
	}
	time.AfterFunc(w.last.Sub(now), func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		w.moved.Broadcast()
	})
}

// take moves bytes of the first piece into b.
func (w *simWay) take(b []byte) int {
	p := &w.pieces[0]
	n := copy(b, p.bytes)
	if p.bytes = p.bytes[n:]; len(p.bytes) == 0 {
		w.pieces = w.pieces[1:]
	}
	if w.size >= simWindow {
		w.moved.Broadcast() // its writer may wait
	}
	w.size -= n
	return n
}

// simConn is one end of a stream.
type simConn struct {
	host          *simHost
	far           *simConn
	local, remote net.Addr
	in, out       *simWay
	closed        bool
	broken        bool // this end has given the stream up
	orphan        bool // the host at the far end has lost its power
	read, write   simDeadline
}

// simDeadline ends waiting at a time.
type simDeadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *simDeadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set moves the deadline. mu is held.
func (d *simDeadline) set(at time.Time, w *simWay) {
	d.at = at
	wait := time.Until(at)
	switch {
	case at.IsZero() || wait <= 0:
		if d.timer != nil {
			d.timer.Stop()
		}
		w.moved.Broadcast()
	case d.timer != nil:
		d.timer.Reset(wait)
	default:
		d.timer = time.AfterFunc(wait, func() {
			w.net.mu.Lock()
			defer w.net.mu.Unlock()
			w.moved.Broadcast()
		})
	}
}

// Read takes what has arrived.
func (c *simConn) Read(b []byte) (int, error) {
	n, w := c.host.net, c.in
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case c.broken:
			return 0, syscall.ECONNRESET
		case c.read.passed():
			return 0, os.ErrDeadlineExceeded
		case !w.passes():
		case w.reset:
			return 0, syscall.ECONNRESET
		case len(w.pieces) > 0 && !time.Now().Before(w.pieces[0].at):
			return w.take(b), nil
		case len(w.pieces) == 0 && w.ended:
			return 0, io.EOF
		}
		w.moved.Wait()
	}
}

// Write sends b, as far as the window lets it.
func (c *simConn) Write(b []byte) (written int, err error) {
	n, w := c.host.net, c.out
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(b) > 0 {
		switch {
		case c.closed || w.ended:
			return written, net.ErrClosed
		case c.broken, (c.in.reset || w.deaf) && c.in.passes():
			return written, syscall.EPIPE
		case c.write.passed():
			return written, os.ErrDeadlineExceeded
		case w.size < simWindow:
			size := min(len(b), simWindow-w.size)
			w.put(b[:size])
			written, b = written+size, b[size:]
			continue
		}
		w.moved.Wait()
	}
	return written, nil
}

// CloseWrite ends one direction.
func (c *simConn) CloseWrite() error {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	c.out.ended = true
	c.out.moved.Broadcast()
	return nil
}

// Close ends the stream; what was written still arrives.
func (c *simConn) Close() error {
	n := c.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	c.closed, c.out.ended, c.in.deaf = true, true, true
	c.read.set(time.Time{}, c.in)
	c.write.set(time.Time{}, c.out)
	delete(n.conns, c)
	return nil
}

func (c *simConn) LocalAddr() net.Addr  { return c.local }
func (c *simConn) RemoteAddr() net.Addr { return c.remote }

func (c *simConn) SetReadDeadline(t time.Time) error {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	c.read.set(t, c.in)
	return nil
}

func (c *simConn) SetWriteDeadline(t time.Time) error {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	c.write.set(t, c.out)
	return nil
}

func (c *simConn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// simSocket takes packets.
type simSocket struct {
	host   *simHost
	addr   *net.UDPAddr
	queue  chan simPacket
	closed chan struct{}
	once   sync.Once
}

type simPacket struct {
	body []byte
	from net.Addr
}

// ListenPacket waits for packets to addr.
func (h *simHost) ListenPacket(addr string) (net.PacketConn, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case h.dead:
		return nil, errSimDead
	case n.sockets[addr] != nil:
		return nil, syscall.EADDRINUSE
	}
	s := &simSocket{host: h, addr: net.UDPAddrFromAddrPort(at), queue: make(chan simPacket, simPackets), closed: make(chan struct{})}
	n.sockets[addr] = s
	return s, nil
}

func (s *simSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case p := <-s.queue:
		return copy(b, p.body), p.from, nil
	case <-s.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo sends a packet, which may get lost, come late, and come twice.
func (s *simSocket) WriteTo(b []byte, addr net.Addr) (int, error) {
	to, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return 0, err
	}
	n := s.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.host.dead {
		return 0, errSimDead
	}
	n.sent++
	l := n.link(s.addr.IP.String(), to.Addr().String())
	p := simPacket{append([]byte(nil), b...), s.addr}
	deliver := func() { n.deliver(to.String(), p) }
	copies := 1
	if l.repeat > 0 && n.rng.Float64() < l.repeat {
		copies = 2
	}
	for range copies {
		switch delay, lost := n.late(l.weather); {
		case l.cut || lost:
		case l.clogged:
			l.held = append(l.held, deliver)
		default:
			time.AfterFunc(delay, deliver)
		}
	}
	return len(b), nil
}

func (n *simNetwork) deliver(to string, p simPacket) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s := n.sockets[to]; s != nil {
		select {
		case s.queue <- p:
		default:
		}
	}
}

func (s *simSocket) shut() { s.once.Do(func() { close(s.closed) }) }

func (s *simSocket) Close() error {
	s.shut()
	n := s.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sockets[s.addr.String()] == s {
		delete(n.sockets, s.addr.String())
	}
	return nil
}

func (s *simSocket) LocalAddr() net.Addr              { return s.addr }
func (s *simSocket) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (s *simSocket) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (s *simSocket) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
