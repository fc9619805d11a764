package actors

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"github.com/the-block/bursar/messages"
)

// Transport carries frames to other nodes.
type Transport interface {
	// Send gives a frame to the link to a node. It may wait until the link takes it, and
	// must return once the link is closed. The frame is the caller's again after that.
	// Send is called from one goroutine per node. An error says that the link is broken:
	// nothing more is sent to that node until Remote.LinkUp.
	Send(to messages.NodeID, frame []byte) error
}

// RemoteConfig bounds what two nodes' actors have between them. Limits are per node.
type RemoteConfig struct {
	// FrameBytes is how many bytes of messages a frame gathers at most, unless one
	// message is larger. Raised: more throughput; lowered: shorter waits for the others
	// on the link.
	FrameBytes int
	// MessageBytes is the largest message; a larger one is refused as unsendable.
	MessageBytes int
	// QueueBytes and QueueMessages bound what waits to be sent; beyond them a message is
	// refused as queue_full.
	QueueBytes, QueueMessages int
	// Window is how many bytes, each message counted as 64 more than it has, another node
	// may have sent that no mailbox has taken yet. Raised: more throughput over long
	// links; lowered: less memory.
	Window int
	// Patience is how long a message from another node may wait for room in a full mailbox.
	// Raised: fewer refusals in bursts; lowered: a stuck actor holds up the others of its
	// link for less.
	Patience time.Duration
	// AsksMax bounds the asks that wait for a node's answer; the next is refused as
	// queue_full.
	AsksMax int
	// WatchesMax bounds the actors watched on a node, and those it may watch here; the next
	// watch is answered EndUnreachable at once.
	WatchesMax int
}

// DefaultRemoteConfig returns the configuration of an ordinary node.
func DefaultRemoteConfig() RemoteConfig {
	return RemoteConfig{
		FrameBytes:    64 << 10,
		MessageBytes:  256 << 10,
		QueueBytes:    4 << 20,
		QueueMessages: 65_536,
		Window:        1 << 20,
		Patience:      time.Second,
		AsksMax:       65_536,
		WatchesMax:    65_536,
	}
}

// peersMax bounds the nodes that refs may name.
const peersMax = 64

// nodeNameMax is the longest name of a node.
const nodeNameMax = 128

// FrameBytesMax is how long a frame can get with this configuration.
func (c RemoteConfig) FrameBytesMax() int {
	return headerBytes + c.FrameBytes + c.MessageBytes + pathMax + entryWeight
}

func (c RemoteConfig) validate() error {
	var errs []error
	need := func(ok bool, field, rule string) {
		if !ok {
			errs = append(errs, fmt.Errorf("actors: %s must be %s", field, rule))
		}
	}
	need(c.FrameBytes >= 1<<10 && c.FrameBytes <= 1<<20, "FrameBytes", "1 KiB to 1 MiB")
	need(c.MessageBytes >= 1<<10 && c.MessageBytes <= 16<<20, "MessageBytes", "1 KiB to 16 MiB")
	need(c.QueueBytes >= c.MessageBytes+pathMax+entryWeight, "QueueBytes", "more than MessageBytes, by 16 KiB")
	need(c.QueueMessages >= 1, "QueueMessages", "at least 1")
	need(c.Window >= firstGrant, "Window", "at least 256 KiB")
	need(c.Patience >= time.Millisecond, "Patience", "at least 1ms")
	need(c.AsksMax >= 1, "AsksMax", "at least 1")
	need(c.WatchesMax >= 1, "WatchesMax", "at least 1")
	return errors.Join(errs...)
}

// Remote joins the actors of a node to those of the others. It finds no nodes and makes
// no connections: whoever does tells it of links and of frames, and carries its own.
type Remote struct {
	sys       *System
	self      messages.NodeID
	cfg       RemoteConfig
	codecs    Codecs
	transport Transport
	ids       atomic.Uint64 // the newest number of an ask or watch

	mu     sync.Mutex
	peers  map[messages.NodeID]*peer
	ending bool // no writer is started any more; guarded by mu

	watchers watchers
	writers  sync.WaitGroup
	buffers  sync.Pool // of *chunk
	scratch  sync.Pool // of *[]byte
}

// Join lets the system's actors talk with those of other nodes. self is this node's
// name, codecs what may leave it; what is registered later is not seen. A system joins
// once; Stop ends it.
func (s *System) Join(cfg RemoteConfig, self messages.NodeID, codecs *Codecs, transport Transport) (*Remote, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	r := &Remote{
		sys: s, self: self, cfg: cfg, codecs: codecs.clone(), transport: transport,
		peers: make(map[messages.NodeID]*peer),
	}
	r.ids.Store(random())
	if !s.remote.CompareAndSwap(nil, r) {
		return nil, errors.New("actors: joined already")
	}
	return r, nil
}

// random gives a number that no other node, nor this one before its restart, has used.
func random() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:]) | 1
}

