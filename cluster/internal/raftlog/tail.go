package raftlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// Frames of raft-wal, as its README draws them: a type in the first of eight bytes,
// a length or, in a commit frame, a CRC-32C in the last four; then the payload,
// padded to eight. A commit frame's checksum covers all since the one before it.
const (
	segmentHeaderBytes = 32
	frameHeaderBytes   = 8
	frameEntry         = 1
	frameIndex         = 2
	frameCommit        = 3
)

// tail is what is committed in an unsealed segment.
type tail struct {
	end        int64  // of the last batch whose checksum holds; 0 for none
	entries    uint64 // up to there
	indexStart uint64 // of the index that seals the segment, if it is up to there
}

// mendTail makes the last segment one that raft-wal v0.4.2 can go on with. After a
// crash it cannot in two cases: if the segment was sealed by its last write but the
// list of segments does not say so yet, it opens it and refuses every append; and a
// torn last write leaves frames behind that a later recovery can take for good ones.
// A tail that ends before the mark is damaged and is not touched.
func mendTail(dir string, disk Disk, m *meta, known mark) error {
	state, err := m.Load(dir)
	if err != nil || len(state.Segments) == 0 {
		return err
	}
	info := &state.Segments[len(state.Segments)-1]
	if !info.SealTime.IsZero() {
		return nil
	}
	file, err := disk.OpenWriter(dir, segment.FileName(*info))
	if missing(err) {
		return nil // raft-wal creates it
	}
	if err != nil {
		return err
	}
	committed, err := mendFile(file, *info, known)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("%s: %w", segment.FileName(*info), err)
	}
	if committed.indexStart == 0 {
		return nil
	}
	info.IndexStart, info.SealTime = committed.indexStart, time.Now()
	info.MaxIndex = info.BaseIndex + committed.entries - 1
	state.Segments = append(state.Segments, types.SegmentInfo{
		ID: state.NextSegmentID, BaseIndex: info.MaxIndex + 1, MinIndex: info.MaxIndex + 1,
		SizeLimit: info.SizeLimit, CreateTime: time.Now(),
	})
	state.NextSegmentID++
	return m.CommitState(state)
}

// mendFile clears what follows the last committed batch.
func mendFile(file types.WritableFile, info types.SegmentInfo, known mark) (tail, error) {
	var content bytes.Buffer
	content.Grow(int(info.SizeLimit) + bytes.MinRead)
	if _, err := content.ReadFrom(io.NewSectionReader(file, 0, 1<<32)); err != nil {
		return tail{}, err
	}
	b := content.Bytes()
	committed := scanTail(b)
	last := info.BaseIndex + committed.entries - 1
	if known.index >= info.BaseIndex && known.index > last {
		return tail{}, fmt.Errorf("%w: the log ends at entry %d, but entry %d was fsynced", ErrDamaged, last, known.index)
	}
	torn := bytes.TrimRight(b[committed.end:], "\x00")
	if len(torn) == 0 {
		return committed, nil
	}
	clear(torn)
	if _, err := file.WriteAt(torn, committed.end); err != nil {
		return tail{}, err
	}
	return committed, file.Sync()
}

// scanTail finds the end of the last committed batch in a segment's content.
func scanTail(b []byte) tail {
	var committed, seen tail
	at, batch := int64(segmentHeaderBytes), int64(0)
	for at+frameHeaderBytes <= int64(len(b)) {
		value := binary.LittleEndian.Uint32(b[at+4:])
		payload := (int64(value) + frameHeaderBytes - 1) &^ (frameHeaderBytes - 1)
		switch b[at] {
		case frameEntry:
			seen.entries++
		case frameIndex:
			seen.indexStart = uint64(at + frameHeaderBytes)
		case frameCommit:
			if crc32.Checksum(b[batch:at], castagnoli) != value {
				return committed
			}
			payload = 0
			seen.end = at + frameHeaderBytes
			committed, batch = seen, seen.end
		default:
			return committed
		}
		at += frameHeaderBytes + payload
	}
	return committed
}
