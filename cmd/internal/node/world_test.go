package node_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"go.uber.org/goleak"

	"github.com/the-block/bursar/actors/kinds"
	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/node"
)

// testTimeout bounds every wait of these tests; none is expected to take long.
const testTimeout = 20 * time.Second

// world is the node that most tests share. Its epochs come only when a test asks.
var world *member

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "node")
		if err != nil {
			fmt.Println(err)
			return 1
		}
		defer os.RemoveAll(dir)
		if world, err = launch(config(dir)); err != nil {
			fmt.Println(err)
			return 1
		}
		code := m.Run()
		if err := world.stop(); err != nil {
			fmt.Println("stop:", err)
			return 1
		}
		http.DefaultClient.CloseIdleConnections()
		if code == 0 {
			if err := goleak.Find(goleak.IgnoreAnyFunction("github.com/tidwall/buntdb.(*DB).backgroundManager")); err != nil {
				fmt.Println(err)
				return 1
			}
		}
		return code
	}())
}

// config describes a node on free ports, whose epochs come only when asked for.
func config(dir string) node.Config {
	cfg := node.DefaultConfig()
	cfg.BasePort = freePorts()
	cfg.DataDir = filepath.Join(dir, "data")
	cfg.EpochInterval = time.Hour
	return cfg
}

// freePorts finds the ports of a node that no other process has or gets.
func freePorts() int {
	base, err := localcluster.FreePorts(1)
	if err != nil {
		panic(err)
	}
	return base
}

// member is a node that runs in this process.
type member struct {
	cfg   node.Config
	node  *node.Node
	end   context.CancelFunc
	ended chan error
	once  sync.Once
	err   error
}

// launch runs a node and returns once it is ready.
func launch(cfg node.Config) (*member, error) {
	m, err := begin(cfg)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(testTimeout); ; {
		err := m.node.Ready()
		if err == nil {
			return m, nil
		}
		select {
		case err := <-m.ended:
			return nil, fmt.Errorf("the node ended: %w", err)
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("not ready: %w", err)
		}
	}
}

// begin runs a node and does not wait for it.
func begin(cfg node.Config) (*member, error) { return beginWith(nil, cfg) }

// beginWith is begin for a node with kinds of actors of the test's own.
func beginWith(own []kinds.Kind, cfg node.Config) (*member, error) {
	n, err := node.OpenWith(context.Background(), cfg, own, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{cfg: cfg, node: n, end: cancel, ended: make(chan error, 1)}
	go func() { m.ended <- n.Run(ctx) }()
	return m, nil
}

// start runs a node for one test.
func start(t *testing.T, change ...func(*node.Config)) *member {
	t.Helper()
	cfg := config(t.TempDir())
	for _, c := range change {
		c(&cfg)
	}
	return restart(t, cfg)
}

func restart(t *testing.T, cfg node.Config) *member {
	t.Helper()
	m, err := launch(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return m
}

// stop ends the node in order and returns what Run does.
func (m *member) stop() error {
	m.once.Do(func() {
		m.end()
		m.err = <-m.ended
	})
	return m.err
}

func (m *member) url(path string) string { return "http://" + m.cfg.Address(node.PortHTTP) + path }

// fault is an error as a caller gets it.
type fault struct {
	code    int64
	name    string
	message string
	data    object
}

func (f *fault) Error() string { return fmt.Sprintf("%d %s: %s %v", f.code, f.name, f.message, f.data) }

type object = map[string]any

// caller is one of the two wires. Numbers come as int64, or as uint64 beyond.
type caller interface {
	call(t *testing.T, method string, params object) (object, *fault)
}

// wires are the shared node's both.
func wires(t *testing.T) map[string]caller {
	return map[string]caller{"msgpack": dial(t, world), "json": &web{world}}
}

// must makes a call that has to succeed.
func must(t *testing.T, c caller, method string, params object) object {
	t.Helper()
	result, err := c.call(t, method, params)
	if err != nil {
		t.Fatalf("%s %.200s: %v", method, fmt.Sprint(params), err)
	}
	return result
}

// refused makes a call that has to be refused with the code, by a message that holds
// all the words.
func refused(t *testing.T, c caller, code int64, name, method string, params object, words ...string) *fault {
	t.Helper()
	result, err := c.call(t, method, params)
	if err == nil {
		t.Fatalf("%s %.200s = %v, want %s", method, fmt.Sprint(params), result, name)
	}
	if err.code != code || err.name != name {
		t.Errorf("%s %.200s: %v, want %d %s", method, fmt.Sprint(params), err, code, name)
	}
	for _, word := range words {
		if !strings.Contains(err.message, word) {
			t.Errorf("%s: the message %q does not say %q", method, err.message, word)
		}
	}
	return err
}

// line is one MessagePack connection.
type line struct {
	net.Conn
	dec *msgpack.Decoder
	id  uint32
}

func dial(t *testing.T, m *member) *line {
	t.Helper()
	nc, err := net.Dial("tcp", m.cfg.Address(node.PortRPC))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(3 * testTimeout))
	dec := msgpack.NewDecoder(nc)
	dec.UseLooseInterfaceDecoding(true)
	return &line{Conn: nc, dec: dec}
}

func (l *line) call(t *testing.T, method string, params object) (object, *fault) {
	t.Helper()
	l.id++
	l.send(t, []any{0, l.id, method, []any{params}})
	id, result, err := l.receive(t)
	if id != int64(l.id) {
		t.Fatalf("%s: an answer to %d, want %d", method, id, l.id)
	}
	return result, err
}

func (l *line) send(t *testing.T, message any) {
	t.Helper()
	b, err := msgpack.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, b)
}

