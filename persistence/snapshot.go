package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"

	"github.com/tidwall/buntdb"
)

// A snapshot is a header, a prefix of the projection file, and a checksum over both:
//
//	"BURSARS1" | index 8 | rows 8 | checksum of the rows 8 | body bytes 8 | body | CRC-32C 4
const (
	snapshotMagic       = "BURSARS1"
	snapshotHeaderBytes = len(snapshotMagic) + 4*8
)

// Snapshot is the Store at one index, ready to be written. It pins a file, not the
// Store: entries go on being applied while it is written.
type Snapshot struct {
	file  *os.File
	index uint64
	rows  uint64
	sum   uint64
	size  int64
}

// Snapshot captures the Store as it is now. It takes microseconds: the projection file
// only grows, so its present length is the present state.
func (f *FSM) Snapshot() (*Snapshot, error) {
	if f.err != nil {
		return nil, f.err
	}
	s := f.store
	s.mu.RLock()
	defer s.mu.RUnlock()
	file, err := os.Open(s.path)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("snapshot: %w", err), file.Close())
	}
	snapshot := &Snapshot{file: file, index: s.applied.Load(), sum: s.derived.checksum.sum, size: info.Size()}
	err = s.db.View(func(tx *buntdb.Tx) error {
		rows, err := tx.Len()
		snapshot.rows = uint64(rows)
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("snapshot: %w", err), file.Close())
	}
	s.stats.Snapshots.Add(1)
	s.stats.FileBytes.Store(info.Size())
	s.compact(info.Size())
	return snapshot, nil
}

// Index is the entry after which the snapshot was taken.
func (s *Snapshot) Index() uint64 { return s.index }

// WriteTo writes the snapshot. It may run beside Apply, once.
func (s *Snapshot) WriteTo(w io.Writer) (int64, error) {
	sum := crc32.New(castagnoli)
	both := io.MultiWriter(w, sum)
	header := make([]byte, 0, snapshotHeaderBytes)
	header = append(header, snapshotMagic...)
	header = binary.BigEndian.AppendUint64(header, s.index)
	header = binary.BigEndian.AppendUint64(header, s.rows)
	header = binary.BigEndian.AppendUint64(header, s.sum)
	header = binary.BigEndian.AppendUint64(header, uint64(s.size))
	n, err := both.Write(header)
	if err != nil {
		return int64(n), fmt.Errorf("write snapshot: %w", err)
	}
	m, err := io.CopyBuffer(both, io.LimitReader(s.file, s.size), copyBuffer(s.size))
	if err == nil && m != s.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return int64(n) + m, fmt.Errorf("write snapshot: %w", err)
	}
	k, err := w.Write(binary.BigEndian.AppendUint32(nil, sum.Sum32()))
	if err != nil {
		err = fmt.Errorf("write snapshot: %w", err)
	}
	return int64(n) + m + int64(k), err
}

// Release lets go of the file.
func (s *Snapshot) Release() error { return s.file.Close() }

// Restore replaces the Store by a snapshot. Readers see the old Store until the new one
// is complete. ErrCorrupt means that the snapshot's bytes are not those written, and
// nothing has changed.
func (f *FSM) Restore(r io.Reader) error {
	if f.err != nil {
		return f.err
	}
	s := f.store
	s.generation++
	path := s.file(s.generation)
	header, err := receive(path, r)
	if err != nil {
		return errors.Join(fmt.Errorf("restore: %w", err), removeIfThere(path))
	}
	db, derived, err := s.load(path, header)
	if err != nil {
		return errors.Join(fmt.Errorf("restore: %w", err), removeIfThere(path))
	}
	if err := s.become(db, derived, path, header.index); err != nil {
		f.err = fmt.Errorf("restore: %w", err)
		return f.err
	}
	s.stats.Restores.Add(1)
	s.stats.Rows.Store(int64(header.rows))
	s.announce.move(header.index)
	return nil
}

type snapshotHeader struct {
	index, rows, sum uint64
	size             int64
}

// receive writes the body of a snapshot to path and checks it.
func receive(path string, r io.Reader) (h snapshotHeader, err error) {
	sum := crc32.New(castagnoli)
	in := io.TeeReader(r, sum)
	if h, err = readHeader(in); err != nil {
		return h, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return h, err
	}
	n, err := io.CopyBuffer(onlyWriter{file}, io.LimitReader(in, h.size), copyBuffer(h.size))
	if err == nil && n != h.size {
		err = fmt.Errorf("%w: snapshot body has %d of %d bytes", ErrCorrupt, n, h.size)
	}
	if err == nil {
		err = checkTrailer(r, sum)
	}
	return h, errors.Join(err, file.Close())
}

