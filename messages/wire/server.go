package wire

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/admission"
	"github.com/the-block/bursar/messages/internal/pack"
)

// Server takes calls from callers to a Handler and answers back.
type Server struct {
	cfg     Config
	table   *messages.Table
	limits  pack.Limits
	burst   int     // the read buffer of a connection that sends bursts, in bytes
	greeter Greeter // nil where anybody may call
	handler Handler
	metrics *Metrics
	places  *admission.Book
	// httpCalls counts unanswered JSON-RPC calls.
	httpCalls atomic.Int64
	// httpBytes counts the bytes of JSON-RPC answers that are not sent yet.
	httpBytes atomic.Int64
	// outBytes counts the bytes of replies that wait to be written to connections,
	// inBytes those of their unanswered requests.
	outBytes, inBytes atomic.Int64
	document          *messages.DiscoverResult
	buffers           buffers

	mu      sync.Mutex
	serving map[*connections]struct{}
}

// New makes a Server for callers that listens nowhere yet.
func New(cfg Config, handler Handler, metrics *Metrics) (*Server, error) {
	if err := cfg.validate(limits.Bytes); err != nil {
		return nil, err
	}
	s := newServer(cfg, handler, metrics)
	s.table, s.limits, s.burst, s.document = messages.PublicTable(), limits, bufferBurst, messages.Document()
	return s, nil
}

func newServer(cfg Config, handler Handler, metrics *Metrics) *Server {
	return &Server{
		cfg: cfg, handler: handler, metrics: metrics, serving: make(map[*connections]struct{}),
		places: admission.New(admission.ConfigOf(cfg.ConnectionsMax)),
	}
}

// Greeter judges who may speak to a node.
type Greeter interface {
	// Greet judges a node.hello, which is the first call of every connection and may be
	// repeated on it. It returns who calls from then on, and the answer; with an error
	// the connection ends when its caller has been told. It must not block.
	Greet(nc net.Conn, hello *messages.Hello) (messages.NodeID, *messages.Hello, *messages.Error)
}

// NewPeer makes a Server for other nodes: it knows the methods between nodes, and
// hands to handler what comes on connections that greeter has let in. metrics are
// those of NewPeerMetrics.
func NewPeer(cfg Config, greeter Greeter, handler Handler, metrics *Metrics) (*Server, error) {
	if err := cfg.validate(messages.PeerLimits.Bytes); err != nil {
		return nil, err
	}
	s := newServer(cfg, handler, metrics)
	s.table, s.limits, s.burst, s.greeter = messages.PeerTable(), messages.PeerLimits, bufferPeer, greeter
	return s, nil
}

// Serve answers MessagePack-RPC on ln until ctx ends, then reads no more, waits for
// the answers still owed (DrainTimeout at most), closes every connection and ln, and
// returns nil. It returns early with the error of a listener that fails for good.
// Several listeners may be served at a time.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	cs := &connections{server: s, conns: make(map[*conn]struct{})}
	s.mu.Lock()
	s.serving[cs] = struct{}{}
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	err := cs.accept(ctx, ln)
	_ = ln.Close()
	cs.drain()
	s.mu.Lock()
	delete(s.serving, cs)
	s.mu.Unlock()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Cut ends every connection there is now, whatever is owed on it.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for cs := range s.serving {
		cs.each((*conn).cut)
	}
}

// connections are those of one listener.
type connections struct {
	server   *Server
	draining atomic.Bool
	ended    sync.WaitGroup

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// acceptPause is how long accept waits when it cannot take a connection, mostly for
// want of file descriptors.
const acceptPause = 50 * time.Millisecond

func (cs *connections) accept(ctx context.Context, ln net.Listener) error {
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			cs.admit(nc)
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return err
		default:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(acceptPause):
			}
		}
	}
}

func (cs *connections) admit(nc net.Conn) {
	m := cs.server.metrics
	m.Accepted.Add(1)
	place := cs.server.places.Admit(nc.RemoteAddr(), func() {
		m.TurnedAway.Add(1)
		_ = nc.Close()
	})
	if place == nil {
		m.TurnedAway.Add(1)
		cs.turnAway(nc)
		return
	}
	m.Connections.Add(1)
	c := newConn(cs, nc, place)
	cs.mu.Lock()
	cs.conns[c] = struct{}{}
	cs.mu.Unlock()
	cs.ended.Go(func() {
		c.run()
		cs.mu.Lock()
		delete(cs.conns, c)
		cs.mu.Unlock()
		place.Leave()
		m.Connections.Add(-1)
	})
}

