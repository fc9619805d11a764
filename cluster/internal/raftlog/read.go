package raftlog

import (
	"fmt"
	"slices"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// Newest is the index of the newest entry that is known to be durable in the log in
// dir, whose mark is in markDir, and its term; 0 for none. It may run beside the process
// that writes the log.
func Newest(dir, markDir string) (index, term uint64, err error) {
	m, err := readMark(OSDisk(), markDir)
	if missing(err) {
		m, err = readWitness(OSDisk(), dir)
	}
	return m.index, m.term, err
}

// Read calls fn with each entry of the log in dir from index from on, oldest
// first, until fn returns an error, which it returns. It changes nothing and may
// run beside the process that writes the log; entries appended meanwhile may be
// left out, and so may old ones that are removed meanwhile. What a crash left torn
// behind the last entry is no damage. ErrDamaged names the segment and the first
// entry in it that is missing or fails its checksum.
func Read(dir, markDir string, from uint64, fn func(*raft.Log) error) error {
	reached, _, err := Newest(dir, markDir)
	if err != nil {
		return err
	}
	state, err := readMeta(OSDisk(), dir)
	if err != nil {
		return err
	}
	r := reader{dir: dir, filer: segment.NewFiler(dir, OSDisk()), from: from, reached: reached, fn: fn}
	for _, info := range state.Segments {
		if err := r.segment(info); err != nil {
			return err
		}
	}
	if r.last < reached && reached >= from && !r.emptied(state.Segments) {
		return fmt.Errorf("%w: the log ends at entry %d, but entry %d was fsynced", ErrDamaged, r.last, reached)
	}
	return nil
}

// reader walks the segments in order.
type reader struct {
	dir     string
	filer   *segment.Filer
	from    uint64
	reached uint64
	fn      func(*raft.Log) error
	last    uint64 // newest entry seen
}

func (r *reader) segment(info types.SegmentInfo) error {
	sealed := !info.SealTime.IsZero()
	if sealed && info.MaxIndex < r.from {
		r.last = info.MaxIndex
		return nil
	}
	end := info.MaxIndex
	if !sealed {
		committed, err := r.committed(info)
		if err != nil {
			return err
		}
		end = max(committed, r.reached)
	}
	next, err := r.entries(info, end)
	switch {
	case missing(err) && !r.listed(info):
		return nil // a Raft snapshot has taken its place meanwhile
	case missing(err) && sealed:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case missing(err):
		return nil // it is created with its first entry
	case err != nil:
		return err
	case sealed && next <= info.MaxIndex:
		return fmt.Errorf("%w: %s: entries %d to %d are missing", ErrDamaged, segment.FileName(info), next, info.MaxIndex)
	}
	return nil
}

// entries calls fn with the entries of a segment up to end and gives the index after
// the last.
func (r *reader) entries(info types.SegmentInfo, end uint64) (next uint64, err error) {
	next = info.MinIndex
	err = r.filer.DumpSegment(info.BaseIndex, info.ID, info.MinIndex-1, 0,
		func(_ types.SegmentInfo, raw types.LogEntry) (bool, error) {
			if raw.Index > end {
				return false, nil // removed though still in the file, or torn
			}
			var entry raft.Log
			if err := (codec{}).Decode(raw.Data, &entry); err != nil {
				return false, fmt.Errorf("%w: %s: entry %d: %w", ErrDamaged, segment.FileName(info), raw.Index, err)
			}
			if entry.Index != next {
				return false, fmt.Errorf("%w: %s: entry %d is found where entry %d belongs",
					ErrDamaged, segment.FileName(info), entry.Index, next)
			}
			r.last = next
			next++
			if entry.Index < r.from {
				return true, nil
			}
			return true, r.fn(&entry)
		})
	return next, err
}

// committed is the index of the last entry in an unsealed segment whose batch is
// whole; what follows was torn by a crash, or is being written.
func (r *reader) committed(info types.SegmentInfo) (uint64, error) {
	content, err := readFile(OSDisk(), r.dir, segment.FileName(info))
	if missing(err) {
		return info.BaseIndex - 1, nil
	}
	return info.BaseIndex + scanTail(content).entries - 1, err
}

// listed reports whether the list of segments still has one.
func (r *reader) listed(info types.SegmentInfo) bool {
	state, err := readMeta(OSDisk(), r.dir)
	return err != nil || slices.ContainsFunc(state.Segments, func(other types.SegmentInfo) bool { return other.ID == info.ID })
}

// emptied reports whether the log holds no entry because a Raft snapshot took its
// place: then its only segment is new.
func (r *reader) emptied(segments []types.SegmentInfo) bool {
	return r.last == 0 && len(segments) == 1 && segments[0].SealTime.IsZero() && segments[0].BaseIndex > 1
}

// ReadStable reads the values that Set has stored in the log in dir, without opening it.
func ReadStable(dir string) (func(key []byte) []byte, error) {
	state, err := readMeta(OSDisk(), dir)
	return func(key []byte) []byte { return state.Stable[string(key)] }, err
}
