package node_test

import (
	"testing"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/ownership"
	"github.com/the-block/bursar/cluster/peers"
	"github.com/the-block/bursar/cmd/internal/node"
)

// TestPingsTellOnlyOfTheStartTheyComeFrom: a start may be told of by its pings before it is by
// the log, and greet late with less; it is no old copy of itself.
func TestPingsTellOnlyOfTheStartTheyComeFrom(t *testing.T) {
	const before, after = 7 << 32, 8 << 32
	record := ownership.Record{Life: "a", Boot: before}
	pinged := func(life string, boot uint64) *peers.Status {
		return &peers.Status{Boot: boot, Pong: peers.Pong{Life: life, Applied: 90, Term: 6}}
	}
	unpinged := cluster.Disk{Life: "a", Boot: before, At: 100}
	for name, c := range map[string]struct {
		status *peers.Status
		want   cluster.Disk
	}{
		"the start in the log": {pinged("a", before), cluster.Disk{Life: "a", Boot: before, At: 100, Index: 90, Term: 6}},
		"a later start":        {pinged("a", after), unpinged},
		"another life":         {pinged("b", before), unpinged},
		"nothing":              {&peers.Status{}, unpinged},
	} {
		if got := node.DiskOf(record, 100, c.status); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
