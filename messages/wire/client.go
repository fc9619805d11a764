package wire

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/internal/pack"
)

// ErrClosed is returned for calls on a Client that was closed.
var ErrClosed = errors.New("wire: the client is closed")

// ClientConfig bounds a Client.
type ClientConfig struct {
	// OutBytesMax is the most bytes of requests that wait to be written; beyond it calls
	// are answered overloaded at once.
	OutBytesMax int
	// InFlightMax is the most calls that wait for their answers; one more is answered
	// overloaded at once. 0 leaves it to the node.
	InFlightMax int
	// WriteTimeout is how long the far end may take nothing of what is being written
	// before the connection is given up; 0 is for ever.
	WriteTimeout time.Duration
}

// DefaultClientConfig suits callers.
func DefaultClientConfig() ClientConfig { return ClientConfig{OutBytesMax: 16 << 20} }

// Client is one connection to a node. It may be used by many goroutines; their calls
// share the connection and are answered in any order.
type Client struct {
	nc     net.Conn
	cfg    ClientConfig
	table  *messages.Table
	limits pack.Limits
	wake   chan struct{}
	ended  sync.WaitGroup
	closed chan struct{}
	opened time.Time
	heard  atomic.Int64 // when bytes were read last: nanoseconds since opened

	mu      sync.Mutex
	out     outbox
	asleep  bool
	lastID  uint32
	waiting map[uint32]waiter
	err     error // why no more calls can be made
}

type waiter struct {
	mutates bool
	segment uint64 // of the outbox
	done    func(Reply)
}

// Reply is the answer to an asynchronous call.
type Reply struct {
	// Result is the result's MessagePack bytes, valid until the callback returns.
	Result []byte
	// Err is nil, a *messages.Error, or ErrClosed.
	Err error
}

// Decode reads the result into the struct that v points to, or returns Err.
func (r Reply) Decode(v messages.Result) error {
	if r.Err != nil || v == nil {
		return r.Err
	}
	return messages.DecodeResult(r.Result, v)
}

// Dial connects to a node's MessagePack port, host:port.
func Dial(ctx context.Context, addr string) (*Client, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return NewClient(nc), nil
}

// NewClient speaks over a connection that is already made, with TLS or without, and
// owns it from then on.
func NewClient(nc net.Conn) *Client {
	return newClient(nc, DefaultClientConfig(), messages.PublicTable(), limits)
}

// NewPeerClient is NewClient from node to node.
func NewPeerClient(nc net.Conn, cfg ClientConfig) *Client {
	return newClient(nc, cfg, messages.PeerTable(), messages.PeerLimits)
}

func newClient(nc net.Conn, cfg ClientConfig, table *messages.Table, lim pack.Limits) *Client {
	c := &Client{
		nc: nc, cfg: cfg, table: table, limits: lim,
		wake: make(chan struct{}, 1), closed: make(chan struct{}), opened: time.Now(),
		waiting: make(map[uint32]waiter),
	}
	c.ended.Go(c.read)
	c.ended.Go(c.write)
	return c
}

// Close ends the connection; calls without an answer are answered as if it had broken.
// It must not be called from a callback.
func (c *Client) Close() error {
	c.Abort(ErrClosed)
	c.ended.Wait()
	return nil
}

// Abort ends the connection for the given reason without waiting for anything: the
// calls without an answer are answered before it returns, unless they are being
// answered at that moment. The Client is still to be closed.
func (c *Client) Abort(reason error) { c.fail(reason) }

// Err tells why no more calls can be made, or nil.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Heard is when the far end was heard last, or else when the Client was made.
func (c *Client) Heard() time.Time { return c.opened.Add(time.Duration(c.heard.Load())) }

// Done is closed when the connection is over.
func (c *Client) Done() <-chan struct{} { return c.closed }

