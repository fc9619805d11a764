package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/admission"
	"github.com/the-block/bursar/messages/internal/pack"
)

// The sizes of a connection's read buffer: what an idle one holds, and what one that
// sends bursts is given, a caller or a node. The longest message may need more.
const (
	bufferIdle  = 4 << 10
	bufferBurst = 64 << 10
	bufferPeer  = 256 << 10
)

// greetingMax is the longest message, in bytes, of a node that has not been let in.
const greetingMax = 4 << 10

// lingerMax is how long a connection whose caller sends no more is kept for the
// answers it is owed: longer than any call's deadline.
const lingerMax = (messages.DeadlineMSMax + 5_000) * time.Millisecond

// conn is one caller's connection. Its reader goroutine owns the read side, its
// writer goroutine takes what answers have put into out.
type conn struct {
	of     *connections
	server *Server
	nc     net.Conn
	peer   Peer
	place  *admission.Ticket

	buf     []byte // buf[r:w] is read and not handled yet
	r, w    int
	scanner pack.Scanner
	decoder messages.Decoder
	calls   []*Call
	turns   turns
	limits  pack.Limits
	// greeting is set until the node at the far end has said who it is, silent until the
	// caller has called, or that node was let in. opened is when it connected.
	greeting bool
	silent   bool
	opened   time.Time
	// rejected is set when the caller's bytes made no sense.
	rejected bool

	wake chan struct{} // tells a sleeping writer of something to do; holds one

	mu      sync.Mutex
	room    sync.Cond // out has become shorter, or the connection is cut
	out     []byte    // replies to be written
	writing int       // bytes of replies being written
	outTold tally     // of both
	owed    int       // calls not answered yet
	owedIn  int       // their bytes
	inTold  tally     // of them
	asleep  bool      // the writer waits for wake
	ended   bool      // nothing more will be read
	dead    bool      // the connection is cut: answers are dropped
}

func newConn(of *connections, nc net.Conn, place *admission.Ticket) *conn {
	c := &conn{
		of: of, server: of.server, nc: nc, place: place, silent: true, opened: time.Now(),
		peer:   of.server.peerOf(nc.RemoteAddr().String(), nil),
		buf:    make([]byte, bufferIdle),
		limits: of.server.limits,
		wake:   make(chan struct{}, 1),
	}
	if c.greeting = c.server.greeter != nil; c.greeting {
		c.limits.Bytes = greetingMax
	}
	c.room.L = &c.mu
	c.outTold.total, c.inTold.total = &c.server.outBytes, &c.server.inBytes
	return c
}

// run serves the connection until it is over and every answer is written or lost.
func (c *conn) run() {
	if !c.secure() {
		_ = c.nc.Close()
		return
	}
	var writer sync.WaitGroup
	writer.Go(c.write)
	c.read()
	c.mu.Lock()
	c.ended = true
	c.rouse()
	c.mu.Unlock()
	late := time.AfterFunc(lingerMax, c.cut)
	writer.Wait()
	late.Stop()
	c.forgetOut()
	if c.rejected || c.of.draining.Load() {
		c.partWays()
	}
	_ = c.nc.Close()
}

// The most that is still read from a caller who is told no more, and for how long: one
// whose bytes made no sense, and one of a server that stops.
const (
	partingMax   = 4 << 20
	partingTime  = time.Second
	partingBrief = 100 * time.Millisecond
)

// partWays lets the last answers reach their caller: closing a connection that holds
// unread bytes would reset it, and the answers would be lost on the way.
func (c *conn) partWays() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(partingTime))
	if c.of.draining.Load() {
		_ = c.nc.SetReadDeadline(time.Now().Add(partingBrief))
	}
	_, _ = io.CopyN(io.Discard, c.nc, partingMax)
}

// read handles what arrives until the caller ends, breaks a rule, or the server
// drains.
func (c *conn) read() {
	var first time.Time // when the message that is still incomplete began
	for {
		if !c.awaitRoom() || c.of.draining.Load() {
			return
		}
		if c.r == c.w {
			first = time.Time{}
		}
		n, err := c.fill(first)
		if n == 0 && err != nil {
			if c.waits(err) {
				continue
			}
			return
		}
		now := time.Now()
		if first.IsZero() {
			first = now
		}
		c.w += n
		c.server.metrics.BytesIn.Add(uint64(n))
		handled, ok := c.handle(now)
		if handled {
			first = now
		}
		if !ok {
			return
		}
	}
}

// fill reads once, into a buffer with room for more.
func (c *conn) fill(first time.Time) (int, error) {
	c.makeRoom()
	deadline := time.Time{}
	switch {
	case c.greeting, c.silent && first.IsZero():
		deadline = c.opened.Add(c.server.cfg.GreetingTimeout)
	case !first.IsZero():
		deadline = first.Add(c.server.cfg.FrameTimeout)
	case c.server.cfg.IdleTimeout > 0:
		deadline = time.Now().Add(c.server.cfg.IdleTimeout)
	}
	_ = c.nc.SetReadDeadline(deadline)
	if c.of.draining.Load() { // it may have set its own deadline before ours
		return 0, os.ErrDeadlineExceeded
	}
	return c.nc.Read(c.buf[c.w:])
}