// copyBuffer is for copying so many bytes: large, but for a small snapshot.
func copyBuffer(size int64) []byte { return make([]byte, min(size+1, 1<<20)) }

// onlyWriter hides ReadFrom, which would ignore the buffer given to CopyBuffer.
type onlyWriter struct{ io.Writer }

func readHeader(r io.Reader) (h snapshotHeader, err error) {
	var b [snapshotHeaderBytes]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return h, fmt.Errorf("%w: snapshot header: %w", ErrCorrupt, err)
	}
	magic, rest := b[:len(snapshotMagic)], b[len(snapshotMagic):]
	if string(magic) != snapshotMagic {
		return h, fmt.Errorf("%w: snapshot begins with %q", ErrCorrupt, magic)
	}
	h.index = binary.BigEndian.Uint64(rest)
	h.rows = binary.BigEndian.Uint64(rest[8:])
	h.sum = binary.BigEndian.Uint64(rest[16:])
	size := binary.BigEndian.Uint64(rest[24:])
	if size > 1<<62 {
		return h, fmt.Errorf("%w: snapshot of %d bytes", ErrCorrupt, size)
	}
	h.size = int64(size)
	return h, nil
}

func checkTrailer(r io.Reader, sum hash.Hash32) error {
	got := sum.Sum32()
	rest, err := io.ReadAll(io.LimitReader(r, crc32.Size+1))
	if err != nil {
		return err
	}
	if len(rest) != crc32.Size {
		return fmt.Errorf("%w: snapshot ends with %d bytes, not a checksum", ErrCorrupt, len(rest))
	}
	if want := binary.BigEndian.Uint32(rest); got != want {
		return fmt.Errorf("%w: snapshot has checksum %08x, its bytes give %08x", ErrCorrupt, want, got)
	}
	return nil
}

// load opens a checked projection file and derives what is kept in memory.
func (s *Store) load(path string, h snapshotHeader) (*buntdb.DB, *derived, error) {
	db, err := openProjection(path)
	if errors.Is(err, buntdb.ErrInvalid) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err != nil {
		return nil, nil, err
	}
	d := newDerived(&s.cfg)
	err = db.View(func(tx *buntdb.Tx) error {
		n, err := tx.Len()
		if err != nil {
			return err
		}
		if uint64(n) != h.rows {
			return fmt.Errorf("%w: snapshot of %d rows loads as %d", ErrCorrupt, h.rows, n)
		}
		return d.build(tx)
	})
	if err == nil && d.checksum.sum != h.sum {
		err = fmt.Errorf("%w: snapshot of rows with checksum %016x loads as %016x", ErrCorrupt, h.sum, d.checksum.sum)
	}
	if err == nil && d.level > LevelMax {
		err = fmt.Errorf("%w: feature level %d", ErrUnsupported, d.level)
	}
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, d, nil
}

// become swaps the loaded state in and removes the old file.
func (s *Store) become(db *buntdb.DB, d *derived, path string, index uint64) error {
	s.mu.Lock()
	old, oldPath := s.db, s.path
	s.db, s.derived, s.path = db, d, path
	s.recent.reset(index)
	s.checkpoints = checkpoints{}
	s.owners.Add(1)
	s.applied.Store(index)
	s.mu.Unlock()
	err := old.Close()
	s.compactions.Wait() // one of the old file ends now that it is closed
	return errors.Join(err, removeIfThere(oldPath))
}

// compact rewrites the projection file in the background if half of it is garbage. The
// file stays append-only to whoever has it open: the rewritten one takes its name.
func (s *Store) compact(size int64) {
	if size < s.cfg.CompactBytes || size < 2*s.derived.bytes || !s.compacting.CompareAndSwap(false, true) {
		return
	}
	db := s.db
	// Freeing a large file takes long. Held open here, it is freed when the compaction
	// has let go of the database's lock.
	old, err := os.Open(s.path)
	if err != nil {
		s.compacting.Store(false)
		return
	}
	s.compactions.Go(func() {
		defer s.compacting.Store(false)
		defer func() { _ = old.Close() }()
		// A compaction that fails leaves the file as it was; the next snapshot tries again.
		if db.Shrink() == nil {
			s.stats.Compactions.Add(1)
		}
	})
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

var _ io.WriterTo = (*Snapshot)(nil)