// turnAway says why and closes. A new connection's send buffer takes the few bytes
// without waiting; what would have to shake hands first is just closed.
func (cs *connections) turnAway(nc net.Conn) {
	if _, plain := nc.(*net.TCPConn); plain {
		_ = nc.SetWriteDeadline(time.Now().Add(acceptPause))
		reply, _ := appendResponse(nil, 0, nil, cs.server.overloaded("too many connections"), cs.server.limits.Bytes)
		_, _ = nc.Write(reply)
	}
	_ = nc.Close()
}

// drain ends every connection once it is answered, or when DrainTimeout is over.
func (cs *connections) drain() {
	cs.draining.Store(true)
	cs.each(func(c *conn) { _ = c.nc.SetReadDeadline(time.Unix(1, 0)) })
	late := time.AfterFunc(cs.server.cfg.DrainTimeout, func() { cs.each((*conn).cut) })
	cs.ended.Wait()
	late.Stop()
}

func (cs *connections) each(do func(*conn)) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for c := range cs.conns {
		do(c)
	}
}

func (s *Server) overloaded(why string) *messages.Error {
	return messages.Errorf(messages.CodeOverloaded, "%s", why).
		With("retry_after_ms", s.cfg.RetryAfter.Milliseconds())
}

// outputFull reports whether slow readers leave more replies waiting than may be.
func (s *Server) outputFull() bool { return s.outBytes.Load() > int64(s.cfg.OutBytesTotal) }

// serve hands a burst to the handler. What the table itself can answer is answered
// here.
func (s *Server) serve(calls []*Call) {
	rest := slices.DeleteFunc(calls, func(c *Call) bool {
		own := c.Method.Name == messages.MethodDiscover
		if own {
			c.Reply(s.document)
		}
		return own
	})
	if len(rest) > 0 {
		s.handler.Serve(rest)
	}
}

// peerOf judges who is at the far end. With TLS it is worth what its certificate says,
// wherever it is.
func (s *Server) peerOf(addr string, state *tls.ConnectionState) Peer {
	p := Peer{Addr: addr, Caller: messages.Caller{Roles: stranger}}
	if host, _, err := net.SplitHostPort(addr); err == nil {
		ip := net.ParseIP(host)
		p.Loopback = ip != nil && ip.IsLoopback()
	}
	switch {
	case state != nil:
		p.Caller = callerProven(state)
	case p.Loopback && s.cfg.TrustLoopback:
		p.Roles = messages.RolesAll
	}
	return p
}

// strangerIDs begins the request ids of strangers.
const strangerIDs = "stranger:"

// requestID is the id by which a call is remembered. Those of strangers are apart from all
// others, so that none can take an id that somebody with a name is going to use, or has
// used; a named caller keeps what he gives.
func (s *Server) requestID(given string, peer *Peer) string {
	if given == "" || s.greeter != nil || peer.Name != "" || peer.Roles == messages.RolesAll {
		return given
	}
	sum := sha256.Sum256([]byte(given))
	return strangerIDs + base64.RawURLEncoding.EncodeToString(sum[:])
}

// unknown tells of a method that is not in the table.
func unknown(table *messages.Table, name []byte) *messages.Error {
	if near, ok := table.Nearest(string(name)); ok {
		return messages.Errorf(messages.CodeMethodNotFound, "no such method: %s; did you mean %s?", clip(name), near)
	}
	return messages.Errorf(messages.CodeMethodNotFound, "no such method: %s", clip(name))
}

// ingress makes a Call of decoded parts, or says why not. to must take its answer.
func (s *Server) ingress(d *messages.Decoder, req request, form messages.Form, peer Peer, now time.Time, to replier) (*Call, *messages.Error) {
	m := s.table.ByBytes(req.method)
	if m == nil {
		return nil, unknown(s.table, req.method)
	}
	params, err := m.DecodeWith(d, req.params, form)
	if err == nil {
		err = messages.Allowed(m, params, peer.Caller)
	}
	if err != nil {
		return &Call{Method: m}, err
	}
	opts := params.Shared()
	c := &Call{
		Method: m, Params: params, RequestID: s.requestID(opts.RequestID, &peer),
		Received: now, Deadline: now.Add(time.Duration(opts.DeadlineMS) * time.Millisecond),
		Peer: peer, id: req.id, notify: req.notify, bytes: len(req.params), to: to,
	}
	if p, signed := params.(*messages.AuthCallParams); signed {
		if err := c.open(p); err != nil {
			return c, err
		}
		m, params = c.Method, c.Params
	}
	if m.Mutates && c.RequestID == "" && s.greeter == nil {
		c.RequestID, c.Stamped = stamp(), true
	}
	if record, ok := m.Record(params); ok && s.greeter == nil {
		c.turn = &turn{record: record, call: c}
	}
	return c, nil
}
