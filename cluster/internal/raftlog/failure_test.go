package raftlog_test

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft-wal/types"

	"github.com/the-block/bursar/cluster/internal/raftlog"
)

// failingDisk fails one call, counted from arming it, and works again afterwards:
// just what a second fsync that lies looks like.
type failingDisk struct {
	raftlog.Disk
	left atomic.Int64 // calls before the one that fails; negative when disarmed
	err  error
}

type failingFile struct {
	types.WritableFile
	disk *failingDisk
}

func (d *failingDisk) strike() error {
	if d.left.Add(-1) == 0 {
		return d.err
	}
	return nil
}

func (d *failingDisk) Create(dir, name string, size uint64) (types.WritableFile, error) {
	file, err := d.Disk.Create(dir, name, size)
	return failingFile{file, d}, err
}

func (f failingFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.disk.strike(); err != nil {
		return 0, err
	}
	return f.WritableFile.WriteAt(p, at)
}

func (f failingFile) Sync() error {
	if err := f.disk.strike(); err != nil {
		return err
	}
	return f.WritableFile.Sync()
}

func TestNothingIsWrittenAfterAFailure(t *testing.T) {
	for call := int64(1); call <= 4; call++ {
		for _, errno := range []error{syscall.EIO, syscall.ENOSPC} {
			dir := t.TempDir()
			disk := &failingDisk{Disk: raftlog.OSDisk(), err: errno}
			var failures []error
			l, err := raftlog.Open(dir, raftlog.Options{
				SegmentBytes: segmentBytes, Disk: disk,
				OnFailure: func(err error) { failures = append(failures, err) },
			}, hclog.NewNullLogger())
			if err != nil {
				t.Fatal(err)
			}
			fill(t, l, 1, 9)
			if err := l.SetUint64([]byte("CurrentTerm"), 5); err != nil {
				t.Fatal(err)
			}
			disk.left.Store(call)
			stored := uint64(9)
			for index := uint64(10); index <= 20; index++ {
				if err := l.StoreLog(entry(index)); err == nil {
					stored = index
				} else if !errors.Is(err, errno) {
					t.Errorf("entry %d: error = %v, want %v", index, err, errno)
				}
			}
			if stored >= 12 {
				t.Errorf("call %d: entries up to %d were stored after the failure", call, stored)
			}
			if len(failures) != 1 {
				t.Errorf("call %d: told of %d failures, want 1", call, len(failures))
			}
			if err := l.SetUint64([]byte("CurrentTerm"), 9); !errors.Is(err, errno) {
				t.Errorf("a term after the failure: error = %v, want %v", err, errno)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = mustOpen(t, dir)
			if err := l.Verify(0); err != nil {
				t.Errorf("call %d: reopened: %v", call, err)
			}
			last, err := l.LastIndex()
			if err != nil || last < stored {
				t.Errorf("call %d: reopened at %d, %v; %d was stored", call, last, err, stored)
			}
		}
	}
}

func TestTheMarkBindsEntryAndTerm(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir)
	fill(t, l, 1, 20)
	if err := l.DeleteRange(15, 20); err != nil {
		t.Fatal(err)
	}
	other := entry(15)
	other.Term = 9
	if err := l.StoreLog(other); err != nil { // in a term that was never entered
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, dir)
	if err := l.Verify(0); !errors.Is(err, raftlog.ErrDamaged) {
		t.Errorf("a log beyond its term: error = %v, want ErrDamaged", err)
	}
}
