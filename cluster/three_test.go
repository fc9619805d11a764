package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/internal/raftlog/raftlogtest"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// trio is three voters in one bubble of virtual time, their logs on disks in memory.
type trio struct {
	fabric *fabric
	dir    string // of all
	// trailing is how many entries are kept behind a Raft snapshot, 0 for the usual.
	trailing uint64
	voters   []cluster.Voter

	ranks   map[messages.NodeID]int
	ungated bool // nodes vote that have lost their disks

	mu    sync.Mutex // for what goes between nodes
	nodes map[messages.NodeID]*node
	disks map[messages.NodeID]*raftlogtest.Disk
}

// other is a node that is not n.
func (tr *trio) other(n *node) *node {
	for _, name := range []messages.NodeID{"n1", "n2", "n3"} {
		if tr.nodes[name] != n {
			return tr.nodes[name]
		}
	}
	return nil
}

func addrOf(name messages.NodeID) string { return string(name) + ":9002" }

func (tr *trio) isCut(one, other messages.NodeID) bool {
	return tr.fabric.separate(addrOf(one), addrOf(other))
}

func startTrio(t *testing.T) *trio {
	t.Helper()
	tr := &trio{fabric: newFabric(), dir: t.TempDir(), nodes: make(map[messages.NodeID]*node), disks: make(map[messages.NodeID]*raftlogtest.Disk)}
	for i := 1; i <= 3; i++ {
		name := messages.NodeID(fmt.Sprintf("n%d", i))
		tr.start(t, name, raftlogtest.New())
		tr.voters = append(tr.voters, cluster.Voter{Node: name, Addr: addrOf(name)})
	}
	tr.form(t)
	return tr
}

// start starts a node on a disk.
func (tr *trio) start(t *testing.T, name messages.NodeID, disk *raftlogtest.Disk) *node {
	t.Helper()
	cfg := testConfig(filepath.Join(tr.dir, string(name))).OnDisk(disk)
	cfg.Node, cfg.RaftAddr, cfg.BootstrapExpect = name, addrOf(name), 3
	cfg.Check = func(entry []byte) error {
		if len(entry) == 0 || strings.HasPrefix(string(entry), "garbage") {
			return errors.New("it is garbage")
		}
		return nil
	}
	if tr.trailing > 0 {
		cfg.TrailingLogs = tr.trailing
	}
	if tr.ungated {
		cfg = cfg.Ungated()
	}
	n := start(t, cfg, fabricPort{tr.fabric, cfg.RaftAddr, links{tr, name}})
	tr.mu.Lock()
	tr.nodes[name], tr.disks[name] = n, disk
	tr.mu.Unlock()
	return n
}

// form has n1 form the cluster.
func (tr *trio) form(t *testing.T) {
	t.Helper()
	err := tr.nodes["n1"].Form(t.Context(), tr.voters, tr.ask)
	if err != nil {
		t.Fatal(err)
	}
}

func (tr *trio) ask(_ context.Context, node messages.NodeID, request cluster.FormRequest) (cluster.FormReply, error) {
	return tr.nodes[node].Promise(request)
}

// leader waits until all nodes but the one named are ready under one leader.
func (tr *trio) leader(t *testing.T, but messages.NodeID) *node {
	t.Helper()
	var leader messages.NodeID
	for name, n := range tr.nodes {
		if name == but {
			continue
		}
		n.until(t, func(s cluster.State) bool { leader = s.Leader; return s.Ready && s.Leader != but })
	}
	return tr.nodes[leader]
}

// agree waits until all nodes have applied want.
func (tr *trio) agree(t *testing.T, want []string) {
	t.Helper()
	index := tr.leader(t, "").AppliedIndex()
	for name, n := range tr.nodes {
		if err := n.WaitApplied(t.Context(), index); err != nil {
			t.Fatal(err)
		}
		if got := n.machine.all(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s applied %d entries, want %d", name, len(got), len(want))
		}
	}
}

func TestThreeVotersElectAndAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		leader := tr.leader(t, "")
		leader.apply(t, numbered(1, 20)...)
		tr.agree(t, numbered(1, 20))
		for _, n := range tr.nodes {
			if err := n.Form(t.Context(), tr.voters, tr.ask); err != nil {
				t.Errorf("formed again: %v", err)
			}
			if got, want := n.ClusterID(), leader.ClusterID(); got != want || got == "" {
				t.Errorf("cluster id = %q, want %q", got, want)
			}
			if n == leader {
				continue
			}
			f := n.Apply([]byte("from " + n.State().Node))
			<-f.Done()
			if _, err := f.Results(); err != nil {
				t.Errorf("a follower's proposal: %v", err)
			}
			<-f.Applied()
			index, err := n.ReadIndex(t.Context())
			if err != nil || index < leader.AppliedIndex() {
				t.Errorf("a follower's read index: %d, %v, want %d", index, err, leader.AppliedIndex())
			}
			if err := n.WaitApplied(t.Context(), index); err != nil {
				t.Error(err)
			}
			if got := n.machine.all(); got[len(got)-1] != "from "+string(n.State().Node) {
				t.Errorf("a follower reads %q after its own proposal", got[len(got)-1])
			}
		}
	})
}

func TestLeadershipIsHandedOverAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		old := tr.leader(t, "")
		old.apply(t, "before")
		began := time.Now()
		if err := old.TransferLeadership(t.Context()); err != nil {
			t.Fatal(err)
		}
		old.until(t, func(s cluster.State) bool { return !s.Leading && s.Ready })
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("handed over in %s, want under 200 ms", took)
		}
		tr.leader(t, "").apply(t, "after")
		tr.agree(t, []string{"before", "after"})
	})
}

func TestACutOffLeaderAcknowledgesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		old := tr.leader(t, "")
		old.apply(t, "before")
		tr.fabric.isolate(old.RaftAddr(), true)
		lost := old.Apply([]byte("lost"))
		_, readErr := old.ReadIndex(t.Context())
		<-lost.Done()
		if _, err := lost.Results(); !errors.Is(err, persistence.ErrUnknown) {
			t.Errorf("a proposal without a majority: error = %v, want ErrUnknown", err)
		}
		if !errors.Is(readErr, persistence.ErrUnavailable) {
			t.Errorf("a read without a majority: error = %v, want ErrUnavailable", readErr)
		}
		tr.leader(t, old.State().Node).apply(t, "after")
		old.until(t, func(s cluster.State) bool { return !s.Ready })
		time.Sleep(12 * time.Second)
		if got, want := old.State().String(), "no quorum since 1"; len(got) < len(want) || got[:len(want)] != want {
			t.Errorf("state of the cut-off node = %q, want %q...", got, want)
		}
		tr.fabric.isolate(old.RaftAddr(), false)
		tr.leader(t, "")
		tr.agree(t, []string{"before", "after"})
	})
}

func TestAVoterThatMissedTheLogIsSentARaftSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		leader := tr.leader(t, "")
		var away *node
		for _, n := range tr.nodes {
			if n != leader {
				away = n
			}
		}
		tr.fabric.isolate(away.RaftAddr(), true)
		leader.apply(t, numbered(1, 600)...)
		if err := leader.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
		leader.apply(t, numbered(601, 610)...)
		tr.fabric.isolate(away.RaftAddr(), false)
		tr.agree(t, numbered(1, 610))
	})
}

func TestAnEntryThatNobodySpeaksOfAnyMoreKeepsNoNodeFromStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		leader := tr.leader(t, "")
		follower := tr.other(leader)
		leader.apply(t, numbered(1, 5)...)
		tr.agree(t, numbered(1, 5))
		f := follower.Apply([]byte("committed by the leader"))
		<-f.Done()
		if _, err := f.Results(); err != nil {
			t.Fatal(err)
		}
		tr.fabric.isolate(addrOf(follower.State().Node), true) // before it hears of the commit
		time.Sleep(time.Minute)
		if isClosed(f.Applied()) {
			t.Fatal("the follower heard of the commit")
		}
		follower.Retire()
		time.Sleep(testConfig("").LeaderWait + time.Millisecond)
		synctest.Wait()
		if !isClosed(f.Applied()) {
			t.Error("a node that is about to stop still waits for an entry that it will not hear of")
		}
	})
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
