package clustertest

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// way is one direction of a stream. The network's mu guards it.
type way struct {
	net      *Network
	service  string // the address that was called
	from, to string
	moved    sync.Cond
	pieces   []piece
	size     int
	last     time.Time // when the last piece arrives
	ended    bool      // its writer writes no more
	deaf     bool      // its reader reads no more
	reset    bool
	holed    bool // something large was lost, and holds up all that follows
}

// piece is what was written at once.
type piece struct {
	bytes []byte
	at    time.Time // when it arrives
}

func newWay(n *Network, service, from, to string) *way {
	w := &way{net: n, service: service, from: from, to: to}
	w.moved.L = &n.mu
	return w
}

// passes reports whether the reader gets what comes.
func (w *way) passes() bool {
	return w.net.link(w.from, w.to).passes() && !w.net.frozen[w.to] && !w.barred()
}

// barred reports whether one end is kept from the service.
func (w *way) barred() bool {
	return w.net.barred[bar{w.service, w.from}] || w.net.barred[bar{w.service, w.to}]
}

// put sends a piece. It arrives after those before it.
func (w *way) put(b []byte) {
	n := w.net
	n.sent++
	if w.holed = w.holed || n.narrow[w.from] && len(b) > NarrowMax; w.holed {
		w.size += len(b)
		return
	}
	l := n.link(w.from, w.to)
	delay, lost := n.late(l.Weather, l.StreamLoss)
	for again := resendAfter; lost && again < resendMax; again *= 2 {
		var more time.Duration
		more, lost = n.late(l.Weather, l.StreamLoss)
		delay += again + more
	}
	now := time.Now()
	if at := now.Add(delay); at.After(w.last) {
		w.last = at
	}
	w.pieces = append(w.pieces, piece{append([]byte(nil), b...), w.last})
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
func (w *way) take(b []byte) int {
	p := &w.pieces[0]
	n := copy(b, p.bytes)
	if p.bytes = p.bytes[n:]; len(p.bytes) == 0 {
		w.pieces = w.pieces[1:]
	}
	if w.size >= window {
		w.moved.Broadcast() // its writer may wait
	}
	w.size -= n
	return n
}

// conn is one end of a stream.
type conn struct {
	host          *Host
	far           *conn
	local, remote net.Addr
	in, out       *way
	closed        bool
	broken        bool // this end has given the stream up
	orphan        bool // the host at the far end has lost its power
	read, write   deadline
}

// deadline ends waiting at a time.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set moves the deadline. mu is held.
func (d *deadline) set(at time.Time, w *way) {
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
func (c *conn) Read(b []byte) (int, error) {
	n, w := c.host.net, c.in
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case c.broken:
			return 0, syscall.ECONNRESET
		case c.read.passed() && !n.frozen[c.host.name]:
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
func (c *conn) Write(b []byte) (written int, err error) {
	n, w := c.host.net, c.out
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(b) > 0 {
		switch {
		case c.closed || w.ended:
			return written, net.ErrClosed
		case n.frozen[c.host.name]: // the process stands still
			w.moved.Wait()
			continue
		case c.broken, (c.in.reset || w.deaf) && c.in.passes():
			return written, syscall.EPIPE
		case c.write.passed():
			return written, os.ErrDeadlineExceeded
		case w.size < window:
			size := min(len(b), window-w.size)
			w.put(b[:size])
			written, b = written+size, b[size:]
			continue
		}
		w.moved.Wait()
	}
	return written, nil
}

// CloseWrite ends one direction.
func (c *conn) CloseWrite() error {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	c.out.ended = true
	c.out.moved.Broadcast()
	return nil
}

// Close ends the stream; what was written still arrives.
func (c *conn) Close() error {
	n := c.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	c.closed, c.out.ended, c.in.deaf = true, true, true
	c.read.set(time.Time{}, c.in)
	c.write.set(time.Time{}, c.out)
	delete(n.conns, c)
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetReadDeadline(t time.Time) error {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	c.read.set(t, c.in)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	c.write.set(t, c.out)
	return nil
}

func (c *conn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}
