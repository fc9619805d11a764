package chaos_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

const (
	callTimeout = 5 * time.Second        // of one attempt, the wire's own default
	callWithin  = time.Minute            // of one call with all its attempts
	avoidAfter  = 300 * time.Millisecond // how long a node that broke a call is passed over
	pauseFirst  = 5 * time.Millisecond
	pauseMost   = 100 * time.Millisecond
)

// caller is a client as a careful one is written: it has a connection to each node,
// takes them in turn, passes over one that failed it a moment ago, and repeats a call
// without an outcome under the same request id at another node. One goroutine uses it.
type caller struct {
	fleet *fleet
	nodes []*node
	links []*client.Client
	avoid []time.Time
	next  int
	// timeout bounds an attempt.
	timeout time.Duration
}

func newCaller(f *fleet, nodes ...*node) *caller {
	return &caller{
		fleet: f, nodes: nodes, links: make([]*client.Client, len(nodes)), avoid: make([]time.Time, len(nodes)),
		timeout: f.attempt,
	}
}

func (c *caller) close() {
	for _, link := range c.links {
		if link != nil {
			link.Close()
		}
	}
}

// try makes one attempt at the k-th node.
func (c *caller) try(k int, timeout time.Duration, method string, params messages.Params, result messages.Result) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if c.links[k] == nil {
		c.links[k] = client.New(client.Config{
			Addrs: []string{c.nodes[k].addr(0)}, DialTimeout: time.Second,
			TLS: func() (*tls.Config, error) { return c.fleet.secure, nil },
		})
	}
	return c.links[k].Call(ctx, method, params, result)
}

// call makes a call until it has an outcome, and tells how many attempts that took. An
// error is a refusal, or callWithin at its end.
func (c *caller) call(method string, params messages.Params, result messages.Result) (attempts int, err error) {
	begun, pause := time.Now(), pauseFirst
	for attempts = 1; ; attempts++ {
		k := c.pick()
		err = c.try(k, c.timeout, method, params, result)
		if err == nil || !passing(err) {
			return attempts, err
		}
		c.avoid[k] = time.Now().Add(avoidAfter)
		if time.Since(begun) > callWithin || c.fleet.over.Load() {
			return attempts, fmt.Errorf("%s has no outcome after %s and %d attempts: %w", method, callWithin, attempts, err)
		}
		time.Sleep(pause)
		pause = min(2*pause, pauseMost)
	}
}

// pick takes the next node that did not fail a moment ago, or else the next one.
func (c *caller) pick() int {
	for range c.nodes {
		c.next = (c.next + 1) % len(c.nodes)
		if n := c.nodes[c.next]; n != c.fleet.shunned.Load() && time.Now().After(c.avoid[c.next]) {
			return c.next
		}
	}
	c.next = (c.next + 1) % len(c.nodes)
	return c.next
}

// passing reports whether the same call may do better at another node or later.
func passing(err error) bool {
	var refusal *messages.Error
	if !errors.As(err, &refusal) {
		return true // the connection's
	}
	switch refusal.Code {
	case messages.CodeUnavailable, messages.CodeOutcomeUnknown, messages.CodeOverloaded:
		return true
	default:
		return false
	}
}

// ask makes a call that must succeed.
func (c *caller) ask(method string, params messages.Params, result messages.Result) {
	c.fleet.Helper()
	if _, err := c.call(method, params, result); err != nil {
		c.fleet.Fatalf("%s: %v", method, err)
	}
}

// local makes reads be answered from what the node has applied.
func local() messages.Options { return messages.Options{Consistency: messages.Local} }
