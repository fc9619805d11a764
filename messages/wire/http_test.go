package wire_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// post sends a body to the HTTP side as a local caller.
func post(t testing.TB, s *wire.Server, body string, change ...func(*http.Request)) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "http://localhost:9003/rpc", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = "127.0.0.1:50000"
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	s.HTTP().ServeHTTP(w, r)
	return w.Result()
}

func text(t testing.TB, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestJSONRPC(t *testing.T) {
	s, metrics, _ := serve(t, wire.DefaultConfig(), echo{})
	const epochResult = `{"epoch":7,"applied_index":0,"duplicate":false}`
	for _, c := range []struct{ name, body, want string }{
		{"a call", `{"jsonrpc":"2.0","method":"epoch.get","params":{},"id":1}`,
			`{"jsonrpc":"2.0","result":` + epochResult + `,"id":1}`},
		{"without params, with a string for an id", `{"jsonrpc":"2.0","method":"epoch.get","id":"a\"b"}`,
			`{"jsonrpc":"2.0","result":` + epochResult + `,"id":"a\"b"}`},
		{"params in a list", `{"jsonrpc":"2.0","method":"gov.treasury.accrue","params":[{"amount":3}],"id":null}`,
			`{"jsonrpc":"2.0","result":{"balance":3,"duplicate":false},"id":null}`},
		{"a decimal string", `{"jsonrpc":"2.0","method":"gov.treasury.accrue","params":{"amount":"18446744073709551615"},"id":1}`,
			`{"jsonrpc":"2.0","result":{"balance":18446744073709551615,"duplicate":false},"id":1}`},
		{"a refusal", `{"jsonrpc":"2.0","method":"gov.treasury.get_disbursement","params":{"id":42},"id":1}`,
			`{"jsonrpc":"2.0","error":{"code":-34002,"name":"not_found","message":"no disbursement 42","data":{"id":42}},"id":1}`},
		{"a whole number written as a fraction", `{"jsonrpc":"2.0","method":"gov.treasury.accrue","params":{"amount":2.0},"id":1}`,
			`{"jsonrpc":"2.0","result":{"balance":2,"duplicate":false},"id":1}`},
		{"a fraction", `{"jsonrpc":"2.0","method":"gov.treasury.accrue","params":{"amount":2.5},"id":1}`,
			`{"jsonrpc":"2.0","error":{"code":-32602,"name":"invalid_params","message":"params.amount: want an unsigned integer, got the fraction 2.5; write a whole number"},"id":1}`},
		{"an exponent", `{"jsonrpc":"2.0","method":"gov.treasury.accrue","params":{"amount":1e2},"id":1}`,
			`{"jsonrpc":"2.0","result":{"balance":100,"duplicate":false},"id":1}`},
		{"params by position", `{"jsonrpc":"2.0","method":"gov.treasury.accrue","params":[1,2],"id":1}`,
			`{"jsonrpc":"2.0","error":{"code":-32602,"name":"invalid_params","message":"params: want an object"},"id":1}`},
		{"no such method", `{"jsonrpc":"2.0","method":"epoch.no","id":1}`,
			`{"jsonrpc":"2.0","error":{"code":-32601,"name":"method_not_found","message":"no such method: \"epoch.no\"; did you mean epoch.get?"},"id":1}`},
		{"no JSON", `{"jsonrpc":`,
			`{"jsonrpc":"2.0","error":{"code":-32700,"name":"parse_error","message":"not valid JSON"},"id":null}`},
		{"nested too deeply", strings.Repeat("[", 33) + strings.Repeat("]", 33),
			`{"jsonrpc":"2.0","error":{"code":-32700,"name":"parse_error","message":"the message is nested too deeply"},"id":null}`},
		{"an old version", `{"method":"epoch.get","id":1}`,
			`{"jsonrpc":"2.0","error":{"code":-32600,"name":"invalid_request","message":"want {\"jsonrpc\": \"2.0\", \"method\": ..., \"params\": {...}, \"id\": ...}"},"id":null}`},
		{"a number", `7`,
			`{"jsonrpc":"2.0","error":{"code":-32600,"name":"invalid_request","message":"want {\"jsonrpc\": \"2.0\", \"method\": ..., \"params\": {...}, \"id\": ...}"},"id":null}`},
		{"an empty batch", `[]`,
			`{"jsonrpc":"2.0","error":{"code":-32600,"name":"invalid_request","message":"an empty batch"},"id":null}`},
		{"a batch", ` [ {"jsonrpc":"2.0","method":"gov.treasury.accrue","params":{"amount":1},"id":1}, {"jsonrpc":"2.0","method":"epoch.get"}, {"jsonrpc":"2.0","method":"no","id":2} ]`,
			`[{"jsonrpc":"2.0","result":{"balance":1,"duplicate":false},"id":1},` +
				`{"jsonrpc":"2.0","error":{"code":-32601,"name":"method_not_found","message":"no such method: \"no\""},"id":2}]`},
		{"a batch too long", "[" + strings.Repeat(`1,`, 100) + "1]",
			`{"jsonrpc":"2.0","error":{"code":-32600,"name":"invalid_request","message":"a batch of more than 100"},"id":null}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := post(t, s, c.body)
			if got := text(t, r); r.StatusCode != http.StatusOK || got != c.want {
				t.Errorf("%d\n got %s\nwant %s", r.StatusCode, got, c.want)
			}
		})
	}
	r := post(t, s, `{"jsonrpc":"2.0","method":"epoch.get"}`)
	if got := text(t, r); r.StatusCode != http.StatusNoContent || got != "" {
		t.Errorf("a notification: %d %s", r.StatusCode, got)
	}
	r = post(t, s, `{"jsonrpc":"2.0","method":"rpc.discover","id":1}`)
	var doc struct {
		Result struct {
			Methods []struct{ Name string }
		}
	}
	if err := json.Unmarshal([]byte(text(t, r)), &doc); err != nil || len(doc.Result.Methods) != len(messages.Methods()) {
		t.Errorf("rpc.discover: %+v, %v", doc, err)
	}
	if n := metrics.InFlight.Load(); n != 0 {
		t.Errorf("%d in flight", n)
	}
}

func TestWhatIsAroundTheBody(t *testing.T) {
	cfg := wire.DefaultConfig()
	cfg.Hosts = []string{"treasury.example"}
	s, _, _ := serve(t, cfg, echo{})
	header := func(key, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(key, value) }
	}
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	body := `{"jsonrpc":"2.0","method":"epoch.get","id":1}`
	for _, c := range []struct {
		name   string
		body   string
		change []func(*http.Request)
		want   int
	}{
		{"as it should be", body, nil, 200},
		{"an IP address", body, []func(*http.Request){host("10.0.0.7:9003")}, 200},
		{"an IPv6 address", body, []func(*http.Request){host("[::1]:9003")}, 200},
		{"an IPv6 address without a port", body, []func(*http.Request){host("[::1]")}, 200},
		{"a name of its own", body, []func(*http.Request){host("treasury.example")}, 200},
		{"a stranger's name", body, []func(*http.Request){host("evil.example:9003")}, 403},
		{"no name", body, []func(*http.Request){host("")}, 403},
		{"its own origin", body, []func(*http.Request){header("Origin", "http://localhost:9003")}, 200},
		{"another port's origin", body, []func(*http.Request){header("Origin", "http://localhost:9004")}, 403},
		{"a stranger's origin", body, []func(*http.Request){header("Origin", "https://evil.example")}, 403},
		{"the null origin", body, []func(*http.Request){header("Origin", "null")}, 403},
		{"GET", body, []func(*http.Request){func(r *http.Request) { r.Method = http.MethodGet }}, 405},
		{"a form", body, []func(*http.Request){header("Content-Type", "text/plain")}, 415},
		{"no type", body, []func(*http.Request){header("Content-Type", "")}, 415},
		{"a type with a charset", body, []func(*http.Request){header("Content-Type", "application/json; charset=utf-8")}, 200},
		{"too large", `{"a":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413},
	} {
		if r := post(t, s, c.body, c.change...); r.StatusCode != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, r.StatusCode, text(t, r), c.want)
		}
	}
}