// waits reports whether a read that timed out found the caller waiting for answers,
// which is not idle.
func (c *conn) waits(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) || c.of.draining.Load() || c.r != c.w {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owed > 0 && !c.dead
}

// makeRoom moves the incomplete message to the front and sizes the buffer for it.
func (c *conn) makeRoom() {
	held := c.w - c.r
	size := len(c.buf)
	switch {
	case held == size:
		size = min(2*size, c.server.limits.Bytes+bufferIdle)
	case c.w == size && size < c.server.burst:
		size = c.server.burst // the last read left nothing free: there is more to come
	case held == 0 && size > c.server.burst:
		size = c.server.burst
	}
	if size != len(c.buf) {
		grown := make([]byte, size)
		copy(grown, c.buf[c.r:c.w])
		c.buf = grown
	} else if c.r > 0 {
		copy(c.buf, c.buf[c.r:c.w])
	}
	c.r, c.w = 0, held
}

// handle serves every message that is complete. handled reports whether there was
// one; ok is false where the connection must end.
func (c *conn) handle(now time.Time) (handled, ok bool) {
	defer c.dispatch()
	for c.r < c.w {
		if c.server.outputFull() {
			c.dispatch()
			if !c.awaitRoom() {
				return handled, false
			}
		}
		n, verdict := c.scanner.Scan(c.buf[c.r:c.w], c.limits)
		switch verdict {
		case pack.Incomplete:
			return handled, true
		case pack.Complete:
			c.scanner.Reset()
			if !c.handleMessage(c.buf[c.r:c.r+n], now) {
				return true, false
			}
			c.r += n
			handled = true
		default:
			c.malformed(messages.Errorf(messages.CodeParse, "%s", verdict))
			return handled, false
		}
	}
	return handled, true
}

// handleMessage handles one message and reports whether the connection may go on.
func (c *conn) handleMessage(msg []byte, now time.Time) bool {
	req, err, fatal := readRequest(c.decoder.Pack(), msg)
	if fatal {
		c.malformed(err)
		return false
	}
	var call *Call
	if err == nil {
		err = c.overload(req)
	}
	if err == nil {
		call, err = c.server.ingress(&c.decoder, req, messages.Msgpack, c.peer, now, c)
	}
	if err != nil {
		c.refuse(req, call, err)
		c.rejected = c.greeting
		return !c.greeting
	}
	if c.greets(call) {
		return c.greet(req, call)
	}
	c.prove()
	c.mu.Lock()
	c.owed++
	c.owedIn += call.bytes
	c.inTold.set(c.owedIn)
	c.mu.Unlock()
	c.server.metrics.InFlight.Add(1)
	if call.turn != nil && !c.turns.enter(call.turn) {
		return true // its turn comes when those before it are decided
	}
	if c.calls = append(c.calls, call); len(c.calls) >= c.server.cfg.BurstMax {
		c.dispatch()
	}
	return true
}

// prove notes that the caller has shown itself.
func (c *conn) prove() {
	if c.silent {
		c.silent = false
		c.place.Prove()
	}
}

// dispatch hands the calls gathered so far to the handler.
func (c *conn) dispatch() {
	if len(c.calls) > 0 {
		calls := c.calls
		c.calls = nil
		c.server.serve(calls)
	}
}

// overload refuses a request of one more than the connection may have in flight.
func (c *conn) overload(req request) *messages.Error {
	bytes := len(req.params)
	c.mu.Lock()
	owed, owedIn := c.owed, c.owedIn
	c.mu.Unlock()
	cfg := &c.server.cfg
	switch {
	case owed >= cfg.InFlightMax:
		return c.server.overloaded("too many requests in flight on this connection")
	case owedIn+bytes > cfg.InFlightBytesMax:
		return c.server.overloaded("too many bytes in flight on this connection")
	case c.server.inBytes.Load() > int64(cfg.InFlightBytesTotal):
		return c.server.overloaded("too many bytes in flight on all connections")
	}
	return nil
}

// refuse answers a request that never became a call.
func (c *conn) refuse(req request, call *Call, err *messages.Error) {
	var method *messages.Method
	if call != nil {
		method = call.Method
	}
	c.answerNow(req, method, nil, err)
}

