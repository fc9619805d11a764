package node_test

import (
	"context"
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// question is another node's for a read index: a call without parameters. Its answer
// goes to answered.
func question(t *testing.T, answered chan<- *messages.Error) *wire.Call {
	t.Helper()
	params := &messages.NodeCallParams{
		Options: messages.Options{DeadlineMS: 5_000}, Method: messages.MethodEpochGet, Params: []byte{0x80},
	}
	c, err := wire.Inner(params, time.Now(), func(_ []byte, err *messages.Error) { answered <- err })
	if err != nil {
		t.Fatal(err)
	}
	return c
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
	m.node.ServePeer("n2", []*wire.Call{question(t, answered)})
	if refusal := <-answered; refusal != nil {
		t.Fatalf("a node that serves: %v", refusal)
	}
	if err := node.DrainCalls(context.Background(), m.node); err != nil {
		t.Fatal(err)
	}
	m.node.ServePeer("n2", []*wire.Call{question(t, answered)})
	if refusal := <-answered; refusal == nil || refusal.Code != messages.CodeUnavailable {
		t.Errorf("a node that takes no call any more: %v, want unavailable", refusal)
	}
}
