package node_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/the-block/bursar/cmd/internal/node"
)

func TestJSONRPCAnswersWithTheIDItWasAsked(t *testing.T) {
	w := &web{world}
	for _, id := range []string{`1`, `0`, `-7`, `1.5`, `18446744073709551615`, `"one"`, `"ünï\"code"`, `""`, `null`} {
		resp, err := http.Post(w.url("/rpc"), "application/json",
			strings.NewReader(`{"jsonrpc":"2.0","method":"gov.treasury.balance","id":`+id+`}`))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.HasSuffix(strings.TrimSpace(string(body)), `"id":`+id+`}`) {
			t.Errorf("id %s: %d %s", id, resp.StatusCode, body)
		}
		if got := resp.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("Content-Type %q", got)
		}
	}
}

func TestJSONRPCFaults(t *testing.T) {
	w := &web{world}
	const parse, request, params = -32700, -32600, invalidParams
	one := func(body string) string { return body }
	deep := strings.Repeat("[", 33) + strings.Repeat("]", 33)
	for name, test := range map[string]struct {
		body string
		code int64
		id   any
	}{
		"nothing":                  {``, parse, nil},
		"spaces":                   {"  \n", parse, nil},
		"half an object":           {`{"jsonrpc":"2.0","id":1`, parse, nil},
		"two objects":              {`{} {}`, parse, nil},
		"single quotes":            {`{'jsonrpc':'2.0'}`, parse, nil},
		"bytes that are no UTF-8":  {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", parse, nil},
		"nested 33 deep":           {deep, parse, nil},
		"nested 100,000 deep":      {strings.Repeat(`{"a":`, 100_000), parse, nil},
		"a number":                 {`1`, request, nil},
		"a string":                 {`"rpc.discover"`, request, nil},
		"null":                     {`null`, request, nil},
		"an empty object":          {`{}`, request, nil},
		"an empty batch":           {`[]`, request, nil},
		"no version":               {`{"method":"epoch.get","id":1}`, request, nil},
		"version 1.0":              {`{"jsonrpc":"1.0","method":"epoch.get","id":1}`, request, nil},
		"a version that is 2":      {`{"jsonrpc":2.0,"method":"epoch.get","id":1}`, request, nil},
		"no method":                {`{"jsonrpc":"2.0","id":1}`, request, nil},
		"a method that is 1":       {`{"jsonrpc":"2.0","method":1,"id":1}`, request, nil},
		"an id that is an object":  {`{"jsonrpc":"2.0","method":"epoch.get","id":{}}`, request, nil},
		"an id that is a list":     {`{"jsonrpc":"2.0","method":"epoch.get","id":[1]}`, request, nil},
		"an id that is true":       {`{"jsonrpc":"2.0","method":"epoch.get","id":true}`, request, nil},
		"an unknown method":        {`{"jsonrpc":"2.0","method":"epoch.set","id":1}`, methodNotFound, int64(1)},
		"a method of no name":      {`{"jsonrpc":"2.0","method":"","id":"a"}`, methodNotFound, "a"},
		"params that are a string": {`{"jsonrpc":"2.0","method":"epoch.get","params":"x","id":1}`, params, int64(1)},
		"params that are 1":        {`{"jsonrpc":"2.0","method":"epoch.get","params":1,"id":1}`, params, int64(1)},
		"params of two":            {`{"jsonrpc":"2.0","method":"epoch.get","params":[{},{}],"id":1}`, params, int64(1)},
		"params that are [1]":      {`{"jsonrpc":"2.0","method":"epoch.get","params":[1],"id":1}`, params, int64(1)},
	} {
		status, answer := w.post(t, one(test.body))
		reply, _ := answer.(object)
		e, _ := reply["error"].(object)
		if status != 200 || reply["jsonrpc"] != "2.0" || integer(e["code"]) != test.code || reply["id"] != test.id {
			t.Errorf("%s: %d %v, want %d with id %v", name, status, answer, test.code, test.id)
		}
		if _, there := reply["id"]; !there {
			t.Errorf("%s: no id in %v", name, answer)
		}
		if _, there := reply["result"]; there {
			t.Errorf("%s: a result in %v", name, answer)
		}
	}
	for _, ok := range []string{
		`{"jsonrpc":"2.0","method":"epoch.get","params":{},"id":1}`, `{"jsonrpc":"2.0","method":"epoch.get","params":[],"id":1}`,
		`{"jsonrpc":"2.0","method":"epoch.get","params":[{}],"id":1}`, `{"jsonrpc":"2.0","method":"epoch.get","params":null,"id":1}`,
		"\r\n\t " + `{"id":1,"extra":[1,{"x":null}],"jsonrpc":"2.0","method":"epoch.get"}` + "\n",
	} {
		if status, answer := w.post(t, one(ok)); status != 200 || answer.(object)["error"] != nil {
			t.Errorf("%s: %d %v", ok, status, answer)
		}
	}
}

func TestJSONRPCNotificationsGetNoBody(t *testing.T) {
	w := &web{world}
	request := fresh("note")
	for name, body := range map[string]string{
		"one":               `{"jsonrpc":"2.0","method":"gov.treasury.accrue","params":{"amount":1,"request_id":"` + request + `"}}`,
		"one that fails":    `{"jsonrpc":"2.0","method":"gov.treasury.accrue"}`,
		"an unknown method": `{"jsonrpc":"2.0","method":"no.such"}`,
		"a batch of two":    `[{"jsonrpc":"2.0","method":"epoch.get"},{"jsonrpc":"2.0","method":"epoch.get"}]`,
	} {
		if status, answer := w.post(t, body); status != http.StatusNoContent || answer != nil {
			t.Errorf("%s: %d %v, want 204 and no body", name, status, answer)
		}
	}
	if got := must(t, w, "gov.treasury.accrue", object{"amount": 1, "request_id": request})["duplicate"]; got != true {
		t.Error("the notification was not carried out")
	}
}

func TestJSONRPCBatches(t *testing.T) {
	w := &web{world}
	status, answer := w.post(t, `[
		{"jsonrpc":"2.0","method":"gov.treasury.accrue","params":{"amount":7},"id":1},
		{"jsonrpc":"2.0","method":"epoch.get"},
		1,
		{"jsonrpc":"2.0","method":"no.such","id":"b"},
		{"foo":"bar"},
		{"jsonrpc":"2.0","method":"epoch.get","id":null}
	]`)
	replies, _ := answer.([]any)
	var got []string
	for _, r := range replies {
		reply := r.(object)
		e, _ := reply["error"].(object)
		got = append(got, fmt.Sprintf("%v %v", reply["id"], e["code"]))
	}
	want := []string{"1 <nil>", "<nil> -32600", "b -32601", "<nil> -32600", "<nil> <nil>"}
	if status != 200 || strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%d %q, want %q", status, got, want)
	}
	call := `{"jsonrpc":"2.0","method":"epoch.get","id":1}`
	if _, answer := w.post(t, "["+strings.Repeat(call+",", 99)+call+"]"); len(answer.([]any)) != 100 {
		t.Errorf("a batch of 100 has %d answers", len(answer.([]any)))
	}
	if _, answer := w.post(t, "["+strings.Repeat(call+",", 100)+call+"]"); integer(answer.(object)["error"].(object)["code"]) != -32600 {
		t.Errorf("a batch of 101: %.100v", answer)
	}
}

