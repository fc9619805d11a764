package sim

import "time"

// Nodes have the numbers 0 to nodesMax-1 on the network; beyond them come the clients'
// side and the chain, which nothing but loss and delay befalls.
const (
	nodesMax = 5
	outside  = nodesMax
)

// network is what may happen to a message on its way.
type network struct {
	cut       [nodesMax][nodesMax]bool          // from, to
	clogged   [nodesMax][nodesMax]time.Duration // what is sent arrives after that instant
	loss      float64
	duplicate float64
	delayMax  time.Duration
}

const (
	delayMin   = 200 * time.Microsecond
	delayCalm  = 3 * time.Millisecond
	delayStorm = 100 * time.Millisecond
)

// calm ends all trouble on the network.
func (n *network) calm() { *n = network{delayMax: delayCalm} }

// lost reports whether a message does not arrive.
func (w *world) lost(from, to int) bool {
	if from < nodesMax && to < nodesMax && w.network.cut[from][to] {
		return true
	}
	return w.chance(w.network.loss)
}

// send has a message arrive at a node, or not. again allows that it arrives twice, as
// it may where a transport sends anew what was not acknowledged.
func (w *world) send(from, to int, again bool, arrive func(*node)) {
	copies := 1
	if again && w.chance(w.network.duplicate) {
		copies = 2
	}
	for range copies {
		delay := w.between(delayMin, w.network.delayMax)
		if w.lost(from, to) {
			continue
		}
		if from < nodesMax {
			delay = max(delay, w.network.clogged[from][to]-w.now)
		}
		w.after(delay, func() { w.nodes[to].deliver(arrive) })
	}
}

// sendOut has a message of a node arrive outside the cluster, or not.
func (w *world) sendOut(arrive func()) {
	delay := w.between(delayMin, w.network.delayMax)
	if !w.lost(outside, outside) {
		w.after(delay, arrive)
	}
}
