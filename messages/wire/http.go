package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/the-block/bursar/messages"
)

// HTTP returns the handler of POST /rpc: the same methods as JSON-RPC 2.0. Errors of
// calls answer with status 200; other statuses are for a wrong Host or Origin (403),
// method (405), size (413) and Content-Type (415).
func (s *Server) HTTP() http.Handler { return http.HandlerFunc(s.serveHTTP) }

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if status, why := s.admissible(r); status != http.StatusOK {
		if status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", http.MethodPost)
		}
		http.Error(w, why, status)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limits.Bytes)))
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "the request could not be read: "+err.Error(), status)
		return
	}
	x := s.exchange(r, body)
	defer x.release()
	if !x.hasText() {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	x.send(w)
}

// admissible judges what is around the body. A page of a stranger's must not reach a
// node on its visitor's machine, neither by its own name that now points here (Host)
// nor from its own origin.
func (s *Server) admissible(r *http.Request) (status int, why string) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case !s.knownHost(r.Host):
		return http.StatusForbidden, "this Host is not one of this node's names"
	case !sameOrigin(r.Header["Origin"], r.Host):
		return http.StatusForbidden, "calls from another origin are refused"
	case r.Method != http.MethodPost:
		return http.StatusMethodNotAllowed, "use POST"
	case err != nil || mediaType != "application/json":
		return http.StatusUnsupportedMediaType, "use Content-Type: application/json"
	}
	return http.StatusOK, ""
}

func (s *Server) knownHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	return host == "localhost" || net.ParseIP(host) != nil || slices.Contains(s.cfg.Hosts, host)
}

// sameOrigin reports whether there is no Origin or the one of the host itself.
func sameOrigin(origin []string, host string) bool {
	switch len(origin) {
	case 0:
		return true
	case 1:
		u, err := url.Parse(origin[0])
		return err == nil && u.Host == host && u.Host != ""
	default:
		return false
	}
}

// envelope is one JSON-RPC request.
type envelope struct {
	Version string          `json:"jsonrpc"`
	Method  *string         `json:"method"`
	Params  json.RawMessage `json:"params"`
	ID      json.RawMessage `json:"id"`
}

// exchange is what a body asked for and the answers so far.
type exchange struct {
	server *Server
	batch  bool
	done   chan struct{} // closed when left is 0

	mu      sync.Mutex
	entries []entry
	turns   turns
	left    int
	held    int // bytes of text
}

// entry is one request of a body.
type entry struct {
	id   json.RawMessage // nil for a notification
	call *Call
	text []byte // the response; nil for a notification
}

// exchange gathers the answers to a whole body: one request or a batch.
func (s *Server) exchange(r *http.Request, body []byte) *exchange {
	x := &exchange{server: s, done: make(chan struct{})}
	requests, batch, err := split(body, s.cfg.BatchMax)
	if err != nil {
		x.entries = []entry{{id: json.RawMessage("null")}}
		x.refuse(&x.entries[0], nil, err)
		return x
	}
	x.batch = batch
	if calls := x.prepare(r, requests); len(calls) > 0 {
		s.serve(calls)
		x.await(r)
	}
	return x
}

