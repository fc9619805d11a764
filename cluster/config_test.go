package cluster_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/the-block/bursar/cluster"
)

func TestAConfigurationIsRefusedByTheRuleItBreaks(t *testing.T) {
	for rule, spoil := range map[string]func(*cluster.Config){
		"node:":             func(c *cluster.Config) { c.Node = "" },
		"dir:":              func(c *cluster.Config) { c.Dir = "" },
		"raft_addr:":        func(c *cluster.Config) { c.RaftAddr = "nowhere" },
		"bootstrap_expect:": func(c *cluster.Config) { c.BootstrapExpect = -1 },
		"timing:":           func(c *cluster.Config) { c.Timing = "wan" },
		"snapshot_bytes:":   func(c *cluster.Config) { c.SnapshotBytes = 1 },
		"snapshot_retain:":  func(c *cluster.Config) { c.SnapshotRetain = 1 },
		"segment_bytes:":    func(c *cluster.Config) { c.SegmentBytes = 1 << 31 },
		"apply_timeout:":    func(c *cluster.Config) { c.ApplyTimeout = 0 },
		"snapshot_entries:": func(c *cluster.Config) { c.SnapshotEntries = 0 },
		"mark_interval:":    func(c *cluster.Config) { c.MarkInterval = 0 },
	} {
		cfg := testConfig(t.TempDir())
		spoil(&cfg)
		_, err := cluster.OpenConsensus(cfg, &journalled{}, cluster.TCP{}, func(error) {}, slog.New(slog.DiscardHandler))
		if err == nil || !strings.HasPrefix(err.Error(), rule) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error = %v, want one that begins %q", err, rule)
		}
	}
}
