package wire_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// pipes is a listener without buffers: what its callers do not read is not written.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case nc := <-p.conns:
		return nc, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Addr() net.Addr { return &net.IPAddr{} }

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

// pipeTo connects a caller to s until the test ends.
func pipeTo(t *testing.T, s *wire.Server) net.Conn {
	t.Helper()
	near, far := net.Pipe()
	ln := &pipes{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	ln.conns <- far
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		_ = near.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	_ = near.SetDeadline(time.Now().Add(testTimeout))
	return near
}

var (
	askStatus  = wire.AppendRequest(nil, 1, messages.MethodClusterStatus, messages.MethodByName([]byte(messages.MethodClusterStatus)).NewParams())
	longStatus = &messages.ClusterStatusResult{Node: strings.Repeat("n", 100_000)}
)

// One reader that takes nothing must not make the node hold more and more for others,
// and what was changed is told in any case.
func TestRepliesHeldForAllConnectionsAreBounded(t *testing.T) {
	cfg := wire.DefaultConfig()
	cfg.OutBytesTotal = 64 << 10
	h := newHolder()
	s, _, addr := serve(t, cfg, h)
	other := dial(t, addr)
	replies := make(chan error, 1)
	ask := func(method string, params messages.Params, result messages.Result) error {
		other.Go(method, params, func(r wire.Reply) { replies <- r.Err })
		(<-h.calls).Reply(result)
		return <-replies
	}
	slow := pipeTo(t, s)
	if _, err := slow.Write(askStatus); err != nil {
		t.Fatal(err)
	}
	(<-h.calls).Reply(longStatus)
	if err := ask(messages.MethodClusterStatus, nil, longStatus); codeOf(err) != messages.CodeOverloaded {
		t.Errorf("while too much waits: %v", err)
	}
	if err := ask(messages.MethodAccrue, &messages.AccrueParams{Amount: 1}, &messages.AccrueResult{}); err != nil {
		t.Errorf("a change while too much waits: %v", err)
	}
	_ = slow.Close()
	end := time.Now().Add(testTimeout)
	err := ask(messages.MethodClusterStatus, nil, longStatus)
	for codeOf(err) == messages.CodeOverloaded && time.Now().Before(end) {
		err = ask(messages.MethodClusterStatus, nil, longStatus)
	}
	if err != nil {
		t.Errorf("after the slow reader is gone: %v", err)
	}
}

// While too much waits, who takes nothing is not read: its calls come to no harm.
func TestAServerWithTooMuchToWriteReadsOnlyWhoReads(t *testing.T) {
	cfg := wire.DefaultConfig()
	cfg.OutBytesTotal, cfg.BurstMax = 64<<10, 1
	s, _, _ := serve(t, cfg, statuses{})
	slow := pipeTo(t, s)
	if _, err := slow.Write(bytes.Repeat(askStatus, 3)); err != nil {
		t.Fatal(err)
	}
	want := wire.AppendResponse(nil, 1, longStatus)
	got := make([]byte, len(want))
	for i := range 3 {
		if _, err := io.ReadFull(slow, got[:4]); err != nil || !bytes.Equal(got[:4], want[:4]) {
			t.Fatalf("reply %d begins with % x, %v", i, got[:4], err)
		}
		if _, err := io.ReadFull(slow, got[4:]); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("reply %d is not the result, %v", i, err)
		}
	}
}

// statuses answers at once, at length.
type statuses struct{}

func (statuses) Serve(calls []*wire.Call) {
	for _, c := range calls {
		c.Reply(longStatus)
	}
}
