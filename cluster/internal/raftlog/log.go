package raftlog

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

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
	dir     string
	disk    Disk
	wal     *wal.WAL
	meta    *meta
	witness *witness
	written atomic.Int64 // bytes of data stored, less what ResetWritten took

	onFailure func(error)
	mu        sync.Mutex
	failed    error // of the first failed write or damaged read
	closed    bool
}

// Open opens the log in dir, creating it where there is none. What it opens is
// not to be trusted before Verify.
func Open(dir string, opts Options, log hclog.Logger) (*Log, error) {
	l := &Log{dir: dir, onFailure: opts.OnFailure}
	l.disk = guard{opts.Disk, l.failDisk}
	if opts.Disk == nil {
		l.disk = guard{OSDisk(), l.failDisk}
	}
	if err := l.disk.MakeDir(dir); err != nil {
		return nil, err
	}
	if err := l.openWitness(); err != nil {
		return nil, err
	}
	l.meta = &meta{disk: l.disk, onTerm: l.witness.currentTerm}
	if err := mendTail(dir, l.disk, l.meta, l.witness.mark()); err != nil {
		return nil, errors.Join(err, l.witness.close())
	}
	w, err := wal.Open(dir,
		wal.WithCodec(codec{}), wal.WithMetaStore(l.meta), wal.WithSegmentFiler(filer{segment.NewFiler(dir, l.disk)}),
		wal.WithSegmentSize(opts.SegmentBytes), wal.WithLogger(log))
	if err != nil {
		return nil, errors.Join(damagedIfCorrupt(err), l.witness.close())
	}
	l.wal = w
	return l, nil
}

// openWitness opens the witness, or creates it for a log that does not exist yet.
// A log without its meta file is refused here: raft-wal would take it for a new one
// and remove its segments.
func (l *Log) openWitness() (err error) {
	left, err := files(l.disk, l.dir)
	if err != nil {
		return err
	}
	l.witness, err = openWitness(l.disk, l.dir)
	switch {
	case err == nil && l.witness.mark() != newMark && !slices.Contains(left, metaFile):
		return errors.Join(fmt.Errorf("%w: %s holds a log but its file %q is missing", ErrDamaged, l.dir, metaFile), l.witness.close())
	case !missing(err):
		return err
	case len(left) > 0:
		return fmt.Errorf("%w: %s holds a log but its file %q is missing", ErrDamaged, l.dir, witnessFile)
	}
	l.witness, err = createWitness(l.disk, l.dir)
	return err
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
	return damagedIfCorrupt(fmt.Errorf("%s: entry %d: %w", l.meta.segmentOf(index), index, err))
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
		return l.witness.entry(last.Index, last.Term)
	})
}

// DeleteRange removes entries min to max, a prefix or a suffix of the log.
func (l *Log) DeleteRange(lowest, highest uint64) error {
	return l.write(fmt.Sprintf("remove entries %d to %d", lowest, highest), func() error {
		last, err := l.wal.LastIndex()
		if err != nil {
			return err
		}
		if highest >= last && lowest > 0 {
			if err := l.lowerWitness(lowest - 1); err != nil {
				return err
			}
		}
		return l.wal.DeleteRange(lowest, highest)
	})
}

// lowerWitness makes the witness say no more than that the log reaches index.
func (l *Log) lowerWitness(index uint64) error {
	var entry raft.Log
	if err := l.wal.GetLog(index, &entry); err != nil && !errors.Is(err, raft.ErrLogNotFound) {
		return err
	}
	return l.witness.lower(index, entry.Term)
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
	return last == 0 && l.witness.mark().index == 0, err
}

// SyncWitness makes the witness survive a power loss.
func (l *Log) SyncWitness() error { return l.write("sync", l.witness.sync) }

// Written is how many bytes of data were stored since the last ResetWritten, or
// found behind the Raft snapshot by Verify.
func (l *Log) Written() int64 { return l.written.Load() }

// ResetWritten takes n from Written.
func (l *Log) ResetWritten(n int64) { l.written.Add(-n) }

// Close syncs the witness and closes the files. Writes that come later fail.
func (l *Log) Close() error {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if closed {
		return nil
	}
	return errors.Join(l.wal.Close(), l.witness.close())
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
	if err := change(); err != nil {
		return l.fail(fmt.Errorf("log in %s: %s: %w", l.dir, what, err))
	}
	return nil
}

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

// damagedIfCorrupt makes raft-wal's and the codec's words for damage ours.
func damagedIfCorrupt(err error) error {
	if errors.Is(err, ErrDamaged) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

var _ interface {
	raft.LogStore
	raft.MonotonicLogStore
	raft.StableStore
} = (*Log)(nil)
