package wire

import "sync/atomic"

// tallyStep is the step, in bytes, in which a connection tells the server how much it
// holds: what most connections hold costs no word.
const tallyStep = 16 << 10

// tally keeps one connection's part of a total over all connections.
type tally struct {
	total *atomic.Int64
	told  int
}

// tell says that the connection holds n bytes now.
func (t *tally) tell(n int) {
	if n = n / tallyStep * tallyStep; n != t.told {
		t.total.Add(int64(n - t.told))
		t.told = n
	}
}
