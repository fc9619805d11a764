// Package peerstest joins nodes in memory: a network without sockets whose connections
// can be cut in one direction or both, delayed, and broken, and whose hosts can be
// frozen and killed. It works in virtual time.
package peerstest

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// window is how many bytes of a connection are on their way or unread at most, in one
// direction, before its writer waits.
const window = 1 << 20

// backlog is how many connections a listener holds that were not accepted.
const backlog = 128

// Network joins hosts. Its methods may be called from any goroutine.
type Network struct {
	mu        sync.Mutex
	moved     sync.Cond // anything changed that a dial waits for
	listeners map[string]*listener
	conns     map[*conn]struct{}
	cut       map[[2]string]bool
	frozen    map[string]bool
	delay     time.Duration
}

// New makes a network without a host.
func New() *Network {
	n := &Network{
		listeners: make(map[string]*listener), conns: make(map[*conn]struct{}),
		cut: make(map[[2]string]bool), frozen: make(map[string]bool),
	}
	n.moved.L = &n.mu
	return n
}

// Host is the network as the host of that name uses it.
func (n *Network) Host(name string) *Host { return &Host{net: n, name: name} }

// Cut holds back what goes from one host to another, both data and what makes and ends
// connections, until Heal.
func (n *Network) Cut(from, to string) { n.change(func() { n.cut[[2]string{from, to}] = true }) }

// Heal ends Cut. What was held back arrives.
func (n *Network) Heal(from, to string) { n.change(func() { delete(n.cut, [2]string{from, to}) }) }

// Delay makes whatever is written from now on arrive so much later.
func (n *Network) Delay(d time.Duration) { n.change(func() { n.delay = d }) }

// Freeze stops a host as SIGSTOP does a process: its peers may connect and write, and
// nothing comes back until Thaw.
func (n *Network) Freeze(host string) { n.change(func() { n.frozen[host] = true }) }

// Thaw ends Freeze.
func (n *Network) Thaw(host string) { n.change(func() { delete(n.frozen, host) }) }

// Break resets every connection between two hosts.
func (n *Network) Break(a, b string) {
	n.change(func() {
		for c := range n.conns {
			if c.local == a && c.remote == b || c.local == b && c.remote == a {
				c.out.reset, c.in.reset = true, true
			}
		}
	})
}

// Kill resets every connection of a host and closes its listeners, as SIGKILL does.
func (n *Network) Kill(host string) {
	n.change(func() {
		for c := range n.conns {
			if c.local == host || c.remote == host {
				c.out.reset, c.in.reset = true, true
			}
		}
		for addr, l := range n.listeners {
			if l.host == host {
				delete(n.listeners, addr)
				l.shut()
			}
		}
	})
}

// Connections counts the ends of connections that are open at a host.
func (n *Network) Connections(host string) (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		if c.local == host {
			count++
		}
	}
	return count
}

// change does something and wakes all who might wait for it.
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

// passes reports whether the host at the end of a way gets what comes on it.
func (n *Network) passes(from, to string) bool { return !n.cut[[2]string{from, to}] && !n.frozen[to] }

// Host is one host's way into the network.
type Host struct {
	net  *Network
	name string
}

// Listen waits for connections to addr, which no other listener may have.
func (h *Host) Listen(addr string) (net.Listener, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if h.net.listeners[addr] != nil {
		return nil, syscall.EADDRINUSE
	}
	l := &listener{net: h.net, host: h.name, addr: addr, queue: make(chan net.Conn, backlog), closed: make(chan struct{})}
	h.net.listeners[addr] = l
	return l, nil
}

// Dial connects to addr. It waits while the way there or back is cut.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	n := h.net
	stop := context.AfterFunc(ctx, func() { n.change(func() {}) })
	defer stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		l := n.listeners[addr]
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case l == nil:
			return nil, &net.OpError{Op: "dial", Net: "memory", Addr: address(addr), Err: syscall.ECONNREFUSED}
		case !n.cut[[2]string{h.name, l.host}] && !n.cut[[2]string{l.host, h.name}]:
			return n.connect(h.name, l)
		}
		n.moved.Wait()
	}
}

// connect makes both ends of a connection. mu is held.
func (n *Network) connect(from string, l *listener) (net.Conn, error) {
	there, back := newWay(n, from, l.host), newWay(n, l.host, from)
	near := &conn{net: n, local: from, remote: l.host, out: there, in: back}
	far := &conn{net: n, local: l.host, remote: from, out: back, in: there}
	select {
	case l.queue <- far:
	default:
		return nil, errors.New("the listener's backlog is full")
	}
	n.conns[near], n.conns[far] = struct{}{}, struct{}{}
	return near, nil
}

type listener struct {
	net    *Network
	host   string
	addr   string
	queue  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		l.net.mu.Lock()
		defer l.net.mu.Unlock()
		for l.net.frozen[l.host] {
			l.net.moved.Wait()
		}
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) shut() { l.once.Do(func() { close(l.closed) }) }

func (l *listener) Close() error {
	l.shut()
	l.net.change(func() {
		if l.net.listeners[l.addr] == l {
			delete(l.net.listeners, l.addr)
		}
	})
	for {
		select {
		case c := <-l.queue: // nobody will accept it
			_ = c.Close()
		default:
			return nil
		}
	}
}

func (l *listener) Addr() net.Addr { return address(l.addr) }

type address string

func (a address) Network() string { return "memory" }
func (a address) String() string  { return string(a) }
