package persistence

import "encoding/binary"

// Checkpoint is what the Store's rows added up to when all entries up to Index were
// applied. Nodes that applied the same log have the same sum at the same index.
type Checkpoint struct{ Index, Sum uint64 }

const (
	// checkpointEvery is how many entries are between two checkpoints.
	checkpointEvery = 64
	// checkpointsMax is how many are kept: nodes that are no further apart than
	// checkpointEvery times that many entries are compared.
	checkpointsMax = 64
	// checkpointBytes is one as it is sent.
	checkpointBytes = 16
)

// checkpoints keeps the newest ones. Which index each is for follows from the log's
// indexes alone, so that all nodes have the same.
type checkpoints struct {
	ring  [checkpointsMax]Checkpoint
	count int // ever pushed
}

// pass notes the sum before the entry at index is applied, after the one at applied, if a
// checkpoint is between them.
func (c *checkpoints) pass(applied, index, sum uint64) {
	if at := index / checkpointEvery; at > applied/checkpointEvery {
		c.ring[c.count%checkpointsMax] = Checkpoint{at*checkpointEvery - 1, sum}
		c.count++
	}
}

// back gives the checkpoint that is so many before the newest.
func (c *checkpoints) back(n int) (Checkpoint, bool) {
	if n >= c.count || n >= checkpointsMax {
		return Checkpoint{}, false
	}
	return c.ring[(c.count-1-n)%checkpointsMax], true
}

// Checkpoints gives the present sum and some of the checkpoints before it, ever further
// apart, for another node to Compare.
func (s *Store) Checkpoints() []Checkpoint {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := []Checkpoint{{s.applied.Load(), s.derived.checksum.sum}}
	oldest := min(s.checkpoints.count, checkpointsMax) - 1
	for _, n := range [...]int{0, 1, 2, 4, 8, 16, 32, max(oldest, 0)} {
		if c, ok := s.checkpoints.back(n); ok {
			list = append(list, c)
		}
	}
	return list
}

// Compare holds another node's checkpoints against this Store's: known says that both have
// one index in common, and differs is the oldest such index at which the sums differ, 0
// for none.
func (s *Store) Compare(theirs []Checkpoint) (differs uint64, known bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	own := map[uint64]uint64{s.applied.Load(): s.derived.checksum.sum}
	for n := range checkpointsMax {
		if c, ok := s.checkpoints.back(n); ok {
			own[c.Index] = c.Sum
		}
	}
	for _, c := range theirs {
		sum, ok := own[c.Index]
		known = known || ok
		if ok && sum != c.Sum && (differs == 0 || c.Index < differs) {
			differs = c.Index
		}
	}
	return differs, known
}

// AppendCheckpoints encodes checkpoints, and ParseCheckpoints reads what it wrote: index 8
// and sum 8 of each. What is left over is no checkpoint.
func AppendCheckpoints(b []byte, list []Checkpoint) []byte {
	for _, c := range list {
		b = binary.BigEndian.AppendUint64(b, c.Index)
		b = binary.BigEndian.AppendUint64(b, c.Sum)
	}
	return b
}

// ParseCheckpoints reads what AppendCheckpoints wrote.
func ParseCheckpoints(b string) (list []Checkpoint) {
	for ; len(b) >= checkpointBytes && len(list) < checkpointsMax; b = b[checkpointBytes:] {
		list = append(list, Checkpoint{beUint64(b), beUint64(b[8:])})
	}
	return list
}
