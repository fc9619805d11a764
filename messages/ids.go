package messages

// NodeID names a node, as given with --name.
type NodeID string

// ShardID numbers a shard, the unit of placement. Graph shards come first, then
// energy shards, then the singletons (executor, clock, market).
type ShardID uint16

// Fence grows by one with every change of a shard's owner. A write that carries
// an older fence than its shard's newest is refused.
type Fence uint64

// Epoch is the treasury's clock: a replicated counter that starts at 0 and only
// grows.
type Epoch uint64

// DisbursementID numbers a disbursement: 1, 2, 3 ... in the order of their
// commits, without gaps. 0 is no disbursement.
type DisbursementID uint64

// Amount is a sum of BLOCK in its smallest unit, at most AmountMax.
type Amount uint64

// AmountMax is the largest amount or balance: it fits in a signed 64-bit number,
// so that a signed delta can hold it.
const AmountMax Amount = 1<<63 - 1

// PPM is a share in parts per million.
type PPM uint64

// PPMMax is the whole: 1,000,000 parts per million.
const PPMMax PPM = 1_000_000
