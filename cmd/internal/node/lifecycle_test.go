package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/cmd/internal/node"
)

// cannotOpen opens a node that must not start, and returns why it does not.
func cannotOpen(t *testing.T, cfg node.Config) string {
	t.Helper()
	n, err := node.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err == nil {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = n.Run(ctx)
		t.Fatalf("a node with %+v starts", cfg)
	}
	return err.Error()
}

func TestAPortInUseIsNamedWithWhatToDo(t *testing.T) {
	for _, offset := range []int{node.PortRPC, node.PortHTTP, node.PortRaft} {
		cfg := config(t.TempDir())
		listener, err := net.Listen("tcp", cfg.Address(offset))
		if err != nil {
			t.Fatal(err)
		}
		text := cannotOpen(t, cfg)
		for _, word := range []string{cfg.Address(offset), "in use", "--base-port"} {
			if !strings.Contains(text, word) {
				t.Errorf("port %d in use: %q does not say %q", offset, text, word)
			}
		}
		_ = listener.Close()
		// Nothing is left behind: the same node starts now.
		if err := restart(t, cfg).stop(); err != nil {
			t.Errorf("port %d, afterwards: %v", offset, err)
		}
	}
}

func TestADataDirectoryBelongsToOneNode(t *testing.T) {
	m := start(t)
	submit(t, dial(t, m), later())
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}
	cfg := config(t.TempDir())
	cfg.DataDir, cfg.Name = m.cfg.DataDir, "n2"
	text := cannotOpen(t, cfg)
	for _, word := range []string{"n1", "n2", cfg.DataDir} {
		if !strings.Contains(text, word) {
			t.Errorf("another node's directory: %q does not say %q", text, word)
		}
	}
}

// A second node on the same directory is refused, and the first one keeps all it has.
func TestADataDirectoryBelongsToOneProcess(t *testing.T) {
	m := start(t)
	c := dial(t, m)
	id := submit(t, c, later())
	cfg := config(t.TempDir())
	cfg.DataDir = m.cfg.DataDir
	before := storeFiles(t, cfg)
	text := cannotOpen(t, cfg)
	for _, word := range []string{"in use", cfg.DataDir} {
		if !strings.Contains(text, word) {
			t.Errorf("a directory in use: %q does not say %q", text, word)
		}
	}
	for i, file := range storeFiles(t, cfg) {
		if !os.SameFile(file, before[i]) {
			t.Errorf("the first node's %s was replaced", file.Name())
		}
	}
	for range 100 {
		submit(t, c, later())
	}
	if got := status(t, c, id)["state"]; got != "draft" {
		t.Errorf("%d is %v", id, got)
	}
}

func storeFiles(t *testing.T, cfg node.Config) (files []os.FileInfo) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(cfg.DataDir, "store"))
	if err != nil || len(entries) == 0 {
		t.Fatalf("the store holds %v, %v", entries, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, info)
	}
	return files
}

// Every call that a node takes is answered before it ends, whatever happens; and what
// it answered is there after the restart.
func TestANodeStopsUnderLoadWithoutLosingAnAnswer(t *testing.T) {
	m := start(t)
	var answered, unanswered atomic.Int64
	var mu sync.Mutex
	promised := make(map[int64]bool)
	promise := func(result object) {
		mu.Lock()
		defer mu.Unlock()
		promised[integer(result["id"])] = true
	}
	running := make(chan struct{}, 1)
	var all sync.WaitGroup
	for range 3 {
		l := dial(t, m)
		all.Go(func() { // pipelines, and so knows how many it is owed
			sent := 0
			stop := make(chan int, 1)
			go func() {
				defer func() { stop <- sent }()
				for ; ; sent++ {
					b := pack(t, []any{0, sent, "gov.treasury.submit_disbursement", []any{later()}})
					if _, err := l.Write(b); err != nil {
						return
					}
				}
			}()
			got := 0
			for {
				v, err := l.dec.DecodeInterface()
				if err != nil {
					break
				}
				a := v.([]any)
				if a[2] == nil {
					promise(plain(a[3]).(object))
				} else if code := faultOf(a[2].(object)).code; code != unavailable && code != -34010 {
					t.Errorf("a submission is answered %v", a[2])
				}
				if got++; got == 200 {
					select {
					case running <- struct{}{}:
					default:
					}
				}
			}
			_ = l.Close()
			answered.Add(int64(got))
			unanswered.Add(int64(<-stop - got)) // in the sockets' buffers, never read
		})
	}
	client := &http.Client{}
	defer client.CloseIdleConnections()
	for range 4 {
		all.Go(func() {
			for {
				resp, err := client.Post(m.url("/rpc"), "application/json", strings.NewReader(
					`{"jsonrpc":"2.0","id":1,"method":"gov.treasury.accrue","params":{"amount":1}}`))
				if err != nil {
					return // it takes no more
				}
				text, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK ||
					!strings.Contains(string(text), `"balance"`) && !strings.Contains(string(text), "-34011") &&
						!strings.Contains(string(text), "-34010") {
					t.Errorf("an accrual is answered %d %s, %v", resp.StatusCode, text, err)
				}
			}
		})
	}
	<-running
	if err := m.stop(); err != nil {
		t.Errorf("Run returned %v", err)
	}
	all.Wait()
	t.Logf("%d answered, %d never read", answered.Load(), unanswered.Load())
	c := dial(t, restart(t, m.cfg))
	rows, _ := pages(t, c, "gov.treasury.disbursements", "disbursements", object{"limit": 1000})
	kept := 0
	for _, row := range rows {
		if promised[rowID(row)] {
			kept++
		}
	}
	if kept != len(promised) || kept != len(rows) {
		t.Errorf("%d submissions were acknowledged, %d of them are there, and %d in all", len(promised), kept, len(rows))
	}
}

