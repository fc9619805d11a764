package ownership

import (
	"encoding/binary"
	"fmt"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// TableNodes holds a record per node, under its name.
const TableNodes persistence.Table = 'n'

// Record is what the log knows of a node.
type Record struct {
	// Boot identifies the node's start that owns its shards.
	Boot uint64
	// Life identifies the disk on which the node votes; "" before it was admitted.
	Life string
	// Drained says that the node hands over what it has and takes nothing.
	Drained bool

	version uint64 // of the row; 0 where there is none
}

// presents reports whether a node presents an earlier start of the disk than the log
// knows.
func (r *Record) presents(l *Live) bool {
	return r.Life != "" && l.Life == r.Life && messages.StaleBoot(l.Boot, r.Boot)
}

// recordVersion is the first byte of a record.
const recordVersion = 1

// drained is the tag of a drained node's record; others have none.
const drained = 'd'

// lifeBytesMax bounds the id of a disk.
const lifeBytesMax = 64

func recordKey(node messages.NodeID) persistence.Key {
	return persistence.NameKey(TableNodes, string(node))
}

// write is the row of a record.
func (r *Record) write(node messages.NodeID) persistence.Write {
	value := binary.BigEndian.AppendUint64([]byte{recordVersion}, r.Boot)
	w := persistence.Write{Key: recordKey(node), Value: append(value, r.Life...)}
	if r.Drained {
		w.Tag = drained
	}
	return w
}

// unchanged holds while the record is the one that was read.
func (r *Record) unchanged(node messages.NodeID) persistence.Condition {
	if r.version == 0 {
		return persistence.Absent(recordKey(node))
	}
	return persistence.VersionIs(recordKey(node), r.version)
}

func parseRecord(v persistence.Value) (Record, error) {
	if len(v.Data) < 9 || len(v.Data) > 9+lifeBytesMax || v.Data[0] != recordVersion {
		return Record{}, fmt.Errorf("%w: a node's record of %d bytes", persistence.ErrCorrupt, len(v.Data))
	}
	return Record{
		Boot: binary.BigEndian.Uint64(v.Data[1:]), Life: string(v.Data[9:]),
		Drained: v.Tag == drained, version: v.Version,
	}, nil
}
