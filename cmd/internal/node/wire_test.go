package node_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/the-block/bursar/cmd/internal/node"
)

func TestMessagePackRPCInEveryForm(t *testing.T) {
	l := dial(t, world)
	for name, params := range map[string]any{
		"[]": []any{}, "[{}]": []any{object{}}, "[[]], as PHP writes it": []any{[]any{}},
	} {
		l.send(t, []any{0, 1, "gov.treasury.balance", params})
		if id, _, err := l.receive(t); id != 1 || err != nil {
			t.Errorf("params %s: %d, %v", name, id, err)
		}
	}
	for name, params := range map[string]any{
		"a map": object{}, "two": []any{object{}, object{}}, "a list of a list": []any{[]any{1}}, "a string": "x", "nil": nil,
		"a list of nil": []any{nil},
	} {
		l.send(t, []any{0, 2, "gov.treasury.balance", params})
		if id, _, err := l.receive(t); id != 2 || err == nil || err.code != invalidParams {
			t.Errorf("params %s: %d, %v", name, id, err)
		}
	}
	for _, id := range []uint64{0, 1, 127, 128, 255, 256, 65535, 65536, math.MaxUint32} {
		l.send(t, []any{0, id, "epoch.get", []any{}})
		if got, _, err := l.receive(t); got != int64(id) || err != nil {
			t.Errorf("msgid %d: %d, %v", id, got, err)
		}
	}
	l.send(t, []any{0, 9, "gov.treasury.pay", []any{}})
	if id, _, err := l.receive(t); id != 9 || err == nil || err.code != methodNotFound {
		t.Errorf("an unknown method: %d, %v", id, err)
	}
	l.send(t, []any{2, "gov.treasury.pay", []any{}}) // nobody is told
	notified := fresh("notified")
	l.send(t, []any{2, "gov.treasury.accrue", []any{object{"amount": 1, "request_id": notified}}})
	l.send(t, []any{2, "gov.treasury.accrue", []any{object{}}})
	eventually(t, "a notification is carried out", func() bool {
		result := must(t, l, "gov.treasury.accrue", object{"amount": 1, "request_id": notified})
		return result["duplicate"] == true
	})
}

func TestPipelinedRequestsAreAllAnswered(t *testing.T) {
	l := dial(t, world)
	const n = 2000
	var burst bytes.Buffer
	enc := msgpack.NewEncoder(&burst)
	for i := range n {
		method, params := "gov.treasury.submit_disbursement", later()
		switch i % 4 {
		case 1:
			method, params = "gov.treasury.balance", object{}
		case 2:
			method, params = "gov.treasury.order", object{"limit": 1}
		case 3:
			method, params = "rpc.nothing", object{}
		}
		if err := enc.Encode([]any{0, i, method, []any{params}}); err != nil {
			t.Fatal(err)
		}
	}
	go func() { _, _ = l.Write(burst.Bytes()) }()
	seen := make([]bool, n)
	for range n {
		id, _, err := l.receive(t)
		if seen[id] {
			t.Fatalf("%d is answered twice", id)
		}
		seen[id] = true
		if (err != nil) != (id%4 == 3) {
			t.Fatalf("%d: %v", id, err)
		}
	}
}

// A request that waits does not keep those behind it.
func TestAnswersComeOutOfOrder(t *testing.T) {
	m, err := begin(config(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.stop() })
	l := dial(t, m)
	l.send(t, []any{0, 1, "gov.treasury.accrue", []any{object{"amount": 1}}})
	l.send(t, []any{0, 2, "cluster.members", []any{object{}}})
	first, _, _ := l.receive(t)
	second, _, faulty := l.receive(t)
	if faulty != nil || first+second != 3 {
		t.Errorf("answers to %d and %d: %v", first, second, faulty)
	}
}

// ends expects an error as the last thing on the connection.
func ends(t *testing.T, l *line) *fault {
	t.Helper()
	var last *fault
	for {
		v, err := l.dec.DecodeInterface()
		if errors.Is(err, io.EOF) {
			return last
		}
		var opErr *net.OpError
		if errors.As(err, &opErr) && !opErr.Timeout() {
			return last
		}
		if err != nil {
			t.Fatalf("the connection does not end: %v", err)
		}
		if answer := v.([]any); answer[2] != nil {
			last = faultOf(answer[2].(object))
		}
	}
}