// A caller who goes on sending while the node stops, and reads only then, finds all
// its answers.
func TestAnswersOutliveTheNodeOnTheirWay(t *testing.T) {
	m := start(t)
	l, other := dial(t, m), dial(t, m)
	const n = 50
	for i := range n {
		l.send(t, []any{0, i, "gov.treasury.submit_disbursement", []any{later()}})
	}
	eventually(t, "all are submitted", func() bool {
		return integer(must(t, other, "gov.treasury.graph", object{})["nodes"]) == n
	})
	silent := make(chan struct{})
	go func() {
		defer close(silent)
		notes := bytes.Repeat(pack(t, []any{2, "epoch.get", []any{}}), 1000)
		for {
			if _, err := l.Write(notes); err != nil {
				return
			}
		}
	}()
	if err := m.stop(); err != nil {
		t.Error(err)
	}
	<-silent
	got := 0
	for {
		if _, err := l.dec.DecodeInterface(); err != nil {
			break
		}
		got++
	}
	if got != n {
		t.Errorf("%d of %d answers arrived", got, n)
	}
}

// Calls that come before the node is ready wait for it.
func TestCallsWaitForANodeThatStarts(t *testing.T) {
	cfg := config(t.TempDir())
	n, err := node.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	m := &member{cfg: cfg, node: n, ended: make(chan error, 1)}
	l := dial(t, m) // the port is bound, nobody serves it yet
	calls := []any{
		[]any{0, 1, "gov.treasury.accrue", []any{object{"amount": 9}}},
		[]any{0, 2, "epoch.advance", []any{object{}}},
		[]any{0, 3, "gov.treasury.submit_disbursement", []any{later()}},
		[]any{0, 4, "gov.treasury.balance", []any{}},
		[]any{0, 5, "gov.treasury.order", []any{}},
		[]any{0, 6, "cluster.status", []any{}},
	}
	for _, call := range calls {
		l.send(t, call)
	}
	ctx, cancel := context.WithCancel(t.Context())
	m.end = cancel
	go func() { m.ended <- n.Run(ctx) }()
	for range calls {
		if id, _, err := l.receive(t); err != nil {
			t.Errorf("call %d: %v", id, err)
		}
	}
	if err := m.stop(); err != nil {
		t.Error(err)
	}
}

// Until a node owns its shards it says so, and calls whose deadline passes are told
// so in the same words, each in its own time.
func TestANodeThatIsNotReadySaysWhy(t *testing.T) {
	cfg := config(t.TempDir())
	n, err := node.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	m := &member{cfg: cfg, node: n, ended: make(chan error, 1)}
	release := node.ServeOnly(n)
	defer release()
	if code, text := m.get(t, "/readyz"); code != 503 || !strings.Contains(text, "no quorum since") {
		t.Errorf("/readyz: %d %q", code, text)
	}
	if code, _ := m.get(t, "/healthz"); code != 200 {
		t.Errorf("/healthz: %d", code)
	}
	l := dial(t, m)
	l.send(t, []any{0, 1, "gov.treasury.accrue", []any{object{"amount": 1, "deadline_ms": 60_000}}})
	l.send(t, []any{0, 2, "gov.treasury.balance", []any{object{"deadline_ms": 20}}})
	l.send(t, []any{0, 3, "gov.treasury.balance", []any{object{"consistency": "local"}}})
	l.send(t, []any{0, 4, "cluster.status", []any{object{}}})
	for range 3 {
		switch id, result, err := l.receive(t); id {
		case 2:
			if err == nil || err.code != unavailable || !strings.Contains(err.message, "no quorum since") {
				t.Errorf("balance: %v", err)
			}
		case 3:
			if err != nil {
				t.Errorf("a local read: %v", err)
			}
		case 4:
			if err != nil || result["ready"] != false || result["quorum"] != false ||
				!strings.Contains(fmt.Sprint(result["reason"]), "no quorum since") {
				t.Errorf("cluster.status: %v, %v", result, err)
			}
		default:
			t.Errorf("call %d is answered: %v, %v", id, result, err)
		}
	}
}

func TestStopStepsRunBackwardsAndOneThatHangsIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		step := func(name string, err error) node.Step {
			return node.Step{Name: name, Stop: func(context.Context) error { order = append(order, name); return err }}
		}
		wedged := make(chan struct{})
		began := time.Now()
		err := node.StopAll(
			step("store", nil),
			node.Step{Name: "journal", Stop: func(context.Context) error { <-wedged; return nil }}, // ignores its context
			node.Step{Name: "actors", Stop: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
			step("wire", errors.New("broken pipe")),
		)
		close(wedged)
		if !slices.Equal(order, []string{"wire", "store"}) {
			t.Errorf("order %v", order)
		}
		for _, word := range []string{"stop wire: broken pipe", "stop actors: it hangs after 15s", "stop journal: it hangs after 15s"} {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%v does not say %q", err, word)
			}
		}
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}
