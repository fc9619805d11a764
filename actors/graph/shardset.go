package graph

import "github.com/the-block/bursar/messages"

// shardSet is an ordered set of nodes, whole and by shard.
type shardSet struct {
	all idset
	// shards holds ids by their quotient: shard s has id in it as id / len(shards).
	shards []idset
}

func newShardSet(shards int) shardSet { return shardSet{shards: make([]idset, shards)} }

// add puts n in the set and reports whether it was not there.
func (s *shardSet) add(n ordinal) bool {
	if !s.all.add(uint32(n)) {
		return false
	}
	shards := uint32(len(s.shards))
	return s.shards[uint32(n)%shards].add(uint32(n) / shards)
}

// remove takes n out of the set.
func (s *shardSet) remove(n ordinal) {
	if s.all.remove(uint32(n)) {
		shards := uint32(len(s.shards))
		s.shards[uint32(n)%shards].remove(uint32(n) / shards)
	}
}

// page lists up to limit members above after.
func (s *shardSet) page(after messages.DisbursementID, limit int) []messages.DisbursementID {
	if after > idMax {
		return nil
	}
	return pageOf(&s.all, uint32(after)+1, limit, 1, 0)
}

// pageIn lists up to limit members of one shard above after.
func (s *shardSet) pageIn(
	shard messages.ShardID, after messages.DisbursementID, limit int,
) []messages.DisbursementID {
	shards := uint64(len(s.shards))
	if uint64(shard) >= shards || after > idMax {
		return nil
	}
	from := uint32((uint64(after) + shards - uint64(shard)) / shards)
	return pageOf(&s.shards[shard], from, limit, shards, uint64(shard))
}

// pageOf lists up to limit members i >= from of set as i*scale + shift.
func pageOf(set *idset, from uint32, limit int, scale, shift uint64) []messages.DisbursementID {
	limit = min(limit, set.count)
	if limit <= 0 {
		return nil
	}
	list := make([]messages.DisbursementID, 0, limit)
	for i, ok := set.next(from); ok && len(list) < limit; i, ok = set.next(i + 1) {
		list = append(list, messages.DisbursementID(uint64(i)*scale+shift))
	}
	return list
}
