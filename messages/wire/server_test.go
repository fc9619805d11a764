package wire_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

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

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// holder keeps calls until the test answers them.
type holder struct{ calls chan *wire.Call }

func newHolder() holder { return holder{make(chan *wire.Call, 10_000)} }

func (h holder) Serve(calls []*wire.Call) {
	for _, c := range calls {
		h.calls <- c
	}
}

func call(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

func epoch(t testing.TB, c *wire.Client) error {
	t.Helper()
	var result messages.EpochResult
	err := c.Call(call(t), messages.MethodEpochGet, nil, &result)
	if err == nil && result.Epoch != 7 {
		t.Errorf("epoch %d, want 7", result.Epoch)
	}
	return err
}

func codeOf(err error) messages.Code {
	var e *messages.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func TestACallAndItsRefusal(t *testing.T) {
	_, metrics, addr := serve(t, wire.DefaultConfig(), echo{})
	c := dial(t, addr)
	if err := epoch(t, c); err != nil {
		t.Fatal(err)
	}
	err := c.Call(call(t), messages.MethodGetDisbursement, &messages.IDParams{ID: 42}, nil)
	var refusal *messages.Error
	if !errors.As(err, &refusal) || refusal.Code != messages.CodeNotFound || refusal.Data["id"] != uint64(42) {
		t.Errorf("got %v", err)
	}
	if err := c.Call(call(t), "gov.treasury.none", nil, nil); codeOf(err) != messages.CodeMethodNotFound {
		t.Errorf("got %v", err)
	}
	got := map[string]uint64{}
	for i := range metrics.Methods {
		m := &metrics.Methods[i]
		got[m.Method+" ok"], got[m.Method+" refused"], got[m.Method+" failed"] = m.OK.Load(), m.Refused.Load(), m.Failed.Load()
	}
	for i := range metrics.Refusals {
		got[metrics.Refusals[i].Code] = metrics.Refusals[i].Count.Load()
	}
	maps.DeleteFunc(got, func(_ string, n uint64) bool { return n == 0 })
	want := map[string]uint64{"epoch.get ok": 1, "gov.treasury.get_disbursement refused": 1, "other refused": 1,
		"not_found": 1, "method_not_found": 1}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("metrics: got -, want +\n%s", diff)
	}
	if n := metrics.InFlight.Load(); n != 0 {
		t.Errorf("%d in flight", n)
	}
}

func TestACallCarriesWhatTheHandlerNeeds(t *testing.T) {
	h := newHolder()
	_, _, addr := serve(t, wire.DefaultConfig(), h)
	c := dial(t, addr)
	params := &messages.AccrueParams{Amount: 5, Options: messages.Options{RequestID: "mine", DeadlineMS: 1_234}}
	c.Go(messages.MethodAccrue, params, func(wire.Reply) {})
	c.Go(messages.MethodAccrue, &messages.AccrueParams{Amount: 6}, func(wire.Reply) {})
	c.Go(messages.MethodBalance, nil, func(wire.Reply) {})
	mine, stamped, read := <-h.calls, <-h.calls, <-h.calls
	if mine.RequestID != "mine" || mine.Stamped || mine.Deadline.Sub(mine.Received) != 1_234*time.Millisecond {
		t.Errorf("got %+v", mine)
	}
	if len(stamped.RequestID) != 32 || !stamped.Stamped || stamped.Deadline.Sub(stamped.Received) != 5*time.Second {
		t.Errorf("got %+v", stamped)
	}
	if read.RequestID != "" || read.Stamped || read.Method.Name != messages.MethodBalance {
		t.Errorf("got %+v", read)
	}
	if !mine.Peer.Loopback || mine.Peer.Roles != messages.RolesAll || mine.Peer.Addr == "" {
		t.Errorf("got %+v", mine.Peer)
	}
	for _, c := range []*wire.Call{mine, stamped, read} {
		c.Fail(messages.Errorf(messages.CodeNotFound, "the end"))
	}
}

func TestOnlyTheFirstAnswerCounts(t *testing.T) {
	h := newHolder()
	_, metrics, addr := serve(t, wire.DefaultConfig(), h)
	c := dial(t, addr)
	replies := make(chan wire.Reply, 10)
	c.Go(messages.MethodEpochGet, nil, func(r wire.Reply) { replies <- wire.Reply{Err: r.Err} })
	held := <-h.calls
	var racers sync.WaitGroup
	for range 8 {
		racers.Go(func() { held.Fail(messages.Errorf(messages.CodeNotFound, "one of eight")) })
	}
	racers.Wait()
	if r := <-replies; codeOf(r.Err) != messages.CodeNotFound {
		t.Errorf("got %v", r.Err)
	}
	c.Go(messages.MethodEpochGet, nil, func(r wire.Reply) { replies <- wire.Reply{Err: r.Err} })
	(<-h.calls).Reply(&messages.EpochResult{})
	if r := <-replies; r.Err != nil {
		t.Errorf("the second call got %v", r.Err)
	}
	if n := metrics.InFlight.Load(); n != 0 {
		t.Errorf("%d in flight", n)
	}
}

func TestWithoutTrustALoopbackPeerIsAStranger(t *testing.T) {
	cfg := wire.DefaultConfig()
	cfg.TrustLoopback = false
	_, _, addr := serve(t, cfg, echo{})
	c := dial(t, addr)
	if err := c.Call(call(t), messages.MethodAccrue, &messages.AccrueParams{Amount: 5}, nil); codeOf(err) != messages.CodeUnauthorized {
		t.Errorf("got %v", err)
	}
	if err := epoch(t, c); err != nil {
		t.Error(err)
	}
}

// TestAStrangerTakesNobodysRequestID: the ids of strangers are remembered apart, and a
// stranger's repeat is one.
func TestAStrangerTakesNobodysRequestID(t *testing.T) {
	seen := func(trust bool, id string) string {
		cfg := wire.DefaultConfig()
		cfg.TrustLoopback = trust
		c := arrivedAt(t, cfg, &messages.SubmitDisbursementParams{
			Options: messages.Options{RequestID: id},
			Payload: messages.Payload{Proposal: &messages.Proposal{Title: "t", Summary: "s", VoteWindowEpochs: 1, TimelockEpochs: 1},
				Disbursement: messages.Disbursement{Destination: "tb1a", Amount: 1, ScheduledEpoch: 1}}})
		if c.Stamped {
			t.Error("an id that was given counts as made up")
		}
		return c.RequestID
	}
	known, stranger := seen(true, "rent-2026-12"), seen(false, "rent-2026-12")
	switch {
	case known != "rent-2026-12":
		t.Errorf("a trusted caller's id became %q", known)
	case stranger == known || len(stranger) > messages.RequestIDMax:
		t.Errorf("a stranger's id is %q", stranger)
	case seen(false, "rent-2026-12") != stranger || seen(false, "rent-2027-01") == stranger || seen(false, stranger) == stranger:
		t.Error("strangers' ids are not told apart as they give them")
	}
}

func TestAThousandConnections(t *testing.T) {
	const many = 1_000
	_, metrics, addr := serve(t, wire.DefaultConfig(), echo{})
	clients := make([]*wire.Client, many)
	for i := range clients {
		clients[i] = dial(t, addr)
	}
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			if err := epoch(t, c); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := metrics.Connections.Load(); n != many {
		t.Errorf("%d connections, want %d", n, many)
	}
}

// TestSilentConnectionsLockNobodyOut: whoever has called stays, and whoever comes new finds
// a place, however many have it that say nothing.
func TestSilentConnectionsLockNobodyOut(t *testing.T) {
	cfg := wire.DefaultConfig()
	cfg.ConnectionsMax = 32
	_, _, addr := serve(t, cfg, echo{})
	before := dial(t, addr)
	if err := epoch(t, before); err != nil {
		t.Fatal(err)
	}
	for range 3 * cfg.ConnectionsMax {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
	}
	for range 3 {
		if err := epoch(t, dial(t, addr)); err != nil {
			t.Errorf("a new caller: %v", err)
		}
	}
	if err := epoch(t, before); err != nil {
		t.Errorf("one that was there before: %v", err)
	}
}

func TestOneConnectionTooManyIsToldSo(t *testing.T) {
	cfg := wire.DefaultConfig()
	cfg.ConnectionsMax = 1
	_, metrics, addr := serve(t, cfg, echo{})
	first := dial(t, addr)
	if err := epoch(t, first); err != nil {
		t.Fatal(err)
	}
	second := dial(t, addr)
	<-second.Done()
	if err := epoch(t, second); err == nil {
		t.Error("the second connection was served")
	} else if codeOf(err) != messages.CodeOverloaded {
		t.Errorf("got %v", err)
	}
	if err := epoch(t, first); err != nil {
		t.Errorf("the first connection: %v", err)
	}
	if n := metrics.TurnedAway.Load(); n != 1 {
		t.Errorf("%d turned away", n)
	}
}

func TestOneRequestTooManyIsOverloaded(t *testing.T) {
	cfg := wire.DefaultConfig()
	cfg.InFlightMax = 4
	h := newHolder()
	_, _, addr := serve(t, cfg, h)
	c := dial(t, addr)
	replies := make(chan error, 10)
	for range 5 {
		c.Go(messages.MethodEpochGet, nil, func(r wire.Reply) { replies <- r.Err })
	}
	var refusal *messages.Error
	if err := <-replies; !errors.As(err, &refusal) || refusal.Code != messages.CodeOverloaded ||
		refusal.Data["retry_after_ms"] != uint64(100) {
		t.Errorf("got %v", err)
	}
	for range 4 {
		(<-h.calls).Reply(&messages.EpochResult{})
		if err := <-replies; err != nil {
			t.Error(err)
		}
	}
}

func TestTooManyBytesInFlightAreOverloaded(t *testing.T) {
	cfg := wire.DefaultConfig()
	cfg.InFlightBytesMax = 1 << 20
	h := newHolder()
	_, _, addr := serve(t, cfg, h)
	c := dial(t, addr)
	replies := make(chan error, 10)
	big := &messages.AccrueParams{Amount: 1, Source: strings.Repeat("s", 600_000)}
	for range 2 {
		c.Go(messages.MethodAccrue, big, func(r wire.Reply) { replies <- r.Err })
	}
	if err := <-replies; codeOf(err) != messages.CodeOverloaded {
		t.Errorf("got %v", err)
	}
	(<-h.calls).Reply(&messages.AccrueResult{})
	if err := <-replies; err != nil {
		t.Error(err)
	}
}

func TestTooManyBytesInFlightOnAllConnectionsAreOverloaded(t *testing.T) {
	cfg := wire.DefaultConfig()
	cfg.InFlightBytesTotal = 1 << 20
	h := newHolder()
	_, _, addr := serve(t, cfg, h)
	big := &messages.AccrueParams{Amount: 1, Source: strings.Repeat("s", 600_000)}
	replies := make(chan error, 3)
	var held []*wire.Call
	for range 2 {
		dial(t, addr).Go(messages.MethodAccrue, big, func(r wire.Reply) { replies <- r.Err })
		held = append(held, <-h.calls)
	}
	c := dial(t, addr)
	c.Go(messages.MethodEpochGet, nil, func(r wire.Reply) { replies <- r.Err })
	select {
	case err := <-replies:
		if codeOf(err) != messages.CodeOverloaded {
			t.Errorf("got %v", err)
		}
	case <-h.calls:
		t.Fatal("a call beyond the bound was served")
	}
	for _, call := range held {
		call.Reply(&messages.AccrueResult{})
		if err := <-replies; err != nil {
			t.Error(err)
		}
	}
	if err := ping(t, c, h); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A reader that takes no answers is cut off; the others do not notice.
func TestASlowReaderIsCutOff(t *testing.T) {
	cfg := wire.DefaultConfig()
	cfg.WriteTimeout = 50 * time.Millisecond
	_, metrics, addr := serve(t, cfg, echo{})
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(testTimeout))
	request := []byte("\x94\x00\x01\xacrpc.discover\x91\x80") // 20 bytes for many thousand
	for err == nil {
		_, err = nc.Write(request)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the server still listens")
	}
	if err := epoch(t, dial(t, addr)); err != nil {
		t.Error(err)
	}
	if n := metrics.CutOff.Load(); n != 1 {
		t.Errorf("%d cut off", n)
	}
}

func TestGarbageEndsItsConnectionOnly(t *testing.T) {
	_, metrics, addr := serve(t, wire.DefaultConfig(), echo{})
	bystander := dial(t, addr)
	for name, b := range map[string][]byte{
		"20 MB of nested arrays": bytes.Repeat([]byte{0x91}, 20_000_000),
		"2 MB in a string":       append([]byte("\x94\x00\x01\xa9epoch.get\x91\x81\xa1s\xdb\x00\x1e\x84\x80"), make([]byte, 2_000_000)...),
		"2 MB in small pieces":   bytes.Repeat([]byte("\x9f"), 2_000_000),
		"HTTP":                   []byte("POST /rpc HTTP/1.1\r\nHost: localhost\r\n\r\n"),
	} {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(testTimeout))
		_, _ = nc.Write(b) // it may be refused before it is written
		reply, err := readMessage(bufio.NewReader(nc))
		if err != nil || !bytes.HasPrefix(reply, []byte("\x94\x01\x00\x83\xa4code\xd1")) {
			t.Errorf("%s: %q, %v", name, reply, err)
		}
		_ = nc.Close()
	}
	if err := epoch(t, bystander); err != nil {
		t.Error(err)
	}
	answer, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "3 ports higher") {
		t.Errorf("HTTP: %s, %q, %v", answer.Status, text, err)
	}
	if n := metrics.Malformed.Load(); n != 5 {
		t.Errorf("%d malformed, want 5", n)
	}
}

