package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// Config says what load to make.
type Config struct {
	// Addrs are the MessagePack-RPC addresses of the nodes that take the load.
	Addrs []string
	// TLS is the caller's, nil for nodes without TLS.
	TLS *tls.Config
	// Connections share the load evenly, and the nodes share the connections.
	Connections int
	// InFlight is how many calls wait for an answer at the same time, over all
	// connections. In the open loop it is the most; calls that are due beyond it wait,
	// and their wait counts.
	InFlight int
	// Rate is how many calls a second are started (open loop); 0 starts one whenever
	// another is answered (closed loop).
	Rate int
	// Warmup is run before measuring, Duration is measured.
	Warmup   time.Duration
	Duration time.Duration
	// Call makes the parameters of the n-th call, n counting from 0.
	Method string
	Call   func(n uint64) messages.Params
}

// DefaultConfig keeps 256 calls in flight over one connection for ten seconds.
func DefaultConfig() Config {
	return Config{
		Addrs: []string{"127.0.0.1:9000"}, Connections: 1, InFlight: 256, Warmup: time.Second, Duration: 10 * time.Second,
	}
}

func (c Config) validate() error {
	switch {
	case len(c.Addrs) == 0:
		return errors.New("bench: no node to measure")
	case c.Connections < len(c.Addrs):
		return fmt.Errorf("bench: %d connections do not reach %d nodes", c.Connections, len(c.Addrs))
	case c.InFlight < c.Connections:
		return fmt.Errorf("bench: %d in flight do not keep %d connections busy", c.InFlight, c.Connections)
	case c.Rate < 0:
		return errors.New("bench: the rate must not be negative")
	case c.Duration <= 0 || c.Warmup < 0:
		return errors.New("bench: the duration must be positive and the warmup not negative")
	case c.Call == nil || messages.MethodByName(c.Method) == nil:
		return fmt.Errorf("bench: %q is no method to call", c.Method)
	}
	return nil
}

// The range and precision of recorded latencies, in microseconds.
const (
	latencyMin    = 1
	latencyMax    = int64(time.Minute / time.Microsecond)
	latencyDigits = 3
)

// answerTimeout is how long a run waits, at its end, for what is under way.
const answerTimeout = 10 * time.Second

// engine is one run.
type engine struct {
	cfg   Config
	start time.Time // of the measured part

	mu        sync.Mutex
	latencies *hdrhistogram.Histogram
	refused   map[messages.Code]uint64
	err       error
}

// Run makes the load until it is over or ctx ends, and returns what was measured. An
// answer that is no refusal ends the run with its error.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	clients, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer closeAll(clients)
	began := time.Now()
	e := &engine{
		cfg: cfg, start: began.Add(cfg.Warmup),
		latencies: hdrhistogram.New(latencyMin, latencyMax, latencyDigits),
		refused:   make(map[messages.Code]uint64),
	}
	ctx, cancel := context.WithDeadline(ctx, e.start.Add(cfg.Duration))
	defer cancel()
	slots := e.load(ctx, clients, began)
	took := min(time.Since(e.start), cfg.Duration)
	giveUp := time.AfterFunc(answerTimeout, func() { closeAll(clients) }) // answers whatever still waits
	defer giveUp.Stop()
	for range cfg.InFlight { // wait for what is still under way
		<-slots
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.result(took), e.err
}

func connect(ctx context.Context, cfg Config) ([]*wire.Client, error) {
	var clients []*wire.Client
	for i := range cfg.Connections {
		client, err := dial(ctx, cfg.Addrs[i%len(cfg.Addrs)], cfg.TLS)
		if err != nil {
			closeAll(clients)
			return nil, fmt.Errorf("bench: %w", err)
		}
		clients = append(clients, client)
	}
	return clients, nil
}

func dial(ctx context.Context, addr string, secure *tls.Config) (*wire.Client, error) {
	if secure != nil {
		return wire.DialTLS(ctx, addr, secure)
	}
	return wire.Dial(ctx, addr)
}

func closeAll(clients []*wire.Client) {
	for _, client := range clients {
		client.Close()
	}
}

// load starts calls until ctx ends and returns the slots, one free for each call in
// flight that has been answered.
func (e *engine) load(ctx context.Context, clients []*wire.Client, began time.Time) chan struct{} {
	slots := make(chan struct{}, e.cfg.InFlight)
	for range e.cfg.InFlight {
		slots <- struct{}{}
	}
	end := e.start.Add(e.cfg.Duration)
	for n := uint64(0); ; n++ {
		due := e.due(n, began)
		if !sleepUntil(ctx, due) {
			return slots
		}
		select {
		case <-slots:
		case <-ctx.Done():
			return slots
		}
		if due.IsZero() {
			due = time.Now()
		}
		if due.After(end) { // before ctx says so
			slots <- struct{}{}
			return slots
		}
		clients[n%uint64(len(clients))].Go(e.cfg.Method, e.cfg.Call(n), func(r wire.Reply) {
			e.record(due, r.Err)
			slots <- struct{}{}
		})
	}
}

// due is when the n-th call shall start; zero for as soon as it can.
func (e *engine) due(n uint64, began time.Time) time.Time {
	if e.cfg.Rate == 0 {
		return time.Time{}
	}
	return began.Add(time.Duration(float64(n) / float64(e.cfg.Rate) * float64(time.Second)))
}

// sleepUntil returns false if ctx ended first. Waits too short for a timer are left
// out: the calls that are due meanwhile start together a little later.
func sleepUntil(ctx context.Context, due time.Time) bool {
	if ctx.Err() != nil {
		return false
	}
	wait := time.Until(due)
	if due.IsZero() || wait < 50*time.Microsecond {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// record counts one answer. Those of calls due in the warmup do not count.
func (e *engine) record(due time.Time, err error) {
	now := time.Now()
	if due.Before(e.start) || now.After(e.start.Add(e.cfg.Duration)) && err == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var refusal *messages.Error
	switch {
	case err == nil:
		_ = e.latencies.RecordValue(min(max(now.Sub(due).Microseconds(), latencyMin), latencyMax)) // in range
	case errors.As(err, &refusal):
		e.refused[refusal.Code]++
	case e.err == nil:
		e.err = err
	}
}
