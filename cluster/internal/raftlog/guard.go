package raftlog

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft-wal/types"

	"github.com/the-block/bursar/monitoring/metrics"
)

// guard reports every change of a disk that fails, whoever asked for it: raft-wal
// makes a new segment in the background, where an error ends in a line of its log and
// the next entry finds a segment that is sealed.
type guard struct {
	Disk
	failed  func(error) error
	metrics *Metrics
}

// Metrics tells how the log's disk does.
type Metrics struct {
	Fsync   metrics.Histogram `metric:"bursar_raft_fsync_seconds" help:"Time of an fsync of the log." le:"-13..3/2"`
	Written atomic.Uint64     `metric:"bursar_raft_written_bytes_total" help:"Bytes written to the files of the log."`
}

func (g guard) report(what, name string, err error) error {
	if err == nil || missing(err) {
		return err
	}
	return g.failed(fmt.Errorf("%s %s: %w", what, name, err))
}

func (g guard) Create(dir, name string, size uint64) (types.WritableFile, error) {
	file, err := g.Disk.Create(dir, name, size)
	return guardedFile{file, name, g}, g.report("create", name, err)
}

func (g guard) OpenWriter(dir, name string) (types.WritableFile, error) {
	file, err := g.Disk.OpenWriter(dir, name)
	return guardedFile{file, name, g}, err
}

func (g guard) Rename(dir, from, to string) error {
	return g.report("replace", to, g.Disk.Rename(dir, from, to))
}

func (g guard) Delete(dir, name string) error {
	return g.report("remove", name, g.Disk.Delete(dir, name))
}

type guardedFile struct {
	types.WritableFile
	name  string
	guard guard
}

func (f guardedFile) WriteAt(p []byte, at int64) (int, error) {
	n, err := f.WritableFile.WriteAt(p, at)
	f.guard.metrics.Written.Add(uint64(n))
	return n, f.guard.report("write", f.name, err)
}

func (f guardedFile) Sync() error {
	began := time.Now()
	err := f.WritableFile.Sync()
	f.guard.metrics.Fsync.ObserveTime(time.Since(began))
	return f.guard.report("fsync", f.name, err)
}
