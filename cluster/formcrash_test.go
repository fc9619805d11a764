package cluster_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/internal/raftlog/raftlogtest"
	"github.com/the-block/bursar/messages"
)

// boot starts a node whose disk may crash.
func (tr *trio) boot(dir string, name messages.NodeID, disk *raftlogtest.Disk) error {
	cfg := testConfig(filepath.Join(dir, string(name))).OnDisk(disk)
	cfg.Node, cfg.RaftAddr, cfg.BootstrapExpect = name, addrOf(name), 3
	n := &node{machine: &journalled{}, fatal: make(chan error, 1)}
	var err error
	n.Consensus, err = cluster.OpenConsensus(cfg, n.machine, fabricPort{tr.fabric, cfg.RaftAddr, nil},
		func(err error) { n.fatal <- err }, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	n.stop = func() {
		cancel()
		<-ended
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = n.Close(ctx)
	}
	tr.nodes[name] = n
	return nil
}

// tryAsk is ask, of a node that may be off.
func (tr *trio) tryAsk(ctx context.Context, node messages.NodeID, request cluster.FormRequest) (cluster.FormReply, error) {
	if tr.nodes[node] == nil {
		return cluster.FormReply{}, errBroken
	}
	return tr.ask(ctx, node, request)
}

// formWithCrash forms a cluster while one node's machine goes off at a change of its
// disk, comes back, and the initiator tries again. It reports whether it came to that.
func formWithCrash(t *testing.T, dir string, victim messages.NodeID, at int) (crashed bool, err error) {
	tr := &trio{fabric: newFabric(), nodes: make(map[messages.NodeID]*node)}
	disks := make(map[messages.NodeID]*raftlogtest.Disk)
	for _, name := range []messages.NodeID{"n1", "n2", "n3"} {
		disks[name] = raftlogtest.New()
		tr.voters = append(tr.voters, cluster.Voter{Node: name, Addr: addrOf(name)})
	}
	disks[victim].Strike = func(op raftlogtest.Op) error {
		if op.Number == at {
			crashed = true
			return raftlogtest.Crash{Done: at % 2}
		}
		return nil
	}
	for _, v := range tr.voters {
		if err := tr.boot(dir, v.Node, disks[v.Node]); err != nil && v.Node != victim {
			return crashed, err
		}
	}
	defer func() {
		for _, n := range tr.nodes {
			n.stop()
		}
	}()
	if initiator := tr.nodes["n1"]; initiator != nil {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // a Raft without its disk does not answer
		_ = initiator.Form(ctx, tr.voters, tr.tryAsk)
		cancel()
	}
	synctest.Wait()
	if n := tr.nodes[victim]; n != nil {
		n.stop()
		delete(tr.nodes, victim)
	}
	disk := disks[victim].PowerLoss(rand.New(rand.NewPCG(uint64(at), 3)))
	if err := tr.boot(dir, victim, disk); err != nil {
		return crashed, fmt.Errorf("start again: %w", err)
	}
	if err := tr.nodes["n1"].Form(t.Context(), tr.voters, tr.tryAsk); err != nil {
		return crashed, fmt.Errorf("form again: %w", err)
	}
	tr.leader(t, "").apply(t, "formed")
	tr.agree(t, []string{"formed"})
	for _, n := range tr.nodes {
		if got, want := n.ClusterID(), tr.nodes["n1"].ClusterID(); got != want || got == "" || !n.Voting() {
			err = fmt.Errorf("cluster %q, voting %v, want %q", got, n.Voting(), want)
		}
	}
	return crashed, err
}

func TestFormingGoesOnAfterACrashAtAnyPoint(t *testing.T) {
	for _, victim := range []messages.NodeID{"n1", "n2"} {
		dir, crashed := t.TempDir(), true
		at := 1
		for ; crashed && at < 200; at++ {
			synctest.Test(t, func(t *testing.T) {
				var err error
				if crashed, err = formWithCrash(t, filepath.Join(dir, fmt.Sprint(at)), victim, at); err != nil {
					t.Errorf("%s off at change %d: %v", victim, at, err)
				}
			})
		}
		if at < 10 {
			t.Errorf("%s: only %d crash points", victim, at)
		}
		t.Logf("%s: %d crash points", victim, at-1)
	}
}
