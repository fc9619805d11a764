package cluster_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/cluster/internal/raftlog/raftlogtest"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// failover is the longest that a fault of the leader's own may keep the others waiting.
const failover = 2 * time.Second

// handedOver is the longest that the others wait for a leader that hands over: less than it
// takes them to miss its heartbeats.
const handedOver = 400 * time.Millisecond

// hang has a node's disk stand still where a log waits for it, until it is released.
func (tr *trio) hang(n *node) (release func()) {
	var moves atomic.Pointer[chan struct{}]
	held := make(chan struct{})
	moves.Store(&held)
	tr.disks[n.State().Node].StrikeBy(func(op raftlogtest.Op) error {
		if held := moves.Load(); held != nil && op.Kind == raftlogtest.Sync && strings.HasSuffix(op.Name, ".wal") {
			<-*held
		}
		return nil
	})
	return func() {
		moves.Store(nil)
		close(held)
	}
}

// converge waits until all nodes have applied the same, an entry among it.
func (tr *trio) converge(t *testing.T, entry string) {
	t.Helper()
	var all map[messages.NodeID]string
	for range 1000 {
		all = make(map[messages.NodeID]string)
		for name, n := range tr.nodes {
			all[name] = fmt.Sprint(n.machine.all())
		}
		if all["n1"] == all["n2"] && all["n2"] == all["n3"] && strings.Contains(all["n1"], entry) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the nodes have applied %v", all)
}

// commitBy has an entry committed by a node, again and again until it is.
func (n *node) commitBy(t *testing.T, entry string) {
	t.Helper()
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(10 * time.Millisecond) {
		f := n.Apply([]byte(entry))
		<-f.Done()
		if _, err := f.Results(); err == nil {
			return
		}
	}
	t.Fatalf("%q is not committed", entry)
}

func TestALeaderWhoseDiskHangsIsFollowedByAnother(t *testing.T) {
	for _, long := range []time.Duration{3 * time.Second, 9 * time.Second} {
		t.Run(long.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := startTrio(t)
				old := tr.leader(t, "")
				old.apply(t, "before")
				began := time.Now()
				release := tr.hang(old)
				hung := old.Apply([]byte("hung"))
				other := tr.other(old)
				other.commitBy(t, "after")
				if took := time.Since(began); took > failover {
					t.Errorf("the others go on after %s, want %s at most", took, failover)
				}
				if s := old.State(); s.Leading || s.Ready || !strings.Contains(s.String(), "has not finished a write") {
					t.Errorf("the node whose disk hangs says %q", s)
				}
				if f := old.Apply([]byte("late")); !isClosed(f.Done()) {
					t.Error("it takes entries")
				}
				time.Sleep(long - time.Since(began))
				release()
				<-hung.Done()
				if _, err := hung.Results(); !errors.Is(err, persistence.ErrUnknown) {
					t.Errorf("what hung ends with %v, want an unknown outcome", err)
				}
				tr.other(old).commitBy(t, "last")
				tr.converge(t, "last")
				for name, n := range tr.nodes {
					select {
					case err := <-n.fatal:
						t.Errorf("%s ends: %v", name, err)
					default:
					}
				}
			})
		})
	}
}

func TestADiskThatHangsForEverEndsItsNodeAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		old := tr.leader(t, "")
		release := tr.hang(old)
		began := time.Now()
		old.Apply([]byte("hung"))
		other := tr.other(old)
		for time.Since(began) < 30*time.Second {
			other.commitBy(t, time.Since(began).String())
			time.Sleep(100 * time.Millisecond)
		}
		for name, n := range tr.nodes {
			select {
			case err := <-n.fatal:
				if n != old || !strings.Contains(err.Error(), "the disk hangs") {
					t.Errorf("%s ends: %v", name, err)
				}
			default:
				if n == old {
					t.Error("the node goes on for ever without a disk")
				}
			}
		}
		release()
	})
}

func TestAFollowerWhoseDiskHangsSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		leader := tr.leader(t, "")
		follower := tr.other(leader)
		release := tr.hang(follower)
		leader.apply(t, numbered(1, 5)...)
		time.Sleep(failover)
		if s := follower.State(); s.Ready || s.Stalled == "" {
			t.Errorf("a follower whose disk hangs says %q", s)
		}
		leader.apply(t, numbered(6, 10)...)
		release()
		tr.agree(t, numbered(1, 10))
		if got := tr.leader(t, ""); got != leader {
			t.Error("its return costs an election")
		}
	})
}

func TestAStateThatTakesNothingEndsLeadership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		old := tr.leader(t, "")
		old.apply(t, "before")
		began := time.Now()
		hold := make(chan struct{})
		old.machine.mu.Lock()
		old.machine.hold = hold
		old.machine.mu.Unlock()
		old.Apply([]byte("taken by the others"))
		tr.other(old).commitBy(t, "after")
		if took := time.Since(began); took > failover {
			t.Errorf("the others go on after %s, want %s at most", took, failover)
		}
		close(hold)
		tr.other(old).commitBy(t, "last")
		tr.converge(t, "last")
	})
}

func TestALeaderWhoseEntriesReachNobodyStepsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		old := tr.leader(t, "")
		old.apply(t, "before")
		tr.fabric.setNarrow(old.RaftAddr())
		large := strings.Repeat("large ", narrowMax)
		began := time.Now()
		old.Apply([]byte(large))
		tr.other(old).commitBy(t, "after")
		if took := time.Since(began); took > 2*failover {
			t.Errorf("the others go on after %s, want %s at most", took, 2*failover)
		}
		for range 5 { // it does not come back as the leader
			time.Sleep(2 * time.Second)
			if old.State().Leading {
				t.Error("the node whose entries reach nobody leads again")
			}
		}
	})
}

func TestADiskThatFailsEndsLeadershipAtOnce(t *testing.T) {
	for _, fault := range []error{syscall.EIO, syscall.ENOSPC} {
		t.Run(fault.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := startTrio(t)
				old := tr.leader(t, "")
				old.apply(t, "before")
				time.Sleep(100 * time.Millisecond) // both others have it, and it is known
				tr.disks[old.State().Node].StrikeBy(func(op raftlogtest.Op) error {
					if op.Kind == raftlogtest.Write && strings.HasSuffix(op.Name, ".wal") {
						return fault
					}
					return nil
				})
				old.broken = true
				began := time.Now()
				old.Apply([]byte("lost"))
				tr.other(old).commitBy(t, "after")
				if took := time.Since(began); took > handedOver {
					t.Errorf("the others go on after %s, want %s at most", took, handedOver)
				}
				if err := <-old.fatal; !errors.Is(err, fault) {
					t.Errorf("the node ends with %v", err)
				}
			})
		})
	}
}
