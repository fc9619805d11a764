package raftlog

import (
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
