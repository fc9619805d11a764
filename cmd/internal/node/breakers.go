package node

import (
	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/monitoring"
)

// breakerFigures shows the circuit breakers of this node's actors.
func (n *Node) breakerFigures() monitoring.Breakers {
	stats := n.system.Stats()
	figures := monitoring.Breakers{Trips: make(map[string]uint64)}
	for _, k := range stats.Kinds {
		figures.Trips[k.Kind] = k.Trips
	}
	for _, c := range stats.Breakers {
		figures.Counts = append(figures.Counts, monitoring.BreakerCount{
			Kind: c.Kind, Scope: c.Scope.String(), State: c.State.String(), Count: c.Count,
		})
	}
	found, _ := n.system.Breakers(actors.BreakerPage{NotClosed: true, Limit: monitoring.NotClosedMax})
	for _, b := range found {
		figures.NotClosed = append(figures.NotClosed, monitoring.Breaker{
			Path: b.Path, Scope: b.Scope.String(), State: b.State.String(),
		})
	}
	return figures
}
