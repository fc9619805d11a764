package monitoring_test

import (
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/messages"
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

// What strangers wrote is shown, and cannot turn the page around; what waits says why.
func TestPageShowsPaymentsAndWhyTheyWait(t *testing.T) {
	payee := "tb1" + strings.Repeat("q", 60)
	body := get(newServer(t, monitoring.Sources{
		Treasury: treasury,
		Latest: func(int) []monitoring.Payment {
			return []monitoring.Payment{
				{ID: 8, Destination: payee, Amount: 5, State: messages.Draft, Note: "caf\u00e9 \u202egpj.tnemyap", Waiting: []string{"funds: 3 short", "epoch 12"}},
				{ID: 7, Destination: "tb1a", Amount: 5, State: messages.RolledBack, Reason: "quorum_not_reached"},
			}
		},
	}), "/?part=main").Body.String()
	for _, text := range []string{
		`<code title="` + payee + `"><bdi>tb1qqqqqqqqqqqqqqqqqqqq…</bdi></code>`,
		`<bdi>café <span class="esc">\u202e</span>gpj.tnemyap</bdi>`, `title="café \u202egpj.tnemyap"`,
		"waits for <bdi>funds: 3 short</bdi>", "waits for <bdi>epoch 12</bdi>", "rolled back <span", `<th scope="col" class="num">id</th>`,
		"disbursements by state: draft ",
	} {
		if !strings.Contains(body, text) {
			t.Errorf("the page lacks %q:\n%s", text, body)
		}
	}
	if strings.ContainsRune(body, '\u202e') || strings.Contains(body, "<th>") {
		t.Error("a character that turns text around, or a column without scope, is in the page")
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
