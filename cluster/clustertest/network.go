// Package clustertest gives tests a network and a disk in memory: a Network that loses,
// delays and repeats, whose routes are cut and whose hosts are killed; and the Disk that the
// log is tested on, one that crashes, fails and forgets as real ones do.
package clustertest

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/the-block/bursar/cluster/internal/raftlog/raftlogtest"
)

// Network joins hosts in memory, in virtual time or not: packets and streams, where each
// direction between two hosts has a weather of its own and can be cut or clogged, and
// hosts can be frozen, killed, and lose their power. A host has an IP address for its
// name, or, where only streams are needed, any name. Its methods may be called from any
// goroutine.
type Network struct {
	// KeepAlive is how long a stream stands still until its ends give it up: 0 is for ever.
	// It is set before anything is sent.
	KeepAlive time.Duration

	mu        sync.Mutex
	moved     sync.Cond // a link opened or a listener came: dials look again
	rng       *rand.Rand
	calm      Weather
	hosts     map[string]*Host // the newest start on each
	frozen    map[string]bool
	barred    map[bar]bool
	narrow    map[string]bool // hosts that send nothing large
	links     map[route]*link
	listeners map[string]*listener
	sockets   map[string]*socket
	conns     map[*conn]struct{}
	sent      int // packets and pieces of streams
}

// route is one direction between two hosts, by their addresses.
type route struct{ from, to string }

// bar keeps a host from a service, an address with its port.
type bar struct{ service, host string }

// Weather is how well one direction carries.
type Weather struct {
	// Loss is the share of packets that are lost.
	Loss float64
	// StreamLoss is the share of a stream's pieces that are lost: one is sent again after a
	// fifth of a second, then two, and holds up what follows it.
	StreamLoss float64
	// Repeat is the share of packets that arrive once more, later.
	Repeat float64
	// DelayMin and DelayMax bound how long a packet or a piece is on its way. Packets
	// overtake each other.
	DelayMin, DelayMax time.Duration
}

// link is one direction between two hosts.
type link struct {
	Weather
	// cut loses packets and lets no stream move; streams that stand still for as long as
	// a keep-alive waits break.
	cut bool
	// clogged holds everything back, and lets it go when it is opened.
	clogged bool
	changes int      // of cut
	held    []func() // packets that a clogged link holds back
}

const (
	window      = 1 << 20 // bytes of a stream under way or unread before its writer waits
	backlog     = 128
	packetsMax  = 1024 // that wait at a socket; more are lost
	resendAfter = 200 * time.Millisecond
	resendMax   = 5 * time.Second
)

// NewNetwork makes a network whose chances follow from the seed.
func NewNetwork(seed uint64, calm Weather) *Network {
	n := &Network{
		rng: rand.New(rand.NewPCG(seed, 1)), calm: calm, hosts: make(map[string]*Host), frozen: make(map[string]bool),
		barred: make(map[bar]bool), narrow: make(map[string]bool),
		links: make(map[route]*link), listeners: make(map[string]*listener),
		sockets: make(map[string]*socket), conns: make(map[*conn]struct{}),
	}
	n.moved.L = &n.mu
	return n
}

// link is one direction. mu is held.
func (n *Network) link(from, to string) *link {
	l := n.links[route{from, to}]
	if l == nil {
		l = &link{Weather: n.calm}
		n.links[route{from, to}] = l
	}
	return l
}

func (l *link) passes() bool { return !l.cut && !l.clogged }

// change does something and has everybody look again.
func (n *Network) change(do func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	do()
	n.wake()
}

// wake has everybody look again. mu is held.
func (n *Network) wake() {
	n.moved.Broadcast()
	for c := range n.conns {
		c.in.moved.Broadcast()
		c.out.moved.Broadcast()
	}
}

// Cut cuts one direction until Heal: packets are lost, what is in a stream is held back.
func (n *Network) Cut(from, to string) { n.setCut(from, to, true) }

// Heal ends Cut.
func (n *Network) Heal(from, to string) { n.setCut(from, to, false) }

// Isolate cuts a host off from others, in both directions.
func (n *Network) Isolate(host string, others ...string) {
	for _, other := range others {
		n.Cut(host, other)
		n.Cut(other, host)
	}
}

// Bar cuts one service, an address with its port, off from a host, in both directions, as a
// rule of a firewall does, or ends that. All else goes on between the two.
func (n *Network) Bar(service, host string, barred bool) {
	n.change(func() {
		n.barred[bar{service, host}] = barred
		if barred && n.KeepAlive > 0 {
			time.AfterFunc(n.KeepAlive, func() { n.giveUp(service, host) })
		}
	})
}

