package durable

import (
	"sync"
	"sync/atomic"

	"github.com/the-block/bursar/messages"
)

// fences holds the fences under which this node's actors speak. The node says what it
// owns; an outcome of the log may know better. Knowledge that comes late changes
// nothing: no fence goes back behind the newest that was seen.
type fences struct {
	mu     sync.Mutex       // held by who writes
	owned  []atomic.Uint64  // by shard; 0 where another node owns, or nobody
	newest []messages.Fence // by shard: the newest seen, whoever has it
}

func newFences(shards int) *fences {
	return &fences{owned: make([]atomic.Uint64, shards), newest: make([]messages.Fence, shards)}
}

// set takes over what the node owns now and lists the shards for which that is news.
func (f *fences) set(owned map[messages.ShardID]messages.Fence) (changed []messages.ShardID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.owned {
		shard := messages.ShardID(i)
		fence := owned[shard]
		if fence == f.of(shard) || fence != 0 && fence < f.newest[i] {
			continue
		}
		f.newest[i] = max(f.newest[i], fence)
		f.owned[i].Store(uint64(fence))
		changed = append(changed, shard)
	}
	return changed
}

// lost notes that the log knows a newer fence of a shard. It says nothing about a
// fence of ours that is as new.
func (f *fences) lost(shard messages.ShardID, newest messages.Fence) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.newest[shard] = max(f.newest[shard], newest)
	if f.of(shard) < newest {
		f.owned[shard].Store(0)
	}
}

// of gives the fence of a shard, 0 if it is not ours.
func (f *fences) of(shard messages.ShardID) messages.Fence {
	return messages.Fence(f.owned[shard].Load())
}
