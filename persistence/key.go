package persistence

import (
	"encoding/binary"

	"github.com/the-block/bursar/messages"
)

// Table is the first byte of a key and says what kind of row it names. Tables
// below tableReserved belong to the caller; 0 is no table.
type Table byte

// The tables of this package. Callers read them through the Store's methods.
const (
	tableReserved Table = 0xf0

	tableCounter  Table = 0xf0 // counter name -> value, number of history rows
	tableHistory  Table = 0xf1 // counter name, block number -> up to 64 history rows
	tableRecent   Table = 0xf2 // place in the ring -> request row
	tableForever  Table = 0xf3 // number -> request row that is never dropped
	tableOwner    Table = 0xf4 // shard -> fence, node
	tableSequence Table = 0xf5 // table -> last assigned number
	tableLevel    Table = 0xf6 // nothing -> feature level
	tableTree     Table = 0xf7 // level, block number -> up to 32 leaves, or roots, of the audit tree
)

// Key names one row of the Store: a table byte, then an identifier. Keys are
// ordered byte by byte, so records of a table are ordered by number.
type Key string

// RecordKey names the row with the given number: the table byte and the number as
// 8 big-endian bytes. Appends create rows under such keys.
func RecordKey(t Table, number uint64) Key {
	var b [9]byte
	b[0] = byte(t)
	binary.BigEndian.PutUint64(b[1:], number)
	return Key(b[:])
}

// NameKey names a row by a string: the table byte and the name as it is.
func NameKey(t Table, name string) Key {
	return Key(string([]byte{byte(t)}) + name)
}

// TableEnd is the smallest key after every key of t: the end of a Scan over t.
func TableEnd(t Table) Key { return Key([]byte{byte(t) + 1}) }

// Table gives the key's table, 0 for the empty key.
func (k Key) Table() Table {
	if k == "" {
		return 0
	}
	return Table(k[0])
}

// Number gives the number of a RecordKey; ok is false for a key of another form.
func (k Key) Number() (number uint64, ok bool) {
	if len(k) != 9 {
		return 0, false
	}
	return beUint64(string(k[1:])), true
}

// Name gives the identifier behind the table byte.
func (k Key) Name() string {
	if k == "" {
		return ""
	}
	return string(k[1:])
}

func counterKey(name string) Key { return NameKey(tableCounter, name) }

// historyKey names the block of a counter's history that holds the row seq (from
// 1). The suffix has a fixed length, so no two names share a key.
func historyKey(name string, seq uint64) Key {
	b := make([]byte, 0, 1+len(name)+8)
	b = append(b, byte(tableHistory))
	b = append(b, name...)
	return Key(binary.BigEndian.AppendUint64(b, (seq-1)/HistoryBlock))
}

func ownerKey(shard messages.ShardID) Key {
	return Key([]byte{byte(tableOwner), byte(shard >> 8), byte(shard)})
}

func beUint64(s string) uint64 {
	_ = s[7]
	return uint64(s[0])<<56 | uint64(s[1])<<48 | uint64(s[2])<<40 | uint64(s[3])<<32 |
		uint64(s[4])<<24 | uint64(s[5])<<16 | uint64(s[6])<<8 | uint64(s[7])
}
