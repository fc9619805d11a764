package raftlog

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// Options are how a Log is kept.
type Options struct {
	// SegmentBytes is the size of one file.
	SegmentBytes int
	// MarkDir holds the high-water mark; "" is the log's own directory. Apart from the log
	// it tells when that is lost.
	MarkDir string
	// Newest is the newest Raft snapshot beside the log.
	Newest SnapshotID
	// Disk holds the files; nil is the disk of the machine.
	Disk Disk
	// OnFailure is told, once, of the first write that failed or the first entry that
	// was read and found damaged. Nothing is written any more; what was being written
	// may or may not be there. It is called from Raft's goroutines.
	OnFailure func(error)
}

// Log is Raft's log and stable store in one directory. It implements
// raft.LogStore, raft.MonotonicLogStore and raft.StableStore.
type Log struct {
	dir       string
	disk      Disk
	wal       *wal.WAL
	meta      *meta
	mark      *highWater
	committed atomic.Uint64 // entries up to here are known to be committed
	metrics   Metrics
	written   atomic.Int64 // bytes of data stored, less what ResetWritten took
	pending   underway     // changes of the disk that have not returned

	onFailure func(error)
	mu        sync.Mutex
	failed    error // of the first failed write or damaged read
	closed    bool
}

// Open opens the log in dir, creating it where there is none. What it opens is
// not to be trusted before Verify.
func Open(dir string, opts Options, log hclog.Logger) (*Log, error) {
	l := &Log{dir: dir, onFailure: opts.OnFailure}
	l.disk = guard{opts.Disk, l.failDisk, &l.metrics}
	if opts.Disk == nil {
		l.disk = guard{OSDisk(), l.failDisk, &l.metrics}
	}
	if err := l.disk.MakeDir(dir); err != nil {
		return nil, err
	}
	if opts.MarkDir == "" {
		opts.MarkDir = dir
	}
	if err := l.openMark(&opts); err != nil {
		return nil, err
	}
	l.committed.Store(l.mark.mark().committed)
	l.meta = &meta{disk: l.disk, mark: l.mark}
	if err := l.openWAL(&opts, log); err != nil {
		return nil, errors.Join(err, l.mark.file.Close())
	}
	return l, nil
}

func (l *Log) openWAL(opts *Options, log hclog.Logger) (err error) {
	if err := mendTail(l.dir, l.disk, l.meta, l.mark.mark()); err != nil {
		return err
	}
	l.wal, err = wal.Open(l.dir,
		wal.WithCodec(codec{}), wal.WithMetaStore(l.meta), wal.WithSegmentFiler(filer{segment.NewFiler(l.dir, l.disk)}),
		wal.WithSegmentSize(opts.SegmentBytes), wal.WithLogger(log))
	return describe(err)
}

// openMark opens the high-water mark and holds it and meta against each other, or
// creates it for a log that does not exist yet. raft-wal would take a log without meta
// for a new one and remove its segments.
func (l *Log) openMark(opts *Options) error {
	left, err := files(l.disk, l.dir)
	if err != nil {
		return err
	}
	state, err := readMeta(l.disk, l.dir)
	if err != nil {
		return err
	}
	l.mark, err = openHighWater(l.disk, opts.MarkDir)
	switch {
	case err == nil:
		if err := l.agree(left, &state); err != nil {
			return errors.Join(err, l.mark.file.Close())
		}
	case !missing(err):
		return err
	case slices.Contains(left, witnessFile) && slices.Contains(left, metaFile) && state.Writes == 0:
		return l.replaceWitness(opts)
	case len(left) > 0:
		return fmt.Errorf("%w: %s holds a log but %s, which says how far that reached, is missing",
			ErrDamaged, l.dir, filepath.Join(opts.MarkDir, markFile))
	case opts.Newest.Index > 0:
		return fmt.Errorf("%w: there is a raft snapshot at entry %d, but the log in %s and %s are missing",
			ErrDamaged, opts.Newest.Index, l.dir, filepath.Join(opts.MarkDir, markFile))
	default:
		l.mark, err = createHighWater(l.disk, opts.MarkDir, newMark)
		return err
	}
	return nil
}

