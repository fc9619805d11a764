package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/messages"
)

// actorsAt is a tree of a root, a busy supervisor with five children, and a clock.
func actorsAt(messagesOf3 uint64) []messages.ActorInfo {
	info := func(path, kind string) messages.ActorInfo {
		return messages.ActorInfo{Path: path, Kind: kind, State: "running", Breaker: "closed"}
	}
	list := []messages.ActorInfo{
		info("/", "root"), info("/treasury", "treasury"),
		info("/treasury/shard-0", "shard"), info("/treasury/shard-1", "shard"), info("/treasury/shard-2", "shard"),
		info("/treasury/shard-3", "shard"), info("/treasury/shard-4", "shard"), info("/clock", "clock"),
	}
	list[0].Children, list[1].Children = 2, 5
	list[2].Messages, list[3].Messages = 7, 8
	list[4].Breaker, list[4].Restarts, list[4].MailboxDepth, list[4].OldestMS = "open", 3, 1200, 2500
	list[5].Messages = messagesOf3
	list[7].Children = 1
	return list
}

func frameOf(t *testing.T) *frame {
	t.Helper()
	then := &glance{at: time.Unix(100, 0), actors: actorsAt(100)}
	now := &glance{at: time.Unix(102, 0), actors: actorsAt(103)}
	return &frame{node: "n1", actors: now.actors, rates: rates(then, now)}
}

func TestTreeFoldsOnlyIdleBrothers(t *testing.T) {
	got := strings.Join(treeLines(frameOf(t), true, false), "\n")
	want := strings.TrimSpace(`
n1: 8 actors
  actor                              breaker  waiting  oldest  stuck  msg/s  messages  restarts
  /                                  closed         0       -      -      -         0         0
  ├─ treasury                        closed         0       -      -      -         0         0
  │  ├─ shard-0 … shard-1 (2 alike)  closed         0       -      -      -        15         0
  │  ├─ shard-2                      open       1,200    2.5s      -      -         0         3
  │  ├─ shard-3                      closed         0       -      -    1.5       103         0
  │  └─ shard-4                      closed         0       -      -      -         0         0
  └─ clock (0 of 1 below shown)      closed         0       -      -      -         0         0
`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tree: want -, got +\n%s", diff)
	}
}

func TestTreeColoursWhatWantsAttention(t *testing.T) {
	got := strings.Join(treeLines(frameOf(t), true, true), "\n")
	for _, want := range []string{red + "open" + plain, green + "closed" + plain, yellow + "3" + plain} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%q", want, got)
		}
	}
}

func TestFitSaysWhatItCut(t *testing.T) {
	lines := []string{"a", "b", "c", "d"}
	if got := fit(lines, 4); len(got) != 4 {
		t.Errorf("cut what fits: %q", got)
	}
	got := fit(lines, 3)
	if len(got) != 3 || got[1] != "b" || !strings.HasPrefix(got[2], "… 2 more lines") {
		t.Errorf("got %q", got)
	}
}

func TestPagesOfWavesAreJoinedWhereTheyWereCut(t *testing.T) {
	type ids = []messages.DisbursementID
	var waves [][]messages.DisbursementID
	for _, page := range []messages.WavesResult{
		{Waves: []ids{{1, 2}}},
		{Waves: []ids{{3}, {4}}, FirstWave: 0},
		{Waves: []ids{{5}}, FirstWave: 2},
		{Waves: []ids{{6}}, FirstWave: 2},
	} {
		waves = joinWaves(waves, &page)
	}
	if diff := cmp.Diff([][]messages.DisbursementID{{1, 2, 3}, {4}, {5, 6}}, waves); diff != "" {
		t.Error(diff)
	}
}
