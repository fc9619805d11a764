package peers

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// Network carries connections between nodes: plain TCP, TLS, or memory in a test. A
// connection that has a method PeerName() string proves by it who is at the far end.
type Network interface {
	Listen(addr string) (net.Listener, error)
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

// Handler serves what other nodes ask of this one.
type Handler interface {
	// ServePeer takes one burst of calls from one node, in the order of arrival, under the
	// rules of wire.Handler: it must not block and answers each call once. node.hello and node.ping
	// are not among them.
	ServePeer(from messages.NodeID, calls []*wire.Call)
}

// Self is what a node says of itself.
type Self struct {
	Node messages.NodeID
	// Boot tells this start of the node from every other.
	Boot uint64
	// Version is the program's, for people.
	Version string
	// Cluster tells the cluster's id, empty before there is one; Status how the node is.
	// Both are called from many goroutines and must not block.
	Cluster func() string
	Status  func() Pong
}

// Peer is another node as gossip sees it.
type Peer struct {
	Node messages.NodeID
	Addr string // host:port
	// Boot is its newest known start, 0 where it is not known.
	Boot uint64
}

// Peers are the links of this node to the others.
type Peers struct {
	cfg     Config
	self    Self
	network Network
	handler Handler
	log     *slog.Logger
	server  *wire.Server
	metrics *wire.Metrics
	news    chan struct{} // links holds one that Run has not begun; holds one
	closing chan struct{}
	ended   sync.WaitGroup // Run
	links   atomic.Pointer[map[messages.NodeID]*link]
	grumble complaints
	// suspended is why no node is answered or called; nil if they are.
	suspended atomic.Pointer[error]

	mu       sync.Mutex
	listener net.Listener
	fresh    []*link       // not begun
	changed  chan struct{} // closed at the next change
	closed   bool
}

// New makes Peers that know of nobody and listen nowhere.
func New(cfg Config, self Self, network Network, handler Handler, log *slog.Logger) (*Peers, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	p := &Peers{
		cfg: cfg, self: self, network: network, handler: handler,
		log: log.With("component", "peers"), metrics: wire.NewPeerMetrics(),
		news: make(chan struct{}, 1), closing: make(chan struct{}), changed: make(chan struct{}),
	}
	p.links.Store(&map[messages.NodeID]*link{})
	var err error
	p.server, err = wire.NewPeer(cfg.Wire, greeter{p}, receiver{p}, p.metrics)
	return p, err
}

// Metrics counts what other nodes ask of this one.
func (p *Peers) Metrics() *wire.Metrics { return p.metrics }

// Listen binds the address at which other nodes reach this one.
func (p *Peers) Listen(addr string) error {
	ln, err := p.network.Listen(addr)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.listener != nil {
		return errors.Join(errors.New("peers: closed, or listening already"), ln.Close())
	}
	p.listener = ln
	return nil
}

// Addr is where Listen has bound.
func (p *Peers) Addr() net.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.listener.Addr()
}

// Run answers other nodes and keeps the links to them until ctx ends or Close is
// called; then it ends the links, waits for the answers it owes (Wire.DrainTimeout at
// most) and returns nil. It returns early with the error of a listener that fails for
// good. It is called once, after Listen.
func (p *Peers) Run(ctx context.Context) error {
	p.mu.Lock()
	ln := p.listener
	if ln == nil || p.closed {
		p.mu.Unlock()
		return errors.New("peers: Run needs Listen before it, and Close after it")
	}
	p.ended.Add(1)
	p.mu.Unlock()
	defer p.ended.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel()
	served := make(chan error, 1)
	parts.Go(func() { served <- p.server.Serve(ctx, ln) })
	for {
		for _, l := range p.takeFresh() {
			parts.Go(func() { l.keep(ctx) })
		}
		select {
		case <-p.news:
		case <-p.closing:
			return nil
		case <-ctx.Done():
			return nil
		case err := <-served:
			return err
		}
	}
}

// Close ends Run, waits for its end, and releases the address.
func (p *Peers) Close() error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.closing)
	}
	ln := p.listener
	p.mu.Unlock()
	p.ended.Wait()
	if ln == nil {
		return nil
	}
	if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Suspend breaks all links and makes none, in either direction, until Resume: to the others
// this node is down at once, and they are told why. It does not block.
func (p *Peers) Suspend(why error) {
	p.suspended.Store(&why)
	p.server.Cut()
	for _, l := range *p.links.Load() {
		if client := l.client.Load(); client != nil {
			client.Abort(why)
		}
	}
}

// Resume ends what Suspend has begun.
func (p *Peers) Resume() {
	p.suspended.Store(nil)
	for _, l := range *p.links.Load() {
		l.hurry()
	}
}

