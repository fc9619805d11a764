package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"sync"

	"github.com/hashicorp/raft-wal/types"
)

// The high-water mark says how far the log reached, and what else lies in the data
// directory. It is kept apart from the log, so that whichever of the two is lost, the
// other one tells. The file has two slots of 512 bytes, written in turn, so that a torn
// write spares the other one; the newer valid slot counts.
//
//	0   8  magic, the last byte is the version
//	8   8  sequence, growing by one each write
//	16  8  index of the last fsynced entry
//	24  8  its term
//	32  4  CRC-32C of its data
//	36  8  Raft's current term
//	44  8  index up to which this node knows entries to be committed
//	52  8  how often meta has been written
//	60  8  boot: the newest start in this directory
//	68  20 the Raft snapshot that was last about to get its name: index, term, CRC of its state
//	88  20 the newest one at that time
//	108 1  length of the life, then the life: 64
//	173 4  CRC-32C of all before it
const (
	markFile      = "mark"
	markSlotBytes = 512
	markBytes     = 177
	lifeBytesMax  = 64
)

var markMagic = [8]byte{'b', 'u', 'r', 'm', 'a', 'r', 'k', 1}

// SnapshotID tells one Raft snapshot from every other. The zero one stands for none.
type SnapshotID struct {
	Index, Term uint64
	Sum         uint32 // CRC-32C of its state
}

// mark is what the high-water mark says.
type mark struct {
	seq         uint64
	index       uint64 // last entry known to be fsynced
	term        uint64 // of that entry
	sum         uint32 // CRC-32C of its data; 0 where it is not known
	currentTerm uint64
	committed   uint64
	meta        uint64
	boot        uint64
	life        string
	// snapshots are the one that was last about to get its name, and the newest that was
	// there before it.
	snapshots [2]SnapshotID
}

// newMark is what the high-water mark of an empty log says.
var newMark = mark{seq: 2}

// unused reports whether nothing was ever stored beside the mark.
func (m *mark) unused() bool { return m.index == 0 && m.meta == 0 && m.committed == 0 }

// highWater keeps the newest mark on disk. Each is written after what it speaks of is
// durable, so no order in which the disk persists the two can make it lie. Writing costs
// a microsecond and survives the process; syncing, once an interval and whenever meta or
// the newest Raft snapshot changes, makes it survive a power loss too.
type highWater struct {
	mu     sync.Mutex
	file   types.WritableFile
	newest mark
	synced uint64 // seq of the newest mark that is fsynced
}

// createHighWater makes the file, which says first.
func createHighWater(disk Disk, dir string, first mark) (*highWater, error) {
	slots := make([]byte, 2*markSlotBytes)
	copy(slots[first.seq%2*markSlotBytes:], first.encode())
	if err := replaceFile(disk, dir, markFile, slots); err != nil {
		return nil, fmt.Errorf("create %s: %w", markFile, err)
	}
	return openHighWater(disk, dir)
}

// openHighWater reads the newest mark. A missing file is fs.ErrNotExist; one without a
// valid slot is ErrDamaged.
func openHighWater(disk Disk, dir string) (*highWater, error) {
	newest, err := readMark(disk, dir)
	if err != nil {
		return nil, err
	}
	file, err := disk.OpenWriter(dir, markFile)
	if err != nil {
		return nil, err
	}
	return &highWater{file: file, newest: newest, synced: newest.seq}, nil
}

func readMark(disk Disk, dir string) (mark, error) {
	return readSlots(disk, dir, markFile, decodeMark)
}

// readSlots reads a file of two slots and gives the newer valid one.
func readSlots(disk Disk, dir, name string, decode func([]byte) (mark, bool)) (mark, error) {
	slots, err := readFile(disk, dir, name)
	if err != nil {
		return mark{}, err
	}
	if len(slots) < 2*markSlotBytes {
		return mark{}, fmt.Errorf("%w: %s is %d bytes long instead of %d", ErrDamaged, name, len(slots), 2*markSlotBytes)
	}
	a, aValid := decode(slots)
	b, bValid := decode(slots[markSlotBytes:])
	switch {
	case aValid && (!bValid || a.seq > b.seq):
		return a, nil
	case bValid:
		return b, nil
	}
	return mark{}, fmt.Errorf("%w: neither slot of %s is valid", ErrDamaged, name)
}

// entry notes that the log is durable up to an entry, and what is known to be committed.
func (h *highWater) entry(index, term uint64, data []byte, committed uint64) error {
	sum := crc32.Checksum(data, castagnoli)
	return h.change(false, func(m *mark) {
		m.index, m.term, m.sum, m.committed = index, term, sum, max(m.committed, committed)
	})
}