// Call makes one call and waits for its answer, which it reads into result (nil to
// ignore it). Without a deadline of its own the call takes that of ctx. A refusal is a
// *messages.Error. A call that was sent and not answered in time, or whose connection
// broke, is outcome_unknown where it changes something and unavailable where it reads.
func (c *Client) Call(ctx context.Context, method string, params messages.Params, result messages.Result) error {
	return c.Start(ctx, method, params, result)()
}

// Start is the first half of Call: it sends the request, behind those that were started
// before, and returns what waits for the answer.
func (c *Client) Start(ctx context.Context, method string, params messages.Params, result messages.Result) (answer func() error) {
	if params == nil {
		params = new(messages.NoParams)
	}
	opts := *params.Shared()
	if opts.DeadlineMS == 0 {
		opts.DeadlineMS = remaining(ctx)
	}
	mutates := c.mutates(method, params)
	start := func(done func(Reply)) {
		c.send(mutates, done, func(b []byte, id uint32) []byte {
			return messages.AppendParamsWith(appendRequestHead(b, id, method), params, opts)
		})
	}
	return c.start(ctx, mutates, start, func(r Reply) error { return r.Decode(result) })
}

// answerTime is what is left for the way of an answer that the node gives at the
// deadline, at most; it is a tenth of a shorter one.
const answerTime = 100 * time.Millisecond

// remaining is the deadline to send, in milliseconds: the time ctx leaves, less what the
// answer needs to come back, at least 1; 0 for no deadline.
func remaining(ctx context.Context) uint64 {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	left := time.Until(deadline)
	return uint64(max((left - min(left/10, answerTime)).Milliseconds(), 1))
}

// CallJSON makes one call with parameters given as a JSON object and returns the
// result as JSON. What is wrong with the parameters is told before anything is sent, in
// the words of a node.
func (c *Client) CallJSON(ctx context.Context, method string, params []byte) ([]byte, error) {
	packed, err := PackJSON(params)
	if err != nil {
		return nil, err
	}
	if m := c.table.ByName(method); m != nil {
		p, fault := m.Decode(packed, messages.JSON)
		if fault != nil {
			return nil, fault
		}
		packed = messages.AppendParams(nil, p)
	}
	var text []byte
	mutates := c.mutates(method, nil)
	err = c.start(ctx, mutates,
		func(done func(Reply)) {
			c.send(mutates, done, func(b []byte, id uint32) []byte {
				return append(appendRequestHead(b, id, method), packed...)
			})
		},
		func(r Reply) error {
			if r.Err != nil {
				return r.Err
			}
			var err error
			text, err = appendJSON(nil, r.Result)
			return err
		})()
	return text, err
}

// start starts a call and returns what waits for it or for ctx. take runs while the reply's
// bytes are valid; after ctx has ended nothing of the caller's is touched.
func (c *Client) start(ctx context.Context, mutates bool, start func(func(Reply)), take func(Reply) error) (answer func() error) {
	var (
		mu   sync.Mutex
		gone bool
		done = make(chan error, 1)
	)
	start(func(r Reply) {
		mu.Lock()
		defer mu.Unlock()
		if !gone {
			done <- take(r)
		}
	})
	return func() error {
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
		}
		mu.Lock()
		gone = true
		mu.Unlock()
		select {
		case err := <-done: // it was answered at the same moment
			return err
		default:
			return unanswered(mutates, context.Cause(ctx))
		}
	}
}

// Go starts a call. done is called once with its answer, on the goroutine that reads
// the connection: it must not block, and neither call Close. How many calls are in
// flight is the caller's to bound; the node refuses more than its limit. A call that
// cannot be sent is answered before Go returns.
func (c *Client) Go(method string, params messages.Params, done func(Reply)) {
	c.send(c.mutates(method, params), done, func(b []byte, id uint32) []byte {
		return appendOptParams(appendRequestHead(b, id, method), params)
	})
}

