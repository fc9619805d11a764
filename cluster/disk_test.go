package cluster_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/cluster/internal/raftlog/raftlogtest"
	"github.com/the-block/bursar/persistence"
)

// buntdbEnds is how long a goroutine of buntdb outlives its database.
const buntdbEnds = 2 * time.Second

// diskTest is a node on a disk that a test breaks, in virtual time.
type diskTest struct {
	*lone
	t     *testing.T
	dir   string
	disk  *raftlogtest.Disk
	books ledger
	// strike is what befalls the disk's next changes.
	strike atomic.Pointer[func(raftlogtest.Op) error]
}

func onDisk(t *testing.T, test func(*diskTest)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := &diskTest{t: t, dir: dir, disk: raftlogtest.New(), books: ledger{acknowledged: make(map[uint64]uint64)}}
		d.disk.Strike = func(op raftlogtest.Op) error {
			if strike := d.strike.Load(); strike != nil {
				return (*strike)(op)
			}
			return nil
		}
		d.open()
		if err := d.books.commit(d.lone, 20); err != nil {
			t.Fatal(err)
		}
		test(d)
		d.end()
		time.Sleep(buntdbEnds)
	})
}

func (d *diskTest) open() {
	d.t.Helper()
	var err error
	if d.lone, err = openLone(d.dir, d.disk, fabricPort{newFabric(), "n1:9002", nil}); err != nil {
		d.t.Fatal(err)
	}
	if err := d.awaitReady(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *diskTest) breakWith(strike func(raftlogtest.Op) error) { d.strike.Store(&strike) }

// reopen starts the node again after a power loss, on a disk that is mended: all that
// was acknowledged is there, and it goes on.
func (d *diskTest) reopen() {
	d.t.Helper()
	d.end()
	d.strike.Store(nil)
	strike := d.disk.Strike
	d.disk = d.disk.PowerLoss(rand.New(rand.NewPCG(7, 7)))
	d.disk.Strike = strike
	d.open()
	if err := d.books.check(d.store); err != nil {
		d.t.Error(err)
	}
	if err := d.books.commit(d.lone, 20); err != nil {
		d.t.Errorf("after the disk was mended: %v", err)
	}
}

// wantFatal expects the node to have ended for a reason, and to say what to do.
func (d *diskTest) wantFatal(reason error, advice string) {
	d.t.Helper()
	select {
	case err := <-d.fatal:
		if !errors.Is(err, reason) || !strings.Contains(err.Error(), advice) {
			d.t.Errorf("the node ended with %q, want %v and %q", err, reason, advice)
		}
	default:
		d.t.Error("the node goes on")
	}
}

func TestADiskThatFailsStopsTheNode(t *testing.T) {
	for _, fault := range []struct {
		name   string
		kind   raftlogtest.Kind
		file   string // what the name of the file ends in
		err    error
		advice string
	}{
		{"fsync fails", raftlogtest.Sync, ".wal", syscall.EIO, "the disk refuses"},
		{"a write fails", raftlogtest.Write, ".wal", syscall.EIO, "the disk refuses"},
		{"no room for an entry", raftlogtest.Write, ".wal", syscall.ENOSPC, "make room there"},
		{"no room for a segment", raftlogtest.Create, ".wal", syscall.ENOSPC, "make room there"},
		{"no room for the list of segments", raftlogtest.Write, "meta.tmp", syscall.ENOSPC, "make room there"},
		{"the list of segments is not replaced", raftlogtest.Rename, "meta", syscall.EIO, "the disk refuses"},
		{"the high-water mark is not written", raftlogtest.Write, "mark", syscall.EIO, "the disk refuses"},
	} {
		t.Run(fault.name, func(t *testing.T) {
			onDisk(t, func(d *diskTest) {
				var struck atomic.Bool
				d.breakWith(func(op raftlogtest.Op) error {
					// Once only: what comes after may succeed, and may not be believed.
					if op.Kind == fault.kind && strings.HasSuffix(op.Name, fault.file) && struck.CompareAndSwap(false, true) {
						return fault.err
					}
					return nil
				})
				var err error
				for range 20 { // enough to fill a segment
					if err = d.books.commit(d.lone, 20); err != nil {
						break
					}
				}
				if !errors.Is(err, persistence.ErrUnknown) {
					t.Errorf("the proposals end with %v, want an unknown outcome", err)
				}
				synctest.Wait()
				d.wantFatal(fault.err, fault.advice)
				if err := d.books.commit(d.lone, 1); err == nil {
					t.Error("a transaction was acknowledged after the failure")
				}
				d.reopen()
			})
		})
	}
}

// TestADiskThatFailsInAnElectionStopsTheNode: Raft would panic.
func TestADiskThatFailsInAnElectionStopsTheNode(t *testing.T) {
	onDisk(t, func(d *diskTest) {
		d.end()
		disk := d.disk.Kill()
		disk.Strike = d.disk.Strike
		d.disk = disk
		terms := 0 // the first is that of the start
		d.breakWith(func(op raftlogtest.Op) error {
			if op.Name == "meta" && op.Kind == raftlogtest.Rename {
				if terms++; terms > 1 {
					return syscall.EIO
				}
			}
			return nil
		})
		var err error
		if d.lone, err = openLone(d.dir, d.disk, fabricPort{newFabric(), "n1:9002", nil}); err != nil {
			t.Fatal(err)
		}
		if err := d.awaitReady(); !errors.Is(err, syscall.EIO) {
			t.Errorf("the node ends with %v, want EIO", err)
		}
		d.wantFatal(syscall.EIO, "the disk refuses")
		d.reopen()
	})
}

func TestADiskThatHangsAcknowledgesNothing(t *testing.T) {
	for _, hang := range []struct {
		name string
		long time.Duration
		ends bool // the node
	}{
		{"5 s", 5 * time.Second, false},
		{"for ever", time.Hour, true},
	} {
		t.Run(hang.name, func(t *testing.T) {
			onDisk(t, func(d *diskTest) {
				began := time.Now()
				released := began.Add(hang.long)
				d.breakWith(func(op raftlogtest.Op) error {
					if op.Kind == raftlogtest.Sync && time.Now().Before(released) {
						time.Sleep(time.Until(released))
					}
					return nil
				})
				committed := make(chan error, 1)
				go func() { committed <- d.books.commit(d.lone, 20) }()
				time.Sleep(time.Second)
				read, cancel := context.WithTimeout(context.Background(), 2*time.Second)
				defer cancel()
				if index, err := d.ReadIndex(read); err == nil {
					t.Errorf("a read was answered for index %d while the disk hung", index)
				}
				select {
				case err := <-committed:
					if early := time.Until(released); early > 0 {
						t.Errorf("settled %s before the disk moved: %v", early, err)
					}
				case err := <-d.fatal:
					if after := time.Since(began); !hang.ends || after > 11*time.Second {
						t.Errorf("after %s the node ended: %v", after, err)
					}
					if !strings.Contains(err.Error(), "the disk hangs") || !strings.Contains(err.Error(), "look after the disk of") {
						t.Errorf("the node ended with %q", err)
					}
					time.Sleep(time.Until(released)) // a real process is gone by now
					t.Logf("in the end: %v", <-committed)
				}
				d.reopen()
			})
		})
	}
}

func TestARaftSnapshotThatFailsStopsNothing(t *testing.T) {
	onDisk(t, func(d *diskTest) {
		d.breakWith(func(op raftlogtest.Op) error {
			if strings.HasPrefix(op.Name, "incoming-") && op.Kind == raftlogtest.Write {
				return syscall.ENOSPC
			}
			return nil
		})
		if err := d.Snapshot(context.Background()); err == nil {
			t.Error("a snapshot was taken without room for it")
		}
		if err := d.books.commit(d.lone, 20); err != nil {
			t.Errorf("after a snapshot that failed: %v", err)
		}
		d.strike.Store(nil)
		if err := d.Snapshot(context.Background()); err != nil {
			t.Errorf("with room again: %v", err)
		}
		d.reopen()
	})
}
