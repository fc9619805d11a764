package persistence

import (
	"encoding/binary"
	"fmt"
)

// row is a stored value taken apart:
//
//	tag 1 | flags 1 | version uvarint | [leaf uvarint] | [origin] | data
//
// Its parts share the stored string.
type row struct {
	tag     byte
	version uint64
	leaf    uint64 // number of its leaf of the audit tree, 0 if it is none
	origin  string // the encoded origin, "" if the row keeps no request id
	data    string
}

const (
	rowHasOrigin byte = 1 << iota
	rowHasLeaf
)

func parseRow(value string) (row, error) {
	if len(value) < 3 {
		return row{}, fmt.Errorf("%w: row of %d bytes", ErrCorrupt, len(value))
	}
	r := row{tag: value[0]}
	rest := value[2:]
	var n int
	if r.version, n = stringUvarint(rest); n == 0 {
		return row{}, fmt.Errorf("%w: row version", ErrCorrupt)
	}
	if r.data = rest[n:]; value[1]&rowHasLeaf != 0 {
		if r.leaf, n = stringUvarint(r.data); n == 0 || r.leaf == 0 {
			return row{}, fmt.Errorf("%w: leaf of a row", ErrCorrupt)
		}
		r.data = r.data[n:]
	}
	if value[1]&rowHasOrigin == 0 {
		return r, nil
	}
	_, size, err := parseOrigin(r.data)
	if err != nil {
		return row{}, err
	}
	r.origin, r.data = r.data[:size], r.data[size:]
	return r, nil
}

// appendHeader appends everything of the row but its data.
func (r *row) appendHeader(dst []byte) []byte {
	var flags byte
	if r.origin != "" {
		flags = rowHasOrigin
	}
	if r.leaf != 0 {
		flags |= rowHasLeaf
	}
	dst = append(dst, r.tag, flags)
	dst = binary.AppendUvarint(dst, r.version)
	if r.leaf != 0 {
		dst = binary.AppendUvarint(dst, r.leaf)
	}
	return append(dst, r.origin...)
}

// origin is what a record remembers of the request that created it:
//
//	id length 1 | id | payload hash 16 | count uvarint | index uvarint
//
// The first number is the record's own.
type origin struct {
	id    string
	hash  string
	count uint64
	index uint64
}

func appendOrigin(dst []byte, id string, hash *[16]byte, count int, index uint64) []byte {
	dst = append(dst, byte(len(id)))
	dst = append(dst, id...)
	dst = append(dst, hash[:]...)
	dst = binary.AppendUvarint(dst, uint64(count))
	return binary.AppendUvarint(dst, index)
}

// parseOrigin reads the origin s begins with and gives its size.
func parseOrigin(s string) (o origin, size int, err error) {
	rest, err := o.parseID(s)
	if err != nil {
		return o, 0, err
	}
	var n, m int
	if o.count, n = stringUvarint(rest); n > 0 {
		o.index, m = stringUvarint(rest[n:])
	}
	if n == 0 || m == 0 {
		return o, 0, fmt.Errorf("%w: origin of a record", ErrCorrupt)
	}
	return o, len(s) - len(rest) + n + m, nil
}

func (o *origin) parseID(s string) (rest string, err error) {
	if s == "" || len(s) < 1+int(s[0])+16 {
		return "", fmt.Errorf("%w: request id of a row", ErrCorrupt)
	}
	n := 1 + int(s[0])
	o.id, o.hash = s[1:n], s[n:n+16]
	return s[n+16:], nil
}

// A request row remembers a request that appended nothing:
//
//	id length 1 | id | payload hash 16 | index uvarint | adds uvarint | after varint each | reply
func appendRequestRow(dst []byte, id string, hash *[16]byte, index uint64, after []int64, reply []byte) []byte {
	dst = append(dst, byte(len(id)))
	dst = append(dst, id...)
	dst = append(dst, hash[:]...)
	dst = binary.AppendUvarint(dst, index)
	dst = binary.AppendUvarint(dst, uint64(len(after)))
	for _, v := range after {
		dst = binary.AppendVarint(dst, v)
	}
	return append(dst, reply...)
}

// requestRow is a request row taken apart.
type requestRow struct {
	origin
	after []int64
	reply string
}

func parseRequestRow(s string) (r requestRow, err error) {
	rest, err := r.parseID(s)
	if err != nil {
		return r, err
	}
	number := func() (v uint64) {
		v, n := stringUvarint(rest)
		if n == 0 {
			err = fmt.Errorf("%w: request row", ErrCorrupt)
		}
		rest = rest[n:]
		return v
	}
	r.index = number()
	count := number()
	if count > AddsMax {
		return r, fmt.Errorf("%w: request row of %d adds", ErrCorrupt, count)
	}
	for range count {
		zigzag := number()
		r.after = append(r.after, int64(zigzag>>1)^-int64(zigzag&1))
	}
	r.reply = rest
	return r, err
}

// stringUvarint is binary.Uvarint over a string; n is 0 where there is none.
func stringUvarint(s string) (v uint64, n int) {
	for shift := uint(0); n < len(s) && shift < 64; shift += 7 {
		b := s[n]
		n++
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, n
		}
	}
	return 0, 0
}
