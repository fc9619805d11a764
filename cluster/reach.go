package cluster

import (
	"sync"

	"github.com/hashicorp/raft"
)

// reach knows how far the others' logs reach, as their answers to heartbeats tell.
type reach struct {
	mu  sync.Mutex
	end map[raft.ServerID]uint64
}

func (r *reach) note(id raft.ServerID, last uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.end == nil {
		r.end = make(map[raft.ServerID]uint64)
	}
	r.end[id] = last
}

// sum grows whenever one of them does.
func (r *reach) sum() (sum uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, last := range r.end {
		sum += last
	}
	return sum
}

// longest is the member whose log reaches farthest, the first of several; none of none.
func (r *reach) longest(members []Member) (best Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range members {
		if best.Node == "" || r.end[raft.ServerID(m.Node)] > r.end[raft.ServerID(best.Node)] {
			best = m
		}
	}
	return best
}