// answerNow answers a request at once.
func (c *conn) answerNow(req request, method *messages.Method, result messages.Result, err *messages.Error) {
	c.server.metrics.count(method, err)
	if req.notify {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead {
		_ = c.respond(req.id, result, err)
		c.rouse()
	}
}

// respond puts one response into out and returns the error that it tells, if any. A
// caller that lets out fill up is cut off. mu is held.
func (c *conn) respond(id uint32, result messages.Result, err *messages.Error) *messages.Error {
	if c.out == nil {
		c.out = c.server.buffers.borrow()
	}
	c.out, err = appendResponse(c.out, id, result, err, c.server.limits.Bytes)
	c.countOut()
	if len(c.out)+c.writing > c.server.cfg.OutBytesMax {
		c.endLocked(true)
	}
	return err
}

// malformed says goodbye to a caller whose bytes make no sense. The calls before them
// are served.
func (c *conn) malformed(err *messages.Error) {
	c.dispatch()
	c.rejected = true
	c.server.metrics.Malformed.Add(1)
	if c.server.greeter == nil && browses(c.buf[c.r:c.w]) {
		c.pointToPage()
		return
	}
	c.refuse(request{}, nil, err)
}

// browses reports whether bytes are a request over HTTP of a program that says which it is,
// such as a browser or curl: somebody reads the answer. Others get the error that all
// garbage gets.
func browses(b []byte) bool {
	return (bytes.HasPrefix(b, []byte("GET /")) || bytes.HasPrefix(b, []byte("POST /"))) && bytes.Contains(b, []byte("\r\nUser-Agent: "))
}

// pointToPage answers a browser that has come to the wrong port.
func (c *conn) pointToPage() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return
	}
	if c.out == nil {
		c.out = c.server.buffers.borrow()
	}
	c.out = append(c.out, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"+
		"This port speaks MessagePack-RPC. The page of a node, and JSON-RPC by POST on /rpc, are 3 ports higher.\n"...)
	c.countOut()
	c.rouse()
}

// answer implements replier.
func (c *conn) answer(call *Call, result messages.Result, err *messages.Error) {
	if err == nil && c.server.outputFull() && !call.Method.Changes(call.Params) {
		err = c.server.overloaded("too many bytes of replies wait for slow readers")
	}
	c.mu.Lock()
	c.owed--
	c.owedIn -= call.bytes
	c.inTold.set(c.owedIn)
	if !c.dead && !call.notify {
		err = c.respond(call.id, result, err)
	}
	c.rouse()
	c.mu.Unlock()
	c.server.metrics.InFlight.Add(-1)
	c.server.metrics.count(call.Method, err)
	if call.turn != nil {
		c.turns.done(call.turn, c.server.serve)
	}
}

// rouse wakes the writer if it sleeps. The caller holds mu.
func (c *conn) rouse() {
	if c.asleep {
		c.asleep = false
		c.wake <- struct{}{}
	}
}

// awaitRoom waits until enough of out is written that the caller may send more. It
// returns false when the connection is cut.
func (c *conn) awaitRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.dead && len(c.out)+c.writing > c.server.outBeforeRead() {
		c.room.Wait()
	}
	return !c.dead
}

// outBeforeRead is the most bytes that may wait on a connection which is read.
func (s *Server) outBeforeRead() int {
	if s.outputFull() {
		return tallyStep
	}
	return s.cfg.OutBytesMax / 4
}

// countOut tells the server how much waits to be written. mu is held.
func (c *conn) countOut() { c.outTold.set(len(c.out) + c.writing) }

// forgetOut drops what was not written when the connection is over.
func (c *conn) forgetOut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out, c.writing = nil, 0
	c.countOut()
}

// write sends what gathers in out until the connection has ended and owes nothing.
func (c *conn) write() {
	for {
		batch, more := c.next()
		if !more {
			return
		}
		_ = c.nc.SetWriteDeadline(time.Now().Add(c.server.cfg.WriteTimeout))
		n, err := c.nc.Write(batch)
		c.server.metrics.BytesOut.Add(uint64(n))
		if err != nil {
			c.end(errors.Is(err, os.ErrDeadlineExceeded))
			return
		}
		c.mu.Lock()
		c.writing = 0
		c.countOut()
		c.mu.Unlock()
		c.room.Signal()
		c.server.buffers.giveBack(batch)
	}
}

// next waits for replies and takes them all. It returns false when there will be no
// more.
func (c *conn) next() ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.dead:
			return nil, false
		case len(c.out) > 0:
			batch := c.out
			c.out, c.writing = nil, len(batch)
			return batch, true
		case c.ended && c.owed == 0:
			return nil, false
		}
		c.asleep = true
		c.mu.Unlock()
		<-c.wake
		c.mu.Lock()
	}
}

// cut ends the connection at once.
func (c *conn) cut() { c.end(false) }

// end is cut; slow says that it is for a reader too slow.
func (c *conn) end(slow bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(slow)
}

// endLocked is end with mu held. A connection is counted once, whichever of its two
// goroutines finds the reader too slow first.
func (c *conn) endLocked(slow bool) {
	if c.dead {
		return
	}
	if slow {
		c.server.metrics.CutOff.Add(1)
	}
	c.dead, c.out = true, nil
	_ = c.nc.Close()
	c.room.Signal()
	c.rouse()
}