// GoFirst is Go ahead of everything that waits to be written. written is called when
// the request has left, on the goroutine that writes, under the rules of done.
func (c *Client) GoFirst(method string, params messages.Params, written func(), done func(Reply)) {
	c.mu.Lock()
	if c.err != nil {
		err := c.err
		c.mu.Unlock()
		done(Reply{Err: unsent(err)})
		return
	}
	id := c.expect(waiter{mutates: c.mutates(method, params), done: done})
	c.out.hurry(func(b []byte) []byte {
		return appendOptParams(appendRequestHead(b, id, method), params)
	}, written)
	c.rouse()
	c.mu.Unlock()
}

func appendOptParams(b []byte, params messages.Params) []byte {
	if params == nil {
		return append(b, emptyMap...)
	}
	return messages.AppendParams(b, params)
}

func (c *Client) send(mutates bool, done func(Reply), encode func(b []byte, id uint32) []byte) {
	c.mu.Lock()
	err := c.refuse()
	if err == nil {
		id := c.lastID + 1
		segment, fault := c.enqueue(func(b []byte) []byte { return encode(b, id) })
		if fault != nil {
			err = fault
		} else {
			c.expect(waiter{mutates: mutates, segment: segment, done: done})
		}
	}
	c.mu.Unlock()
	if err != nil {
		done(Reply{Err: unsent(err)})
	}
}

// refuse says why nothing more can be sent now. mu is held.
func (c *Client) refuse() error {
	switch {
	case c.err != nil:
		return c.err
	case c.out.bytes > c.cfg.OutBytesMax:
		return messages.Errorf(messages.CodeOverloaded, "too many bytes wait to be sent")
	case c.cfg.InFlightMax > 0 && len(c.waiting) >= c.cfg.InFlightMax:
		return messages.Errorf(messages.CodeOverloaded, "too many calls wait for their answers")
	}
	return nil
}

// enqueue puts one message into the outbox, unless it is longer than the far end
// takes. mu is held.
func (c *Client) enqueue(encode func(b []byte) []byte) (segment uint64, err *messages.Error) {
	segment = c.out.add(func(b []byte) []byte {
		before := len(b)
		b = encode(b)
		if n := len(b) - before; n > c.limits.Bytes {
			err = messages.Errorf(messages.CodeValidationFailed, "a message of %d bytes is more than %d", n, c.limits.Bytes)
			return b[:before]
		}
		return b
	})
	c.rouse()
	return segment, err
}

// expect notes who waits for the next answer, and returns its id. mu is held.
func (c *Client) expect(w waiter) uint32 {
	c.lastID++
	c.waiting[c.lastID] = w
	return c.lastID
}

// rouse wakes the writer if it sleeps. mu is held.
func (c *Client) rouse() {
	if c.asleep {
		c.asleep = false
		c.wake <- struct{}{}
	}
}

// unsent tells a caller that its request never left.
func unsent(err error) error {
	var refusal *messages.Error
	if errors.As(err, &refusal) || errors.Is(err, ErrClosed) {
		return err
	}
	return messages.Errorf(messages.CodeUnavailable, "the connection is lost: %v", err)
}

// unanswered tells a caller that its request was sent, and no more.
func unanswered(mutates bool, cause any) *messages.Error {
	if mutates {
		return messages.Errorf(messages.CodeOutcomeUnknown,
			"no answer: %v; repeat it with the same request_id", cause)
	}
	return messages.Errorf(messages.CodeUnavailable, "no answer: %v", cause)
}

// mutates reports whether a call changes something; one of a method that is not in
// the table may.
func (c *Client) mutates(method string, params messages.Params) bool {
	m := c.table.ByName(method)
	return m == nil || m.Changes(params)
}

// writeMax is the most bytes of one write, where the far end has to take some in time.
const writeMax = 256 << 10

// write sends what gathers in out.
func (c *Client) write() {
	for {
		batch, told, more := c.next()
		if !more {
			return
		}
		if err := c.put(batch); err != nil {
			c.fail(err)
			return
		}
		for _, written := range told {
			written()
		}
		c.mu.Lock()
		c.out.giveBack(batch)
		c.mu.Unlock()
	}
}