// Set says who is there. Links to nodes that are new are made, those to nodes that are
// not among them are ended. This node itself may be among them.
func (p *Peers) Set(nodes []Peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := *p.links.Load()
	links := make(map[messages.NodeID]*link, len(nodes))
	changed := false
	for _, peer := range nodes {
		switch l := old[peer.Node]; {
		case peer.Node == p.self.Node:
		case l != nil:
			l.retarget(peer)
			links[peer.Node] = l
		case links[peer.Node] == nil:
			l = newLink(p, peer)
			links[peer.Node] = l
			p.fresh = append(p.fresh, l)
			changed = true
		}
	}
	p.links.Store(&links)
	for node, l := range old {
		if links[node] == nil {
			close(l.gone)
			changed = true
		}
	}
	if changed {
		p.notifyLocked()
		select {
		case p.news <- struct{}{}:
		default:
		}
	}
}

func (p *Peers) takeFresh() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := p.fresh
	p.fresh = nil
	return slices.DeleteFunc(fresh, (*link).isGone)
}

// link finds the link to a node, or nil.
func (p *Peers) link(node messages.NodeID) *link { return (*p.links.Load())[node] }

// client is the connection to a node, or why there is none.
func (p *Peers) client(node messages.NodeID) (*wire.Client, error) {
	l := p.link(node)
	if l == nil {
		return nil, messages.Errorf(messages.CodeUnavailable, "no node %s is known", node)
	}
	if client := l.client.Load(); client != nil {
		return client, nil
	}
	return nil, messages.Errorf(messages.CodeUnavailable, "%s cannot be reached: %v", node, l.snapshot().Err)
}

// Go calls a method of messages.PeerTable on another node and never waits. done is
// called once, under the rules of wire.Client.Go: before Go returns where nothing can
// be sent, else on a goroutine of the link, which it must not hold up. Reply.Err is a
// *messages.Error: of the other node; unavailable where the call was certainly not
// carried out, overloaded where too much waits for that node already; outcome_unknown
// where it was sent, changes something, and the link was lost. How long to wait is the
// caller's to decide: a node that is up and does not answer holds the call for ever.
func (p *Peers) Go(to messages.NodeID, method string, params messages.Params, done func(wire.Reply)) {
	client, err := p.client(to)
	if err != nil {
		done(wire.Reply{Err: err})
		return
	}
	client.Go(method, params, done)
}

// Call has another node carry out a caller's call and never waits. done is called once,
// under the rules of Go; the encoded result is done's to keep.
func (p *Peers) Call(to messages.NodeID, call *wire.Call, done func(result []byte, err *messages.Error)) {
	p.Go(to, messages.MethodNodeCall, call.Forward(time.Now()), func(r wire.Reply) {
		var result messages.NodeCallResult
		if err := r.Decode(&result); err != nil {
			done(nil, refusal(err))
			return
		}
		done(result.Result, nil)
	})
}

// refusal is err as a caller is told it.
func refusal(err error) *messages.Error {
	var e *messages.Error
	if errors.As(err, &e) {
		return e
	}
	return messages.Errorf(messages.CodeOutcomeUnknown, "another node's answer cannot be read: %v", err)
}

// Status tells what is known of a node, if Set has named it.
func (p *Peers) Status(node messages.NodeID) (Status, bool) {
	l := p.link(node)
	if l == nil {
		return Status{}, false
	}
	return l.snapshot(), true
}

// Statuses tells what is known of every node that Set has named, by name.
func (p *Peers) Statuses() []Status {
	links := slices.SortedFunc(maps.Values(*p.links.Load()), func(a, b *link) int {
		return strings.Compare(string(a.node), string(b.node))
	})
	all := make([]Status, len(links))
	for i, l := range links {
		all[i] = l.snapshot()
	}
	return all
}

// Watch returns a channel that is closed when a node's Up, Boot or Links changes next,
// or the nodes that are known. Who wants to miss nothing calls it before Status.
func (p *Peers) Watch() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

func (p *Peers) notify() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notifyLocked()
}

func (p *Peers) notifyLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// hello is what this node says of itself now.
func (p *Peers) hello() *messages.Hello {
	return &messages.Hello{
		Cluster: p.self.Cluster(), Node: p.self.Node, Boot: p.self.Boot,
		Protocol: p.cfg.Protocol, ProtocolMin: p.cfg.ProtocolMin, Version: p.self.Version,
	}
}

// complain logs why a node cannot be linked, or was refused, but not too often about the
// same subject.
func (p *Peers) complain(about string, node messages.NodeID, addr string, err error) {
	if p.grumble.due(about, time.Now(), p.cfg.ComplainEvery) {
		p.log.Warn("no link with a node", "member", node, "addr", addr, "err", err)
	}
}