func TestAStrangerOverHTTPIsNoOperator(t *testing.T) {
	s, _, _ := serve(t, wire.DefaultConfig(), echo{})
	body := `{"jsonrpc":"2.0","method":"gov.treasury.accrue","params":{"amount":1},"id":1}`
	got := text(t, post(t, s, body, func(r *http.Request) { r.RemoteAddr = "10.0.0.9:4711" }))
	if !strings.Contains(got, `"code":-34012`) {
		t.Errorf("got %s", got)
	}
}

func TestTooManyCallsOverHTTPAreOverloaded(t *testing.T) {
	cfg := wire.DefaultConfig()
	cfg.HTTPInFlightMax = 1
	s, _, _ := serve(t, cfg, echo{})
	one := `{"jsonrpc":"2.0","method":"epoch.get","id":1}`
	got := text(t, post(t, s, "["+one+","+one+"]"))
	if strings.Count(got, `"result"`) != 1 || !strings.Contains(got, `"overloaded"`) || !strings.Contains(got, `"retry_after_ms":100`) {
		t.Errorf("got %s", got)
	}
	if got := text(t, post(t, s, one)); !strings.Contains(got, `"result"`) {
		t.Errorf("afterwards: %s", got)
	}
}

// heavy answers what is asked with a long text, and counts how often it was asked.
type heavy struct{ asked *atomic.Int64 }