// giveUp breaks the streams to a service that a host is still kept from.
func (n *Network) giveUp(service, host string) {
	n.change(func() {
		for c := range n.conns {
			if c.out.barred() && c.out.service == service && (c.out.from == host || c.out.to == host) {
				c.broken = true
			}
		}
	})
}

// Narrow has what a host sends in pieces of more than NarrowMax bytes vanish, and what
// follows in the same stream, as behind a router that drops what is too large and does not
// say so. It ends that too.
func (n *Network) Narrow(host string, narrow bool) { n.change(func() { n.narrow[host] = narrow }) }

// NarrowMax is the largest piece that a narrow host gets through.
const NarrowMax = 1400

func (n *Network) setCut(from, to string, cut bool) {
	n.change(func() {
		l := n.link(from, to)
		if l.cut == cut {
			return
		}
		l.cut = cut
		l.changes++
		if change := l.changes; cut && n.KeepAlive > 0 {
			time.AfterFunc(n.KeepAlive, func() { n.keepAlive(from, to, change) })
		}
	})
}

// keepAlive breaks the streams over a direction that has been cut since a change.
func (n *Network) keepAlive(from, to string, change int) {
	n.change(func() {
		if n.link(from, to).changes != change {
			return
		}
		for c := range n.conns {
			if c.out.from == from && c.out.to == to || c.in.from == from && c.in.to == to {
				c.broken = true
			}
		}
	})
}

// Clog holds back what goes in one direction, or lets it go.
func (n *Network) Clog(from, to string, clogged bool) {
	var held []func()
	n.change(func() {
		l := n.link(from, to)
		if l.clogged = clogged; !clogged {
			held, l.held = l.held, nil
			n.rng.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
		}
	})
	for _, deliver := range held {
		deliver()
	}
}

// SetWeather gives one direction another weather.
func (n *Network) SetWeather(from, to string, w Weather) {
	n.change(func() { n.link(from, to).Weather = w })
}

// SetCalm gives all directions another weather, and makes it the one that HealAll brings back.
func (n *Network) SetCalm(w Weather) {
	n.change(func() {
		n.calm = w
		for _, l := range n.links {
			l.Weather = w
		}
	})
}

// Calm is the weather that HealAll brings back.
func (n *Network) Calm() Weather { return n.calm }

// HealAll ends all cuts and clogs, and all bad weather.
func (n *Network) HealAll() {
	n.mu.Lock()
	routes := slices.Collect(maps.Keys(n.links))
	n.mu.Unlock()
	for _, r := range routes {
		n.SetWeather(r.from, r.to, n.calm)
		n.Heal(r.from, r.to)
		n.Clog(r.from, r.to, false)
	}
}

// Freeze stops a host as SIGSTOP does a process: its peers may connect and write, and
// nothing comes back until Thaw.
func (n *Network) Freeze(host string) { n.change(func() { n.frozen[host] = true }) }

// Thaw ends Freeze.
func (n *Network) Thaw(host string) { n.change(func() { delete(n.frozen, host) }) }

// Break resets every stream between two hosts.
func (n *Network) Break(a, b string) {
	n.change(func() {
		for c := range n.conns {
			if c.in.from == a && c.in.to == b || c.in.from == b && c.in.to == a {
				c.out.reset, c.in.reset = true, true
			}
		}
	})
}

// Kill ends the process on a host; see Host.Kill.
func (n *Network) Kill(host string) {
	n.mu.Lock()
	h := n.hosts[host]
	n.mu.Unlock()
	h.Kill(false)
}

// Connections counts the ends of streams that are open at a host.
func (n *Network) Connections(host string) (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		if c.host.name == host {
			count++
		}
	}
	return count
}

// Sent counts the packets and pieces of streams that were sent.
func (n *Network) Sent() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent
}

// late draws how long something is on its way, and whether it gets there at all. mu is
// held.
func (n *Network) late(w Weather, loss float64) (delay time.Duration, lost bool) {
	delay = w.DelayMin
	if spread := w.DelayMax - w.DelayMin; spread > 0 {
		delay += time.Duration(n.rng.Int64N(int64(spread)))
	}
	return delay, loss > 0 && n.rng.Float64() < loss
}