// agree compares the mark with the other files, which are left.
func (l *Log) agree(left []string, state *metaState) error {
	m := l.mark.mark()
	switch {
	case !slices.Contains(left, metaFile) && (!m.unused() || len(left) > 1):
		return fmt.Errorf("%w: the log in %s reached entry %d in term %d, but its file %q is missing",
			ErrDamaged, l.dir, m.index, m.currentTerm, metaFile)
	case state.Writes < m.meta:
		return fmt.Errorf("%w: %s is an old copy: it was written %d times, this is number %d", ErrDamaged, metaFile, m.meta, state.Writes)
	case m.life != "" && state.life() != m.life:
		return fmt.Errorf("%w: %s is of the data directory with life %q, the mark of that with life %q", ErrDamaged, metaFile, state.life(), m.life)
	}
	// raft-wal removes segments that meta does not list; one that is newer than all it
	// lists says that it is old.
	for _, name := range left {
		var base, id uint64
		if _, err := fmt.Sscanf(name, "%020d-%016x.wal", &base, &id); err == nil && id >= state.NextSegmentID {
			return fmt.Errorf("%w: %s is an old copy: it does not know of %s", ErrDamaged, metaFile, name)
		}
	}
	return nil
}

// replaceWitness makes a mark of what a release before this one has left.
func (l *Log) replaceWitness(opts *Options) error {
	first, err := readWitness(l.disk, l.dir)
	if err != nil {
		return err
	}
	first.snapshots[0] = opts.Newest
	if l.mark, err = createHighWater(l.disk, opts.MarkDir, first); err != nil {
		return err
	}
	return l.disk.Delete(l.dir, witnessFile)
}

// FirstIndex is the oldest entry's index, 0 where there is none.
func (l *Log) FirstIndex() (uint64, error) { return l.wal.FirstIndex() }

// LastIndex is the newest entry's index, 0 where there is none.
func (l *Log) LastIndex() (uint64, error) { return l.wal.LastIndex() }

// IsMonotonic tells Raft that entries are stored without gaps.
func (l *Log) IsMonotonic() bool { return true }

// GetLog reads one entry and verifies it. It returns raft.ErrLogNotFound itself for
// an entry that is not there, and ErrDamaged for one that fails its checksum.
func (l *Log) GetLog(index uint64, entry *raft.Log) error {
	err := l.get(index, entry)
	if errors.Is(err, ErrDamaged) {
		return l.fail(fmt.Errorf("log in %s: %w", l.dir, err))
	}
	return err
}

func (l *Log) get(index uint64, entry *raft.Log) error {
	err := l.wal.GetLog(index, entry)
	switch {
	case err == nil && entry.Index != index:
		return fmt.Errorf("%w: %s: entry %d is found where entry %d belongs", ErrDamaged, l.meta.segmentOf(index), entry.Index, index)
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrLogNotFound):
		return raft.ErrLogNotFound // Raft compares with ==
	case errors.Is(err, types.ErrClosed):
		return errClosed
	}
	return describe(fmt.Errorf("%s: entry %d: %w", l.meta.segmentOf(index), index, err))
}

// StoreLog stores one entry durably.
func (l *Log) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// StoreLogs stores entries durably: it returns after their fsync.
func (l *Log) StoreLogs(entries []*raft.Log) error {
	if len(entries) == 0 {
		return nil
	}
	first, last := entries[0], entries[len(entries)-1]
	return l.write(fmt.Sprintf("append entries %d to %d", first.Index, last.Index), func() error {
		if err := l.wal.StoreLogs(entries); err != nil {
			return err
		}
		for _, entry := range entries {
			l.written.Add(int64(len(entry.Data)))
		}
		return l.mark.entry(last.Index, last.Term, last.Data, l.committed.Load())
	})
}

// NoteCommitted notes that entries up to index are committed: they are never removed
// but for a Raft snapshot that holds them.
func (l *Log) NoteCommitted(index uint64) { l.committed.Store(max(index, l.committed.Load())) }

// Committed is the index up to which entries are known to be committed.
func (l *Log) Committed() uint64 { return l.committed.Load() }

// DeleteRange removes entries min to max, a prefix or a suffix of the log. What is known
// to be committed stays: ErrCommitted.
func (l *Log) DeleteRange(lowest, highest uint64) error {
	return l.write(fmt.Sprintf("remove entries %d to %d", lowest, highest), func() error {
		first, last, err := l.bounds()
		if err != nil {
			return err
		}
		if highest >= last && lowest > 0 {
			if err := l.mayRemove(first, lowest, last); err != nil {
				return err
			}
			if err := l.lowerMark(lowest - 1); err != nil {
				return err
			}
		}
		return l.wal.DeleteRange(lowest, highest)
	})
}

