package cluster_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/internal/raftlog/raftlogtest"
	"github.com/the-block/bursar/messages"
)

// noteDisks tells every node what the log and the pings tell of the others' disks.
func (tr *trio) noteDisks(t *testing.T) {
	t.Helper()
	for _, n := range tr.nodes {
		for name, other := range tr.nodes {
			disk := cluster.Disk{
				Life: other.Life(), Boot: other.Boot(), At: n.AppliedIndex(), Index: other.AppliedIndex(), Term: other.Term(),
			}
			if err := n.NoteDisk(name, disk); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// restartOn starts a node that has stopped on a disk.
func (tr *trio) restartOn(t *testing.T, n *node, disk *raftlogtest.Disk) *node {
	t.Helper()
	n.stop()
	return tr.start(t, n.State().Node, disk)
}

// copyOf is a copy of a running node's disk.
func (tr *trio) copyOf(name messages.NodeID) *raftlogtest.Disk {
	copied := raftlogtest.New()
	for path, content := range tr.disks[name].Files() {
		copied = copied.WithFile(path, content)
	}
	return copied
}

// wantHalted expects a node that serves nothing and says why, and has not ended.
func wantHalted(t *testing.T, n *node, why error, words ...string) {
	t.Helper()
	n.until(t, func(s cluster.State) bool { return s.Halted != "" })
	for _, word := range words {
		if !strings.Contains(n.State().String(), word) {
			t.Errorf("%s says %q, and not %q", n.State().Node, n.State(), word)
		}
	}
	if !errors.Is(n.Halted(), why) {
		t.Errorf("halted because of %v, want %v", n.Halted(), why)
	}
	f := n.Apply([]byte("to a halted node"))
	<-f.Done()
	if _, err := f.Results(); err == nil {
		t.Error("a halted node acknowledges")
	}
	if _, err := n.ReadIndex(t.Context()); err == nil {
		t.Error("a halted node answers reads")
	}
	select {
	case err := <-n.fatal:
		t.Errorf("the node ended: %v", err)
	default:
	}
}

// TestAnOldCopyOfADiskIsNotCounted: it stands for nothing, and says so itself.
func TestAnOldCopyOfADiskIsNotCounted(t *testing.T) {
	for name, again := range map[string]bool{"from an earlier start": true, "from the same start": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := startTrio(t)
				leader := tr.leader(t, "")
				old := tr.other(leader)
				self := old.State().Node
				leader.apply(t, numbered(1, 20)...)
				tr.agree(t, numbered(1, 20))
				copied := tr.copyOf(self)
				if again {
					old = tr.restartOn(t, old, tr.disks[self])
					tr.leader(t, "")
				}
				leader.apply(t, numbered(21, 40)...)
				tr.agree(t, numbered(1, 40))
				tr.noteDisks(t)
				old = tr.restartOn(t, old, copied)
				wantHalted(t, old, cluster.ErrOldCopy, "old copy", "bring back what")
				if old.AppliedIndex() >= leader.AppliedIndex() {
					t.Error("it was brought up to date")
				}
				leader.apply(t, "goes on")
				for other, n := range tr.nodes {
					if n != leader && n != old {
						tr.fabric.isolate(addrOf(other), true)
					}
				}
				f := leader.Apply([]byte("with the old copy alone"))
				<-f.Done()
				if _, err := f.Results(); err == nil {
					t.Error("an entry was acknowledged by the leader and an old copy")
				}
			})
		})
	}
}

