package treasury

import (
	"slices"
	"sync"

	"github.com/the-block/bursar/messages"
)

// sweepersMax is how many shards of a node sweep at a time. An epoch makes records of
// all shards due at once: without a limit a submission waits behind the sweeps of all
// of them, for the processor and in the log. With too low a one an epoch's work takes a
// round through the log for every few records.
const sweepersMax = 4

// pace hands out turns to sweep, in the order in which shards ask.
type pace struct {
	mu      sync.Mutex
	having  []messages.ShardID // at most sweepersMax
	waiting []messages.ShardID
}

// ask gives a shard a turn, or has it wait for one. Whoever has one keeps it.
func (p *pace) ask(shard messages.ShardID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case slices.Contains(p.having, shard):
		return true
	case len(p.having) < sweepersMax:
		p.having = append(p.having, shard)
		return true
	case !slices.Contains(p.waiting, shard):
		p.waiting = append(p.waiting, shard)
	}
	return false
}

// leave takes a shard's turn back, or its place in the row. If another gets the turn,
// ok tells to wake it.
func (p *pace) leave(shard messages.ShardID) (next messages.ShardID, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, shard); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	i := slices.Index(p.having, shard)
	if i < 0 {
		return 0, false
	}
	p.having = slices.Delete(p.having, i, i+1)
	if len(p.waiting) == 0 {
		return 0, false
	}
	next = p.waiting[0]
	p.waiting = slices.Delete(p.waiting, 0, 1)
	p.having = append(p.having, next)
	return next, true
}
