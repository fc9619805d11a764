package raftlog_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/cluster/internal/raftlog"
	"github.com/the-block/bursar/cluster/internal/raftlog/raftlogtest"
)

// cuts is in how many places each write is interrupted.
var cuts = flag.Int("cuts", 6, "places at which each write of the log is cut")

// life is what a log was told and what it acknowledged, up to a crash.
type life struct {
	dir      string
	disk     *raftlogtest.Disk
	last     uint64 // newest acknowledged entry
	tried    uint64 // newest entry that was handed over
	term     uint64 // newest acknowledged
	snapshot uint64 // of the state, somewhere else
}

// The index up to which a life's Raft snapshot takes the place of entries, the last
// entry, and the entries that are replaced once as a new leader does.
const (
	lifeSnapshot = 20
	lifeLast     = 60
	lifeReplaced = 45
)

func (l *life) open() (*raftlog.Log, error) {
	log, err := raftlog.Open(l.dir, raftlog.Options{SegmentBytes: segmentBytes, Disk: l.disk}, hclog.NewNullLogger())
	if err != nil {
		return nil, err
	}
	if err := log.Verify(l.snapshot); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return log, nil
}

// live has a log do everything it does in a life, until its end or a crash.
func (l *life) live() error {
	log, err := l.open()
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	replaced := false
	for l.last < lifeLast {
		if err := l.enter(log, entry(l.last+3).Term); err != nil {
			return err
		}
		if err := l.store(log); err != nil {
			return err
		}
		switch {
		case l.last >= lifeSnapshot+10 && l.snapshot == 0:
			l.snapshot = lifeSnapshot
			if err := log.DeleteRange(1, lifeSnapshot-3); err != nil {
				return err
			}
		case l.last == lifeReplaced && !replaced:
			replaced, l.last = true, l.last-4
			if err := log.DeleteRange(l.last+1, lifeReplaced); err != nil {
				return err
			}
		}
	}
	return log.SyncMark()
}

func (l *life) enter(log *raftlog.Log, term uint64) error {
	if term == l.term {
		return nil
	}
	err := log.SetUint64([]byte("CurrentTerm"), term)
	if err == nil {
		l.term = term
	}
	return err
}

func (l *life) store(log *raftlog.Log) error {
	batch := []*raft.Log{entry(l.last + 1), entry(l.last + 2), entry(l.last + 3)}
	l.tried = max(l.tried, l.last+3)
	err := log.StoreLogs(batch)
	if err == nil {
		l.last += 3
	}
	return err
}

// holds opens the log after a crash: all that was acknowledged is there, and nothing
// that was never handed over. Then it goes on, twice.
func (l *life) holds() error {
	for range 2 {
		log, err := l.open()
		if err != nil {
			return err
		}
		last, err := log.LastIndex()
		if err != nil {
			return err
		}
		if last < l.last || last > l.tried {
			return fmt.Errorf("the log ends at %d; %d was acknowledged, %d handed over", last, l.last, l.tried)
		}
		if term, err := log.GetUint64([]byte("CurrentTerm")); err != nil || term < l.term {
			return fmt.Errorf("the term is %d, %w; %d was acknowledged", term, err, l.term)
		}
		if diff := difference(log, min(last, l.snapshot)+1, last); diff != "" {
			return errors.New(diff)
		}
		l.last = last
		for range 2 {
			if err := errors.Join(l.enter(log, entry(l.last+3).Term), l.store(log)); err != nil {
				return err
			}
		}
		if err := log.Close(); err != nil {
			return err
		}
	}
	return nil
}

// everyCrash lists a crash in each change that a life makes, and in several places of
// each write.
func everyCrash(t *testing.T) (ops []raftlogtest.Op, crashes []raftlogtest.Crash) {
	t.Helper()
	disk := raftlogtest.New()
	var mu sync.Mutex // raft-wal makes segments in a goroutine of its own
	disk.Strike = func(op raftlogtest.Op) error {
		mu.Lock()
		defer mu.Unlock()
		ends := 1
		if op.Kind == raftlogtest.Write {
			ends = min(*cuts, op.Bytes)
		}
		for i := range ends + 1 {
			done := i
			if op.Kind == raftlogtest.Write {
				done = op.Bytes * i / ends
			}
			ops, crashes = append(ops, op), append(crashes, raftlogtest.Crash{Done: done})
		}
		return nil
	}
	whole := life{dir: t.TempDir(), disk: disk}
	if err := whole.live(); err != nil {
		t.Fatal(err)
	}
	disk.Strike = nil
	if err := whole.holds(); err != nil {
		t.Fatal(err)
	}
	return ops, crashes
}

// crashed lives until the crash in one change. The log's own goroutine may change the
// order of the changes a little from one life to the next.
func crashed(dir string, lies bool, at raftlogtest.Op, crash raftlogtest.Crash) *life {
	l := &life{dir: dir, disk: raftlogtest.New()}
	l.disk.Lies = lies
	l.disk.Strike = func(op raftlogtest.Op) error {
		if op.Number == at.Number {
			return crash
		}
		return nil
	}
	_ = l.live() // an error is what it is to end with
	return l
}

func TestACrashAnywhereLosesNothingAcknowledged(t *testing.T) {
	ops, crashes := everyCrash(t)
	if len(crashes) < 500 {
		t.Fatalf("%d crashes, want 500 or more", len(crashes))
	}
	t.Logf("%d crashes in %d changes", len(crashes), ops[len(ops)-1].Number)
	dir := t.TempDir()
	for i, crash := range crashes {
		l := crashed(dir, false, ops[i], crash)
		l.disk = l.disk.Kill()
		if err := l.holds(); err != nil {
			t.Errorf("killed in %+v after %d: %v", ops[i], crash.Done, err)
		}
		l = crashed(dir, false, ops[i], crash)
		l.disk = l.disk.PowerLoss(rand.New(rand.NewPCG(uint64(i), 3)))
		if err := l.holds(); err != nil {
			t.Errorf("power lost in %+v after %d: %v", ops[i], crash.Done, err)
		}
	}
}

// TestWithoutFsyncTheCrashesLoseSomething checks the check: on a disk that only says
// that it has synced, the test above must fail.
func TestWithoutFsyncTheCrashesLoseSomething(t *testing.T) {
	ops, crashes := everyCrash(t)
	dir := t.TempDir()
	lost := 0
	for i := 0; i < len(crashes); i += 7 {
		l := crashed(dir, true, ops[i], crashes[i])
		l.disk = l.disk.PowerLoss(rand.New(rand.NewPCG(uint64(i), 3)))
		if l.holds() != nil {
			lost++
		}
	}
	if lost == 0 {
		t.Error("nothing was lost without fsync: the crashes prove nothing")
	}
}
