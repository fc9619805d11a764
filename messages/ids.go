package messages

import (
	"time"
)

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

// A boot is a number for each start of a node. Its upper half grows by one with each start
// in one data directory, from the Unix second of the first, so that a later directory of
// the node begins above; its lower half is random. Of two copies of a directory that are
// both started, the boots have the same upper half and differ.
const bootRandomBits = 32

// NextBoot is the boot of a start after last, which is 0 for the first one in a directory.
func NextBoot(last uint64, now time.Time, random uint32) uint64 {
	count := uint64(max(now.Unix(), 1))
	if last != 0 {
		count = BootCount(last) + 1
	}
	return count<<bootRandomBits | uint64(random)
}

// BootCount is the upper half of a boot.
func BootCount(boot uint64) uint64 { return boot >> bootRandomBits }

// StaleBoot reports whether boot is an earlier start of a directory than known, or another
// one at the same place, which a copy makes.
func StaleBoot(boot, known uint64) bool { return boot != known && BootCount(boot) <= BootCount(known) }
