package raftlog

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"time"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

// An entry on disk, integers little-endian:
//
//	0   8  index
//	8   8  term
//	16  8  time it was appended by the leader, Unix nanoseconds, 0 for none
//	24  1  type, as Raft numbers them
//	25  4  length e of the extensions
//	29  e  extensions
//	..     data, up to the last four bytes
//	-4  4  CRC-32C of all before it
const (
	entryHeaderBytes = 29
	entryCRCBytes    = 4
	codecID          = wal.FirstExternalCodecID + 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errChecksum = errors.New("checksum does not match")

// codec draws entries as above. It implements raft-wal's Codec.
type codec struct{}

func (codec) ID() uint64 { return codecID }

// Encode writes one entry. w is raft-wal's buffer, which cannot fail.
func (codec) Encode(l *raft.Log, w io.Writer) error {
	if uint64(len(l.Extensions)) > math.MaxUint32 {
		return errors.New("extensions are over 4 GiB")
	}
	if buf, ok := w.(interface{ Grow(int) }); ok {
		buf.Grow(entryHeaderBytes + len(l.Extensions) + len(l.Data) + entryCRCBytes)
	}
	var head [entryHeaderBytes]byte
	binary.LittleEndian.PutUint64(head[0:], l.Index)
	binary.LittleEndian.PutUint64(head[8:], l.Term)
	if !l.AppendedAt.IsZero() {
		binary.LittleEndian.PutUint64(head[16:], uint64(l.AppendedAt.UnixNano()))
	}
	head[24] = byte(l.Type)
	binary.LittleEndian.PutUint32(head[25:], uint32(len(l.Extensions)))
	sum := uint32(0)
	for _, part := range [][]byte{head[:], l.Extensions, l.Data} {
		sum = crc32.Update(sum, castagnoli, part)
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	var tail [entryCRCBytes]byte
	binary.LittleEndian.PutUint32(tail[:], sum)
	_, err := w.Write(tail[:])
	return err
}

// Decode reads one entry into l, which keeps nothing of b.
func (codec) Decode(b []byte, l *raft.Log) error {
	body := len(b) - entryCRCBytes
	if body < entryHeaderBytes {
		return io.ErrUnexpectedEOF
	}
	if crc32.Checksum(b[:body], castagnoli) != binary.LittleEndian.Uint32(b[body:]) {
		return errChecksum
	}
	rest := b[entryHeaderBytes:body]
	extensions := uint64(binary.LittleEndian.Uint32(b[25:]))
	if extensions > uint64(len(rest)) {
		return io.ErrUnexpectedEOF
	}
	l.Index = binary.LittleEndian.Uint64(b[0:])
	l.Term = binary.LittleEndian.Uint64(b[8:])
	l.Type = raft.LogType(b[24])
	l.AppendedAt = time.Time{}
	if nanos := int64(binary.LittleEndian.Uint64(b[16:])); nanos != 0 {
		l.AppendedAt = time.Unix(0, nanos)
	}
	l.Extensions, l.Data = nil, nil
	if extensions > 0 {
		l.Extensions = append([]byte(nil), rest[:extensions]...)
	}
	if data := rest[extensions:]; len(data) > 0 {
		l.Data = append(make([]byte, 0, len(data)), data...)
	}
	return nil
}
