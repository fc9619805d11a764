package backup

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// Entry is one committed entry of the log.
type Entry struct {
	Index uint64
	Term  uint64
	// Batch says that Data is to be applied to a Store. Other entries are Raft's own, and
	// keep no data.
	Batch bool
	At    time.Time // the leader's clock when it appended it
	Data  []byte
}

// A piece is "BURSARP1", then each entry:
//
//	0  8  index
//	8  8  term
//	16 8  the leader's clock when it appended it, in nanoseconds of Unix time, 0 for none
//	24 1  1 for a batch of transactions, 0 for an entry of Raft's own
//	25 4  length n
//	29 n  data
//
// all numbers big-endian. The log's running hash after an entry is the SHA-256 of the one
// before, 32 bytes, zero at the start, and the entry's bytes.
const (
	pieceMagic     = "BURSARP1"
	entryHeadBytes = 29
)

func appendEntry(b []byte, e *Entry) []byte {
	b = binary.BigEndian.AppendUint64(b, e.Index)
	b = binary.BigEndian.AppendUint64(b, e.Term)
	b = binary.BigEndian.AppendUint64(b, nanosOf(e.At))
	batch := byte(0)
	if e.Batch {
		batch = 1
	}
	b = append(b, batch)
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.Data)))
	return append(b, e.Data...)
}

// cutEntry reads the first entry of b and gives its bytes and those after it.
func cutEntry(b []byte) (e Entry, own, rest []byte, err error) {
	if len(b) < entryHeadBytes || b[24] > 1 {
		return e, nil, nil, errShape
	}
	n := int(binary.BigEndian.Uint32(b[25:]))
	if n > len(b)-entryHeadBytes {
		return e, nil, nil, errShape
	}
	end := entryHeadBytes + n
	e = Entry{
		Index: binary.BigEndian.Uint64(b), Term: binary.BigEndian.Uint64(b[8:]),
		At: timeOf(binary.BigEndian.Uint64(b[16:])), Batch: b[24] == 1, Data: b[entryHeadBytes:end],
	}
	return e, b[:end], b[end:], nil
}

// logHash is the log's running hash.
type logHash [sha256.Size]byte

func (h logHash) next(entry []byte) logHash {
	sum := sha256.New()
	sum.Write(h[:])
	sum.Write(entry)
	return logHash(sum.Sum(nil))
}

func (h logHash) String() string { return hex.EncodeToString(h[:]) }

func parseLogHash(text string) (h logHash, ok bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(h) {
		return h, false
	}
	return logHash(b), true
}

func nanosOf(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixNano())
}

func timeOf(nanos uint64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(nanos)).UTC()
}
