package bench_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/the-block/bursar/bench"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// counter is a node that answers every call at once and refuses every third.
type counter struct{ calls atomic.Uint64 }

func (c *counter) Serve(calls []*wire.Call) {
	for _, call := range calls {
		if c.calls.Add(1)%3 == 0 {
			call.Fail(messages.Errorf(messages.CodeOverloaded, "every third"))
			continue
		}
		call.Reply(&messages.SubmitDisbursementResult{ID: 1})
	}
}

// serve runs a node on loopback until the test ends and returns its address.
func serve(t testing.TB, handler wire.Handler) string {
	t.Helper()
	server, err := wire.New(wire.DefaultConfig(), handler, wire.NewMetrics())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func TestEveryAnswerIsCountedOnce(t *testing.T) {
	for name, rate := range map[string]int{"closed loop": 0, "open loop": 2000} {
		t.Run(name, func(t *testing.T) {
			node := new(counter)
			cfg := bench.Submissions(bench.Config{
				Addrs: []string{serve(t, node), serve(t, node)}, Connections: 2, InFlight: 8, Rate: rate, Duration: 300 * time.Millisecond,
			}, "test")
			result, err := bench.Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			counted := result.Answered + result.Refused[messages.CodeOverloaded]
			served := node.calls.Load()
			if result.Answered == 0 || counted > served || served-counted > 8 {
				t.Errorf("%d answered and %v refused of %d", result.Answered, result.Refused, served)
			}
			if result.Min > result.P50 || result.P50 > result.P99 || result.P99 > result.Max {
				t.Errorf("latencies are out of order: %+v", result)
			}
			if rate > 0 && served > uint64(rate)*3/10+8 {
				t.Errorf("%d calls in 300 ms at %d a second", served, rate)
			}
		})
	}
}

// silent is a node that answers nothing in time.
type silent struct{}

func (silent) Serve(calls []*wire.Call) {
	for _, call := range calls {
		time.AfterFunc(time.Until(call.Deadline), func() {
			call.Fail(messages.Errorf(messages.CodeUnavailable, "not done: the deadline passed first"))
		})
	}
}

func TestARunThatEndsLateCountsItsRefusals(t *testing.T) {
	cfg := bench.Submissions(bench.Config{
		Addrs: []string{serve(t, silent{})}, Connections: 1, InFlight: 4, Duration: 10 * time.Millisecond,
	}, "test")
	call := cfg.Call
	cfg.Call = func(n uint64) messages.Params {
		params := call(n)
		params.Shared().DeadlineMS = 50
		return params
	}
	result, err := bench.Run(t.Context(), cfg)
	if err != nil || result.Answered != 0 || result.Refused[messages.CodeUnavailable] != 4 {
		t.Errorf("result %+v, error %v", result, err)
	}
}

func TestAConfigThatCannotRunIsRefused(t *testing.T) {
	good := bench.Submissions(bench.DefaultConfig(), "test")
	for want, spoil := range map[string]func(*bench.Config){
		"no node":      func(c *bench.Config) { c.Addrs = nil },
		"do not reach": func(c *bench.Config) { c.Addrs = append(c.Addrs, "127.0.0.1:9010") },
		"do not keep":  func(c *bench.Config) { c.Connections = c.InFlight + 1 },
		"rate":         func(c *bench.Config) { c.Rate = -1 },
		"duration":     func(c *bench.Config) { c.Duration = 0 },
		"no method":    func(c *bench.Config) { c.Method = "gov.nothing" },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := bench.Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not speak of %q", err, want)
		}
	}
}
