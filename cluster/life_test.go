package cluster_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
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

// TestADirectoryFromBeforeLivesDoesNotVote: it has a log and says nothing of a life. Where
// there is nobody to admit it, it says so.
func TestADirectoryFromBeforeLivesDoesNotVote(t *testing.T) {
	cfg := testConfig(t.TempDir())
	n := start(t, cfg, cluster.TCP{})
	n.ready(t)
	n.apply(t, "before")
	n.stop()
	log, err := raftlog.Open(filepath.Join(cfg.Dir, "log"), raftlog.Options{SegmentBytes: cfg.SegmentBytes, MarkDir: cfg.Dir}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"bursar.life", "bursar.promise"} {
		if err := log.Set([]byte(key), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := open(cfg, cluster.TCP{}); !errors.Is(err, cluster.ErrDamaged) || !strings.Contains(err.Error(), "the only voter") {
			t.Errorf("it starts, or says: %v", err)
		}
	}
}

// open opens and closes a node, and gives the error of opening it.
func open(cfg cluster.Config, network cluster.Network) error {
	c, err := cluster.OpenConsensus(cfg, &journalled{}, network, func(error) {}, slog.New(slog.DiscardHandler))
	if err == nil {
		err = c.Close(context.Background())
	}
	return err
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