// split takes a body apart.
func split(body []byte, most int) (requests []json.RawMessage, batch bool, err *messages.Error) {
	if err := checkJSON(body); err != nil {
		return nil, false, err
	}
	body = bytes.TrimSpace(body)
	if body[0] != '[' {
		return []json.RawMessage{body}, false, nil
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	_, _ = dec.Token() // the bracket
	for dec.More() {
		if len(requests) == most {
			return nil, true, messages.Errorf(messages.CodeInvalidRequest, "a batch of more than %d", most)
		}
		var one json.RawMessage
		if err := dec.Decode(&one); err != nil {
			return nil, true, messages.Errorf(messages.CodeParse, "%v", err)
		}
		requests = append(requests, one)
	}
	if len(requests) == 0 {
		return nil, true, messages.Errorf(messages.CodeInvalidRequest, "an empty batch")
	}
	return requests, true, nil
}

// prepare makes calls of the requests that can be made, and answers the others.
func (x *exchange) prepare(r *http.Request, requests []json.RawMessage) []*Call {
	now := time.Now()
	peer := x.server.peerOf(r.RemoteAddr, r.TLS)
	x.entries = make([]entry, len(requests))
	var calls []*Call
	for i, raw := range requests {
		call, err := x.open(raw, uint32(i), peer, now)
		if err != nil {
			x.refuse(&x.entries[i], call, err)
			continue
		}
		x.entries[i].call = call
		x.server.metrics.InFlight.Add(1)
		calls = append(calls, call)
	}
	x.left = len(calls)
	return slices.DeleteFunc(calls, func(c *Call) bool { return c.turn != nil && !x.turns.enter(c.turn) })
}

// open reads one request into entry i.
func (x *exchange) open(raw json.RawMessage, i uint32, peer Peer, now time.Time) (*Call, *messages.Error) {
	var env envelope
	err := json.Unmarshal(raw, &env)
	x.entries[i].id = env.ID
	if err != nil || env.Version != "2.0" || env.Method == nil || !validID(env.ID) {
		x.entries[i].id = json.RawMessage("null")
		return nil, messages.Errorf(messages.CodeInvalidRequest,
			"want {\"jsonrpc\": \"2.0\", \"method\": ..., \"params\": {...}, \"id\": ...}")
	}
	req := request{id: i, method: []byte(*env.Method), params: emptyMap}
	if fault := req.packParams(env.Params); fault != nil {
		return nil, fault
	}
	s := x.server
	if s.httpCalls.Add(1) > int64(s.cfg.HTTPInFlightMax) {
		s.httpCalls.Add(-1)
		return nil, s.overloaded("too many calls in flight over HTTP")
	}
	if s.httpFull() {
		s.httpCalls.Add(-1)
		return nil, s.overloaded(httpFull)
	}
	call, fault := s.ingress(new(messages.Decoder), req, messages.JSON, peer, now, x)
	if fault != nil {
		s.httpCalls.Add(-1)
	}
	return call, fault
}

// packParams takes params as an object, as a list of one object, or absent.
func (r *request) packParams(params json.RawMessage) *messages.Error {
	if len(params) == 0 || string(params) == "null" {
		return nil
	}
	packed, err := packJSON(params)
	if err != nil {
		return err
	}
	switch {
	case packed[0] == 0xdf:
		r.params = packed
	case packed[0] != 0xdd || packed[1]|packed[2]|packed[3] != 0 || packed[4] > 1:
		return messages.Errorf(messages.CodeInvalidParams, "params: want an object")
	case packed[4] == 1:
		r.params = packed[5:]
	}
	return nil
}

// validID accepts what JSON-RPC does: a string, a number, null, or none at all.
func validID(id json.RawMessage) bool {
	return len(id) == 0 || id[0] != '{' && id[0] != '[' && id[0] != 't' && id[0] != 'f'
}

// refuse answers a request that never became a call.
func (x *exchange) refuse(e *entry, call *Call, err *messages.Error) {
	var method *messages.Method
	if call != nil {
		method = call.Method
	}
	x.server.metrics.count(method, err)
	if e.id != nil {
		x.hold(e, appendJSONError(nil, e.id, err))
	}
}

// answer implements replier.
func (x *exchange) answer(call *Call, result messages.Result, err *messages.Error) {
	x.note(call, result, err)
	if call.turn != nil {
		x.turns.done(call.turn, x.server.serve)
	}
}

func (x *exchange) note(call *Call, result messages.Result, err *messages.Error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err == nil {
		err = x.full(call.Method)
	}
	if e := &x.entries[call.id]; e.id != nil {
		var text []byte
		text, err = appendJSONResponse(e.id, result, err)
		x.hold(e, text)
	}
	x.server.metrics.InFlight.Add(-1)
	x.server.metrics.count(call.Method, err)
	x.server.httpCalls.Add(-1)
	if x.left--; x.left == 0 {
		close(x.done)
	}
}

// await waits for every answer, as long as the caller is there and a call may take.
func (x *exchange) await(r *http.Request) {
	late := time.NewTimer(lingerMax)
	defer late.Stop()
	select {
	case <-x.done:
		return
	case <-r.Context().Done():
	case <-late.C:
	}
	for i := range x.entries {
		c := x.entries[i].call
		if c == nil {
			continue
		}
		c.Fail(unanswered(c.Method.Mutates, "the caller or its time is gone"))
	}
	<-x.done
}

// httpFull is what a caller is told when HTTPBytesMax is reached.
const httpFull = "too many bytes of answers are held for callers over HTTP"

func (s *Server) httpFull() bool { return s.httpBytes.Load() > int64(s.cfg.HTTPBytesMax) }

// full says why one more result cannot be held. What has changed something is told in
// any case: to be refused means that nothing was done, and such results are small.
func (x *exchange) full(m *messages.Method) *messages.Error {
	switch most := x.server.cfg.BatchBytesMax; {
	case m.Mutates:
		return nil
	case x.held > most:
		return x.server.overloaded("the answers to this batch are more than " + strconv.Itoa(most) +
			" bytes already; ask for less, or in smaller batches")
	case x.server.httpFull():
		return x.server.overloaded(httpFull)
	}
	return nil
}

// hold keeps a response until it is sent.
func (x *exchange) hold(e *entry, text []byte) {
	e.text = text
	x.held += len(text)
	x.server.httpBytes.Add(int64(len(text)))
}

// release lets go of the responses.
func (x *exchange) release() { x.server.httpBytes.Add(-int64(x.held)) }

func (x *exchange) hasText() bool {
	return slices.ContainsFunc(x.entries, func(e entry) bool { return e.text != nil })
}

// send writes the responses one after the other, as they are: together they may be
// large. Nobody is left to be told of a write that fails.
func (x *exchange) send(w io.Writer) {
	separator := "["
	for i := range x.entries {
		text := x.entries[i].text
		if text == nil {
			continue
		}
		if x.batch {
			_, _ = io.WriteString(w, separator)
			separator = ","
		}
		if _, err := w.Write(text); err != nil {
			return
		}
	}
	if x.batch {
		_, _ = io.WriteString(w, "]")
	}
}

// appendJSONResponse writes the response to one request, and returns the error that
// it tells. There is none to write for a notification.
func appendJSONResponse(id json.RawMessage, result messages.Result, err *messages.Error) ([]byte, *messages.Error) {
	if err == nil {
		packed, encErr := messages.AppendResult(nil, result)
		var text []byte
		if encErr == nil {
			text = append(text, `{"jsonrpc":"2.0","result":`...)
			text, encErr = appendJSON(text, packed)
		}
		if encErr == nil {
			return closeJSON(text, id), nil
		}
		err = messages.Errorf(messages.CodeInternal, "encode the result: %v", encErr)
	}
	return appendJSONError(nil, id, err), err
}

func appendJSONError(b []byte, id json.RawMessage, err *messages.Error) []byte {
	b = append(b, `{"jsonrpc":"2.0","error":`...)
	b, _ = appendJSON(b, err.AppendMsgpack(nil)) // our own bytes are well formed
	return closeJSON(b, id)
}

func closeJSON(b []byte, id json.RawMessage) []byte {
	if id == nil {
		id = json.RawMessage("null")
	}
	b = append(b, `,"id":`...)
	b = append(b, id...)
	return append(b, '}')
}
