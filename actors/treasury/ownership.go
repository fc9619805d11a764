package treasury

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

// dataMoved is the fact by which a refusal says that the call is another node's to
// take, or will be this one's in a moment.
const dataMoved = "moved"

// notOwner refuses a call because this node does not own the shard it is about.
func notOwner(shard messages.ShardID) *messages.Error {
	return messages.Errorf(messages.CodeUnavailable, "shard %d has no owner here; try again", shard).
		With(dataMoved, true)
}

// Moved reports whether a call was refused only because its shard is owned elsewhere,
// or is changing its owner. Such a call was certainly not done: it may be made again,
// under the same request id, at the new owner. The mark travels with the refusal, from
// node to node too.
func Moved(refusal *messages.Error) bool {
	return refusal != nil && refusal.Code == messages.CodeUnavailable && refusal.Data[dataMoved] == true
}

// Owns reports whether this node's actors act for a shard now.
func (t *Treasury) Owns(shard messages.ShardID) bool { return t.fences.of(shard) != 0 }

// ExecutorShard is the shard whose owner takes Execute, SkipIntent and whatever asks
// for the executor's state.
func (t *Treasury) ExecutorShard() messages.ShardID { return t.cfg.ExecutorShard() }

// ClockShard is the shard whose owner takes Advance.
func (t *Treasury) ClockShard() messages.ShardID { return t.cfg.ClockShard() }

// ShardOf is the shard whose owner takes a Command about a disbursement. Of Queue see
// QueueShard.
func (t *Treasury) ShardOf(id messages.DisbursementID) messages.ShardID {
	return shardOf(id, t.cfg.GraphShards)
}

// QueueShard is the shard whose owner takes Queue: the executor's if the next step is
// the payment, as far as this node's Store tells, else the disbursement's own.
func (t *Treasury) QueueShard(id messages.DisbursementID) messages.ShardID {
	if record, ok, err := load(t.store, id); err == nil && ok && record.record.AwaitsExecution() {
		return t.cfg.ExecutorShard()
	}
	return t.ShardOf(id)
}

// IngressShard is the shard whose owner takes what Append is given: one that is owned
// here, if any is, for it makes no difference to the log who proposes what has no id
// yet. The request id spreads the calls.
func (t *Treasury) IngressShard(requestID string) messages.ShardID {
	hash := ingressHash(requestID)
	shards := uint64(t.cfg.GraphShards)
	first := hash % shards
	for i := range shards {
		if shard := messages.ShardID((first + i) % shards); t.Owns(shard) {
			return shard
		}
	}
	return messages.ShardID(first)
}
