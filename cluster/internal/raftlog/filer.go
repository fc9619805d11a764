package raftlog

import (
	"fmt"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// filer makes raft-wal v0.4.2 record our codec in the segments it creates. It
// always records its own, and then refuses to open them with another; meta corrects
// the same in the list of segments.
type filer struct{ *segment.Filer }

// Create makes a new segment file.
func (f filer) Create(info types.SegmentInfo) (types.SegmentWriter, error) {
	info.Codec = codecID
	return f.Filer.Create(info)
}

// Open opens a sealed segment; an error names it.
func (f filer) Open(info types.SegmentInfo) (types.SegmentReader, error) {
	r, err := f.Filer.Open(info)
	return r, named(info, err)
}

// RecoverTail opens the unsealed segment; an error names it.
func (f filer) RecoverTail(info types.SegmentInfo) (types.SegmentWriter, error) {
	w, err := f.Filer.RecoverTail(info)
	return w, named(info, err)
}

func named(info types.SegmentInfo, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", segment.FileName(info), err)
}
