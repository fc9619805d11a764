package node_test

import (
	"context"
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
