package cluster_test

import (
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/internal/raftlog"
)

func TestALifeLastsAsLongAsItsDirectory(t *testing.T) {
	cfg := testConfig(t.TempDir())
	n := start(t, cfg, cluster.TCP{})
	n.ready(t)
	life := n.Life()
	n.stop()
	n = start(t, cfg, cluster.TCP{})
	n.ready(t)
	if n.Life() != life || life == "" || !n.Voting() {
		t.Errorf("life %q, voting %v; want %q", n.Life(), n.Voting(), life)
	}
	other := start(t, testConfig(t.TempDir()), cluster.TCP{})
	if other.Life() == life {
		t.Error("two directories have one life")
	}
}

// TestADirectoryFromBeforeLivesVotes: it has a log and says nothing of a life.
func TestADirectoryFromBeforeLivesVotes(t *testing.T) {
	cfg := testConfig(t.TempDir())
	n := start(t, cfg, cluster.TCP{})
	n.ready(t)
	id := n.ClusterID()
	n.apply(t, "before")
	n.stop()
	log, err := raftlog.Open(filepath.Join(cfg.Dir, "log"), raftlog.Options{SegmentBytes: cfg.SegmentBytes}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"bursar.life": "", "bursar.promise": "", "bursar.cluster": id} {
		if err := log.Set([]byte(key), []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		n = start(t, cfg, cluster.TCP{})
		n.ready(t)
		if !n.Voting() || n.Life() == "" || n.ClusterID() != id {
			t.Errorf("voting %v, life %q, cluster %q; want %q", n.Voting(), n.Life(), n.ClusterID(), id)
		}
		n.stop()
	}
}

func TestANewDirectoryDoesNotVote(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.BootstrapExpect = 0
	n := start(t, cfg, cluster.TCP{})
	if n.Voting() || n.Formed() || n.ClusterID() != "" {
		t.Errorf("voting %v, formed %v, cluster %q", n.Voting(), n.Formed(), n.ClusterID())
	}
	if err := n.Admit(); err != nil {
		t.Fatal(err)
	}
	n.stop()
	n = start(t, cfg, cluster.TCP{})
	if !n.Voting() {
		t.Error("an admission is forgotten")
	}
}
