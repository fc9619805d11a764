package membership

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/the-block/bursar/messages/admission"
)

// Limits of what others may send.
const (
	packetMax  = 64 << 10
	streamMax  = 1 << 20 // bytes of one exchange; 64 members need about 40 KiB
	faultPause = 50 * time.Millisecond
)

// transport carries memberlist's traffic over a Network. It bounds the streams that
// others open, and ends what is open when it is shut down.
type transport struct {
	network    Network
	packetConn net.PacketConn
	listener   net.Listener
	packets    chan *memberlist.Packet
	streams    chan net.Conn
	done       chan struct{}
	ended      sync.WaitGroup
	callers    *admission.Book

	mu     sync.Mutex
	open   map[*stream]struct{}
	closed bool
	dialed map[string]error // the last outcome for each address in it
}

// stream is a connection of which at most streamMax bytes are read.
type stream struct {
	net.Conn
	of    *transport
	place *admission.Ticket // of one that others opened; it makes way for newer ones
	left  int
}

var errStreamTooLong = errors.New("the exchange is too long")

// openTransport binds addr for packets and streams.
func openTransport(network Network, addr string, streamsMax int) (*transport, error) {
	listener, err := network.Listen(addr)
	if err != nil {
		return nil, fmt.Errorf("gossip at %s over TCP: %w", addr, err)
	}
	packetConn, err := network.ListenPacket(addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("gossip at %s over UDP: %w", addr, err), listener.Close())
	}
	t := &transport{
		network: network, packetConn: packetConn, listener: listener, callers: admission.New(admission.ConfigOf(streamsMax)),
		packets: make(chan *memberlist.Packet), streams: make(chan net.Conn), done: make(chan struct{}),
		open: make(map[*stream]struct{}), dialed: make(map[string]error),
	}
	t.ended.Go(t.receive)
	t.ended.Go(t.accept)
	return t, nil
}

// receive hands on packets until the transport is shut down.
func (t *transport) receive() {
	buf := make([]byte, packetMax)
	for {
		n, from, err := t.packetConn.ReadFrom(buf)
		if err != nil {
			if !t.pause() {
				return
			}
			continue
		}
		if n == 0 {
			continue
		}
		packet := &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: from, Timestamp: time.Now()}
		select {
		case t.packets <- packet:
		case <-t.done:
			return
		}
	}
}

// accept hands on streams until the transport is shut down.
func (t *transport) accept() {
	for {
		conn, err := t.listener.Accept()
		if err != nil {
			if !t.pause() {
				return
			}
			continue
		}
		place := t.callers.Admit(conn.RemoteAddr(), func() { _ = conn.Close() })
		if place == nil {
			_ = conn.Close()
			continue
		}
		s := t.track(conn, place)
		if s == nil {
			place.Leave()
			continue
		}
		select {
		case t.streams <- s:
		case <-t.done:
			return
		}
	}
}

// pause waits after a fault of a socket; false means that there is nothing to wait for.
func (t *transport) pause() bool {
	timer := time.NewTimer(faultPause)
	defer timer.Stop()
	select {
	case <-t.done:
		return false
	case <-timer.C:
		return true
	}
}

// track takes conn in, one that others opened with its place, or closes it where the end
// has come.
func (t *transport) track(conn net.Conn, place *admission.Ticket) *stream {
	s := &stream{Conn: conn, of: t, place: place, left: streamMax}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = conn.Close()
		return nil
	}
	t.open[s] = struct{}{}
	return s
}

// Read reads while the stream is within its limit.
func (s *stream) Read(b []byte) (int, error) {
	if s.left <= 0 {
		return 0, errStreamTooLong
	}
	n, err := s.Conn.Read(b[:min(len(b), s.left)])
	s.left -= n
	return n, err
}

// Close ends the stream.
func (s *stream) Close() error {
	s.of.mu.Lock()
	delete(s.of.open, s)
	s.of.mu.Unlock()
	if s.place != nil {
		s.place.Leave()
	}
	return s.Conn.Close()
}

// watchDial begins to remember how dialing addr ends; forgetDial tells and forgets.
func (t *transport) watchDial(addr string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dialed[addr] = nil
}

func (t *transport) forgetDial(addr string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer delete(t.dialed, addr)
	return t.dialed[addr]
}

// FinalAdvertiseAddr returns the given address: it is always configured.
func (t *transport) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return nil, 0, err
	}
	return addr.Unmap().AsSlice(), port, nil
}

// WriteTo sends a packet.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return time.Time{}, err
	}
	_, err = t.packetConn.WriteTo(b, net.UDPAddrFromAddrPort(to))
	return time.Now(), err
}

// WriteToAddress is WriteTo; names of nodes do not matter here.
func (t *transport) WriteToAddress(b []byte, to memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, to.Addr)
}

// PacketCh gives the packets that arrive.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// StreamCh gives the streams that others open.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams }

// DialTimeout opens a stream.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := t.network.Dial(ctx, addr)
	t.mu.Lock()
	if _, watched := t.dialed[addr]; watched {
		t.dialed[addr] = err
	}
	t.mu.Unlock()
	if err != nil {
		return nil, err
	}
	s := t.track(conn, nil)
	if s == nil {
		return nil, net.ErrClosed
	}
	return s, nil
}

// DialAddressTimeout is DialTimeout; names of nodes do not matter here.
func (t *transport) DialAddressTimeout(to memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(to.Addr, timeout)
}

// Shutdown ends everything and waits for it.
func (t *transport) Shutdown() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	open := t.open
	t.open = nil
	t.mu.Unlock()
	close(t.done)
	err := errors.Join(t.packetConn.Close(), t.listener.Close())
	for s := range open {
		err = errors.Join(err, s.Conn.Close())
	}
	t.ended.Wait()
	return err
}
