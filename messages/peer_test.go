package messages_test

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/the-block/bursar/messages"
)

var aHello = messages.Hello{Cluster: "c", Node: "n1", Boot: 1 << 60, Protocol: 2, ProtocolMin: 1, Version: "1.2.3"}

// peerParams are parameters of each method between nodes, with nothing left out.
func peerParams() map[string]messages.Params {
	opts := messages.Options{RequestID: "mine", DeadlineMS: 300, Consistency: messages.Local}
	return map[string]messages.Params{
		messages.MethodNodeHello:     &messages.HelloParams{Options: opts, Hello: aHello},
		messages.MethodNodePing:      &messages.NoParams{Options: opts},
		messages.MethodNodePropose:   &messages.NodeProposeParams{Options: opts, Entry: []byte("entry")},
		messages.MethodNodeReadIndex: &messages.NoParams{Options: opts},
		messages.MethodNodeCall: &messages.NodeCallParams{Options: opts, Method: messages.MethodAccrue, Params: []byte{0x80},
			Stamped: true, Roles: messages.Operator | messages.Reader, Addr: "10.0.0.1:5000", Name: "ann",
			Signed: &messages.Signed{Operator: "ann", Envelope: []byte{1}, Signature: []byte{2}, Version: 3, KeyID: "k", Granted: 4, GrantedVersion: 5,
				GrantedRow: []byte{6}, By: []messages.Approver{{Operator: "bob", Version: 7}}}},
		messages.MethodNodeForm: &messages.NodeFormParams{Options: opts, Cluster: "c", Initiator: "n1",
			Voters: []messages.FormVoter{{Node: "n1", Addr: "a:1"}, {Node: "n2", Addr: "b:2"}}},
		messages.MethodActorsSend: &messages.SendParams{Options: opts, Kind: "counter", Key: "ada", Tell: true,
			Message: make([]byte, 300)},
	}
}

// peerResults are results of each.
func peerResults() map[string]messages.Result {
	return map[string]messages.Result{
		messages.MethodNodeHello: &aHello,
		messages.MethodNodePing: &messages.NodePingResult{UnixMS: 1_800_000_000_000, Boot: 7, Life: "l", Voting: true,
			AppliedIndex: 5, LastIndex: 6, Leader: "n1", Term: 3},
		messages.MethodNodePropose:   &messages.NodeProposeResult{Index: 9, Results: []byte("results")},
		messages.MethodNodeReadIndex: &messages.NodeReadIndexResult{Index: 9},
		messages.MethodNodeCall:      &messages.NodeCallResult{Result: make([]byte, 300)},
		messages.MethodNodeForm:      &messages.NodeFormResult{Life: "l"},
		messages.MethodActorsSend:    &messages.SendResult{Reply: []byte("reply")},
	}
}

// betweenNodes lists every method that one node calls on another.
func betweenNodes() []*messages.Method {
	return append(slices.Clone(messages.PeerTable().Methods()), messages.CarriedTable().ByName(messages.MethodActorsSend))
}

func TestWhatACallCarriesIsWhatCallersCallAndWhatOnlyNodesDo(t *testing.T) {
	carried := messages.CarriedTable().Methods()
	for i, m := range messages.Methods() {
		if carried[i] != m {
			t.Errorf("%s has another place or meaning when it is carried", m.Name)
		}
	}
	for i, m := range carried[len(messages.Methods()):] {
		if m.Index() != len(messages.Methods())+i || messages.MethodByName(m.Name) != nil {
			t.Errorf("%s: index %d; callers must not find it", m.Name, m.Index())
		}
	}
}

func TestTheTableBetweenNodesIsApart(t *testing.T) {
	for i, m := range messages.PeerTable().Methods() {
		if m.Index() != i || m.Summary == "" {
			t.Errorf("%s: index %d, want %d; summary %q", m.Name, m.Index(), i, m.Summary)
		}
		if messages.PeerTable().ByName(m.Name) != m || messages.PeerTable().ByBytes([]byte(m.Name)) != m {
			t.Errorf("%s is not found by its name", m.Name)
		}
		if messages.MethodByName(m.Name) != nil || messages.PublicTable().ByName(m.Name) != nil {
			t.Errorf("callers can call %s", m.Name)
		}
	}
	if messages.PeerTable().ByName(messages.MethodAccrue) != nil {
		t.Error("a caller's method is in the table between nodes")
	}
	if len(peerParams()) != len(betweenNodes()) {
		t.Error("the tests below do not know every method")
	}
}