// mayRemove refuses to remove a suffix of the log that is known to be committed.
func (l *Log) mayRemove(first, lowest, last uint64) error {
	left := uint64(0)
	if lowest > first {
		left = lowest - 1
	}
	left = max(left, l.mark.mark().snapshots[0].Index)
	if committed := l.committed.Load(); left < min(committed, last) {
		return fmt.Errorf("%w: entries up to %d are, and those from %d on were to be replaced", ErrCommitted, committed, lowest)
	}
	return nil
}

// lowerMark makes the mark say no more than that the log reaches index.
func (l *Log) lowerMark(index uint64) error {
	var entry raft.Log
	if err := l.wal.GetLog(index, &entry); err != nil && !errors.Is(err, raft.ErrLogNotFound) {
		return err
	}
	return l.mark.lower(index, entry.Term)
}

// Set stores a value durably under a key.
func (l *Log) Set(key, value []byte) error {
	return l.write("store "+string(key), func() error { return l.wal.Set(key, value) })
}

// SetUint64 stores a number durably under a key.
func (l *Log) SetUint64(key []byte, value uint64) error {
	return l.write("store "+string(key), func() error { return l.wal.SetUint64(key, value) })
}

// Get reads a value, nil for none.
func (l *Log) Get(key []byte) ([]byte, error) { return l.wal.Get(key) }

// GetUint64 reads a number, 0 for none.
func (l *Log) GetUint64(key []byte) (uint64, error) { return l.wal.GetUint64(key) }

// Untouched reports whether no entry was ever stored here.
func (l *Log) Untouched() (bool, error) {
	last, err := l.wal.LastIndex()
	return last == 0 && l.mark.mark().index == 0, err
}

// SyncMark makes the high-water mark survive a power loss.
func (l *Log) SyncMark() error {
	return l.write("sync", func() error { return l.mark.sync(l.committed.Load()) })
}

// NoteSnapshot notes durably that the Raft snapshot next is about to get its name, while
// newest is the newest.
func (l *Log) NoteSnapshot(next, newest SnapshotID) error {
	return l.write(fmt.Sprintf("note the raft snapshot at %d", next.Index), func() error { return l.mark.snapshot(next, newest) })
}

// Metrics tells how the log's disk does.
func (l *Log) Metrics() *Metrics { return &l.metrics }

// Written is how many bytes of data were stored since the last ResetWritten, or
// found behind the Raft snapshot by Verify.
func (l *Log) Written() int64 { return l.written.Load() }

// ResetWritten takes n from Written.
func (l *Log) ResetWritten(n int64) { l.written.Add(-n) }

// Close has meta and mark say how far the log reached, and closes the files. Writes that
// come later fail.
func (l *Log) Close() error {
	l.mu.Lock()
	closed, failed := l.closed, l.failed != nil
	l.closed = true
	l.mu.Unlock()
	if closed {
		return nil
	}
	var err error
	if !failed {
		err = l.meta.again()
	}
	return errors.Join(err, l.wal.Close(), l.mark.close(l.committed.Load()))
}

// write does one change of the disk unless an earlier one failed: after a failed
// fsync nobody knows what the disk holds, and a second fsync may lie.
func (l *Log) write(what string, change func() error) error {
	l.mu.Lock()
	err := l.failed
	if err == nil && l.closed {
		err = errClosed
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	end := l.pending.begin()
	err = change()
	end()
	if err != nil {
		return l.fail(fmt.Errorf("log in %s: %s: %w", l.dir, what, err))
	}
	return nil
}

// WritingSince is when the oldest write began that has not returned, zero where there is
// none: of a disk that hangs it stays the same.
func (l *Log) WritingSince() time.Time { return l.pending.oldest() }

// Failure is what OnFailure was told, nil if nothing has failed.
func (l *Log) Failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func (l *Log) failDisk(err error) error { return l.fail(fmt.Errorf("log in %s: %w", l.dir, err)) }

// fail notes the first failure and gives it.
func (l *Log) fail(err error) error {
	l.mu.Lock()
	first := l.failed == nil && !l.closed
	if first {
		l.failed = err
	}
	cause := l.failed
	l.mu.Unlock()
	if first && l.onFailure != nil {
		l.onFailure(err)
	}
	if cause == nil {
		return err // closed before anything failed
	}
	return cause
}

// describe says what an error of the log means: that of the operating system is itself,
// every other is damage.
func describe(err error) error {
	var system syscall.Errno
	if err == nil || errors.Is(err, ErrDamaged) || errors.As(err, &system) && !missing(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

var _ interface {
	raft.LogStore
	raft.MonotonicLogStore
	raft.StableStore
} = (*Log)(nil)