// Host is one start of a process on a host: what it has open ends with it. It has what
// nodes ask of a network.
type Host struct {
	net  *Network
	name string
	dead bool // the network's mu guards it
}

// Host starts a process on a host. Streams of one that lost its power there break: their
// far ends hear it now.
func (n *Network) Host(name string) *Host {
	h := &Host{net: n, name: name}
	n.change(func() {
		for c := range n.conns {
			if c.in.from == name && c.orphan {
				c.broken = true
			}
		}
		n.hosts[name] = h
	})
	return h
}

var errDead = errors.New("the process is dead")

// Kill ends the process. Its peers hear it at once, as far as they can be reached; if it
// lost its power, they hear nothing until a keep-alive fails or the host is back.
func (h *Host) Kill(power bool) {
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
			if n.KeepAlive > 0 {
				time.AfterFunc(n.KeepAlive, func() { n.change(func() { c.broken = true }) })
			}
		}
	}
	n.wake()
}

// at gives an address as the network's users see it, and the host in it, if it names one:
// an IP address and a port do.
func at(addr string) (net.Addr, string) {
	if ip, err := netip.ParseAddrPort(addr); err == nil {
		return net.TCPAddrFromAddrPort(ip), ip.Addr().String()
	}
	return named(addr), ""
}

// named is the address of a listener without one.
type named string

func (a named) Network() string { return "memory" }
func (a named) String() string  { return string(a) }

// Listen waits for streams to addr, which no other listener may have.
func (h *Host) Listen(addr string) (net.Listener, error) {
	where, _ := at(addr)
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case h.dead:
		return nil, errDead
	case n.listeners[addr] != nil:
		return nil, syscall.EADDRINUSE
	}
	l := &listener{host: h, addr: where, key: addr, queue: make(chan net.Conn, backlog), closed: make(chan struct{})}
	n.listeners[addr] = l
	n.wake()
	return l, nil
}

// Dial connects to addr. It waits while nothing gets there or back.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	n := h.net
	_, far := at(addr)
	stop := context.AfterFunc(ctx, func() { n.change(func() {}) })
	defer stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		l := n.listeners[addr]
		if far == "" && l != nil {
			far = l.host.name
		}
		there, back := n.link(h.name, far), n.link(far, h.name)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !there.passes() || !back.passes() || n.barred[bar{addr, h.name}]:
			n.moved.Wait()
		case h.dead:
			return nil, errDead
		case l == nil:
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		case len(l.queue) == backlog: // its system lets callers wait
			n.moved.Wait()
		default:
			return n.connect(h, l), nil
		}
	}
}

// connect makes both ends of a stream. mu is held.
func (n *Network) connect(h *Host, l *listener) net.Conn {
	var from net.Addr = named(h.name)
	if ip := net.ParseIP(h.name); ip != nil {
		from = &net.TCPAddr{IP: ip, Port: 30_000 + n.rng.IntN(30_000)}
	}
	out, in := newWay(n, l.key, h.name, l.host.name), newWay(n, l.key, l.host.name, h.name)
	near := &conn{host: h, local: from, remote: l.addr, out: out, in: in}
	end := &conn{host: l.host, local: l.addr, remote: from, out: in, in: out}
	near.far, end.far = end, near
	l.queue <- end // there is room
	n.conns[near], n.conns[end] = struct{}{}, struct{}{}
	return near
}

type listener struct {
	host   *Host
	addr   net.Addr
	key    string // in the network's listeners
	queue  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		n := l.host.net
		n.mu.Lock()
		defer n.mu.Unlock()
		for n.frozen[l.host.name] {
			n.moved.Wait()
		}
		n.moved.Broadcast() // there is room for another
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) shut() { l.once.Do(func() { close(l.closed) }) }

func (l *listener) Close() error {
	l.shut()
	n := l.host.net
	n.mu.Lock()
	if n.listeners[l.key] == l {
		delete(n.listeners, l.key)
	}
	n.moved.Broadcast()
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

func (l *listener) Addr() net.Addr { return l.addr }

// Disk is a disk in memory, for cluster.Config.OnDisk. It outlives the nodes that use
// it one after the other.
type Disk = raftlogtest.Disk

// Op is a call that changes a Disk.
type Op = raftlogtest.Op

// The kinds of an Op: one that changes a file's bytes, and one that makes them durable.
const (
	Write = raftlogtest.Write
	Sync  = raftlogtest.Sync
)

// NewDisk gives an empty disk.
func NewDisk() *Disk { return raftlogtest.New() }
