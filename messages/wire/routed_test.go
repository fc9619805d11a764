package wire_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// arrived is a call as a node has it that a client has sent it to.
func arrived(t *testing.T, h holder, method string, params messages.Params) *wire.Call {
	t.Helper()
	return arrivesAt(t, wire.DefaultConfig(), h, method, params)
}

// arrivedAt is a submission as a node with these settings has it.
func arrivedAt(t *testing.T, cfg wire.Config, params *messages.SubmitDisbursementParams) *wire.Call {
	t.Helper()
	return arrivesAt(t, cfg, newHolder(), messages.MethodSubmitDisbursement, params)
}

func arrivesAt(t *testing.T, cfg wire.Config, h holder, method string, params messages.Params) *wire.Call {
	t.Helper()
	_, _, addr := serve(t, cfg, h)
	dial(t, addr).Go(method, params, func(wire.Reply) {})
	c := <-h.calls
	t.Cleanup(func() { c.Fail(messages.Errorf(messages.CodeUnavailable, "the test is over")) })
	return c
}

// passOn takes a call to another node and opens it there.
func passOn(t *testing.T, c *wire.Call, now time.Time, done func([]byte, *messages.Error)) *wire.Call {
	t.Helper()
	m := messages.PeerTable().ByName(messages.MethodNodeCall)
	p, err := m.Decode(messages.AppendParams(nil, c.Forward(now)), messages.Msgpack)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := wire.Inner(p.(*messages.NodeCallParams), now, true, done)
	if err != nil {
		t.Fatal(err)
	}
	return inner
}

func TestACallArrivesAtAnotherNodeAsItWas(t *testing.T) {
	for name, params := range map[string]*messages.AccrueParams{
		"with a request id": {Amount: 5, Source: "s", Options: messages.Options{RequestID: "mine", DeadlineMS: 1_234}},
		"without one":       {Amount: 5, Options: messages.Options{DeadlineMS: 1_234}},
	} {
		t.Run(name, func(t *testing.T) {
			c := arrived(t, newHolder(), messages.MethodAccrue, params)
			now := c.Received.Add(200 * time.Millisecond)
			inner := passOn(t, c, now, nil)
			type seen struct {
				Method           *messages.Method
				Amount           messages.Amount
				RequestID        string
				Stamped          bool
				Received, Ending time.Time
				Roles            messages.Role
				Addr             string
				Hash             [16]byte
			}
			view := func(c *wire.Call) seen {
				return seen{c.Method, c.Params.(*messages.AccrueParams).Amount, c.RequestID, c.Stamped, now, c.Deadline,
					c.Peer.Roles, c.Peer.Addr, c.Method.PayloadHash(c.Params)}
			}
			if diff := cmp.Diff(view(inner), view(c), cmp.Comparer(func(a, b *messages.Method) bool { return a == b })); diff != "" {
				t.Errorf("got -, want +\n%s", diff)
			}
			if inner.Params.Shared().RequestID != c.RequestID || inner.Received != now {
				t.Errorf("got %+v", inner.Params.Shared())
			}
		})
	}
}

func TestAReadKeepsItsConsistency(t *testing.T) {
	c := arrived(t, newHolder(), messages.MethodBalance, &messages.NoParams{Options: messages.Options{Consistency: messages.Local}})
	inner := passOn(t, c, time.Now(), nil)
	if got := inner.Params.Shared().Consistency; got != messages.Local {
		t.Errorf("got %v", got)
	}
}

func TestACallThatIsLateIsPassedOnWithSomeTime(t *testing.T) {
	c := arrived(t, newHolder(), messages.MethodEpochGet, nil)
	if got := c.Forward(c.Deadline.Add(time.Hour)).DeadlineMS; got != 1 {
		t.Errorf("got %d ms", got)
	}
}

