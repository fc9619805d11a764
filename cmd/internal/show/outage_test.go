package show

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/node"
)

func TestAnOutageLastsUntilTheNextPayment(t *testing.T) {
	start := time.Unix(1000, 0)
	type look struct {
		after  time.Duration
		newest uint64
	}
	for name, c := range map[string]struct {
		delay time.Duration
		looks []look
		want  time.Duration
		count int
	}{
		"the first payment after it ends it": {
			outageDelay, []look{{0, 5}, {500 * time.Millisecond, 5}, {1200 * time.Millisecond, 6}}, 1200 * time.Millisecond, 1},
		"what was paid before it and became visible later does not": {
			outageDelay, []look{{0, 5}, {20 * time.Millisecond, 7}, {time.Second, 8}}, time.Second, 1},
		"a node that lags behind the one asked before shows no payment": {
			outageDelay, []look{{0, 7}, {200 * time.Millisecond, 5}, {300 * time.Millisecond, 7}, {time.Second, 8}}, time.Second, 1},
		"the first look is no payment": {
			0, []look{{300 * time.Millisecond, 5}}, 0, 0},
		"of several pauses the longest counts": {
			0, []look{{0, 5}, {100 * time.Millisecond, 6}, {600 * time.Millisecond, 7}, {700 * time.Millisecond, 8}}, 500 * time.Millisecond, 3},
	} {
		t.Run(name, func(t *testing.T) {
			p := pauses{from: start, after: start.Add(c.delay)}
			for _, l := range c.looks {
				p.see(start.Add(l.after), l.newest)
			}
			if p.longest != c.want || p.count != c.count {
				t.Errorf("%s over %d payments, want %s over %d", p.longest, p.count, c.want, c.count)
			}
		})
	}
}

func TestOnlyWhoLedOrPaidIsFailedOver(t *testing.T) {
	m := &localcluster.Node{Cfg: node.Config{Name: "n1"}}
	for _, c := range []struct {
		o    outage
		want string
	}{
		{outage{member: m, how: localcluster.Killed, leader: true, executor: true}, "FAILOVER: n1, leader and executor, was killed; n2 leads;"},
		{outage{member: m, how: localcluster.CutOff, executor: true}, "FAILOVER: n1, the executor, was cut off;"},
		{outage{member: m, how: localcluster.Killed, leader: true, executor: true, market: true}, "FAILOVER: n1, leader, executor and market, was killed;"},
		{outage{member: m, how: localcluster.Paused}, "n1, neither leader nor executor, was paused: the next payment was executed 1s after it"},
		{outage{member: m, how: localcluster.Stopped, leader: true}, "n1, the leader, left in order: the longest pause"},
	} {
		if got := c.o.text(time.Second, &view{leader: "n2"}); !strings.HasPrefix(got, c.want) {
			t.Errorf("told %q, want %q ...", got, c.want)
		}
	}
}

func TestTheTableTellsWhatEachNodeDoes(t *testing.T) {
	s := &view{leader: "n1", executor: "n1", clock: "n1", market: "n1", nodes: []nodeView{
		{name: "n1", role: "primary", state: "ready", ready: true, shards: 41, applied: 1234, pid: 77, cpu: 0.183},
		{name: "n2", role: "replica", state: "no quorum since 3 s", cpu: -1},
	}}
	lines := nodesTable(s, 1, 120)
	if len(lines) != 3 || !strings.HasPrefix(lines[2], "▸ n2 ") || strings.HasPrefix(lines[1], "▸") {
		t.Errorf("table:\n%s", strings.Join(lines, "\n"))
	}
	for _, word := range []string{"primary", "ready", "41", "leader executor clock market", "1,234", "77", "18 %"} {
		if !strings.Contains(lines[1], word) {
			t.Errorf("%q is not in %q", word, lines[1])
		}
	}
	for _, line := range nodesTable(s, 1, 80) {
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("%q has %d characters, a small terminal 80", line, n)
		}
	}
	if got, want := nodesLine(s), "nodes: n1 primary ready leader executor clock market 41 shards | n2 replica no quorum"; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
}