// next waits for something to be written. It returns false when the connection is over.
func (c *Client) next() (batch []byte, told []func(), more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.out.bytes == 0 && c.err == nil {
		c.asleep = true
		c.mu.Unlock()
		<-c.wake
		c.mu.Lock()
	}
	if c.err != nil {
		return nil, nil, false
	}
	batch, told = c.out.next()
	return batch, told, true
}

// put writes one batch.
func (c *Client) put(batch []byte) error {
	if c.cfg.WriteTimeout == 0 {
		_, err := c.nc.Write(batch)
		return err
	}
	for len(batch) > 0 {
		part := batch[:min(len(batch), writeMax)]
		_ = c.nc.SetWriteDeadline(time.Now().Add(c.cfg.WriteTimeout))
		n, err := c.nc.Write(part)
		if err != nil {
			return err
		}
		batch = batch[n:]
	}
	return nil
}

// read answers waiting calls until the connection ends.
func (c *Client) read() {
	var (
		buf     = make([]byte, bufferBurst)
		scanner pack.Scanner
		decoder pack.Decoder
		r, w    int
		batch   []answered
		lone    error
	)
	for {
		n, err := c.nc.Read(buf[w:])
		if w += n; n > 0 {
			c.heard.Store(int64(time.Since(c.opened)))
		}
		for r < w {
			size, verdict := scanner.Scan(buf[r:w], c.limits)
			if verdict == pack.Incomplete {
				break
			}
			resp, ok := readResponse(&decoder, buf[r:min(r+size, w)])
			if verdict != pack.Complete || !ok {
				err = errors.New("the node sent no MessagePack-RPC response; does it want TLS?")
				break
			}
			scanner.Reset()
			r += size
			batch = append(batch, answered{response: resp})
		}
		lone = cmp.Or(lone, c.deliver(batch))
		batch = batch[:0]
		if err != nil {
			c.fail(cmp.Or(lone, err))
			return
		}
		buf = withRoom(buf, r, w, c.limits.Bytes)
		r, w = 0, w-r
	}
}

// withRoom moves buf[r:w] to the front of a buffer that has room for more of a message
// of at most the given bytes.
func withRoom(buf []byte, r, w, most int) []byte {
	size, held := len(buf), buf[r:w]
	switch {
	case len(held) == size:
		size = min(2*size, most+bufferIdle)
	case len(held) == 0 && size > bufferPeer:
		size = bufferPeer
	case r == 0:
		return buf
	}
	if size != len(buf) {
		buf = make([]byte, size)
	}
	copy(buf, held)
	return buf
}

type answered struct {
	response
	done func(Reply)
}

// deliver hands a burst of answers to those who wait, taking the lock once. It returns
// the error of an answer to nobody: why the node is about to end the connection.
func (c *Client) deliver(batch []answered) (lone error) {
	c.mu.Lock()
	for i := range batch {
		id := batch[i].id
		batch[i].done = c.waiting[id].done
		delete(c.waiting, id)
	}
	c.mu.Unlock()
	for i := range batch {
		a := &batch[i]
		switch {
		case a.done == nil && a.err != nil:
			lone = a.err
		case a.done == nil:
		case a.err != nil:
			a.done(Reply{Err: a.err})
		default:
			a.done(Reply{Result: a.result})
		}
	}
	return lone
}

// fail ends the connection for the given reason; the first one counts.
func (c *Client) fail(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	waiting, out := c.waiting, c.out
	c.waiting, c.out = nil, outbox{}
	c.rouse()
	c.mu.Unlock()
	_ = c.nc.Close()
	close(c.closed)
	for _, w := range waiting {
		if out.begun(w.segment) {
			w.done(Reply{Err: unanswered(w.mutates, err)})
		} else {
			w.done(Reply{Err: unsent(err)})
		}
	}
}
