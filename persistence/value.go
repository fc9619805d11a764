package persistence

import "github.com/the-block/bursar/messages"

// Value is a row as readers see it.
type Value struct {
	Tag     byte
	Version uint64 // times written since the row was created
	Data    []byte // the reader's own copy
}

// Change is one row written or deleted by a committed entry.
type Change struct {
	Index   uint64
	Key     Key
	Deleted bool
	Value   Value // zero if Deleted
}

// HistoryRow is one change of a counter.
type HistoryRow struct {
	Seq       uint64 // 1, 2, 3 ... per counter
	Delta     int64
	After     int64
	StampedAt int64 // Unix ms, by the proposer
	Event     byte
	Reference uint64
}

// Remembered is what the Store keeps of a request id.
type Remembered struct {
	PayloadHash [16]byte
	First       uint64 // first number assigned, 0 without Appends
	Count       uint32
	Table       Table   // of the first Append, 0 without Appends
	After       []int64 // each Add's counter after it; nil with Appends
	Reply       []byte
	Index       uint64 // of the entry that committed it
}

// Ownership is who owns a shard, and under which fence. The zero value is no owner.
type Ownership struct {
	Owner messages.NodeID
	Fence messages.Fence
}
