package treasury

import (
	"hash/fnv"

	"github.com/the-block/bursar/messages"
)

// Own makes this node's actors active for the shards that it owns: see durable.Host.Own.
func (t *Treasury) Own(owned map[messages.ShardID]messages.Fence) { t.host.Own(owned) }

// Owns reports whether this node's actors act for a shard now.
func (t *Treasury) Owns(shard messages.ShardID) bool { return t.host.Owns(shard) }

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
	if record, ok, err := t.load(id); err == nil && ok && record.Record.AwaitsExecution() {
		return t.cfg.ExecutorShard()
	}
	return t.ShardOf(id)
}

// IngressShard is the shard whose owner takes what Append is given: one that is owned
// here, if any is, for it makes no difference to the log who proposes what has no id
// yet. The key, a caller or a request id, spreads the calls.
func (t *Treasury) IngressShard(key string) messages.ShardID {
	hash := ingressHash(key)
	shards := uint64(t.cfg.GraphShards)
	first := hash % shards
	for i := range shards {
		if shard := messages.ShardID((first + i) % shards); t.Owns(shard) {
			return shard
		}
	}
	return messages.ShardID(first)
}

// ingressHash spreads requests over the shards that propose them.
func ingressHash(key string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))
	return h.Sum64()
}
