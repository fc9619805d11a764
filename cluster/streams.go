package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// streams is Raft's stream layer over a Network. A stream begins with a greeting, in
// which both sides name their cluster, so that Raft, which knows of no clusters, never
// hears of another one. streams closes what Raft leaves open when it is shut down, on
// either side.
type streams struct {
	net.Listener
	network Network
	life    *life
	log     *slog.Logger
	group   atomic.Pointer[raft.Raft] // nil while Raft starts

	mu      sync.Mutex
	open    map[*stream]struct{}
	closed  bool
	refused string // the last cluster that was refused
}

func newStreams(network Network, listener net.Listener, of *life, log *slog.Logger) *streams {
	return &streams{Listener: listener, network: network, life: of, log: log, open: make(map[*stream]struct{})}
}

// stream is a connection that streams knows of.
type stream struct {
	net.Conn
	of       *streams
	accepted bool
	greeted  bool         // touched by the reader only
	until    atomic.Int64 // the deadline Raft has set, Unix ns; 0 for none
}

// Dial connects to another voter.
func (s *streams) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := s.network.Dial(ctx, string(addr))
	if err != nil {
		return nil, err
	}
	tracked, err := s.track(conn, false)
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
	conn, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return s.track(conn, true)
}

// Close ends the listener and every stream.
func (s *streams) Close() error {
	s.mu.Lock()
	s.closed = true
	open := s.open
	s.open = nil
	s.mu.Unlock()
	err := s.Listener.Close()
	for c := range open {
		err = errors.Join(err, c.Conn.Close())
	}
	return err
}

func (s *streams) track(conn net.Conn, accepted bool) (*stream, error) {
	c := &stream{Conn: conn, of: s, accepted: accepted}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	s.open[c] = struct{}{}
	return c, nil
}

// Close ends the stream.
func (c *stream) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// Read reads what follows the greeting. An accepted stream is greeted by its own
// reader, so that a silent caller holds up nobody else.
func (c *stream) Read(p []byte) (int, error) {
	if c.accepted && !c.greeted {
		if err := c.of.welcome(c); err != nil {
			return 0, err
		}
		c.greeted = true
	}
	return c.Conn.Read(p)
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
