package cluster_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"

	"github.com/the-block/bursar/cluster"
)

// fabric is a network without sockets, so that it works in virtual time. A node can
// be cut off: its streams break and new ones are refused.
type fabric struct {
	mu        sync.Mutex
	listeners map[string]*fabricListener
	streams   []fabricStream
	cut       map[string]bool    // off from everybody
	apart     map[[2]string]bool // from each other, both ways round
	narrow    map[string]bool    // lose what is large on its way out
	held      []held
}

var errUnreachable = errors.New("unreachable")

func newFabric() *fabric {
	return &fabric{listeners: make(map[string]*fabricListener), cut: make(map[string]bool), apart: make(map[[2]string]bool)}
}

// fabricPort is the fabric as the node at self sees it.
type fabricPort struct {
	*fabric
	self   string
	leader cluster.Leader // nil for none
}

type fabricStream struct {
	near, far net.Conn
	ends      [2]string
}

func (p fabricPort) Listen(addr string) (net.Listener, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &fabricListener{fabric: p.fabric, addr: addr, streams: make(chan net.Conn), closed: make(chan struct{})}
	p.listeners[addr] = l
	return l, nil
}

func (p fabricPort) Dial(ctx context.Context, addr string) (net.Conn, error) {
	p.mu.Lock()
	l := p.listeners[addr]
	refused := l == nil || p.separateLocked(p.self, addr)
	near, far := net.Pipe()
	if !refused {
		p.streams = append(p.streams, fabricStream{near, far, [2]string{p.self, addr}})
		near = &narrowConn{Conn: near, of: p}
	}
	p.mu.Unlock()
	if refused {
		return nil, errUnreachable
	}
	select {
	case l.streams <- far:
		return near, nil
	case <-l.closed:
		return nil, errUnreachable
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// isolate cuts addr off, or brings it back.
func (f *fabric) isolate(addr string, cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut[addr] = cut
	f.breakLocked()
	f.joinLocked()
}

// part cuts two nodes off from each other, or joins them again.
func (f *fabric) part(one, other string, cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.apart[[2]string{one, other}], f.apart[[2]string{other, one}] = cut, cut
	f.breakLocked()
	f.joinLocked()
}

// held is what happens when two nodes are joined again.
type held struct {
	one, other string
	do         func()
}

// whenJoined does something, on a goroutine of its own, once two nodes are not separate.
func (f *fabric) whenJoined(one, other string, do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = append(f.held, held{one, other, do})
	f.joinLocked()
}

func (f *fabric) joinLocked() {
	f.held = slices.DeleteFunc(f.held, func(h held) bool {
		if f.separateLocked(h.one, h.other) {
			return false
		}
		go h.do()
		return true
	})
}

// separate reports whether nothing goes between two nodes.
func (f *fabric) separate(one, other string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.separateLocked(one, other)
}

func (f *fabric) separateLocked(one, other string) bool {
	return f.cut[one] || f.cut[other] || f.apart[[2]string{one, other}]
}

// breakLocked ends the streams between nodes that are separate.
func (f *fabric) breakLocked() {
	kept := f.streams[:0]
	for _, s := range f.streams {
		if !f.separateLocked(s.ends[0], s.ends[1]) {
			kept = append(kept, s)
			continue
		}
		_, _ = s.near.Close(), s.far.Close()
	}
	f.streams = kept
}

type fabricListener struct {
	fabric  *fabric
	addr    string
	streams chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (l *fabricListener) Accept() (net.Conn, error) {
	select {
	case stream := <-l.streams:
		return stream, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *fabricListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *fabricListener) Addr() net.Addr { return fabricAddr(l.addr) }

type fabricAddr string

func (a fabricAddr) Network() string { return "fabric" }
func (a fabricAddr) String() string  { return string(a) }

// narrowMax is the largest packet that leaves a node whose way out is narrow.
const narrowMax = 1400

// narrowConn is a stream in which one large packet that is lost holds up all that follows,
// as behind a router that drops what is too large and does not say so.
type narrowConn struct {
	net.Conn
	of   fabricPort
	lost bool // touched by its one writer
}

func (c *narrowConn) Write(b []byte) (int, error) {
	c.of.mu.Lock()
	c.lost = c.lost || len(b) > narrowMax && c.of.narrow[c.of.self]
	c.of.mu.Unlock()
	if c.lost {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// setNarrow has a node's way out lose what is large.
func (f *fabric) setNarrow(addr string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.narrow == nil {
		f.narrow = make(map[string]bool)
	}
	f.narrow[addr] = true
}