func TestTheAnswerToAnInnerCallIsGivenOnce(t *testing.T) {
	var results [][]byte
	var errs []*messages.Error
	call := func() *wire.Call {
		c, err := wire.Inner(&messages.NodeCallParams{Method: messages.MethodEpochGet, Params: []byte{0x80}, Roles: messages.Reader}, time.Now(), true,
			func(result []byte, err *messages.Error) { results, errs = append(results, result), append(errs, err) })
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := call()
	c.Reply(&messages.EpochResult{Epoch: 7})
	c.Fail(messages.Errorf(messages.CodeInternal, "late"))
	want, _ := messages.AppendResult(nil, &messages.EpochResult{Epoch: 7})
	if len(results) != 1 || !bytes.Equal(results[0], want) || errs[0] != nil {
		t.Errorf("got %x, %v", results, errs)
	}
	call().Fail(messages.Errorf(messages.CodeNotFound, "none"))
	if len(errs) != 2 || results[1] != nil || errs[1].Code != messages.CodeNotFound {
		t.Errorf("got %x, %v", results, errs)
	}
	call().Reply(&messages.ClusterStatusResult{Node: strings.Repeat("n", 1<<20)})
	if len(errs) != 3 || results[2] != nil || errs[2] == nil || errs[2].Code != messages.CodeInternal {
		t.Errorf("a result that is too large: %d bytes, %v", len(results[2]), errs[2])
	}
}

func TestWhatCannotBeOpenedIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		p    messages.NodeCallParams
		code messages.Code
	}{
		"no such method":   {messages.NodeCallParams{Method: "node.ping", Params: []byte{0x80}}, messages.CodeMethodNotFound},
		"no parameters":    {messages.NodeCallParams{Method: messages.MethodEpochGet}, messages.CodeInvalidParams},
		"a missing amount": {messages.NodeCallParams{Method: messages.MethodAccrue, Params: []byte{0x80}}, messages.CodeInvalidParams},
	} {
		if _, err := wire.Inner(&c.p, time.Now(), true, nil); err == nil || err.Code != c.code {
			t.Errorf("%s: %v, want %v", name, err, c.code)
		}
	}
	outer := &wire.Call{Method: messages.PeerTable().ByName(messages.MethodNodePing), Params: new(messages.NoParams)}
	if _, err := wire.Unwrap(outer, true); err == nil {
		t.Error("a ping carries a call")
	}
}

// raw answers with what another node might have sent.
type raw []byte

func (r raw) Serve(calls []*wire.Call) {
	for _, c := range calls {
		c.ReplyRaw(r)
	}
}

func TestAnEncodedResultIsWhatItsStructWouldHaveBeen(t *testing.T) {
	encoded, _ := messages.AppendResult(nil, &messages.EpochResult{Epoch: 7, AppliedIndex: 9})
	for name, c := range map[string]struct {
		raw  raw
		code messages.Code
		text string
	}{
		"a result":    {encoded, 0, `{"jsonrpc":"2.0","result":{"epoch":7,"applied_index":9,"duplicate":false},"id":1}`},
		"half of one": {encoded[:9], messages.CodeInternal, "cut off"},
		"two":         {append(bytes.Clone(encoded), encoded...), messages.CodeInternal, "cannot be passed on"},
		"garbage":     {[]byte{0xc1}, messages.CodeInternal, "not MessagePack"},
		"nothing":     {nil, messages.CodeInternal, "cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, addr := serve(t, wire.DefaultConfig(), c.raw)
			if err := epoch(t, dial(t, addr)); codeOf(err) != c.code {
				t.Errorf("got %v", err)
			}
			resp := post(t, s, `{"jsonrpc":"2.0","id":1,"method":"epoch.get"}`)
			body, _ := io.ReadAll(resp.Body)
			if !strings.Contains(string(body), c.text) {
				t.Errorf("got %s, want %s", body, c.text)
			}
		})
	}
}

func BenchmarkForwardAndInner(b *testing.B) {
	m := messages.MethodByName(messages.MethodSubmitDisbursement)
	c := &wire.Call{Method: m, Params: submission(), RequestID: "4c1f6a2e-0b1d-4a58-9c39-3a1b5d1e6f70", Deadline: time.Now().Add(time.Hour)}
	b.ReportAllocs()
	for b.Loop() {
		inner, err := wire.Inner(c.Forward(c.Received), c.Received, true, func([]byte, *messages.Error) {})
		if err != nil {
			b.Fatal(err)
		}
		inner.Reply(&messages.SubmitDisbursementResult{ID: 1})
	}
}

// TestANodesWordForItsCallerCountsOnlyFromANode: without certificates anybody can say that
// he is one, and that an operator asks.
func TestANodesWordForItsCallerCountsOnlyFromANode(t *testing.T) {
	accrual := messages.AppendParams(nil, &messages.AccrueParams{Amount: 5})
	for _, c := range []struct {
		roles   messages.Role
		trusted bool
		method  string
		params  []byte
		want    messages.Code
	}{
		{messages.RolesAll, true, messages.MethodAccrue, accrual, 0},
		{messages.RolesAll, false, messages.MethodAccrue, accrual, messages.CodeUnauthorized},
		{messages.Reader, true, messages.MethodAccrue, accrual, messages.CodeUnauthorized},
		{messages.RolesAll, false, messages.MethodEpochGet, []byte{0x80}, 0},
	} {
		p := &messages.NodeCallParams{Method: c.method, Params: c.params, Roles: c.roles, Name: "alice"}
		p.DeadlineMS = 1000
		inner, err := wire.Inner(p, time.Now(), c.trusted, func([]byte, *messages.Error) {})
		switch {
		case c.want == 0 && err != nil, c.want != 0 && (err == nil || err.Code != c.want):
			t.Errorf("%s with %b, from a node: %t: %v", c.method, c.roles, c.trusted, err)
		case err == nil && !c.trusted && (inner.Peer.Name != "" || inner.Peer.Roles.Has(messages.Operator)):
			t.Errorf("a stranger passes for %+v", inner.Peer)
		}
	}
}
