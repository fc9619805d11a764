package client_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
	"github.com/the-block/bursar/messages/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is one that answers as the test wants, and counts the calls.
type node struct {
	addr   string
	calls  atomic.Int64
	answer func(*wire.Call)
}

func (n *node) Serve(calls []*wire.Call) {
	for _, c := range calls {
		n.calls.Add(1)
		n.answer(c)
	}
}

func serve(t *testing.T, answer func(*wire.Call)) *node {
	t.Helper()
	n := &node{answer: answer}
	s, err := wire.New(wire.DefaultConfig(), n, wire.NewMetrics())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.addr = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return n
}

func answers(c *wire.Call) { c.Reply(&messages.AccrueResult{Balance: 7}) }

func refuses(code messages.Code) func(*wire.Call) {
	return func(c *wire.Call) { c.Fail(messages.Errorf(code, "not here")) }
}

func follow(t *testing.T, nodes ...*node) *client.Client {
	t.Helper()
	cfg := client.Follow()
	for _, n := range nodes {
		cfg.Addrs = append(cfg.Addrs, n.addr)
	}
	c := client.New(cfg)
	t.Cleanup(c.Close)
	return c
}

func accrue(t *testing.T, c *client.Client, requestID string) error {
	t.Helper()
	var result messages.AccrueResult
	params := &messages.AccrueParams{Options: messages.Options{RequestID: requestID}, Amount: 1}
	err := c.Call(t.Context(), messages.MethodAccrue, params, &result)
	if err == nil && result.Balance != 7 {
		t.Errorf("balance %d, want 7", result.Balance)
	}
	return err
}

func TestACallGoesOnAtTheNextNodeAndStaysThere(t *testing.T) {
	away, here := serve(t, refuses(messages.CodeUnavailable)), serve(t, answers)
	gone := &node{addr: "127.0.0.1:1"}
	c := follow(t, gone, away, here)
	for range 3 {
		if err := accrue(t, c, ""); err != nil {
			t.Fatal(err)
		}
	}
	if away.calls.Load() != 1 || here.calls.Load() != 3 || c.Retried() != 2 {
		t.Errorf("%d and %d calls, %d again, want 1, 3, 2", away.calls.Load(), here.calls.Load(), c.Retried())
	}
}

func TestAnUnknownOutcomeIsRepeatedOnlyUnderARequestID(t *testing.T) {
	unsure, here := serve(t, refuses(messages.CodeOutcomeUnknown)), serve(t, answers)
	unknown := &messages.Error{Code: messages.CodeOutcomeUnknown}
	if err := accrue(t, follow(t, unsure, here), ""); !errors.Is(err, unknown) {
		t.Errorf("a call without a request id: %v, want %v", err, unknown)
	}
	if err := accrue(t, follow(t, unsure, here), "r"); err != nil {
		t.Error(err)
	}
	_, err := follow(t, unsure, here).CallJSON(t.Context(), messages.MethodAccrue, []byte(`{"amount": 1, "request_id": "r"}`))
	if !errors.Is(err, unknown) {
		t.Errorf("a call as JSON: %v, want %v", err, unknown)
	}
	if here.calls.Load() != 1 {
		t.Errorf("the other node was called %d times, want 1", here.calls.Load())
	}
}

func TestANodeThatStandsStillIsPassedOver(t *testing.T) {
	held := make(chan *wire.Call, 1)
	still, here := serve(t, func(c *wire.Call) { held <- c }), serve(t, answers)
	defer func() { answers(<-held) }()
	cfg := client.Config{Addrs: []string{still.addr, here.addr}, Attempt: 50 * time.Millisecond, Within: time.Minute}
	c := client.New(cfg)
	defer c.Close()
	if err := accrue(t, c, "r"); err != nil || still.calls.Load() != 1 {
		t.Errorf("%v after %d calls of the node that stands still", err, still.calls.Load())
	}
}

func TestARefusalIsAnAnswer(t *testing.T) {
	here, other := serve(t, refuses(messages.CodeValidationFailed)), serve(t, answers)
	if err := accrue(t, follow(t, here, other), "r"); !errors.Is(err, &messages.Error{Code: messages.CodeValidationFailed}) {
		t.Errorf("got %v", err)
	}
}

func TestWithoutTimeToSpareThereIsOneAttempt(t *testing.T) {
	here := serve(t, answers)
	c := client.New(client.Config{
		Addrs:   []string{"127.0.0.1:1", here.addr},
		Explain: func(addr string, err error) error { return errors.New("no node at " + addr) },
	})
	defer c.Close()
	if err := accrue(t, c, "r"); err == nil || !strings.Contains(err.Error(), "no node at 127.0.0.1:1") {
		t.Errorf("got %v", err)
	}
	if err := client.New(client.Config{}).Call(t.Context(), messages.MethodEpochGet, nil, nil); err == nil {
		t.Error("a call to nobody was answered")
	}
}
