package wire

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/internal/pack"
)

// ErrClosed is returned for calls on a Client that was closed.
var ErrClosed = errors.New("wire: the client is closed")

// clientOutMax is the most bytes of requests that wait to be written; beyond it calls
// are overloaded at once.
const clientOutMax = 16 << 20

// Client is one connection to a node. It may be used by many goroutines; their calls
// share the connection and are answered in any order.
type Client struct {
	nc     net.Conn
	wake   chan struct{}
	ended  sync.WaitGroup
	closed chan struct{}

	mu      sync.Mutex
	out     []byte
	asleep  bool
	lastID  uint32
	waiting map[uint32]waiter
	err     error // why no more calls can be made
}

type waiter struct {
	mutates bool
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
	c := &Client{
		nc: nc, wake: make(chan struct{}, 1), closed: make(chan struct{}),
		waiting: make(map[uint32]waiter),
	}
	c.ended.Go(c.read)
	c.ended.Go(c.write)
	return c
}

// Close ends the connection; calls without an answer are answered as if it had broken.
// It must not be called from a callback.
func (c *Client) Close() error {
	c.fail(ErrClosed)
	c.ended.Wait()
	return nil
}

// Done is closed when the connection is over.
func (c *Client) Done() <-chan struct{} { return c.closed }

// Call makes one call and waits for its answer, which it reads into result (nil to
// ignore it). Without a deadline of its own the call takes that of ctx. A refusal is a
// *messages.Error. A call that was sent and not answered in time, or whose connection
// broke, is outcome_unknown where it changes something and unavailable where it reads.
func (c *Client) Call(ctx context.Context, method string, params messages.Params, result messages.Result) error {
	if params == nil {
		params = new(messages.NoParams)
	}
	opts := *params.Shared()
	if opts.DeadlineMS == 0 {
		opts.DeadlineMS = remaining(ctx)
	}
	start := func(done func(Reply)) {
		c.send(method, done, func(b []byte, id uint32) []byte {
			return messages.AppendParamsWith(appendRequestHead(b, id, method), params, opts)
		})
	}
	return c.await(ctx, method, start, func(r Reply) error { return r.Decode(result) })
}

// remaining is the time ctx leaves in milliseconds, at least 1; 0 for no deadline.
func remaining(ctx context.Context) uint64 {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return uint64(max(time.Until(deadline).Milliseconds(), 1))
}

// CallJSON makes one call with parameters given as a JSON object and returns the
// result as JSON.
func (c *Client) CallJSON(ctx context.Context, method string, params []byte) ([]byte, error) {
	if err := checkJSON(params); err != nil {
		return nil, err
	}
	packed, fault := packJSON(params)
	if fault != nil {
		return nil, fault
	}
	var text []byte
	err := c.await(ctx, method,
		func(done func(Reply)) {
			c.send(method, done, func(b []byte, id uint32) []byte {
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
		})
	return text, err
}

// await starts a call and waits for it or for ctx. take runs while the reply's bytes
// are valid; after ctx has ended nothing of the caller's is touched.
func (c *Client) await(ctx context.Context, method string, start func(func(Reply)), take func(Reply) error) error {
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
		return unanswered(mutates(method), context.Cause(ctx))
	}
}

// Go starts a call. done is called once with its answer, on the goroutine that reads
// the connection: it must not block, and neither call Close. How many calls are in
// flight is the caller's to bound; the node refuses more than its limit.
func (c *Client) Go(method string, params messages.Params, done func(Reply)) {
	c.send(method, done, func(b []byte, id uint32) []byte {
		b = appendRequestHead(b, id, method)
		if params == nil {
			return append(b, emptyMap...)
		}
		return messages.AppendParams(b, params)
	})
}

func (c *Client) send(method string, done func(Reply), encode func(b []byte, id uint32) []byte) {
	c.mu.Lock()
	err := c.err
	if err == nil && len(c.out) > clientOutMax {
		err = messages.Errorf(messages.CodeOverloaded, "too many bytes wait to be sent")
	}
	if err != nil {
		c.mu.Unlock()
		done(Reply{Err: unsent(err)})
		return
	}
	c.lastID++
	c.waiting[c.lastID] = waiter{mutates: mutates(method), done: done}
	c.out = encode(c.out, c.lastID)
	if c.asleep {
		c.asleep = false
		c.wake <- struct{}{}
	}
	c.mu.Unlock()
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

// mutates reports whether a method changes something; one that is not in the table
// may.
func mutates(method string) bool {
	m := messages.MethodByName(method)
	return m == nil || m.Mutates
}

// write sends what gathers in out.
func (c *Client) write() {
	var spare []byte
	for {
		c.mu.Lock()
		for len(c.out) == 0 && c.err == nil {
			c.asleep = true
			c.mu.Unlock()
			<-c.wake
			c.mu.Lock()
		}
		if c.err != nil {
			c.mu.Unlock()
			return
		}
		batch := c.out
		c.out = spare
		c.mu.Unlock()
		if _, err := c.nc.Write(batch); err != nil {
			c.fail(err)
			return
		}
		spare = nil
		if cap(batch) <= keepMax {
			spare = batch[:0]
		}
	}
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
		w += n
		for r < w {
			size, verdict := scanner.Scan(buf[r:w], limits)
			if verdict == pack.Incomplete {
				break
			}
			resp, ok := readResponse(&decoder, buf[r:min(r+size, w)])
			if verdict != pack.Complete || !ok {
				err = errors.New("the node sent no MessagePack-RPC response")
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
		held := copy(buf, buf[r:w])
		if r, w = 0, held; held == len(buf) {
			buf = append(buf, make([]byte, min(len(buf), bufferMax-len(buf)))...)
		}
	}
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
	waiting := c.waiting
	c.waiting, c.out = nil, nil
	if c.asleep {
		c.asleep = false
		c.wake <- struct{}{}
	}
	c.mu.Unlock()
	_ = c.nc.Close()
	close(c.closed)
	for _, w := range waiting {
		w.done(Reply{Err: unanswered(w.mutates, err)})
	}
}
