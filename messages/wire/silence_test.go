package wire_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// corridor is a listener without a network, for virtual time.
type corridor struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (c corridor) Accept() (net.Conn, error) {
	select {
	case nc := <-c.conns:
		return nc, nil
	case <-c.closed:
		return nil, net.ErrClosed
	}
}

func (c corridor) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return nil
}

func (c corridor) Addr() net.Addr { return &net.TCPAddr{} }

// inVirtualTime runs a server with the default timeouts and one connection to it.
// The handler is made inside the bubble, as its channels must be.
func inVirtualTime(t *testing.T, handler func() wire.Handler, test func(t *testing.T, nc net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := wire.New(wire.DefaultConfig(), handler(), wire.NewMetrics())
		if err != nil {
			t.Fatal(err)
		}
		ln := corridor{make(chan net.Conn), make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(ctx, ln) }()
		near, far := net.Pipe()
		ln.conns <- far
		test(t, near)
		_ = near.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestASilentConnectionEnds(t *testing.T) {
	inVirtualTime(t, func() wire.Handler { return echo{} }, func(t *testing.T, nc net.Conn) {
		endsAfter(t, nc, wire.DefaultConfig().GreetingTimeout)
	})
	inVirtualTime(t, func() wire.Handler { return echo{} }, func(t *testing.T, nc net.Conn) {
		go func() { _, _ = nc.Write([]byte("\x94\x00\x01\xa9epoch.get\x91\x80")) }()
		if _, err := nc.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		endsAfter(t, nc, wire.DefaultConfig().IdleTimeout)
	})
}

func endsAfter(t *testing.T, nc net.Conn, want time.Duration) {
	t.Helper()
	start := time.Now()
	if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	if waited := time.Since(start); waited != want {
		t.Errorf("ended after %v, want %v", waited, want)
	}
}

func TestAMessageThatNeverEndsEndsItsConnection(t *testing.T) {
	inVirtualTime(t, func() wire.Handler { return echo{} }, func(t *testing.T, nc net.Conn) {
		start := time.Now()
		_, err := nc.Write([]byte("\x94\x00\x01\xdb\x00\x00\xff\xff"))
		for err == nil {
			time.Sleep(4 * time.Second)
			_, err = nc.Write([]byte("x"))
		}
		if waited := time.Since(start); waited != 32*time.Second {
			t.Errorf("ended after %v", waited)
		}
	})
}

func TestOneWhoWaitsForAnAnswerIsNotSilent(t *testing.T) {
	var h holder
	fresh := func() wire.Handler {
		h = newHolder()
		return h
	}
	inVirtualTime(t, fresh, func(t *testing.T, nc net.Conn) {
		if _, err := nc.Write([]byte("\x94\x00\x01\xa9epoch.get\x91\x80")); err != nil {
			t.Fatal(err)
		}
		held := <-h.calls
		time.Sleep(3 * wire.DefaultConfig().IdleTimeout)
		go held.Reply(&messages.EpochResult{})
		if n, err := nc.Read(make([]byte, 100)); err != nil || n == 0 {
			t.Errorf("got %d bytes, %v", n, err)
		}
	})
}
