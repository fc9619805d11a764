package cluster_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/internal/raftlog/raftlogtest"
)

// loseDisk has a node come back with an empty disk.
func (tr *trio) loseDisk(t *testing.T, n *node) *node {
	t.Helper()
	n.stop()
	return tr.start(t, n.State().Node, raftlogtest.New())
}

// forget has an entry acknowledged by the leader and one follower, of which the leader is
// cut off then and the follower loses its disk, while the third, which lacks the entry,
// comes back. It gives the three.
func (tr *trio) forget(t *testing.T, h *history) (leader, lost, lacking *node) {
	t.Helper()
	leader = tr.leader(t, "")
	lost = tr.other(leader)
	for _, n := range tr.nodes {
		if n != leader && n != lost {
			lacking = n
		}
	}
	for len(lacking.Configuration()) < len(tr.nodes) { // else it knows nobody whom it could ask for a vote
		time.Sleep(time.Millisecond)
	}
	tr.fabric.isolate(lacking.RaftAddr(), true)
	if err := h.propose(leader); err != nil {
		t.Fatal(err)
	}
	tr.fabric.isolate(leader.RaftAddr(), true)
	lost = tr.loseDisk(t, lost)
	tr.fabric.isolate(lacking.RaftAddr(), false)
	return leader, lost, lacking
}

func TestANodeWithoutItsDiskElectsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, h := startTrio(t), newHistory()
		leader, lost, lacking := tr.forget(t, h)
		time.Sleep(time.Minute)
		for _, n := range []*node{lost, lacking} {
			if s := n.State(); s.Leader != "" || n.Term() > leader.Term() {
				t.Errorf("%s is %s in term %d", s.Node, s, n.Term())
			}
		}
		if lost.Voting() {
			t.Error("a node without its disk votes")
		}
		tr.keep(t)
		tr.fabric.isolate(leader.RaftAddr(), false)
		tr.settle(t, h)
		tr.awaitVoter(t, lost)
		gone := tr.leader(t, "") // now it is as good as any other
		tr.fabric.isolate(gone.RaftAddr(), true)
		tr.leader(t, gone.State().Node)
	})
}

// awaitVoter waits until a node votes again.
func (tr *trio) awaitVoter(t *testing.T, n *node) {
	t.Helper()
	self := n.State().Node
	for range 60 {
		votes := slices.ContainsFunc(tr.leader(t, "").Configuration(), func(m cluster.Member) bool { return m.Node == self && m.Voter })
		if votes && n.Voting() {
			return
		}
		time.Sleep(time.Second)
	}
	t.Fatalf("%s does not vote again", self)
}

// TestWithoutTheGateAnEntryIsLost checks the check.
func TestWithoutTheGateAnEntryIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, h := startTrio(t), newHistory()
		tr.ungated = true
		leader, _, _ := tr.forget(t, h)
		elected := tr.leader(t, leader.State().Node)
		tr.fabric.isolate(leader.RaftAddr(), false)
		elected.apply(t, "goes on")
		if err := h.check(elected.machine.all()); err == nil {
			t.Error("nothing was lost")
		}
	})
}

// TestANodeWithoutItsDiskAcknowledgesNothing: it counts as a voter for the leader, but
// may have forgotten that it had elected another.
func TestANodeWithoutItsDiskAcknowledgesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, h := startTrio(t), newHistory()
		leader := tr.leader(t, "")
		lost := tr.other(leader)
		var third *node
		for _, n := range tr.nodes {
			if n != leader && n != lost {
				third = n
			}
		}
		if err := h.propose(leader); err != nil {
			t.Fatal(err)
		}
		tr.fabric.isolate(third.RaftAddr(), true)
		lost = tr.loseDisk(t, lost)
		if err := h.propose(leader); err == nil {
			t.Error("an entry was acknowledged by the leader alone")
		}
		tr.keep(t)
		tr.fabric.isolate(third.RaftAddr(), false)
		tr.settle(t, h)
		tr.awaitVoter(t, lost)
	})
}

func TestANodeWithoutItsDiskIsSentARaftSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		tr.keep(t)
		leader := tr.leader(t, "")
		leader.apply(t, numbered(1, 600)...)
		if err := leader.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
		tr.under(t, 3*time.Second, func(*history) {
			lost := tr.loseDisk(t, tr.other(leader))
			tr.keepOn(t, lost.State().Node)
			tr.awaitVoter(t, lost)
			if !lost.machine.has("entry 600") {
				t.Error("it is a voter and lacks what was in the Raft snapshot")
			}
		})
	})
}