// oldMajority has two nodes come back on old copies of their disks while the third, which
// alone has all, is down, and gives the third. They form a quorum: nothing they have says
// otherwise.
func oldMajority(t *testing.T, tr *trio, beforeOld func()) (truth *node, elsewhere []*node) {
	t.Helper()
	leader := tr.leader(t, "")
	leader.apply(t, numbered(1, 20)...)
	tr.agree(t, numbered(1, 20))
	copies := make(map[messages.NodeID]*raftlogtest.Disk)
	for name, n := range tr.nodes {
		if n != leader {
			copies[name] = tr.copyOf(name)
		}
	}
	beforeOld()
	leader = tr.leader(t, "")
	leader.apply(t, numbered(21, 40)...)
	tr.agree(t, numbered(1, 40))
	truth = tr.nodes["n1"]
	for name := range tr.nodes {
		if copies[name] == nil {
			truth = tr.nodes[name]
		}
	}
	truth.stop()
	for name, disk := range copies {
		elsewhere = append(elsewhere, tr.restartOn(t, tr.nodes[name], disk))
	}
	tr.leader(t, truth.State().Node).apply(t, "another history")
	return truth, elsewhere
}

// TestWhoHoldsMoreThanAQuorumOfOldCopiesRefusesBoth: it names them, and keeps all it has.
func TestWhoHoldsMoreThanAQuorumOfOldCopiesRefusesBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		truth, elsewhere := oldMajority(t, tr, func() {
			leader := tr.leader(t, "")
			for _, n := range tr.nodes {
				if n != leader {
					tr.restartOn(t, n, tr.disks[n.State().Node])
				}
			}
			tr.leader(t, "")
			tr.noteDisks(t)
		})
		truth = tr.start(t, truth.State().Node, tr.disks[truth.State().Node])
		truth.until(t, func(s cluster.State) bool { return strings.Count(s.Refused, "old copy") == 2 })
		for _, n := range elsewhere {
			if !strings.Contains(truth.State().String(), string(n.State().Node)) {
				t.Errorf("%q does not name %s", truth.State(), n.State().Node)
			}
			n.ready(t) // they go on: it is not for one to end two
		}
		time.Sleep(time.Minute)
		if truth.LastIndex() < truth.AppliedIndex() || truth.State().Ready || truth.Halted() != nil {
			t.Errorf("the node that has all is %s", truth.State())
		}
	})
}

// TestWhatIsKnownToBeCommittedIsNotCut: where nothing tells an old copy, the log does. A
// node stops before it replaces what it knows to be committed, entry by entry or by a
// Raft snapshot, and has it all afterwards.
func TestWhatIsKnownToBeCommittedIsNotCut(t *testing.T) {
	for _, snapshot := range []bool{false, true} {
		t.Run(fmt.Sprintf("snapshot %t", snapshot), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := startTrio(t)
				tr.trailing = 1
				truth, elsewhere := oldMajority(t, tr, func() {})
				self, words := truth.State().Node, "were to be replaced"
				if snapshot {
					words = "sends a raft snapshot that ends at"
					leader := tr.leader(t, self)
					for _, entry := range numbered(1, 15) { // a segment full
						leader.apply(t, entry+strings.Repeat(".", 8<<10))
					}
					for _, n := range elsewhere {
						if n == leader {
							if err := n.Snapshot(t.Context()); err != nil {
								t.Fatal(err)
							}
						}
					}
				}
				for range 2 { // a start anew finds the same
					truth = tr.start(t, self, tr.disks[self])
					wantHalted(t, truth, cluster.ErrCommitted, "two histories", words, "leads in term")
					truth.stop()
					tr.disks[self] = tr.disks[self].Kill()
				}
				for _, n := range elsewhere {
					n.stop()
				}
				lone := tr.start(t, self, tr.disks[self])
				if lone.LastIndex() < truth.AppliedIndex() {
					t.Errorf("its log ends at %d", lone.LastIndex())
				}
			})
		})
	}
}

// TestASnapshotThatComesLateIsNoOtherHistory: one that a leader of an earlier term had on its
// way when it was followed by another is left to Raft, which answers with the later term.
func TestASnapshotThatComesLateIsNoOtherHistory(t *testing.T) {
	for _, c := range []struct {
		end, term uint64
		refused   bool
	}{{305, 7, false}, {305, 8, true}, {305, 9, true}, {328, 8, false}, {340, 7, false}} {
		request := &raft.InstallSnapshotRequest{LastLogIndex: c.end, Term: c.term}
		if refused, halted := cluster.RefusesSnapshot(328, 8, request); refused != c.refused || halted != c.refused {
			t.Errorf("up to entry %d in term %d: refused %t, halted %t, want %t", c.end, c.term, refused, halted, c.refused)
		}
	}
}

