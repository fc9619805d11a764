package persistence

import "hash/crc32"

// checksum is the sum over all rows of a number made from each. It does not depend on
// the order in which they were written, so it is kept up to date row by row.
//
// It closes two gaps. A snapshot is copied from a file that has no checksum of its own:
// rows damaged there do not add up when it is restored. And two nodes compare their
// Stores by one number.
type checksum struct {
	sum     uint64
	scratch []byte
}

func (c *checksum) add(key, value string)    { c.sum += c.row(key, value) }
func (c *checksum) remove(key, value string) { c.sum -= c.row(key, value) }

// row mixes the CRCs of key and value, so that changes in different rows, whose CRCs
// are linear, do not cancel out.
func (c *checksum) row(key, value string) uint64 {
	h := uint64(c.crc(key))<<32 | uint64(c.crc(value))
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

func (c *checksum) crc(s string) uint32 {
	c.scratch = append(c.scratch[:0], s...)
	return crc32.Checksum(c.scratch, castagnoli)
}

// Checksum gives a number over all rows and the index it is true for, at no cost. Nodes
// that applied the same log have the same number; see Digest for one that is made from
// the rows anew.
func (s *Store) Checksum() (sum, applied uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.derived.checksum.sum, s.applied.Load()
}
