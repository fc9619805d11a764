package cluster

import (
	"context"
	"encoding/binary"
	"encoding/json"
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

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/admission"
)

// streams is Raft's stream layer over a Network. A stream begins with a greeting, in
// which both sides name their cluster and their disk, so that Raft, which knows of
// neither, never hears of another cluster, nor counts an old copy of a disk, nor hears of
// a stream before it is greeted: that costs it 256 KiB.
// streams closes what Raft leaves open when it is shut down, on either side.
type streams struct {
	net.Listener
	network Network
	self    identity
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
	refused string // why the last caller was
}

// streamsMax is how many streams others may have open here: two or three each, and a few
// of each that are being greeted.
const streamsMax = 256

// identity is what a node says of itself, and how it judges others.
type identity interface {
	greets() *greeting
	// join makes the node belong to a cluster, unless it belongs to one, which it gives.
	join(cluster string) (string, error)
	// judge says why a node is not counted.
	judge(*greeting) error
	// disowned hears why another node refuses this one's disk.
	disowned(why string)
}

// openStreams takes streams from listener until Close.
func openStreams(network Network, listener net.Listener, self identity, log *slog.Logger) *streams {
	s := &streams{
		Listener: listener, network: network, self: self, log: log, open: make(map[*stream]struct{}),
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
	to    raft.ServerID     // whom this node has called, and where; guarded by of.mu
	addr  string
	until atomic.Int64 // the deadline Raft has set, Unix ns; 0 for none
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
func (s *streams) Dial(target raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	if s.isSevered() {
		return nil, errStandsStill
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	id, addr := parseTarget(target)
	conn, err := s.network.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	tracked, err := s.track(conn, nil)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	tracked.to, tracked.addr = id, addr
	s.mu.Unlock()
	if err := s.greet(tracked, id, addr, timeout); err != nil {
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

// forget ends the streams to where a node is not any more.
func (s *streams) forget(id raft.ServerID, now string) {
	var old []*stream
	s.mu.Lock()
	for c := range s.open {
		if c.to == id && c.addr != now {
			old = append(old, c)
		}
	}
	s.mu.Unlock()
	for _, c := range old {
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

// A greeting and its answer: "burraft", the version 2, the length of the rest 2 bytes
// big-endian, the rest as JSON.
const (
	greetingMagic    = "burraft\x02"
	greetingBytesMax = 4 << 10
)

// greeting is what a node says of itself when a stream begins.
type greeting struct {
	Cluster string
	Flags   byte
	Node    messages.NodeID
	// Life, Boot, Index and Term tell the node's disk: see Disk. Index is the newest entry
	// it has, Term Raft's.
	Life        string
	Boot        uint64
	Index, Term uint64
	// Why the caller is refused, in an answer.
	Why string `json:",omitempty"`
}

// The flags of a greeting.
const (
	greetingRefused = 1 << 0 // in an answer: of another cluster
	greetingVotes   = 1 << 1 // the sender takes part in elections
	greetingOldCopy = 1 << 2 // in an answer: the caller's disk is an old copy
)

// greet tells the node at addr, which is to be id, who this one is, and hears its answer.
func (s *streams) greet(c *stream, id raft.ServerID, addr string, timeout time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if err := sendGreeting(c.Conn, s.self.greets()); err != nil {
		return err
	}
	answer, err := readGreeting(c.Conn)
	if err != nil {
		return fmt.Errorf("%s does not speak Raft as this node does: %w", addr, err)
	}
	switch {
	case answer.Flags&greetingRefused != 0:
		return fmt.Errorf("%s belongs to cluster %q", addr, answer.Cluster)
	case answer.Flags&greetingOldCopy != 0:
		s.self.disowned(answer.Why)
		return fmt.Errorf("%s refuses this node: %s", addr, answer.Why)
	case answer.Node != messages.NodeID(id):
		return fmt.Errorf("at %s answers %s, not %s", addr, answer.Node, id)
	case answer.Flags&greetingVotes == 0 && s.votes(id):
		return fmt.Errorf("%s counts as a voter and has lost its disk: it is to be admitted anew", addr)
	}
	if err := s.judge(answer); err != nil {
		return err
	}
	return c.SetDeadline(time.Time{})
}

// judge holds a node against what is known of its disk.
func (s *streams) judge(theirs *greeting) error {
	err := s.self.judge(theirs)
	if err != nil {
		s.noteRefused(err.Error(), string(theirs.Node))
	}
	return err
}

// votes reports whether a node is a voter of the group. What it stores counts towards a
// majority; if it has lost what it stored before, it must not.
func (s *streams) votes(id raft.ServerID) bool {
	for _, server := range s.members().Servers {
		if server.ID == id {
			return server.Suffrage == raft.Voter
		}
	}
	return true
}

// members is the group as the newest entry about it has it, empty while Raft starts.
func (s *streams) members() raft.Configuration {
	if group := s.group.Load(); group != nil {
		return group.GetConfiguration().Configuration()
	}
	return raft.Configuration{}
}

// welcome hears the greeting of a stream that was accepted, and answers. A node that
// belongs to no cluster belongs to the caller's from then on.
func (s *streams) welcome(c *stream) error {
	if err := c.SetDeadline(time.Now().Add(transportTimeout)); err != nil {
		return err
	}
	theirs, err := readGreeting(c.Conn)
	if err != nil {
		return err
	}
	ours, err := s.self.join(theirs.Cluster)
	if err != nil {
		return err
	}
	answer := s.self.greets()
	if ours != theirs.Cluster {
		s.noteRefused("it belongs to cluster "+theirs.Cluster, c.RemoteAddr().String())
		answer.Flags |= greetingRefused
		return errors.Join(errOtherCluster, sendGreeting(c.Conn, answer))
	}
	if err := s.judge(theirs); err != nil {
		answer.Flags, answer.Why = answer.Flags|greetingOldCopy, err.Error()
		return errors.Join(err, sendGreeting(c.Conn, answer))
	}
	if err := sendGreeting(c.Conn, answer); err != nil {
		return err
	}
	return c.SetDeadline(time.Time{})
}

var errOtherCluster = errors.New("the caller belongs to another cluster")

// noteRefused logs why a node is refused, once.
func (s *streams) noteRefused(why, from string) {
	s.mu.Lock()
	again := s.refused == why
	s.refused = why
	s.mu.Unlock()
	if !again {
		s.log.Warn("a node is refused on raft's port", "from", from, "err", why)
	}
}

func sendGreeting(w io.Writer, g *greeting) error {
	b, err := appendGreeting(g)
	if err == nil {
		_, err = w.Write(b)
	}
	return err
}

func appendGreeting(g *greeting) ([]byte, error) {
	text, err := json.Marshal(g)
	if err == nil && len(text) > greetingBytesMax {
		err = fmt.Errorf("a greeting of %d bytes", len(text))
	}
	b := binary.BigEndian.AppendUint16([]byte(greetingMagic), uint16(len(text)))
	return append(b, text...), err
}

func readGreeting(r io.Reader) (*greeting, error) {
	var head [len(greetingMagic) + 2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint16(head[len(greetingMagic):])
	if string(head[:len(greetingMagic)]) != greetingMagic || size > greetingBytesMax {
		return nil, errors.New("no greeting of this version")
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, err
	}
	g := new(greeting)
	if err := json.Unmarshal(text, g); err != nil {
		return nil, fmt.Errorf("a greeting that makes no sense: %w", err)
	}
	return g, nil
}