func TestWhatNodesSaySurvivesTheWire(t *testing.T) {
	for _, m := range betweenNodes() {
		want := peerParams()[m.Name]
		got, err := m.Decode(messages.AppendParams(nil, want), messages.Msgpack)
		if err != nil {
			t.Errorf("%s: %v", m.Name, err)
		} else if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("%s: got -, want +\n%s", m.Name, diff)
		}
		result := peerResults()[m.Name]
		b, encErr := messages.AppendResult(nil, result)
		if encErr != nil {
			t.Fatal(encErr)
		}
		back := m.NewResult()
		if err := messages.DecodeResult(b, back); err != nil {
			t.Errorf("%s: result: %v", m.Name, err)
		} else if diff := cmp.Diff(back, result); diff != "" {
			t.Errorf("%s: result: got -, want +\n%s", m.Name, diff)
		}
	}
}

func TestTheTableBetweenNodesNamesWhatIsSaid(t *testing.T) {
	named := func(fields []messages.Field, more ...string) []string {
		for _, f := range fields {
			more = append(more, f.Name)
		}
		return more
	}
	for _, m := range betweenNodes() {
		var sent, answered map[string]msgpack.RawMessage
		if err := msgpack.Unmarshal(messages.AppendParams(nil, peerParams()[m.Name]), &sent); err != nil {
			t.Fatal(err)
		}
		b, _ := messages.AppendResult(nil, peerResults()[m.Name])
		if err := msgpack.Unmarshal(b, &answered); err != nil {
			t.Fatal(err)
		}
		for what, c := range map[string]struct {
			said   map[string]msgpack.RawMessage
			listed []string
		}{
			"params": {sent, named(m.Params, "request_id", "deadline_ms", "consistency")},
			"result": {answered, named(m.Result)},
		} {
			var got []string
			for name := range c.said {
				got = append(got, name)
			}
			if diff := cmp.Diff(got, c.listed, cmpopts.SortSlices(strings.Compare), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: %s: codec -, table +\n%s", m.Name, what, diff)
			}
		}
	}
}

func TestWhatNodesMustSayIsNamedWhereItIsMissing(t *testing.T) {
	for method, want := range map[string]string{
		messages.MethodNodeHello: "params.cluster: missing", messages.MethodNodePropose: "params.entry: missing",
		messages.MethodNodeCall: "params.method: missing", messages.MethodNodeForm: "params.cluster: missing",
	} {
		_, err := messages.PeerTable().ByName(method).Decode([]byte{0x80}, messages.Msgpack)
		if err == nil || err.Code != messages.CodeInvalidParams || err.Message != want {
			t.Errorf("%s {}: %v, want %q", method, err, want)
		}
	}
}

func TestWhatNodesMayNotSay(t *testing.T) {
	form := &messages.NodeFormParams{Voters: make([]messages.FormVoter, messages.FormVotersMax+1)}
	for name, c := range map[string]struct {
		method string
		params []byte
		code   messages.Code
	}{
		"too many voters":     {messages.MethodNodeForm, messages.AppendParams(nil, form), messages.CodeValidationFailed},
		"a role of no use":    {messages.MethodNodeCall, []byte("\x83\xa6method\xa1m\xa6params\xc4\x00\xa5roles\x20"), messages.CodeValidationFailed},
		"a string for binary": {messages.MethodNodePropose, []byte("\x81\xa5entry\xa1x"), messages.CodeInvalidParams},
		"binary that is cut":  {messages.MethodNodePropose, []byte("\x81\xa5entry\xc6\x00\x01\x00\x00xx"), messages.CodeInvalidParams},
	} {
		_, err := messages.PeerTable().ByName(c.method).Decode(c.params, messages.Msgpack)
		if err == nil || err.Code != c.code {
			t.Errorf("%s: %v, want %v", name, err, c.code)
		}
	}
}