func TestBytesMayArriveOneByOne(t *testing.T) {
	_, _, addr := serve(t, wire.DefaultConfig(), echo{})
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, c := range []byte("\x94\x00\x01\xa9epoch.get\x91\x80") {
		if _, err := nc.Write([]byte{c}); err != nil {
			t.Fatal(err)
		}
	}
	if reply, err := readMessage(bufio.NewReader(nc)); err != nil || !bytes.HasPrefix(reply, []byte("\x94\x01\x01\xc0")) {
		t.Errorf("got %q, %v", reply, err)
	}
}

func TestAMessageOfTheFullSizePasses(t *testing.T) {
	_, _, addr := serve(t, wire.DefaultConfig(), echo{})
	c := dial(t, addr)
	params := &messages.AccrueParams{Amount: 1, Options: messages.Options{DeadlineMS: 9_000}}
	params.Source = strings.Repeat("s", 1<<20-len(messages.AppendParams(nil, params))-len(messages.MethodAccrue)-5-len("\xa6source")-5)
	if err := c.Call(call(t), messages.MethodAccrue, params, nil); err != nil {
		t.Error(err)
	}
	params.Source += "more than fits"
	if err := c.Call(call(t), messages.MethodAccrue, params, nil); err == nil {
		t.Error("a message too large was served")
	}
}

