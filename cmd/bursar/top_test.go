package main

import (
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/show"
	"github.com/the-block/bursar/messages"
)

// topOf is a cluster with all that top shows, between two looks.
func topOf(t *testing.T) *overview {
	t.Helper()
	at := func(second int64, messagesOf3 uint64, commits float64) *sight {
		return &sight{
			glance:   glance{at: time.Unix(second, 0), node: "n1", actors: actorsAt(messagesOf3)},
			cluster:  messages.ClusterStatusResult{Node: "n1", Leader: "n2", Term: 7, Ready: true, Voters: 3, VotersUp: 2, Epoch: 1234},
			members:  []messages.Member{{Name: "n1", Role: "primary", State: "alive", Shards: 32}, {Name: "n2", Role: "replica", State: "alive", Leader: true}},
			executor: messages.ExecutorStatus{Node: "n1", Breaker: "open", Due: 12, Staged: 3},
			breakers: []messages.BreakerInfo{{Path: "/treasury/executor", State: "open"}},
			market:   messages.MarketStateResult{ProvidersCount: 4, OraclesActive: 3, Price: 120, Volume: 9000, DisputesPending: 1},
			figures: show.Figures{
				"bursar_journal_txns_total": commits, `bursar_journal_commit_seconds_bucket{le="0.001"}`: commits / 2,
				`bursar_journal_commit_seconds_bucket{le="0.004"}`: commits, `bursar_journal_commit_seconds_bucket{le="+Inf"}`: commits,
			},
		}
	}
	then, now := at(100, 100, 1000), at(102, 103, 1400)
	now.actors[6].StalledMS = 61_000
	return overviewOf(then, now)
}

func TestTopShowsTheClusterAtAGlance(t *testing.T) {
	text := strings.Join(topOf(t).lines(3, sortRate, false), "\n")
	for _, want := range []string{
		"n1 is ready; n2 leads, term 7; 2 of 3 voters are up, 0 more may fail; epoch 1,234",
		"commits: half within 1ms, 99 of 100 within 4ms; 200 changes/s",
		"n2    replica  alive       0       leader",
		"executor: n1, breaker open, 12 due, 3 in flight; breakers: /treasury/executor open",
		"energy: 3 of 4 oracles active, 9,000 kWh in the last hour at 120, 1 open dispute",
		"n1: the first of 8 actors by rate; 1 STUCK in a message",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestTopSortsByWhatIsAsked(t *testing.T) {
	o := topOf(t)
	for by, want := range map[string]string{
		sortRate: "/treasury/shard-3", "depth": "/treasury/shard-2", "wait": "/treasury/shard-2", "stuck": "/treasury/shard-4", "messages": "/treasury/shard-3",
	} {
		rows := o.busiest(2, by)
		if len(rows) != 2 || rows[0].name != want {
			t.Errorf("by %s %v is first, want %s", by, rows[0].name, want)
		}
	}
	if len(sortNames()) != 5 {
		t.Errorf("orders without a case: %v", sortNames())
	}
	line := strings.Join(o.lines(1, "stuck", true), "\n")
	if !strings.Contains(line, red+"  /treasury/shard-4") || !strings.Contains(line, "1m1s") {
		t.Errorf("a stuck actor is not marked:\n%q", line)
	}
}

func TestQuantilesAreOfWhatCameInBetween(t *testing.T) {
	old := show.Figures{`x_bucket{le="1"}`: 100, `x_bucket{le="2"}`: 100, `x_bucket{le="+Inf"}`: 100}
	now := show.Figures{`x_bucket{le="1"}`: 101, `x_bucket{le="2"}`: 109, `x_bucket{le="+Inf"}`: 110}
	for q, want := range map[float64]time.Duration{0.1: time.Second, 0.5: 2 * time.Second, 0.99: 2 * time.Second} {
		if got := quantile(q, "x", old, now); got != want {
			t.Errorf("quantile %v is %s, want %s", q, got, want)
		}
	}
	if got := quantile(0.5, "x", now, now); got != -1 {
		t.Errorf("of nothing it is %s", got)
	}
}