func TestHTTPRefusesWhatBrowsersMustNotSend(t *testing.T) {
	const body = `{"jsonrpc":"2.0","method":"epoch.get","id":1}`
	for name, test := range map[string]struct {
		method string
		body   string
		header map[string]string
		want   int
	}{
		"as it should be":         {"POST", body, nil, 200},
		"with a charset":          {"POST", body, map[string]string{"Content-Type": "application/json; charset=utf-8"}, 200},
		"from its own page":       {"POST", body, map[string]string{"Origin": world.url("")}, 200},
		"by the name localhost":   {"POST", body, map[string]string{"Host": "localhost:1"}, 200},
		"from another page":       {"POST", body, map[string]string{"Origin": "https://evil.example"}, 403},
		"from a file":             {"POST", body, map[string]string{"Origin": "null"}, 403},
		"by another name":         {"POST", body, map[string]string{"Host": "evil.example"}, 403},
		"as text":                 {"POST", body, map[string]string{"Content-Type": "text/plain"}, 415},
		"as a form":               {"POST", body, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, 415},
		"without a type":          {"POST", body, map[string]string{"Content-Type": ""}, 415},
		"with GET":                {"GET", "", nil, 405},
		"with PUT":                {"PUT", body, nil, 405},
		"with OPTIONS":            {"OPTIONS", "", nil, 405},
		"1 MiB of spaces":         {"POST", strings.Repeat(" ", 1<<20-len(body)) + body, nil, 200},
		"1 MiB and one":           {"POST", strings.Repeat(" ", 1<<20-len(body)+1) + body, nil, 413},
		"3 MiB":                   {"POST", strings.Repeat("[", 3<<20), nil, 413},
		"with an unfinished JSON": {"POST", body[:20], nil, 200},
	} {
		req, err := http.NewRequestWithContext(t.Context(), test.method, world.url("/rpc"), strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		for key, value := range test.header {
			if key == "Host" {
				req.Host = value
			}
			req.Header.Set(key, value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != test.want {
			t.Errorf("%s: %d %.200s, want %d", name, resp.StatusCode, text, test.want)
		}
		if test.want == 405 && resp.Header.Get("Allow") != "POST" {
			t.Errorf("%s: Allow is %q", name, resp.Header.Get("Allow"))
		}
		if got := resp.Header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s: other origins are allowed: %s", name, got)
		}
	}
}

func TestPagesOfANode(t *testing.T) {
	debugged := start(t, func(cfg *node.Config) { cfg.Debug = true })
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/": 200, "/metrics": 200, "/nothing": 404} {
		if got, body := world.get(t, path); got != want {
			t.Errorf("%s: %d %.100s, want %d", path, got, body, want)
		}
	}
	if got, _ := world.get(t, "/debug/pprof/"); got != 404 {
		t.Errorf("/debug/pprof without --debug: %d", got)
	}
	if got, _ := debugged.get(t, "/debug/pprof/"); got != 200 {
		t.Errorf("/debug/pprof with --debug: %d", got)
	}
	c := dial(t, debugged)
	must(t, c, "gov.treasury.accrue", object{"amount": 5})
	submit(t, c, direct(3, func(p object) { p["memo"] = `<script>alert(1)</script>"><b>` }))
	_, page := debugged.get(t, "/")
	for _, words := range []string{"n1", "primary", "tb1", "&lt;script&gt;", "&#34;&gt;&lt;b&gt;"} {
		if !strings.Contains(page, words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	if strings.Contains(page, "<script>alert") || strings.Contains(page, `"><b>`) {
		t.Error("the page holds what a user typed as HTML")
	}
}