func nested(depth int) []byte {
	b := append([]byte{0x94, 0x00, 0x01, 0xa9}, "epoch.get"...)
	b = append(b, 0x91, 0x81, 0xa1, 'x')
	b = append(b, bytes.Repeat([]byte{0x91}, depth-4)...) // after message, params and map
	return append(b, 0x90)
}

func TestGarbageEndsTheConnectionWithAnErrorAndCostsNothing(t *testing.T) {
	request := func(params ...byte) []byte {
		b := append([]byte{0x94, 0x00, 0x01, 0xa9}, "epoch.get"...)
		return append(append(b, 0x91), params...)
	}
	big := append(request(0x81, 0xa1, 'x', 0xdb), binary.BigEndian.AppendUint32(nil, 1<<20)...)
	big = append(big, bytes.Repeat([]byte{'y'}, 1<<20)...)
	garbage := map[string][]byte{
		"a reserved byte":            {0xc1},
		"text":                       []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"an integer":                 {0x07},
		"an empty list":              {0x90},
		"a response":                 {0x94, 0x01, 0x01, 0xc0, 0xc0},
		"an unknown type":            {0x94, 0x05, 0x01, 0xa1, 'm', 0x90},
		"a request of three":         {0x93, 0x00, 0x01, 0xa1, 'm'},
		"a msgid of nil":             {0x94, 0x00, 0xc0, 0xa1, 'm', 0x90},
		"a negative msgid":           {0x94, 0x00, 0xff, 0xa1, 'm', 0x90},
		"a msgid of 33 bits":         {0x94, 0x00, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0, 0xa1, 'm', 0x90},
		"a msgid that is text":       {0x94, 0x00, 0xa1, '1', 0xa1, 'm', 0x90},
		"2^27 integers in 5 bytes":   {0xdd, 0x07, 0xff, 0xff, 0xff},
		"1 GiB of binary in 5 bytes": {0xc6, 0x40, 0xff, 0xff, 0xff},
		"2^32 pairs in 5 bytes":      {0xdf, 0xff, 0xff, 0xff, 0xff},
		"4 GiB of text in a request": request(0x81, 0xa1, 'x', 0xdb, 0xff, 0xff, 0xff, 0xff),
		"2^31 elements in a request": request(0x81, 0xa1, 'x', 0xdd, 0x7f, 0xff, 0xff, 0xff),
		"1 MiB and some":             big,
		"1 MiB of nested lists":      request(append([]byte{0x81, 0xa1, 'x'}, bytes.Repeat([]byte{0x91}, 1<<20)...)...),
		"1 MiB of empty maps":        request(append([]byte{0x81, 0xa1, 'x', 0xdd, 0, 0x0f, 0xff, 0x00}, bytes.Repeat([]byte{0x80}, 0x0fff00)...)...),
		"20 MB of nested lists":      bytes.Repeat([]byte{0x91}, 20<<20),
		"nested 33 deep":             nested(33),
		"an extension of 2 GiB":      request(0x81, 0xa1, 'x', 0xc9, 0x7f, 0xff, 0xff, 0xff, 0x01),
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for name, bytes := range garbage {
		l := dial(t, world)
		_ = l.SetDeadline(time.Now().Add(5 * time.Second))
		go func() { _, _ = l.Write(bytes) }()
		if err := ends(t, l); err == nil || err.code != -32700 && err.code != -32600 {
			t.Errorf("%s: the connection ends with %v", name, err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 256<<20 {
		t.Errorf("%d MiB were allocated for it", spent>>20)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	l := dial(t, world)
	l.write(t, nested(32))
	if _, _, err := l.receive(t); err != nil {
		t.Errorf("nested 32 deep: %v", err)
	}
	must(t, l, "epoch.get", object{})
}

// The calls before the garbage are answered.
func TestGarbageDoesNotHarmTheCallsBeforeIt(t *testing.T) {
	l := dial(t, world)
	b, err := msgpack.Marshal([]any{0, 5, "gov.treasury.accrue", []any{object{"amount": 3, "request_id": fresh("garbage")}}})
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, append(b, 0xc1))
	answered := 0
	for {
		v, err := l.dec.DecodeInterface()
		if err != nil {
			break
		}
		if a := v.([]any); integer(a[1]) == 5 && a[2] == nil {
			answered++
		}
	}
	if answered != 1 {
		t.Errorf("the call before the garbage was answered %d times", answered)
	}
}

func TestAThousandConnectionsAtATime(t *testing.T) {
	const n = 1000
	lines := make([]*line, n)
	for i := range lines {
		lines[i] = dial(t, world)
	}
	for i, l := range lines {
		l.send(t, []any{0, i, "gov.treasury.balance", []any{}})
	}
	for i, l := range lines {
		if id, _, err := l.receive(t); id != int64(i) || err != nil {
			t.Fatalf("connection %d: %d, %v", i, id, err)
		}
	}
	for _, l := range lines {
		_ = l.Close()
	}
}

// Whoever does not read its answers is held up and in the end cut off; the others
// notice nothing.
func TestASlowReaderIsHeldUpAlone(t *testing.T) {
	m := start(t)
	slow, other := dial(t, m), dial(t, m)
	_ = slow.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	request, err := msgpack.Marshal([]any{0, 1, "rpc.discover", []any{}})
	if err != nil {
		t.Fatal(err)
	}
	burst := bytes.Repeat(request, 1000)
	sent := make(chan int)
	go func() {
		total := 0
		for total < 1<<30 {
			n, err := slow.Write(burst)
			total += n
			if err != nil {
				break
			}
		}
		sent <- total
	}()
	for range 500 {
		must(t, other, "gov.treasury.balance", object{})
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	if mem.HeapAlloc > 256<<20 {
		t.Errorf("the heap holds %d MiB", mem.HeapAlloc>>20)
	}
	_ = slow.Close()
	t.Logf("the slow one could send %d bytes", <-sent)
}

func TestCallersOfALoopbackNodeAreOperators(t *testing.T) {
	for _, c := range wires(t) {
		must(t, c, "epoch.advance", object{})
		must(t, c, "gov.treasury.accrue", object{"amount": 1})
	}
}

// Without TLS only loopback peers are operators: others read and propose.
func TestCallersFromElsewhereReadAndPropose(t *testing.T) {
	elsewhere := outside(t)
	m := start(t, func(cfg *node.Config) { cfg.Listen, cfg.Insecure = elsewhere, true })
	for wire, c := range map[string]caller{"msgpack": dial(t, m), "json": &web{m}} {
		must(t, c, "gov.treasury.balance", object{})
		id := submit(t, c, proposed())
		denied := func(method string, params object, role string) {
			t.Helper()
			refused(t, c, -34012, "unauthorized", method, params, method, role)
		}
		denied("gov.treasury.submit_disbursement", later(), "operator")
		denied("gov.treasury.submit_plan", object{"items": []any{
			object{"ref": "a", "payload": proposed()["payload"]}, object{"ref": "b", "payload": later()["payload"]},
		}}, "operator")
		must(t, c, "gov.treasury.submit_plan", object{"items": []any{object{"ref": "a", "payload": proposed()["payload"]}}})
		denied("gov.treasury.accrue", object{"amount": 1}, "operator")
		denied("gov.treasury.vote",
			object{"id": id, "house": "builders", "voter": "v", "weight_ppm": 1, "approve": true}, "voter")
		for _, move := range []string{"queue_disbursement", "execute_disbursement"} {
			denied("gov.treasury."+move, object{"id": id}, "operator")
		}
		denied("gov.treasury.skip_intent", object{"id": id, "reason": "x"}, "operator")
		denied("gov.treasury.rollback_disbursement", object{"id": id, "reason": "x"}, "operator")
		denied("epoch.advance", object{}, "operator")
		if wire == "json" && strings.Contains(elsewhere, ":") {
			t.Log("over IPv6")
		}
	}
}

// outside is an address of this machine that is not loopback.
func outside(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() && ip.IP.To4() != nil {
			return ip.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback")
	return ""
}