func TestWhoseDiskIsCounted(t *testing.T) {
	const votes = cluster.GreetingVotes
	boot := func(count, random uint64) uint64 { return count<<32 | random }
	known := cluster.Disk{Life: "a", Boot: boot(7, 5), At: 90, Index: 100, Term: 4, BeforeIndex: 80, BeforeTerm: 3}
	for _, c := range []struct {
		name  string
		known cluster.Disk
		greet cluster.Greeting
		want  bool
	}{
		{"nothing is known", cluster.Disk{}, cluster.Greeting{Flags: votes, Life: "b", Boot: 1}, true},
		{"the same start", known, cluster.Greeting{Flags: votes, Life: "a", Boot: boot(7, 5), Index: 100, Term: 4}, true},
		{"what the same start said earlier, and comes late", known, cluster.Greeting{Flags: votes, Life: "a", Boot: boot(7, 5), Index: 90, Term: 3}, true},
		{"the same start, with less than was known before it", known, cluster.Greeting{Flags: votes, Life: "a", Boot: boot(7, 5), Index: 79, Term: 3}, false},
		{"the same start, in a term from before it", known, cluster.Greeting{Flags: votes, Life: "a", Boot: boot(7, 5), Index: 90, Term: 2}, false},
		{"a later start", known, cluster.Greeting{Flags: votes, Life: "a", Boot: boot(9, 1), Index: 120, Term: 6}, true},
		{"an earlier start", known, cluster.Greeting{Flags: votes, Life: "a", Boot: boot(6, 9), Index: 120, Term: 6}, false},
		{"a copy's start at the same place", known, cluster.Greeting{Flags: votes, Life: "a", Boot: boot(7, 9), Index: 120, Term: 6}, false},
		{"an earlier start that does not vote", known, cluster.Greeting{Life: "a", Boot: boot(6, 9), Index: 120, Term: 6}, false},
		{"a shorter log", known, cluster.Greeting{Flags: votes, Life: "a", Boot: boot(8, 1), Index: 99, Term: 6}, false},
		{"an earlier term", known, cluster.Greeting{Flags: votes, Life: "a", Boot: boot(8, 1), Index: 120, Term: 3}, false},
		{"another disk that votes", known, cluster.Greeting{Flags: votes, Life: "b", Boot: boot(8, 1), Index: 120, Term: 6}, false},
		{"another disk that does not", known, cluster.Greeting{Life: "b", Boot: boot(8, 1)}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.known.Judge(&c.greet); (err == nil) != c.want {
				t.Errorf("counted %t, want %t: %v", err == nil, c.want, err)
			}
		})
	}
}

// TestWhatIsKnownOfADiskOnlyGrows: in whatever order it is seen.
func TestWhatIsKnownOfADiskOnlyGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var known cluster.Disk
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			seen := cluster.Disk{
				Life: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "life"), Boot: rapid.Uint64Range(1, 4).Draw(t, "boot") << 32,
				At: rapid.Uint64Range(0, 9).Draw(t, "at"), Index: rapid.Uint64Range(0, 9).Draw(t, "index"), Term: rapid.Uint64Range(0, 9).Draw(t, "term"),
			}
			next := known.Newer(seen)
			grows := next.At >= known.At && (next.Life != known.Life ||
				next.Index >= known.Index && next.Term >= known.Term && next.BeforeIndex >= known.BeforeIndex && next.BeforeTerm >= known.BeforeTerm && !messages.StaleBoot(next.Boot, known.Boot))
			if !grows {
				t.Fatalf("%+v after %+v was seen by %+v", next, seen, known)
			}
			if next.Life == known.Life && next.Boot != known.Boot && (next.BeforeIndex != known.Index || next.BeforeTerm != known.Term) {
				t.Fatalf("%+v after a new start %+v was seen by %+v", next, seen, known)
			}
			known = next
		}
	})
}
