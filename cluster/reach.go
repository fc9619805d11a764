package cluster

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// reach knows how far the others' logs reach and when they were heard, as their answers to
// heartbeats tell.
type reach struct {
	mu sync.Mutex
	by map[raft.ServerID]reached
}

type reached struct {
	last  uint64 // entry of its log
	heard time.Time
}

func (r *reach) note(id raft.ServerID, last uint64, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = make(map[raft.ServerID]reached)
	}
	r.by[id] = reached{last, now}
}

// sum grows whenever one of their logs does.
func (r *reach) sum() (sum uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, at := range r.by {
		sum += at.last
	}
	return sum
}

// heardWithin is how long ago an answer is that says that a voter can be reached: several
// heartbeats.
const heardWithin = 500 * time.Millisecond

// heard reports whether a voter has answered of late.
func (r *reach) heard(id raft.ServerID, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, known := r.by[id]
	return known && now.Sub(at.heard) < heardWithin
}

// longest is the member whose log reaches farthest, the first of several; none of none.
func (r *reach) longest(members []Member) (best Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range members {
		if best.Node == "" || r.by[raft.ServerID(m.Node)].last > r.by[raft.ServerID(best.Node)].last {
			best = m
		}
	}
	return best
}
