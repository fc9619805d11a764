package monitoring_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/monitoring"
)

// threeNodes is a cluster as its replica sees it: pc leads, the observer is dead.
func threeNodes() monitoring.Cluster {
	return monitoring.Cluster{
		Leader: "pc", Term: 7, AppliedIndex: 90, LastIndex: 91, Voters: 4,
		Nodes: []monitoring.Member{
			{Name: "mac-b", Role: "observer", State: "dead", Voter: true, Links: 1},
			{Name: "pc", Role: "primary", State: "alive", Voter: true, Leader: true, Shards: 36, Linked: true, Links: 2,
				RTT: 400 * time.Microsecond, ClockOffset: -25 * time.Millisecond, HTTP: "192.168.1.10:9003"},
			{Name: "mac-a", Role: "replica", State: "draining", Voter: true, Shards: 47, Self: true},
		},
		Moves: map[string]uint64{"orphaned": 83, "made up": 1}, Fenced: 4,
		Peers: monitoring.Peers{Methods: []monitoring.Method{{Name: "node.ping", OK: 12}}, BytesIn: 100, BytesOut: 50},
	}
}

func TestMetricsTellHowTheClusterIs(t *testing.T) {
	text := get(newServer(t, monitoring.Sources{Cluster: threeNodes}), "/metrics").Body.String()
	for _, line := range []string{
		`bursar_cluster_leader 0`,
		`bursar_cluster_members{state="alive"} 1`,
		`bursar_cluster_members{state="draining"} 1`,
		`bursar_cluster_members{state="dead"} 1`,
		`bursar_cluster_members{state="left"} 0`,
		`bursar_cluster_voters 4`,
		`bursar_cluster_shards 47`,
		`bursar_cluster_moves_total{cause="orphaned"} 83`,
		`bursar_cluster_moves_total{cause="drained"} 0`,
		`bursar_cluster_moves_total{cause="other"} 1`,
		`bursar_cluster_fenced_total 4`,
		`bursar_cluster_clock_offset_seconds -0.025`,
		`bursar_peers_linked{member="pc"} 1`,
		`bursar_peers_linked{member="mac-b"} 0`,
		`bursar_peers_rtt_seconds{member="pc"} 0.0004`,
		`bursar_peers_links_total{member="pc"} 2`,
		`bursar_peers_requests_total{method="node.ping",outcome="ok"} 12`,
		`bursar_peers_bytes_total{direction="in"} 100`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("/metrics lacks the line %s", line)
		}
	}
	for _, absent := range []string{`{member="mac-a"}`, `bursar_peers_rtt_seconds{member="mac-b"}`} {
		if strings.Contains(text, absent) {
			t.Errorf("/metrics holds %s: of this node, or of one that was never pinged", absent)
		}
	}
}

func TestTheLeaderIsOffItsOwnClockByNothing(t *testing.T) {
	alone := func() monitoring.Cluster {
		return monitoring.Cluster{IsLeader: true, Nodes: []monitoring.Member{{Name: "n1", State: "alive", Leader: true, Self: true}}}
	}
	text := get(newServer(t, monitoring.Sources{Cluster: alone}), "/metrics").Body.String()
	if !strings.Contains(text, "bursar_cluster_clock_offset_seconds 0\n") {
		t.Error("/metrics lacks the clock's offset of a leader")
	}
	none := func() monitoring.Cluster { return monitoring.Cluster{} }
	if text = get(newServer(t, monitoring.Sources{Cluster: none}), "/metrics").Body.String(); strings.Contains(text, "\nbursar_cluster_clock_offset") {
		t.Error("/metrics holds an offset to a leader that is not known")
	}
}

func TestPageShowsTheNodes(t *testing.T) {
	body := get(newServer(t, monitoring.Sources{Cluster: threeNodes}), "/?part=main").Body.String()
	last := -1
	for _, name := range []string{"mac-a", "mac-b", `<a href="//192.168.1.10:9003/">pc</a>`} {
		at := strings.Index(body, name)
		if at <= last {
			t.Errorf("the page shows %s at %d, want it behind the one before, at %d", name, at, last)
		}
		last = at
	}
	for _, text := range []string{"draining", "dead", "observer", "leads", "400µs", "-25ms"} {
		if !strings.Contains(body, text) {
			t.Errorf("the page lacks %q", text)
		}
	}
	lone := func() monitoring.Cluster {
		return monitoring.Cluster{Nodes: []monitoring.Member{{Name: "n1", State: "alive", Self: true}}}
	}
	if body = get(newServer(t, monitoring.Sources{Cluster: lone}), "/?part=main").Body.String(); strings.Contains(body, "<h2>Nodes") {
		t.Error("the page of a lone node lists nodes")
	}
}

// The native histogram has all observations of the classic one, in the buckets that end
// nearest to theirs.
func TestNativeHistogramsHoldWhatTheClassicOnesHold(t *testing.T) {
	counts, bounds := []uint64{1, 0, 2, 3, 4}, []float64{1e-6, 2e-6, 4e-6, 1.048576}
	sources := monitoring.Sources{Actors: func() monitoring.Actors {
		h := monitoring.Histogram{Bounds: bounds, Counts: counts, Sum: 12.5}
		return monitoring.Actors{Kinds: []monitoring.Kind{{Name: "shard", Wait: h, Processing: h}}}
	}}
	gathered := gather(t, newServer(t, sources))
	for _, name := range []string{"bursar_actors_wait_seconds", "bursar_actors_processing_seconds"} {
		h := gathered[name].GetMetric()[0].GetHistogram()
		if h.GetSampleCount() != 10 || h.GetSampleSum() != 12.5 || h.GetSchema() != 0 {
			t.Errorf("%s: count %d, sum %v, schema %d", name, h.GetSampleCount(), h.GetSampleSum(), h.GetSchema())
		}
		native := make(map[int]int64)
		at, population, next := 0, int64(0), 0
		for _, span := range h.GetPositiveSpan() {
			at += int(span.GetOffset())
			for range span.GetLength() {
				population += h.GetPositiveDelta()[next]
				if population > 0 {
					native[at] = population
				}
				at, next = at+1, next+1
			}
		}
		want := map[int]int64{-20: 1, -18: 2, 0: 3, 1: 4}
		if fmt.Sprint(native) != fmt.Sprint(want) {
			t.Errorf("%s: native buckets %v, want %v", name, native, want)
		}
		if len(h.GetBucket()) == 0 {
			t.Errorf("%s has no classic buckets", name)
		}
	}
}
