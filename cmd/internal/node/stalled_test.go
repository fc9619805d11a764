package node_test

import (
	"testing"

	"github.com/the-block/bursar/cmd/internal/node"
)

// An actor that is stuck in a message is seen where people look: in the tree, of which top is
// made, by itself, and as a metric.
func TestAStuckActorIsSeen(t *testing.T) {
	const executor = "/treasury/executor"
	m := start(t, func(c *node.Config) { c.FaultInjection = true })
	c := dial(t, m)
	must(t, c, "supervision.inject", object{"path": executor, "mode": "stall", "delay_ms": 3000})
	must(t, c, "gov.treasury.accrue", object{"amount": 10})
	must(t, c, "gov.treasury.submit_disbursement", object{"payload": object{"disbursement": object{
		"destination": "tb1payee", "amount": 1, "memo": "wakes it", "scheduled_epoch": 1,
	}}})
	stuck := func(row object) bool { ms, _ := row["stalled_ms"].(int64); return ms > 0 }
	seen := make(map[string]bool)
	eventually(t, "the actor is seen to be stuck", func() bool {
		for _, row := range must(t, c, "actors.tree", object{"path": executor})["actors"].([]any) {
			seen["tree"] = seen["tree"] || stuck(row.(object))
		}
		one := must(t, c, "actors.get", object{"path": executor})
		seen["get"] = seen["get"] || stuck(one) && stuck(one["actor"].(object))
		seen["metric"] = seen["metric"] || m.samples(t)["bursar_actors_stalled"] > 0
		return seen["tree"] && seen["get"] && seen["metric"]
	})
}
