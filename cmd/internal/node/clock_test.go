package node_test

import (
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/node"
)

func TestTheRightTimeIsThatOfMostClocks(t *testing.T) {
	tests := []struct {
		name    string
		offsets []time.Duration // of all clocks from this node's, its own 0 among them
		want    time.Duration
	}{
		{"alone", []time.Duration{0}, 0},
		{"one of three is an hour ahead", []time.Duration{0, time.Millisecond, time.Hour}, time.Millisecond},
		{"this node is an hour ahead", []time.Duration{0, -time.Hour, -time.Hour + time.Second}, -time.Hour + time.Second},
		{"of two this node's counts", []time.Duration{0, -time.Hour}, 0},
		{"of two this node's counts, ahead", []time.Duration{0, time.Hour}, 0},
	}
	for _, test := range tests {
		if got := node.Middle(test.offsets...); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
