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

// witnessFile says how far the log reached. It has two slots of 512 bytes, written
// in turn, so that a torn write spares the other one; the newer valid slot counts.
//
//	0   8  magic, the last byte is the version
//	8   8  sequence, growing by one each write
//	16  8  index of the last fsynced entry
//	24  8  its term
//	32  8  Raft's current term
//	40  4  CRC-32C of all before it
const (
	witnessFile      = "witness"
	witnessSlotBytes = 512
	witnessBytes     = 44
)

var witnessMagic = [8]byte{'b', 'u', 'r', 'w', 'i', 't', 'n', 1}

// mark is what a witness testifies.
type mark struct {
	seq         uint64
	index       uint64 // last entry known to be fsynced
	term        uint64 // of that entry
	currentTerm uint64
}

// newMark is what the witness of an empty log says.
var newMark = mark{seq: 2}

// witness keeps the newest mark on disk. Each mark is written after the entry it
// speaks of is durable, so no order in which the disk persists the two can make
// it lie. Writing costs a microsecond and survives the process; syncing, once an
// interval and at each new term, makes it survive a power loss too.
type witness struct {
	mu     sync.Mutex
	file   types.WritableFile
	newest mark
	synced uint64 // seq of the newest mark that is fsynced
}

// createWitness makes the file of an empty log.
func createWitness(disk Disk, dir string) (*witness, error) {
	slots := make([]byte, 2*witnessSlotBytes)
	copy(slots, newMark.encode())
	if err := replaceFile(disk, dir, witnessFile, slots); err != nil {
		return nil, fmt.Errorf("create witness: %w", err)
	}
	return openWitness(disk, dir)
}

// openWitness reads the newest mark. A missing file is fs.ErrNotExist; one without
// a valid slot is ErrDamaged.
func openWitness(disk Disk, dir string) (*witness, error) {
	newest, err := readWitness(disk, dir)
	if err != nil {
		return nil, err
	}
	file, err := disk.OpenWriter(dir, witnessFile)
	if err != nil {
		return nil, err
	}
	return &witness{file: file, newest: newest, synced: newest.seq}, nil
}

func readWitness(disk Disk, dir string) (mark, error) {
	slots, err := readFile(disk, dir, witnessFile)
	if err != nil {
		return mark{}, err
	}
	if len(slots) < 2*witnessSlotBytes {
		return mark{}, fmt.Errorf("%w: %s is %d bytes long instead of %d", ErrDamaged, witnessFile, len(slots), 2*witnessSlotBytes)
	}
	a, aValid := decodeMark(slots)
	b, bValid := decodeMark(slots[witnessSlotBytes:])
	switch {
	case aValid && (!bValid || a.seq > b.seq):
		return a, nil
	case bValid:
		return b, nil
	}
	return mark{}, fmt.Errorf("%w: neither slot of %s is valid", ErrDamaged, witnessFile)
}

// entry notes that the log is durable up to index.
func (w *witness) entry(index, term uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := w.newest
	next.index, next.term = index, term
	return w.writeLocked(next)
}

// currentTerm notes a new term and syncs.
func (w *witness) currentTerm(term uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := w.newest
	next.currentTerm = term
	return errors.Join(w.writeLocked(next), w.syncLocked())
}

// lower takes back what was said of entries after index, and syncs: Raft is about
// to remove them, as it may with entries that were never committed.
func (w *witness) lower(index, term uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if index >= w.newest.index {
		return nil
	}
	next := w.newest
	next.index, next.term = index, term
	// Both slots must forget, or the older one could speak for a removed entry.
	return errors.Join(w.writeLocked(next), w.writeLocked(next), w.syncLocked())
}

// sync makes the newest mark survive a power loss.
func (w *witness) sync() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.syncLocked()
}

func (w *witness) mark() mark {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.newest
}

func (w *witness) close() error {
	return errors.Join(w.sync(), w.file.Close())
}

func (w *witness) writeLocked(next mark) error {
	next.seq = w.newest.seq + 1
	if _, err := w.file.WriteAt(next.encode(), int64(next.seq%2)*witnessSlotBytes); err != nil {
		return fmt.Errorf("write witness: %w", err)
	}
	w.newest = next
	return nil
}

func (w *witness) syncLocked() error {
	if w.synced == w.newest.seq {
		return nil
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("sync witness: %w", err)
	}
	w.synced = w.newest.seq
	return nil
}

func (m mark) encode() []byte {
	b := make([]byte, 0, witnessBytes)
	b = append(b, witnessMagic[:]...)
	for _, v := range []uint64{m.seq, m.index, m.term, m.currentTerm} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeMark(b []byte) (mark, bool) {
	body := witnessBytes - crc32.Size
	if [8]byte(b[:8]) != witnessMagic || crc32.Checksum(b[:body], castagnoli) != binary.LittleEndian.Uint32(b[body:]) {
		return mark{}, false
	}
	return mark{
		seq:         binary.LittleEndian.Uint64(b[8:]),
		index:       binary.LittleEndian.Uint64(b[16:]),
		term:        binary.LittleEndian.Uint64(b[24:]),
		currentTerm: binary.LittleEndian.Uint64(b[32:]),
	}, true
}

// missing reports whether err means that there is no file.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
