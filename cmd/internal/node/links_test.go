package node_test

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// question is another node's for a read index. Its answer goes to answered.
func question(answered chan<- *messages.Error) *wire.Call {
	method := messages.PeerTable().ByName(messages.MethodNodeReadIndex)
	return wire.Own(method, new(messages.NoParams), time.Now().Add(5*time.Second),
		func(_ messages.Result, err *messages.Error) { answered <- err })
}

// A question is told by its name, whatever its parameters.
func TestANodeIsNotAskedWhatItDoesNotKnow(t *testing.T) {
	answered := make(chan *messages.Error, 1)
	ping := wire.Own(messages.PeerTable().ByName(messages.MethodNodePing), new(messages.NoParams), time.Now().Add(time.Second),
		func(_ messages.Result, err *messages.Error) { answered <- err })
	world.node.ServePeer("n2", []*wire.Call{ping}) // it has the parameters of node.read_index
	if refusal := <-answered; refusal == nil || refusal.Code != messages.CodeMethodNotFound {
		t.Errorf("got %v, want method_not_found", refusal)
	}
}

// TestANodeThatDrainsAnswersNoOtherNode: what other nodes ask while the last answers are
// waited for must not be begun, or the node goes on to close what is being asked.
func TestANodeThatDrainsAnswersNoOtherNode(t *testing.T) {
	m, err := launch(config(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.stop(); err != nil {
			t.Error(err)
		}
	}()
	answered := make(chan *messages.Error, 1)
	m.node.ServePeer("n2", []*wire.Call{question(answered)})
	if refusal := <-answered; refusal != nil {
		t.Fatalf("a node that serves: %v", refusal)
	}
	if err := node.DrainCalls(context.Background(), m.node); err != nil {
		t.Fatal(err)
	}
	m.node.ServePeer("n2", []*wire.Call{question(answered)})
	if refusal := <-answered; refusal == nil || refusal.Code != messages.CodeUnavailable {
		t.Errorf("a node that takes no call any more: %v, want unavailable", refusal)
	}
}

// TestGarbageHandedToTheLeaderIsNotAppended: it would be in every node's log, and stop
// them all.
func TestGarbageHandedToTheLeaderIsNotAppended(t *testing.T) {
	result := must(t, dial(t, world), "cluster.status", object{})
	term, last := uint64(integer(result["term"])), integer(result["applied_index"])
	method := messages.PeerTable().ByName(messages.MethodNodePropose)
	for _, entry := range []string{"", "garbage", "\xb1\x00garb", "\xb1\x01\x02\x01\x00abcd"} {
		answered := make(chan *messages.Error, 1)
		params := &messages.NodeProposeParams{Entry: binary.LittleEndian.AppendUint64([]byte(entry), term)}
		world.node.ServePeer("n2", []*wire.Call{wire.Own(method, params, time.Now().Add(5*time.Second),
			func(_ messages.Result, err *messages.Error) { answered <- err })})
		if refusal := <-answered; refusal == nil || refusal.Code != messages.CodeUnavailable {
			t.Errorf("%q is answered %v, want unavailable", entry, refusal)
		}
	}
	result = must(t, dial(t, world), "cluster.status", object{})
	if integer(result["applied_index"]) != last || result["ready"] != true {
		t.Errorf("afterwards the node says %v, it had applied %d", result, last)
	}
}
