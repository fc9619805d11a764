package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/messages/admission"
)

// streams is Raft's stream layer over a Network. A stream begins with a greeting, in
// which both sides name their cluster, so that Raft, which knows of no clusters, never
// hears of another one, nor of a stream before it is greeted: that costs it 256 KiB.
// streams closes what Raft leaves open when it is shut down, on either side.
type streams struct {
	net.Listener
	network Network
	life    *life
	log     *slog.Logger
	group   atomic.Pointer[raft.Raft] // nil while Raft starts
	callers *admission.Book
	greeted chan *stream  // for Raft
	done    chan struct{} // closed by Close
	ended   sync.WaitGroup

	mu      sync.Mutex
	open    map[*stream]struct{}
	severed bool // nothing is open, and nothing is let in or out
	closed  bool
	refused string // the last cluster that was refused
}

// streamsMax is how many streams others may have open here: two or three each, and a few
// of each that are being greeted.
const streamsMax = 256

// openStreams takes streams from listener until Close.
func openStreams(network Network, listener net.Listener, of *life, log *slog.Logger) *streams {
	s := &streams{
		Listener: listener, network: network, life: of, log: log, open: make(map[*stream]struct{}),
		callers: admission.New(admission.ConfigOf(streamsMax)), greeted: make(chan *stream), done: make(chan struct{}),
	}
	s.ended.Go(s.admit)
	return s
}

// stream is a connection that streams knows of.
type stream struct {
	net.Conn
	of    *streams
	place *admission.Ticket // of one that was accepted
	until atomic.Int64      // the deadline Raft has set, Unix ns; 0 for none
}

// acceptPause is how long the listener rests after a fault.
const acceptPause = 50 * time.Millisecond

// admit takes what others open, until the listener is closed. Each is greeted by a
// goroutine of its own, so that a silent caller holds up nobody else.
func (s *streams) admit() {
	for {
		conn, err := s.Listener.Accept()
		switch {
		case err == nil:
			s.receive(conn)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			select {
			case <-time.After(acceptPause):
			case <-s.done:
				return
			}
		}
	}
}

// receive greets a stream and hands it on.
func (s *streams) receive(conn net.Conn) {
	place := s.callers.Admit(conn.RemoteAddr(), func() { _ = conn.Close() })
	if place == nil {
		_ = conn.Close()
		return
	}
	c, err := s.track(conn, place)
	if err != nil {
		place.Leave()
		return
	}
	s.ended.Go(func() {
		if s.welcome(c) != nil {
			_ = c.Close()
			return
		}
		place.Prove()
		select {
		case s.greeted <- c:
		case <-s.done:
			_ = c.Close()
		}
	})
}

// Dial connects to another voter.
func (s *streams) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	if s.isSevered() {
		return nil, errStandsStill
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := s.network.Dial(ctx, string(addr))
	if err != nil {
		return nil, err
	}
	tracked, err := s.track(conn, nil)
	if err != nil {
		return nil, err
	}
	if err := s.greet(tracked, addr, timeout); err != nil {
		return nil, errors.Join(err, tracked.Close())
	}
	return tracked, nil
}

// Accept waits for another voter to connect.
func (s *streams) Accept() (net.Conn, error) {
	select {
	case c := <-s.greeted:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

// Close ends the listener and every stream.
func (s *streams) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	open := s.open
	s.open = nil
	s.mu.Unlock()
	close(s.done)
	err := s.Listener.Close()
	for c := range open {
		err = errors.Join(err, c.Conn.Close())
	}
	s.ended.Wait()
	return err
}

// sever ends every stream and lets none in or out any more, or ends that.
func (s *streams) sever(severed bool) {
	s.mu.Lock()
	s.severed = severed
	var open []*stream
	if severed {
		open = slices.Collect(maps.Keys(s.open))
	}
	s.mu.Unlock()
	for _, c := range open {
		_ = c.Conn.Close() // its owner hears of it
	}
}

func (s *streams) isSevered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.severed
}

// track takes a connection in, one that was accepted with its place, or closes it.
func (s *streams) track(conn net.Conn, place *admission.Ticket) (*stream, error) {
	c := &stream{Conn: conn, of: s, place: place}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, errors.Join(net.ErrClosed, conn.Close())
	case s.severed:
		return nil, errors.Join(errStandsStill, conn.Close())
	}
	s.open[c] = struct{}{}
	return c, nil
}

// Close ends the stream.
func (c *stream) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	if c.place != nil {
		c.place.Leave()
	}
	return c.Conn.Close()
}