func TestACallThatCarriesAnotherChangesWhatThatOneDoes(t *testing.T) {
	m := messages.PeerTable().ByName(messages.MethodNodeCall)
	for method, want := range map[string]bool{
		messages.MethodAccrue: true, messages.MethodBalance: false, messages.MethodActorsSend: true, "not known here": true,
	} {
		if got := m.Changes(&messages.NodeCallParams{Method: method}); got != want {
			t.Errorf("%s: %v, want %v", method, got, want)
		}
	}
	if !messages.MethodByName(messages.MethodAccrue).Changes(&messages.AccrueParams{}) {
		t.Error("accrue changes nothing")
	}
}

// A request id is compared by what is asked for, wherever the call was decoded.
func TestACallThatIsPassedOnKeepsItsHash(t *testing.T) {
	for _, m := range messages.Methods() {
		p := filled(m.NewParams()).(messages.Params)
		passed, err := m.Decode(messages.AppendParamsWith(nil, p, messages.Options{}), messages.Msgpack)
		if err != nil {
			t.Errorf("%s: %v", m.Name, err)
		} else if m.PayloadHash(p) != m.PayloadHash(passed) {
			t.Errorf("%s: another hash", m.Name)
		}
	}
}

// FuzzPeerParams feeds any bytes to the decoders between nodes. What they accept must
// mean the same after another trip.
func FuzzPeerParams(f *testing.F) {
	for i, m := range betweenNodes() {
		f.Add(byte(i), messages.AppendParams(nil, peerParams()[m.Name]))
	}
	f.Add(byte(2), []byte("\x81\xa5entry\xc6\xff\xff\xff\xff"))
	f.Add(byte(5), []byte("\x81\xa6voters\xdd\x07\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, i byte, b []byte) {
		m := betweenNodes()[int(i)%len(betweenNodes())]
		p, err := m.Decode(b, messages.Msgpack)
		if err != nil {
			return
		}
		again, err := m.Decode(messages.AppendParams(nil, p), messages.Msgpack)
		if err != nil {
			t.Fatalf("%s accepts %x and not what it wrote: %v", m.Name, b, err)
		}
		if !reflect.DeepEqual(p, again) {
			t.Fatalf("%s: %x: %s", m.Name, b, cmp.Diff(p, again))
		}
	})
}

// FuzzPeerResults feeds any bytes to the decoders of answers between nodes.
func FuzzPeerResults(f *testing.F) {
	for i, m := range betweenNodes() {
		b, err := messages.AppendResult(nil, peerResults()[m.Name])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), b)
	}
	f.Fuzz(func(_ *testing.T, i byte, b []byte) {
		m := betweenNodes()[int(i)%len(betweenNodes())]
		_ = messages.DecodeResult(b, m.NewResult())
	})
}

// TestTheWirePageNamesWhatNodesSay holds docs/wire.md against the table.
func TestTheWirePageNamesWhatNodesSay(t *testing.T) {
	page, err := os.ReadFile("../docs/wire.md")
	if err != nil {
		t.Fatal(err)
	}
	names := func(fields []messages.Field) (list []string) {
		for _, f := range fields {
			list = append(list, "`"+f.Name+"`")
		}
		return list
	}
	for _, m := range betweenNodes() {
		_, row, found := strings.Cut(string(page), "\n| `"+m.Name+"` |")
		row, _, _ = strings.Cut(row, "\n")
		cells := strings.Split(row, " | ")
		if !found || !strings.HasPrefix(strings.TrimSpace(cells[0]), strings.Join(names(m.Params), ", ")) {
			t.Errorf("the row of %s begins with %q, want the parameters %v", m.Name, cells[0], names(m.Params))
		}
		if m.Name == messages.MethodNodeHello {
			continue // in words
		}
		if want := strings.Join(names(m.Result), ", ") + " |"; strings.TrimSpace(cells[len(cells)-1]) != want {
			t.Errorf("the row of %s ends with %q, want %q", m.Name, cells[len(cells)-1], want)
		}
	}
}
