package ownership_test

import (
	"testing"
	"time"

	"github.com/the-block/bursar/cluster/ownership"
	"github.com/the-block/bursar/cluster/placement"
)

// TestARestartTakesNewFencesForAllItOwned: what the earlier start has on its way must not
// pass for the later one's, even where nobody is fit to own the shard.
func TestARestartTakesNewFencesForAllItOwned(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer w.store.Close()
	later := start.Add(time.Hour)
	w.settle([]ownership.Live{live("n1", 1, placement.Primary)}, later)
	nodes := []ownership.Live{live("n1", 1, placement.Primary), live("n2", 2, placement.Replica)}
	w.settle(nodes[1:], start) // n2 is known
	w.settle(nodes[:1], start) // and n1 has all again
	txn, _ := w.state().Drain("n2", true)
	w.commit(txn)
	before := w.state()
	nodes[0].Boot, nodes[0].ClockOff = 8, true
	w.settle(nodes, later)
	after := w.state()
	for shard, fence := range after.Owned("n1", 8) {
		if was := before.Shards[shard]; was.Owner == "n1" && fence == was.Fence {
			t.Errorf("the later start owns shard %d under fence %d of the earlier one", shard, fence)
		}
	}
	if len(after.Owned("n1", 8)) == 0 {
		t.Error("n1 owns nothing")
	}
}
