package messages

import "time"

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