// SetDeadline sets when the other side must have answered.
func (c *stream) SetDeadline(t time.Time) error {
	until := int64(0)
	if !t.IsZero() {
		until = t.UnixNano()
	}
	c.until.Store(until)
	return c.Conn.SetDeadline(t)
}

// Write writes a piece. Raft gives a request one deadline, however large it is: two
// seconds for 64 MiB of entries, an hour for a large Raft snapshot. So each piece that
// gets through gives the answer at least transportTimeout more, and one that is stuck
// ends the stream.
func (c *stream) Write(p []byte) (int, error) {
	until := c.until.Load()
	if until == 0 {
		return c.Conn.Write(p)
	}
	if err := c.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if more := time.Now().Add(transportTimeout); err == nil && more.UnixNano() > until {
		err = c.Conn.SetReadDeadline(more)
	}
	return n, err
}

// A greeting and its answer: "burraft", the version 1, a byte of flags, the length of
// the cluster's identity, the identity.
const (
	greetingMagic   = "burraft\x01"
	greetingRefused = 1 << 0 // in an answer: of another cluster
	greetingVotes   = 1 << 1 // the sender takes part in elections
)

// greet names this node's cluster to the node at addr and hears its answer.
func (s *streams) greet(c *stream, addr raft.ServerAddress, timeout time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if err := s.sendGreeting(c.Conn, 0); err != nil {
		return err
	}
	cluster, flags, err := readGreeting(c.Conn)
	if err != nil {
		return fmt.Errorf("%s does not speak Raft as this node does: %w", addr, err)
	}
	if flags&greetingRefused != 0 {
		return fmt.Errorf("%s belongs to cluster %q", addr, cluster)
	}
	if flags&greetingVotes == 0 && s.votes(addr) {
		return fmt.Errorf("%s counts as a voter and has lost its disk: it is to be admitted anew", addr)
	}
	return c.SetDeadline(time.Time{})
}

// votes reports whether the node at addr is a voter of the group. What it stores
// counts towards a majority; if it has lost what it stored before, it must not.
func (s *streams) votes(addr raft.ServerAddress) bool {
	group := s.group.Load()
	if group == nil {
		return true
	}
	for _, server := range group.GetConfiguration().Configuration().Servers {
		if server.Address == addr {
			return server.Suffrage == raft.Voter
		}
	}
	return true
}

// welcome hears the greeting of a stream that was accepted, and answers. A node that
// belongs to no cluster belongs to the caller's from then on.
func (s *streams) welcome(c *stream) error {
	if err := c.SetDeadline(time.Now().Add(transportTimeout)); err != nil {
		return err
	}
	theirs, _, err := readGreeting(c.Conn)
	if err != nil {
		return err
	}
	ours, err := s.life.join(theirs)
	if err != nil {
		return err
	}
	if ours != theirs {
		s.noteRefused(theirs, c.RemoteAddr())
		return errors.Join(errOtherCluster, s.sendGreeting(c.Conn, greetingRefused))
	}
	if err := s.sendGreeting(c.Conn, 0); err != nil {
		return err
	}
	return c.SetDeadline(time.Time{})
}

var errOtherCluster = errors.New("the caller belongs to another cluster")

// noteRefused logs a caller of another cluster, once.
func (s *streams) noteRefused(cluster string, from net.Addr) {
	s.mu.Lock()
	again := s.refused == cluster
	s.refused = cluster
	s.mu.Unlock()
	if !again {
		s.log.Warn("a node of another cluster was turned away; its list of members names an address of this one",
			"from", from.String(), "to", cluster)
	}
}

func (s *streams) sendGreeting(w io.Writer, flags byte) error {
	if s.life.mayVote() {
		flags |= greetingVotes
	}
	_, err := w.Write(appendGreeting(s.life.clusterID(), flags))
	return err
}

func appendGreeting(cluster string, flags byte) []byte {
	return append(append([]byte(greetingMagic), flags, byte(len(cluster))), cluster...)
}

func readGreeting(r io.Reader) (cluster string, flags byte, err error) {
	var head [len(greetingMagic) + 2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", 0, err
	}
	if string(head[:len(greetingMagic)]) != greetingMagic {
		return "", 0, errors.New("no greeting of this version")
	}
	name := make([]byte, head[len(head)-1])
	if _, err := io.ReadFull(r, name); err != nil {
		return "", 0, err
	}
	return string(name), head[len(head)-2], nil
}
