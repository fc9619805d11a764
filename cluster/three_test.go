package cluster_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// trio is three voters in one bubble of virtual time, their logs on the real disk.
type trio struct {
	fabric *fabric
	nodes  map[messages.NodeID]*node
	voters []cluster.Voter
}

func startTrio(t *testing.T) *trio {
	t.Helper()
	tr := &trio{fabric: newFabric(), nodes: make(map[messages.NodeID]*node)}
	for i := 1; i <= 3; i++ {
		name, addr := messages.NodeID(fmt.Sprintf("n%d", i)), fmt.Sprintf("n%d:9002", i)
		cfg := testConfig(t.TempDir())
		cfg.Node, cfg.RaftAddr, cfg.BootstrapExpect = name, addr, 3
		tr.nodes[name] = start(t, cfg, fabricPort{tr.fabric, addr})
		tr.voters = append(tr.voters, cluster.Voter{Node: name, Addr: addr})
	}
	for _, n := range tr.nodes {
		if err := n.Bootstrap("test", tr.voters); err != nil {
			t.Fatal(err)
		}
	}
	return tr
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
			if err := n.Bootstrap("other", tr.voters); !errors.Is(err, cluster.ErrFormed) {
				t.Errorf("a second bootstrap: error = %v, want ErrFormed", err)
			}
			if got := n.ClusterID(); got != "test" {
				t.Errorf("cluster id = %q, want test", got)
			}
			if n == leader {
				continue
			}
			f := n.Apply([]byte("from a follower"))
			<-f.Done()
			if _, err := f.Results(); !errors.Is(err, persistence.ErrUnavailable) {
				t.Errorf("a follower's proposal: error = %v, want ErrUnavailable", err)
			}
			if _, err := n.ReadIndex(t.Context()); !errors.Is(err, persistence.ErrUnavailable) {
				t.Errorf("a follower's read index: error = %v, want ErrUnavailable", err)
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