func (l *line) write(t *testing.T, b []byte) {
	t.Helper()
	if _, err := l.Write(b); err != nil {
		t.Fatal(err)
	}
}

// receive reads one answer.
func (l *line) receive(t *testing.T) (id int64, result object, err *fault) {
	t.Helper()
	v, readErr := l.dec.DecodeInterface()
	if readErr != nil {
		t.Fatalf("read an answer: %v", readErr)
	}
	answer, ok := v.([]any)
	if !ok || len(answer) != 4 || integer(answer[0]) != 1 {
		t.Fatalf("got %v, want [1, msgid, error, result]", v)
	}
	if answer[2] != nil {
		return integer(answer[1]), nil, faultOf(answer[2].(object))
	}
	result, _ = plain(answer[3]).(object)
	return integer(answer[1]), result, nil
}

func faultOf(v object) *fault {
	v = plain(v).(object)
	f := &fault{code: integer(v["code"])}
	f.name, _ = v["name"].(string)
	f.message, _ = v["message"].(string)
	f.data, _ = v["data"].(object)
	return f
}

// web is JSON-RPC to a node.
type web struct{ *member }

func (w *web) call(t *testing.T, method string, params object) (object, *fault) {
	t.Helper()
	status, answer := w.post(t, object{"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
	reply, _ := answer.(object)
	if status != http.StatusOK || integer(reply["id"]) != 7 || reply["jsonrpc"] != "2.0" {
		t.Fatalf("%s: status %d, answer %v", method, status, answer)
	}
	if e, ok := reply["error"].(object); ok {
		return nil, faultOf(e)
	}
	result, _ := reply["result"].(object)
	return result, nil
}

// post sends a body as it is, or as JSON if it is not a string.
func (w *web) post(t *testing.T, body any) (status int, answer any) {
	t.Helper()
	text, raw := body.(string)
	if !raw {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	resp, err := http.Post(w.url("/rpc"), "application/json", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) == 0 {
		return resp.StatusCode, nil
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&answer); err != nil {
		t.Fatalf("status %d, body %q: %v", resp.StatusCode, b, err)
	}
	return resp.StatusCode, plain(answer)
}

// get reads one page.
func (m *member) get(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := http.Get(m.url(path))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// plain makes the values of both wires comparable.
func plain(v any) any {
	switch v := v.(type) {
	case object:
		for k := range v {
			v[k] = plain(v[k])
		}
		return v
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
		return v
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		u, _ := strconv.ParseUint(v.String(), 10, 64)
		return u
	case uint64:
		if v < 1<<63 {
			return int64(v)
		}
		return v
	default:
		return v
	}
}

func integer(v any) int64 {
	i, ok := plain(v).(int64)
	if !ok {
		return -1
	}
	return i
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal("not within the time of the tests: " + what)
		}
		time.Sleep(time.Millisecond)
	}
}

// direct is a payment that nobody votes on.
func direct(amount any, change ...func(payment object)) object {
	payment := object{"destination": "tb1alice", "amount": amount, "memo": "", "scheduled_epoch": 1}
	for _, c := range change {
		c(payment)
	}
	return object{"payload": object{"disbursement": payment}}
}

// proposed is a payment that is voted on. It is due at once.
func proposed(change ...func(proposal, payment object)) object {
	proposal := object{
		"title": "Grant", "summary": "For the grid.", "deps": []any{},
		"quorum": object{"operators_ppm": 500_000, "builders_ppm": 400_000},
	}
	payment := object{"destination": "tb1bob", "amount": 10, "memo": "", "scheduled_epoch": 1}
	for _, c := range change {
		c(proposal, payment)
	}
	return object{"payload": object{"proposal": proposal, "disbursement": payment}}
}

// later is a payment that does not fall due in these tests.
func later() object { return direct(1, func(p object) { p["scheduled_epoch"] = 1 << 40 }) }

// submit submits and returns the id.
func submit(t *testing.T, c caller, params object) int64 {
	t.Helper()
	return integer(must(t, c, "gov.treasury.submit_disbursement", params)["id"])
}

// status reads a disbursement's status.
func status(t *testing.T, c caller, id int64) object {
	t.Helper()
	return must(t, c, "gov.treasury.get_disbursement", object{"id": id})["disbursement"].(object)["status"].(object)
}

// advance adds one epoch and returns it.
func advance(t *testing.T, c caller) int64 {
	t.Helper()
	result := must(t, c, "epoch.advance", object{})
	if integer(result["applied_index"]) < 1 {
		t.Errorf("epoch.advance answers %v", result)
	}
	return integer(result["epoch"])
}

// awaitState waits until a disbursement is in a state, and returns its status.
func awaitState(t *testing.T, c caller, id int64, state string) object {
	t.Helper()
	var last object
	eventually(t, fmt.Sprintf("%d becomes %s", id, state), func() bool {
		last = status(t, c, id)
		return last["state"] == state
	})
	return last
}

func balance(t *testing.T, c caller) int64 {
	t.Helper()
	return integer(must(t, c, "gov.treasury.balance", object{})["balance"])
}

var named atomic.Int64

// fresh makes a name that no test had before.
func fresh(name string) string { return fmt.Sprintf("%s-%d", name, named.Add(1)) }

func ids(v any) []int64 {
	list, _ := v.([]any)
	out := make([]int64, len(list))
	for i := range list {
		out[i] = integer(list[i])
	}
	return out
}

func pack(t *testing.T, message any) []byte {
	t.Helper()
	b, err := msgpack.Marshal(message)
	if err != nil {
		t.Error(err)
	}
	return b
}