// RefOn returns a ref of whichever actor is at a path of a node, whether there is one
// now or not. On this node it is Lookup.
//
// Errors: ErrNotFound on this node, ErrBadRef for a path that cannot be or one node too
// many, ErrNotJoined.
func (s *System) RefOn(node messages.NodeID, path string) (Ref, error) {
	r := s.remote.Load()
	if r == nil {
		return Ref{}, ErrNotJoined
	}
	if node == r.self {
		if ref, ok := s.Lookup(path); ok {
			return ref, nil
		}
		return Ref{}, fmt.Errorf("ref of %s: %w", path, ErrNotFound)
	}
	if len(path) < 2 || len(path) > pathMax || path[0] != '/' || strings.HasSuffix(path, "/") {
		return Ref{}, fmt.Errorf("%w: path %.100q", ErrBadRef, path)
	}
	p, err := r.peer(node)
	if err != nil {
		return Ref{}, err
	}
	return Ref{far: unique.Make(far{p, path})}, nil
}

// peer returns what this node has with another.
func (r *Remote) peer(node messages.NodeID) (*peer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.peers[node]; p != nil {
		return p, nil
	}
	if node == "" || len(node) > nodeNameMax || len(r.peers) >= peersMax {
		return nil, fmt.Errorf("%w: node %.100q, %d are known", ErrBadRef, node, len(r.peers))
	}
	p := &peer{remote: r, node: node, sending: make(chan struct{}, 1)}
	r.peers[node] = p
	return p, nil
}

// LinkUp tells that there is a link to a node: what Transport.Send is given reaches it.
// It is called once for every link made, in the same order as LinkDown. A link that
// follows another without LinkDown between them is a new one too: nobody knows what the
// old one lost.
func (r *Remote) LinkUp(node messages.NodeID) error {
	p, err := r.peer(node)
	if err != nil {
		return err
	}
	p.linkUp()
	return nil
}

// LinkDown tells that the link to a node has broken, or that the node is gone. Asks in
// flight fail at once, with outcome_unknown where they had been sent; watches of that
// node's actors are answered EndUnreachable; tells not yet sent are dead letters.
func (r *Remote) LinkDown(node messages.NodeID) {
	if p, err := r.peer(node); err == nil {
		p.linkDown()
	}
}

// Receive takes a frame from a node, in the order they were sent. It does not wait for
// actors and does not keep the frame. ErrBadFrame says to cut the link.
func (r *Remote) Receive(from messages.NodeID, frame []byte) error {
	h, entries, err := parseFrame(frame)
	if err != nil {
		return fmt.Errorf("frame from %s: %w", from, err)
	}
	p, err := r.peer(from)
	if err != nil {
		return err
	}
	if err := p.receive(h, entries); err != nil {
		return fmt.Errorf("frame from %s: %w", from, err)
	}
	return nil
}

// PeerStats is what this node's actors have had with those of another.
type PeerStats struct {
	Node           messages.NodeID
	Up             bool
	Queued         int // entries that wait to be sent
	QueuedBytes    int
	Asks, Watches  int    // that wait for the node
	Sent, Received uint64 // entries: messages, replies and watches
	SentFrames     uint64
	ReceivedFrames uint64
	Refused        uint64 // tells and asks, because the queue was full
	Breaks         uint64 // links lost
	Waiting        int64  // messages from the node that wait for room in a mailbox
}

// Stats reads the counters of all nodes, by name.
func (r *Remote) Stats() []PeerStats {
	var out []PeerStats
	for _, p := range r.known() {
		out = append(out, p.stats())
	}
	slices.SortFunc(out, func(a, b PeerStats) int { return strings.Compare(string(a.Node), string(b.Node)) })
	return out
}

func (r *Remote) known() []*peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*peer, 0, len(r.peers))
	for _, p := range r.peers {
		out = append(out, p)
	}
	return out
}

// begin runs a link's writer; false once the system has stopped.
func (r *Remote) begin(l *link) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ending {
		r.writers.Go(l.write)
	}
	return !r.ending
}

// finish lets the writers send what may be sent, and end.
func (r *Remote) finish() {
	r.mu.Lock()
	r.ending = true
	r.mu.Unlock()
	for _, p := range r.known() {
		if l := p.link.Load(); l != nil {
			l.finish()
		}
	}
}

// sending names the nodes whose writers have not ended.
func (r *Remote) sending() []string {
	var names []string
	for _, p := range r.known() {
		if l := p.link.Load(); l != nil && l.busy() {
			names = append(names, string(p.node))
		}
	}
	return names
}

// close gives up all links.
func (r *Remote) close() {
	for _, p := range r.known() {
		p.linkDown()
	}
}

// finished reports whether the group ended before it was given up.
func finished(group *sync.WaitGroup, giveUp <-chan struct{}) bool {
	ended := make(chan struct{})
	go func() { group.Wait(); close(ended) }()
	select {
	case <-ended:
		return true
	case <-giveUp:
		return false
	}
}
