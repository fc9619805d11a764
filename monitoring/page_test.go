package monitoring_test

import (
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/monitoring"
)

// threeNodes is a cluster as its replica sees it: pc leads, the observer is dead.
func threeNodes() monitoring.Cluster {
	return monitoring.Cluster{
		Leader: "pc",
		Nodes: []monitoring.Member{
			{Name: "mac-b", Role: "observer", State: "dead", Voter: true},
			{Name: "pc", Role: "primary", State: "alive", Voter: true, Leader: true, Shards: 36, Linked: true,
				RTT: 400 * time.Microsecond, ClockOffset: -25 * time.Millisecond, HTTP: "192.168.1.10:9003"},
			{Name: "mac-a", Role: "replica", State: "draining", Voter: true, Shards: 47, Self: true},
		},
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

func TestPageShowsTheMarketOnceThereIsOne(t *testing.T) {
	m := monitoring.Market{}
	source := monitoring.Sources{Market: func() monitoring.Market { return m }}
	if body := get(newServer(t, source), "/?part=main").Body.String(); strings.Contains(body, "<h2>Energy") {
		t.Error("the page shows a market without providers")
	}
	m = monitoring.Market{Node: "mac-a", Price: 31, VolumeKWh: 1234, FeeBPS: 250, Providers: 12, Active: 9, Disputes: 2}
	body := get(newServer(t, source), "/?part=main").Body.String()
	for _, text := range []string{"31 a kWh", "1\u2009234 kWh", "fee 250 bps", "set by mac-a", "9 of 12 oracles report", "disputes open: 2"} {
		if !strings.Contains(body, text) {
			t.Errorf("the page lacks %q", text)
		}
	}
}
