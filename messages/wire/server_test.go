package wire_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// echo answers every call at once, from the goroutine that reads the connection.
type echo struct{}

func (echo) Serve(calls []*wire.Call) {
	for _, c := range calls {
		answer(c)
	}
}

// answer gives each method a plausible result.
func answer(c *wire.Call) {
	switch p := c.Params.(type) {
	case *messages.SubmitDisbursementParams:
		c.Reply(&messages.SubmitDisbursementResult{ID: 1, CreatedAt: uint64(p.Payload.Disbursement.Amount)})
	case *messages.AccrueParams:
		c.Reply(&messages.AccrueResult{Balance: p.Amount})
	case *messages.IDParams:
		c.Fail(messages.Errorf(messages.CodeNotFound, "no disbursement %d", p.ID).With("id", p.ID))
	default:
		c.Reply(&messages.EpochResult{Epoch: 7})
	}
}

// serve runs a server on a loopback port until the test ends.
func serve(t testing.TB, cfg wire.Config, h wire.Handler) (*wire.Server, *wire.Metrics, string) {
	t.Helper()
	metrics := wire.NewMetrics()
	s, err := wire.New(cfg, h, metrics)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, metrics, ln.Addr().String()
}

func dial(t testing.TB, addr string) *wire.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := wire.Dial(ctx, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
