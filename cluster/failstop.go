package cluster

import (
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/cluster/internal/raftlog"
)

// failStop shows the log to Raft. Where Raft cannot go on without its disk, it
// panics: when a term cannot be stored, when an entry it needs cannot be read. The
// failure has been reported by then and the process is to end in order, with words
// that help; so the goroutine of Raft ends here instead.
type failStop struct {
	*raftlog.Log
	running atomic.Bool // Raft's goroutines call, and not who starts Raft or forms a cluster
}

// GetLog reads an entry, for Raft's goroutines successfully or not at all.
func (s *failStop) GetLog(index uint64, entry *raft.Log) error {
	err := s.Log.GetLog(index, entry)
	if err != raft.ErrLogNotFound { //nolint:errorlint // it is handed out itself
		s.endIf(err)
	}
	return err
}

// SetUint64 stores a number, for Raft's goroutines successfully or not at all. One that
// is stored already costs nothing.
func (s *failStop) SetUint64(key []byte, value uint64) error {
	stored, err := s.GetUint64(key)
	if err == nil && stored == value && value != 0 {
		return nil
	}
	err = s.Log.SetUint64(key, value)
	s.endIf(err)
	return err
}

func (s *failStop) endIf(err error) {
	if err != nil && s.running.Load() {
		runtime.Goexit()
	}
}

// bootstrap has Raft make the first entry, and gives the failure of the disk that Raft
// then gives too.
func (c *Consensus) bootstrap(group raft.Configuration) error {
	c.stop.running.Store(false)
	defer c.stop.running.Store(true)
	return c.raft.BootstrapCluster(group).Error()
}

// newRaft starts Raft, and gives the failure of the disk instead of the panic that
// Raft makes of it.
func (c *Consensus) newRaft(cfg *raft.Config) (err error) {
	stop := &failStop{Log: c.store}
	c.stop = stop
	defer func() {
		if cause := c.store.Failure(); cause != nil {
			_ = recover()
			err = cause
		}
	}()
	if c.entries, err = raft.NewLogCache(logCacheEntries, stop); err != nil {
		return err
	}
	if c.raft, err = raft.NewRaft(cfg, c.machine, c.entries, stop, c.snapshots, c.transport); err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	stop.running.Store(true)
	c.transport.streams.group.Store(c.raft)
	if c.Halted() != nil {
		return c.raft.Shutdown().Error()
	}
	return nil
}
