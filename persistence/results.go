package persistence

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/the-block/bursar/messages"
)

// resultsFormat names the layout of a list of Results, which travels from the leader to
// the node that proposed the entry.
const resultsFormat byte = 0xc1

// The parts of a Result that its bytes hold; what is zero is left out.
const (
	resultIndex   byte = 1 << iota // differs from that of the Result before
	resultNumbers                  // First and Count
	resultAfter
	resultFence // Shard and Newest
	resultFailed
	resultReply
	resultParts = iota
)

// AppendResults appends to dst the Results of one entry:
//
//	0xc1 | count uvarint | each: status 1, parts 1, the parts | CRC-32C 4
//
// An ordinary commit takes about 8 B.
func AppendResults(dst []byte, results []Result) []byte {
	start := len(dst)
	dst = append(dst, resultsFormat)
	dst = binary.AppendUvarint(dst, uint64(len(results)))
	var before uint64
	for i := range results {
		dst = appendResult(dst, &results[i], before)
		before = results[i].Index
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

func appendResult(dst []byte, r *Result, before uint64) []byte {
	parts := r.parts(before)
	dst = append(dst, byte(r.Status), parts)
	if parts&resultIndex != 0 {
		dst = binary.AppendUvarint(dst, r.Index)
	}
	if parts&resultNumbers != 0 {
		dst = binary.AppendUvarint(dst, r.First)
		dst = binary.AppendUvarint(dst, uint64(r.Count))
	}
	if parts&resultAfter != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(r.After)))
		for _, after := range r.After {
			dst = binary.AppendVarint(dst, after)
		}
	}
	if parts&resultFence != 0 {
		dst = binary.AppendUvarint(dst, uint64(r.Shard))
		dst = binary.AppendUvarint(dst, uint64(r.Newest))
	}
	if parts&resultFailed != 0 {
		dst = append(dst, byte(r.Failed.Kind))
		dst = binary.AppendUvarint(dst, uint64(r.Failed.Position))
	}
	if parts&resultReply != 0 {
		dst = appendBytes(dst, r.Reply)
	}
	return dst
}

func (r *Result) parts(before uint64) (parts byte) {
	for i, there := range [resultParts]bool{
		r.Index != before,
		r.First != 0 || r.Count != 0,
		len(r.After) > 0,
		r.Shard != 0 || r.Newest != 0,
		r.Failed != Failed{},
		len(r.Reply) > 0,
	} {
		if there {
			parts |= 1 << i
		}
	}
	return parts
}

// DecodeResults reads what AppendResults wrote. Replies share data. It returns ErrCorrupt
// for bytes whose checksum or framing does not hold and ErrUnsupported for a layout, part
// or verdict this program does not know.
func DecodeResults(data []byte) ([]Result, error) {
	if len(data) < 2+crc32.Size {
		return nil, fmt.Errorf("%w: results of %d bytes", ErrCorrupt, len(data))
	}
	body := data[:len(data)-crc32.Size]
	want := binary.BigEndian.Uint32(data[len(body):])
	if got := crc32.Checksum(body, castagnoli); got != want {
		return nil, fmt.Errorf("%w: results have checksum %08x, their bytes give %08x", ErrCorrupt, want, got)
	}
	if body[0] != resultsFormat {
		return nil, fmt.Errorf("%w: format %#x of results", ErrUnsupported, body[0])
	}
	d := decoder{what: "results", data: body, at: 1}
	count := d.count(BatchTxnsMax)
	results := make([]Result, 0, count)
	var before uint64
	for range count {
		r := d.result(before)
		if d.err != nil {
			return nil, d.err
		}
		results = append(results, r)
		before = r.Index
	}
	if d.err == nil && d.at != len(body) {
		d.fail("bytes after the end")
	}
	if d.err != nil {
		return nil, d.err
	}
	return results, nil
}

func (d *decoder) result(before uint64) Result {
	r := Result{Status: Status(d.byte()), Index: before}
	if r.Status < Committed || r.Status > Refused {
		d.unsupported("verdict", byte(r.Status))
	}
	parts := d.byte()
	if parts >= 1<<resultParts {
		d.unsupported("parts of a result", parts)
	}
	if parts&resultIndex != 0 {
		r.Index = d.uvarint()
	}
	if parts&resultNumbers != 0 {
		r.First, r.Count = d.uvarint(), uint32(d.below(1<<32))
	}
	if parts&resultAfter != 0 {
		r.After = make([]int64, d.count(AddsMax))
		for i := range r.After {
			r.After[i] = d.varint()
		}
	}
	if parts&resultFence != 0 {
		r.Shard, r.Newest = messages.ShardID(d.below(1<<16)), messages.Fence(d.uvarint())
	}
	if parts&resultFailed != 0 {
		r.Failed = Failed{Kind: FailedKind(d.byte()), Position: int(d.below(1 << 31))}
	}
	if parts&resultReply != 0 {
		r.Reply = d.bytes()
	}
	return r
}
