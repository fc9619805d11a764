package raftlog

import (
	"fmt"
	"path/filepath"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// Read calls fn with each entry of the log in dir from index from on, oldest
// first, until fn returns an error, which it returns. It changes nothing and may
// run beside the process that writes the log; entries appended meanwhile may be
// left out. ErrDamaged names the first entry that is missing or fails its checksum.
func Read(dir string, from uint64, fn func(*raft.Log) error) error {
	witnessed, err := readWitness(dir)
	if err != nil {
		return err
	}
	state, err := readMeta(filepath.Join(dir, metaFile))
	if err != nil {
		return err
	}
	filer := segment.NewFiler(dir, fs.New())
	r := reader{from: from, fn: fn}
	for _, info := range state.Segments {
		if err := r.segment(filer, info); err != nil {
			return err
		}
	}
	if r.last < witnessed.index && witnessed.index >= from && !r.emptied(state.Segments) {
		return fmt.Errorf("%w: the log ends at entry %d, but entry %d was fsynced", ErrDamaged, r.last, witnessed.index)
	}
	return nil
}

// reader walks the segments in order.
type reader struct {
	from uint64
	fn   func(*raft.Log) error
	last uint64 // newest entry seen
}

func (r *reader) segment(filer *segment.Filer, info types.SegmentInfo) error {
	sealed := !info.SealTime.IsZero()
	if sealed && info.MaxIndex < r.from {
		r.last = info.MaxIndex
		return nil
	}
	next := info.MinIndex
	err := filer.DumpSegment(info.BaseIndex, info.ID, info.MinIndex-1, 0,
		func(_ types.SegmentInfo, raw types.LogEntry) (bool, error) {
			if sealed && raw.Index > info.MaxIndex {
				return false, nil // removed, though still in the file
			}
			var entry raft.Log
			if err := (codec{}).Decode(raw.Data, &entry); err != nil {
				return false, fmt.Errorf("entry %d: %w: %w", raw.Index, ErrDamaged, err)
			}
			if entry.Index != next {
				return false, fmt.Errorf("%w: entry %d is found where entry %d belongs", ErrDamaged, entry.Index, next)
			}
			r.last = next
			next++
			if entry.Index < r.from {
				return true, nil
			}
			return true, r.fn(&entry)
		})
	if err != nil {
		return err
	}
	if sealed && next <= info.MaxIndex {
		return fmt.Errorf("%w: entries %d to %d are missing", ErrDamaged, next, info.MaxIndex)
	}
	return nil
}

// emptied reports whether the log holds no entry because a Raft snapshot took its
// place: then its only segment is new.
func (r *reader) emptied(segments []types.SegmentInfo) bool {
	return r.last == 0 && len(segments) == 1 && segments[0].SealTime.IsZero() && segments[0].BaseIndex > 1
}
