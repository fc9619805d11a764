package node_test

import (
	"context"
	"strings"
	"testing"
	"time"
)

// A node that serves moves; one that has ended does not, and says what no longer answers.
func TestMovesFollowsWhatTheNodeDoes(t *testing.T) {
	m := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range 2 { // the second asks the same actor
		if err := m.node.Moves(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}
	if err := m.node.Moves(ctx); err == nil || !strings.Contains(err.Error(), "no actor answers") {
		t.Errorf("the node has ended: %v", err)
	}
}