func (h heavy) Serve(calls []*wire.Call) {
	for _, c := range calls {
		h.asked.Add(1)
		if c.Method.Mutates {
			answer(c)
			continue
		}
		c.Reply(&messages.ClusterStatusResult{Node: strings.Repeat("\x01", 100_000)}) // 600 kB of JSON
	}
}

func status(id int) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","method":"cluster.status","id":%d}`, id)
}

func TestTheAnswersToABatchAreBounded(t *testing.T) {
	cfg := wire.DefaultConfig()
	cfg.BatchBytesMax = 1 << 20
	s, metrics, _ := serve(t, cfg, heavy{new(atomic.Int64)})
	calls := []string{status(0), status(1), status(2),
		`{"jsonrpc":"2.0","method":"gov.treasury.accrue","params":{"amount":5},"id":3}`, status(4)}
	got := text(t, post(t, s, "["+strings.Join(calls, ",")+"]"))
	var answers []struct {
		ID     int
		Result map[string]any
		Error  *struct {
			Code    messages.Code
			Message string
		}
	}
	if err := json.Unmarshal([]byte(got), &answers); err != nil || len(answers) != len(calls) {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	for i, a := range answers {
		refused := i == 2 || i == 4 // two answers are beyond the bound; what was changed is told
		switch {
		case a.ID != i || refused != (a.Error != nil):
			t.Errorf("answer %d: id %d, error %v", i, a.ID, a.Error)
		case refused && (a.Error.Code != messages.CodeOverloaded || !strings.Contains(a.Error.Message, "smaller batches")):
			t.Errorf("answer %d: %+v", i, a.Error)
		}
	}
	if answers[3].Result["balance"] != 5.0 {
		t.Errorf("accrue: %v", answers[3].Result)
	}
	if n := metrics.InFlight.Load(); n != 0 {
		t.Errorf("%d in flight", n)
	}
}

// slowReader is a caller who has taken no byte of the answer until it is told to.
type slowReader struct {
	*httptest.ResponseRecorder
	begun, take chan struct{}
	once        sync.Once
}

func (w *slowReader) Write(b []byte) (int, error) {
	w.once.Do(func() { close(w.begun); <-w.take })
	return w.ResponseRecorder.Write(b)
}

func TestTheAnswersHeldForAllCallersOverHTTPAreBounded(t *testing.T) {
	cfg := wire.DefaultConfig()
	cfg.HTTPBytesMax = 500_000
	h := heavy{new(atomic.Int64)}
	s, _, _ := serve(t, cfg, h)
	slow := &slowReader{ResponseRecorder: httptest.NewRecorder(), begun: make(chan struct{}), take: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r := httptest.NewRequest(http.MethodPost, "http://localhost:9003/rpc", strings.NewReader(status(1)))
		r.Header.Set("Content-Type", "application/json")
		s.HTTP().ServeHTTP(slow, r)
	}()
	<-slow.begun
	if got := text(t, post(t, s, status(2))); !strings.Contains(got, `"overloaded"`) {
		t.Errorf("while one answer is held: %.200s", got)
	}
	if n := h.asked.Load(); n != 1 {
		t.Errorf("%d calls were served, want 1: the other is refused before", n)
	}
	close(slow.take)
	<-ended
	got := text(t, post(t, s, "["+status(3)+","+status(4)+"]"))
	if strings.Count(got, `"result"`) != 1 || strings.Count(got, `"overloaded"`) != 1 {
		t.Errorf("afterwards %d results", strings.Count(got, `"result"`))
	}
	if h.asked.Load() != 3 || strings.Count(text(t, post(t, s, status(5))), `"result"`) != 1 {
		t.Errorf("not all of the bound was given back")
	}
}

// fingerprint answers with what a repeat would be recognized by.
type fingerprint struct{}

func (fingerprint) Serve(calls []*wire.Call) {
	for _, c := range calls {
		c.Fail(messages.Errorf(messages.CodeNotFound, "%x", c.Method.PayloadHash(c.Params)))
	}
}

// The same call over both wires is the same call, and so is its refusal.
func TestBothWiresAgree(t *testing.T) {
	s, _, addr := serve(t, wire.DefaultConfig(), fingerprint{})
	c := dial(t, addr)
	full := `{"proposal":{"title":"t","summary":"s","deps":[3,1,3],"attachments":[{"name":"n","uri":"u"}],` +
		`"quorum":{"operators_ppm":600000,"builders_ppm":0}},` +
		`"disbursement":{"destination":"tb1q","amount":%s,"memo":"é","scheduled_epoch":9,` +
		`"expected_receipts":[{"account":"a","amount":5}]}}`
	shuffled := `{"disbursement":{"expected_receipts":[{"amount":"5","account":"a"}],"scheduled_epoch":"9",` +
		`"memo":"\u00e9","amount":%s,"destination":"tb1q"},"proposal":{"timelock_epochs":2,"vote_window_epochs":"4",` +
		`"quorum":{"operators_ppm":"600000"},"attachments":[{"uri":"u","name":"n"}],"deps":["3",1,3],"summary":"s",` +
		`"title":"t","rollback_window_epochs":null}}`
	for _, one := range []struct{ name, method, packed, json string }{
		{"a whole payload in another order", messages.MethodSubmitDisbursement,
			`{"payload":` + fmt.Sprintf(full, "18446744073709551615") + `,"request_id":"a"}`,
			`{"request_id":"b","deadline_ms":9,"payload":` + fmt.Sprintf(shuffled, `"18446744073709551615"`) + `}`},
		{"no proposal in two ways", messages.MethodSubmitDisbursement,
			`{"payload":{"disbursement":{"amount":1}}}`, `{"payload":{"disbursement":{"amount":"1"},"proposal":{}}}`},
		{"a plan", messages.MethodSubmitPlan, `{"items":[{"ref":"a","payload":{},"after":[]}]}`,
			`{"items":[{"ref":"a","payload":{"proposal":null}}]}`},
		{"a vote", messages.MethodVote, `{"id":1,"house":"builders","voter":"v","weight_ppm":5,"approve":true}`,
			`{"approve":true,"weight_ppm":"5","voter":"v","house":"builders","id":"1"}`},
		{"a missing parameter", messages.MethodVote, `{"id":1}`, `{"id":1}`},
		{"a wrong type", messages.MethodVote, `{"id":[]}`, `{"id":[]}`},
		{"a fraction", messages.MethodVote, `{"id":1.5}`, `{"id":1.5}`},
		{"a negative amount", messages.MethodAccrue, `{"amount":-1}`, `{"amount":-1}`},
		{"a long request id", messages.MethodAccrue, `{"request_id":"` + strings.Repeat("r", 65) + `"}`,
			`{"request_id":"` + strings.Repeat("r", 65) + `"}`},
		{"another consistency", messages.MethodBalance, `{"consistency":"x"}`, `{"consistency":"x"}`},
		{"an unknown field", messages.MethodAccrue, `{"amount":1,"sourc":"x"}`, `{"amount":"1","sourc":"x"}`},
		{"a field there twice", messages.MethodAccrue, `{"amount":1,"amount":2}`, `{"amount":1,"amount":2}`},
		{"an empty request id", messages.MethodAccrue, `{"amount":1,"request_id":""}`, `{"amount":1,"request_id":""}`},
		{"a name with something hidden", messages.MethodAccrue, `{"amount":1,"source":"a\u200bb"}`, `{"amount":1,"source":"a\u200bb"}`},
		{"no method", "gov.treasury.no", `{}`, `{}`},
	} {
		_, err := c.CallJSON(call(t), one.method, []byte(one.packed))
		var overHTTP struct {
			Error struct {
				Code    int
				Message string
			}
		}
		body := `{"jsonrpc":"2.0","id":1,"method":"` + one.method + `","params":` + one.json + `}`
		if err := json.Unmarshal([]byte(text(t, post(t, s, body))), &overHTTP); err != nil {
			t.Fatal(err)
		}
		want := messages.Errorf(messages.Code(overHTTP.Error.Code), "%s", overHTTP.Error.Message)
		if diff := cmp.Diff(err, error(want)); diff != "" || overHTTP.Error.Code == 0 {
			t.Errorf("%s: msgpack -, JSON +\n%s", one.name, diff)
		}
	}
}