// meta notes what meta says now, and syncs.
func (h *highWater) meta(s *metaState) error {
	return h.change(true, func(m *mark) {
		m.meta, m.currentTerm = s.Writes, termOf(s.Stable[keyCurrentTerm])
		m.boot, m.life = s.boot(), s.life()
	})
}

// snapshot notes that a Raft snapshot is about to get its name, and syncs.
func (h *highWater) snapshot(next, newest SnapshotID) error {
	return h.change(true, func(m *mark) { m.snapshots = [2]SnapshotID{next, newest} })
}

// lower takes back what was said of entries after index, and syncs: Raft is about to
// remove them, as it may with entries that were never committed.
func (h *highWater) lower(index, term uint64) error {
	if index >= h.mark().index {
		return nil
	}
	back := func(m *mark) { m.index, m.term, m.sum = index, term, 0 }
	// Both slots must forget, or the older one could speak for a removed entry.
	return errors.Join(h.change(false, back), h.change(true, back))
}

// sync notes what is committed and makes the newest mark survive a power loss.
func (h *highWater) sync(committed uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if committed > h.newest.committed {
		next := h.newest
		next.committed = committed
		if err := h.writeLocked(next); err != nil {
			return err
		}
	}
	return h.syncLocked()
}

func (h *highWater) mark() mark {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.newest
}

func (h *highWater) close(committed uint64) error {
	return errors.Join(h.sync(committed), h.file.Close())
}

// change writes a mark that differs from the newest, and syncs it if told.
func (h *highWater) change(sync bool, how func(*mark)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := h.newest
	how(&next)
	err := h.writeLocked(next)
	if err == nil && sync {
		err = h.syncLocked()
	}
	return err
}

func (h *highWater) writeLocked(next mark) error {
	next.seq = h.newest.seq + 1
	if _, err := h.file.WriteAt(next.encode(), int64(next.seq%2)*markSlotBytes); err != nil {
		return fmt.Errorf("write %s: %w", markFile, err)
	}
	h.newest = next
	return nil
}

func (h *highWater) syncLocked() error {
	if h.synced == h.newest.seq {
		return nil
	}
	if err := h.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", markFile, err)
	}
	h.synced = h.newest.seq
	return nil
}

func (m *mark) encode() []byte {
	b := make([]byte, 0, markBytes)
	b = append(b, markMagic[:]...)
	for _, v := range []uint64{m.seq, m.index, m.term} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, m.sum)
	for _, v := range []uint64{m.currentTerm, m.committed, m.meta, m.boot} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	for _, s := range m.snapshots {
		b = binary.LittleEndian.AppendUint64(b, s.Index)
		b = binary.LittleEndian.AppendUint64(b, s.Term)
		b = binary.LittleEndian.AppendUint32(b, s.Sum)
	}
	var life [1 + lifeBytesMax]byte
	life[0] = byte(copy(life[1:], m.life))
	b = append(b, life[:]...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeMark(b []byte) (mark, bool) {
	if !sealed(b, markMagic, markBytes) || b[108] > lifeBytesMax {
		return mark{}, false
	}
	u64, u32 := binary.LittleEndian.Uint64, binary.LittleEndian.Uint32
	snapshot := func(at int) SnapshotID { return SnapshotID{u64(b[at:]), u64(b[at+8:]), u32(b[at+16:])} }
	return mark{
		seq: u64(b[8:]), index: u64(b[16:]), term: u64(b[24:]), sum: u32(b[32:]),
		currentTerm: u64(b[36:]), committed: u64(b[44:]), meta: u64(b[52:]), boot: u64(b[60:]),
		snapshots: [2]SnapshotID{snapshot(68), snapshot(88)},
		life:      string(b[109 : 109+int(b[108])]),
	}, true
}

// sealed reports whether a slot has the magic and, in its last four bytes, the checksum
// of those before.
func sealed(b []byte, magic [8]byte, size int) bool {
	body := size - crc32.Size
	return [8]byte(b[:8]) == magic && crc32.Checksum(b[:body], castagnoli) == binary.LittleEndian.Uint32(b[body:])
}

// The witness is the mark of releases before this one: in the log's own directory, slots
// as above with sequence, index, term and current term alone.
const (
	witnessFile  = "witness"
	witnessBytes = 44
)

var witnessMagic = [8]byte{'b', 'u', 'r', 'w', 'i', 't', 'n', 1}

func readWitness(disk Disk, dir string) (mark, error) {
	return readSlots(disk, dir, witnessFile, func(b []byte) (mark, bool) {
		if !sealed(b, witnessMagic, witnessBytes) {
			return mark{}, false
		}
		u64 := binary.LittleEndian.Uint64
		return mark{seq: u64(b[8:]), index: u64(b[16:]), term: u64(b[24:]), currentTerm: u64(b[32:])}, true
	})
}

// missing reports whether err means that there is no file.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
