package peerstest

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// way is one direction of a connection. The network's mu guards it.
type way struct {
	net      *Network
	from, to string
	moved    sync.Cond
	parcels  []parcel
	size     int
	ended    bool // its writer writes no more
	deaf     bool // its reader reads no more
	reset    bool
}

// parcel is what was written at once.
type parcel struct {
	bytes []byte
	at    time.Time // when it arrives
}

func newWay(n *Network, from, to string) *way {
	w := &way{net: n, from: from, to: to}
	w.moved.L = &n.mu
	return w
}

// conn is one end of a connection.
type conn struct {
	net           *Network
	local, remote string
	in, out       *way
	closed        bool
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
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = at
	w.moved.Broadcast()
	if wait := time.Until(at); !at.IsZero() && wait > 0 {
		d.timer = time.AfterFunc(wait, func() { w.net.change(func() { w.moved.Broadcast() }) })
	}
}

// Read takes what has arrived.
func (c *conn) Read(b []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	w := c.in
	for {
		passes := c.net.passes(w.from, w.to)
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case c.read.passed() && !c.net.frozen[c.local]:
			return 0, os.ErrDeadlineExceeded
		case passes && w.reset:
			return 0, syscall.ECONNRESET
		case passes && len(w.parcels) > 0 && !time.Now().Before(w.parcels[0].at):
			return w.take(b), nil
		case passes && len(w.parcels) == 0 && w.ended:
			return 0, io.EOF
		}
		w.moved.Wait()
	}
}

// take moves bytes of the first parcel into b.
func (w *way) take(b []byte) int {
	p := &w.parcels[0]
	n := copy(b, p.bytes)
	if p.bytes = p.bytes[n:]; len(p.bytes) == 0 {
		w.parcels = w.parcels[1:]
	}
	w.size -= n
	w.moved.Broadcast()
	return n
}

// Write puts b on its way, as far as the window lets it.
func (c *conn) Write(b []byte) (written int, err error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	w := c.out
	for len(b) > 0 {
		switch {
		case c.closed || w.ended:
			return written, net.ErrClosed
		case c.net.frozen[c.local]: // the process stands still
		case c.write.passed():
			return written, os.ErrDeadlineExceeded
		case (w.reset || w.deaf) && c.net.passes(c.remote, c.local):
			return written, syscall.EPIPE
		case w.size < window:
			n := min(len(b), window-w.size)
			w.put(b[:n])
			written, b = written+n, b[n:]
			continue
		}
		w.moved.Wait()
	}
	return written, nil
}

// put adds a parcel.
func (w *way) put(b []byte) {
	w.parcels = append(w.parcels, parcel{append([]byte(nil), b...), time.Now().Add(w.net.delay)})
	w.size += len(b)
	w.moved.Broadcast()
	if w.net.delay > 0 {
		time.AfterFunc(w.net.delay, func() { w.net.change(func() { w.moved.Broadcast() }) })
	}
}

// CloseWrite ends one direction.
func (c *conn) CloseWrite() error {
	c.net.change(func() { c.out.ended = true })
	return nil
}

// Close ends the connection; what was written still arrives.
func (c *conn) Close() error {
	c.net.change(func() {
		c.closed, c.out.ended, c.in.deaf = true, true, true
		c.read.set(time.Time{}, c.in)
		c.write.set(time.Time{}, c.out)
		c.in.moved.Broadcast()
		c.out.moved.Broadcast()
		delete(c.net.conns, c)
	})
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return address(c.local) }
func (c *conn) RemoteAddr() net.Addr { return address(c.remote) }

func (c *conn) SetReadDeadline(t time.Time) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.read.set(t, c.in)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.write.set(t, c.out)
	return nil
}

// SetDeadline sets both.
func (c *conn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}
