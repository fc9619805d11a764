// Package client calls a cluster: one of its nodes as long as that answers, then another.
//
// A Client has a connection to a node at most, made when it is first needed and made
// again when it breaks. A call that one node cannot take goes on at the next, under the
// same request id, so that nothing is done twice. It may be used by many goroutines.
package client

import (
	"context"
	cryptorand "crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// Config says which nodes are called and for how long. Only Addrs must be given.
type Config struct {
	// Addrs are the nodes' MessagePack-RPC addresses, host:port; the first is asked first.
	Addrs []string
	// TLS is asked for the caller's TLS at each new connection; nil calls without TLS.
	TLS func() (*tls.Config, error)
	// Explain words why a node cannot be connected to; nil says it plainly.
	Explain func(addr string, err error) error
	// DialTimeout bounds making a connection; 0 is 3 s.
	DialTimeout time.Duration
	// Attempt is how long one node is waited for before another is asked; 0 is as long as
	// the call may take. Lowered, a node that stands still costs less; raised, one that
	// waits out a failover is asked fewer times.
	Attempt time.Duration
	// Within is how long a call goes on at other nodes until its caller hears why it has no
	// answer; 0 makes one attempt.
	Within time.Duration
}

// Follow is the Config of a caller that rides out a failover: a second for each
// attempt, ten for a call.
func Follow(addrs ...string) Config {
	return Config{Addrs: addrs, Attempt: time.Second, Within: 10 * time.Second}
}

const (
	dialTimeoutDefault = 3 * time.Second
	// pauseMax is the longest pause before the next node is asked; the shortest is half of it.
	pauseMax = 100 * time.Millisecond
)

// Client calls the nodes of a cluster.
type Client struct {
	cfg     Config
	lines   []line
	at      atomic.Uint64 // counts the moves; the line in use is at modulo their number
	retried atomic.Uint64
	seed    uint64 // of the pauses
}

// line is the connection to one node.
type line struct {
	addr string
	mu   sync.Mutex
	conn *wire.Client // nil for none
}

// New makes a Client. It connects when it is first needed.
func New(cfg Config) *Client {
	if cfg.DialTimeout == 0 {
		cfg.DialTimeout = dialTimeoutDefault
	}
	var seed [8]byte
	_, _ = cryptorand.Read(seed[:]) // it never fails
	c := &Client{cfg: cfg, lines: make([]line, len(cfg.Addrs)), seed: binary.LittleEndian.Uint64(seed[:])}
	for i, addr := range cfg.Addrs {
		c.lines[i].addr = addr
	}
	return c
}

// Call makes a call at whichever node answers it, and reads the answer into result (nil
// to ignore it). A refusal is a *messages.Error; without an answer the error is the last
// node's: unavailable if nothing was done, outcome_unknown if that is not known. A call
// that changes something is repeated after outcome_unknown only with a request id.
func (c *Client) Call(ctx context.Context, method string, params messages.Params, result messages.Result) error {
	return c.Start(ctx, method, params, result)()
}

// Start is the first half of Call: it sends the request and returns what waits for the
// answer, and calls other nodes if there is none. Calls that are started one after the
// other come to a node in that order.
func (c *Client) Start(ctx context.Context, method string, params messages.Params, result messages.Result) (answer func() error) {
	named := params != nil && params.Shared().RequestID != ""
	return c.start(ctx, named, func(ctx context.Context, conn *wire.Client) func() error {
		return conn.Start(ctx, method, params, result)
	})
}

// CallJSON is Call with parameters and result as JSON. It is repeated only where
// nothing was done.
func (c *Client) CallJSON(ctx context.Context, method string, params []byte) (result []byte, err error) {
	err = c.start(ctx, false, func(ctx context.Context, conn *wire.Client) func() error {
		return func() (err error) {
			result, err = conn.CallJSON(ctx, method, params)
			return err
		}
	})()
	return result, err
}

// nextPause is another one for each attempt and each client: clients of one node that is
// gone do not come to the next together.
func (c *Client) nextPause() time.Duration {
	source := rand.New(rand.NewPCG(c.seed, c.retried.Load()))
	return pauseMax/2 + time.Duration(source.Int64N(int64(pauseMax/2)))
}

// Retried counts the attempts that were not the first of their call.
func (c *Client) Retried() uint64 { return c.retried.Load() }

// start attempts a call at one node, and what it returns at one after the other. named says
// that it has a request id.
func (c *Client) start(ctx context.Context, named bool, call func(context.Context, *wire.Client) func() error) (answer func() error) {
	if len(c.lines) == 0 {
		return func() error { return errors.New("client: no address to call") }
	}
	until := time.Now().Add(c.cfg.Within)
	at := c.at.Load()
	first := c.attempt(ctx, at, call)
	return func() error {
		for wait := first; ; c.retried.Add(1) {
			err := wait()
			if ctx.Err() != nil || !repeatable(err, named) || !time.Now().Before(until) {
				return err
			}
			c.at.CompareAndSwap(at, at+1) // unless another call has moved on already
			if !pause(ctx, c.nextPause()) {
				return err
			}
			at = c.at.Load()
			wait = c.attempt(ctx, at, call)
		}
	}
}

func (c *Client) attempt(ctx context.Context, at uint64, call func(context.Context, *wire.Client) func() error) (answer func() error) {
	l := &c.lines[at%uint64(len(c.lines))]
	cancel := func() {}
	if c.cfg.Attempt > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, c.cfg.Attempt, fmt.Errorf("nothing from %s within %s", l.addr, c.cfg.Attempt))
	}
	conn, err := c.live(ctx, l)
	if err != nil {
		cancel()
		return func() error { return err }
	}
	wait := call(ctx, conn)
	return func() error {
		defer cancel()
		return wait()
	}
}

// repeatable reports whether the same call may be made at another node.
func repeatable(err error, named bool) bool {
	var answer *messages.Error
	return errors.As(err, &answer) &&
		(answer.Code == messages.CodeUnavailable || answer.Code == messages.CodeOutcomeUnknown && named)
}

// live returns a connection that works as far as can be told. Callers wait for one
// another here, so that a broken connection is replaced once.
func (c *Client) live(ctx context.Context, l *line) (*wire.Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		if l.conn.Err() == nil {
			return l.conn, nil
		}
		l.conn.Close()
		l.conn = nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	var err error
	if l.conn, err = c.dial(ctx, l.addr); err == nil {
		return l.conn, nil
	}
	if c.cfg.Explain != nil {
		err = c.cfg.Explain(l.addr, err)
	}
	return nil, messages.Errorf(messages.CodeUnavailable, "%v", err)
}

func (c *Client) dial(ctx context.Context, addr string) (*wire.Client, error) {
	if c.cfg.TLS == nil {
		return wire.Dial(ctx, addr)
	}
	secure, err := c.cfg.TLS()
	switch {
	case err != nil:
		return nil, err
	case secure == nil:
		return wire.Dial(ctx, addr)
	}
	return wire.DialTLS(ctx, addr, secure)
}

// Close ends the connections. The Client makes new ones when it is used again.
func (c *Client) Close() {
	for i := range c.lines {
		l := &c.lines[i]
		l.mu.Lock()
		if l.conn != nil {
			l.conn.Close()
			l.conn = nil
		}
		l.mu.Unlock()
	}
}

// pause returns false if ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