func TestADrainingServerAnswersWhatItOwes(t *testing.T) {
	h := newHolder()
	s, err := wire.New(wire.DefaultConfig(), h, wire.NewMetrics())
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
	idle, busy := dial(t, ln.Addr().String()), dial(t, ln.Addr().String())
	replies := make(chan error, 1)
	busy.Go(messages.MethodEpochGet, nil, func(r wire.Reply) { replies <- r.Err })
	held := <-h.calls
	if err := ping(t, idle, h); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-idle.Done() // it is owed nothing
	held.Reply(&messages.EpochResult{})
	if err := <-replies; err != nil {
		t.Errorf("the answer was lost: %v", err)
	}
	<-busy.Done()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// ping makes sure that the server has taken the connection.
func ping(t *testing.T, c *wire.Client, h holder) error {
	t.Helper()
	replies := make(chan error, 1)
	c.Go(messages.MethodEpochGet, nil, func(r wire.Reply) { replies <- r.Err })
	(<-h.calls).Reply(&messages.EpochResult{})
	return <-replies
}

func TestADrainingServerDoesNotWaitForever(t *testing.T) {
	cfg := wire.DefaultConfig()
	cfg.DrainTimeout = 20 * time.Millisecond
	h := newHolder()
	s, err := wire.New(cfg, h, wire.NewMetrics())
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
	c := dial(t, ln.Addr().String())
	replies := make(chan error, 1)
	c.Go(messages.MethodAccrue, &messages.AccrueParams{Amount: 1}, func(r wire.Reply) { replies <- r.Err })
	held := <-h.calls
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := <-replies; codeOf(err) != messages.CodeOutcomeUnknown {
		t.Errorf("got %v", err)
	}
	held.Reply(&messages.AccrueResult{}) // too late, and harmless
}

func TestDiscoverIsAnsweredByTheTable(t *testing.T) {
	_, _, addr := serve(t, wire.DefaultConfig(), newHolder())
	var doc messages.DiscoverResult
	if err := dial(t, addr).Call(call(t), messages.MethodDiscover, nil, &doc); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&doc, messages.Document()); diff != "" {
		t.Error(diff)
	}
}

func TestConfigIsValidated(t *testing.T) {
	for name, spoil := range map[string]func(*wire.Config){
		"connections": func(c *wire.Config) { c.ConnectionsMax = 0 },
		"in flight":   func(c *wire.Config) { c.InFlightMax = 0 },
		"bytes":       func(c *wire.Config) { c.InFlightBytesMax = 0 },
		"burst":       func(c *wire.Config) { c.BurstMax = 0 },
		"out":         func(c *wire.Config) { c.OutBytesMax = 1 },
		"in total":    func(c *wire.Config) { c.InFlightBytesTotal = 0 },
		"out total":   func(c *wire.Config) { c.OutBytesTotal = 0 },
		"write":       func(c *wire.Config) { c.WriteTimeout = 0 },
		"idle":        func(c *wire.Config) { c.IdleTimeout = -1 },
		"batch":       func(c *wire.Config) { c.BatchMax = 0 },
		"batch bytes": func(c *wire.Config) { c.BatchBytesMax = 0 },
		"http bytes":  func(c *wire.Config) { c.HTTPBytesMax = 0 },
	} {
		cfg := wire.DefaultConfig()
		spoil(&cfg)
		if _, err := wire.New(cfg, echo{}, wire.NewMetrics()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
