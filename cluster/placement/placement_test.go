package placement_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/cluster/placement"
	"github.com/the-block/bursar/messages"
)

var start = time.Unix(1_700_000_000, 0)

// later is when every node that was up at start is past its hold-down.
var later = start.Add(time.Hour)

func nodes(roles ...placement.Role) []placement.Node {
	var list []placement.Node
	for i, role := range roles {
		list = append(list, placement.Node{ID: messages.NodeID(fmt.Sprintf("n%d", i+1)), Role: role, Since: start})
	}
	return list
}

func shards(count int) []placement.Shard {
	list := make([]placement.Shard, count)
	for i := range list {
		list[i].ID = messages.ShardID(i)
	}
	return list
}

// settle carries moves out until there are none, and returns how many there were.
func settle(t interface{ Fatalf(string, ...any) }, nodes []placement.Node, shards []placement.Shard, now time.Time) int {
	moved := 0
	for {
		moves := placement.Decide(placement.DefaultConfig(), nodes, shards, now)
		if len(moves) == 0 {
			return moved
		}
		carryOut(moves, shards)
		if moved += len(moves); moved > 10*len(shards) {
			t.Fatalf("%d moves of %d shards and no end: %v", moved, len(shards), moves)
		}
	}
}

func carryOut(moves []placement.Move, shards []placement.Shard) {
	for _, m := range moves {
		for i := range shards {
			if shards[i].ID == m.Shard {
				shards[i].Owner = m.To
			}
		}
	}
}

// held counts shards by owner.
func held(shards []placement.Shard) map[messages.NodeID]int {
	count := make(map[messages.NodeID]int)
	for _, s := range shards {
		count[s.Owner]++
	}
	return count
}

func TestPrimaryAndReplicaShareAndTheObserverWatches(t *testing.T) {
	list := shards(80)
	settle(t, nodes(placement.Primary, placement.Replica, placement.Observer), list, later)
	got := held(list)
	if got["n3"] != 0 || got["n1"] < 25 || got["n2"] < 25 {
		t.Errorf("held = %v, want about 40 each and none by the observer", got)
	}
}

func TestTheObserverOwnsIfItMust(t *testing.T) {
	list := shards(8)
	settle(t, nodes(placement.Observer), list, later)
	if got := held(list)["n1"]; got != 8 {
		t.Errorf("a lone observer holds %d, want 8", got)
	}
	all := nodes(placement.Observer, placement.Replica)
	all[1].Since = later
	if moves := placement.Decide(placement.DefaultConfig(), all, list, later.Add(9*time.Second)); len(moves) != 0 {
		t.Errorf("within the hold-down: %v, want no move", moves)
	}
	settle(t, all, list, later.Add(10*time.Second))
	if got := held(list)["n2"]; got != 8 {
		t.Errorf("after the hold-down the replica holds %d, want 8", got)
	}
}

func TestASingletonPrefersThePrimary(t *testing.T) {
	list := shards(3)
	for i := range list {
		list[i].Single = true
	}
	all := nodes(placement.Replica, placement.Primary, placement.Observer)
	settle(t, all, list, later)
	if got := held(list)["n2"]; got != 3 {
		t.Errorf("the primary holds %d, want 3", got)
	}
	settle(t, append(all[:1:1], all[2]), list, later)
	if got := held(list)["n1"]; got != 3 {
		t.Errorf("without it the replica holds %d, want 3", got)
	}
}

func TestANodeWithAWrongClockOwnsNothingTimed(t *testing.T) {
	list := shards(20)
	for i := range list {
		list[i].Timed = i%2 == 0
	}
	all := nodes(placement.Primary, placement.Replica)
	settle(t, all, list, later)
	all[0].ClockOff = true
	moves := placement.Decide(placement.DefaultConfig(), all, list, later)
	for _, m := range moves {
		if m.From != "n1" || m.Cause != placement.Orphaned {
			t.Errorf("move %+v, want all off n1 at once", m)
		}
	}
	carryOut(moves, list)
	for _, s := range list {
		if s.Timed && s.Owner == "n1" {
			t.Errorf("shard %d stays with n1", s.ID)
		}
	}
}

func TestANodeThatIsConfiguredToPayOtherwiseDoesNotPay(t *testing.T) {
	all, list := []placement.Node{
		{ID: "n1", Role: placement.Primary, Since: start}, {ID: "n2", Role: placement.Replica, Since: start},
	}, shards(4)
	list[3].Paying = true
	for i := range list {
		list[i].Owner = "n1"
	}
	all[0].Misbound = true
	carryOut(placement.Decide(placement.DefaultConfig(), all, list, later), list)
	if list[3].Owner != "n2" {
		t.Errorf("%s pays", list[3].Owner)
	}
	if list[0].Owner == "" || list[1].Owner == "" || list[2].Owner == "" {
		t.Errorf("others lost their owner: %+v", list)
	}
}

func TestADrainingNodeHandsOverInPortions(t *testing.T) {
	list := shards(64)
	all := nodes(placement.Primary, placement.Replica)
	settle(t, all, list, later)
	all[0].Draining = true
	cfg := placement.DefaultConfig()
	for left := held(list)["n1"]; left > 0; left = held(list)["n1"] {
		moves := placement.Decide(cfg, all, list, later)
		if len(moves) != min(left, cfg.DrainedMost) {
			t.Fatalf("%d moves with %d left, want at most %d", len(moves), left, cfg.DrainedMost)
		}
		for _, m := range moves {
			if want := (placement.Move{Shard: m.Shard, From: "n1", To: "n2", Cause: placement.Drained}); m != want {
				t.Fatalf("move %+v, want %+v", m, want)
			}
		}
		carryOut(moves, list)
	}
	all[1].Draining = true
	if moves := placement.Decide(placement.DefaultConfig(), all, list, later); len(moves) != 0 {
		t.Errorf("with nobody to take them: %v, want no move", moves)
	}
}

func TestOrphansDoNotWaitForTheHoldDown(t *testing.T) {
	list := shards(16)
	all := nodes(placement.Primary, placement.Replica)
	settle(t, all, list, later)
	mine := held(list)["n1"]
	survivor := all[1:]
	survivor[0].Since = later // it has just restarted itself
	moves := placement.Decide(placement.DefaultConfig(), survivor, list, later)
	if len(moves) != mine {
		t.Errorf("%d moves, want all %d orphans at once", len(moves), mine)
	}
}

func TestAnOrphanGoesToANodeThatHasJustComeUpRatherThanToAnObserver(t *testing.T) {
	list := shards(16)
	all := nodes(placement.Primary, placement.Replica, placement.Observer)
	settle(t, all, list, later)
	all[1].Since = later // it has just restarted
	settle(t, all[1:], list, later)
	if got := held(list); got["n2"] != len(list) {
		t.Errorf("held = %v, want all with n2", got)
	}
}

// drawNodes draws up to eight nodes of any role and weight.
func drawNodes(t *rapid.T) []placement.Node {
	count := rapid.IntRange(1, 8).Draw(t, "nodes")
	list := make([]placement.Node, count)
	for i := range list {
		list[i] = placement.Node{
			ID:       messages.NodeID(fmt.Sprintf("n%d", i)),
			Role:     placement.Role(rapid.IntRange(1, 3).Draw(t, "role")),
			Weight:   uint32(rapid.IntRange(0, 5).Draw(t, "weight")),
			Draining: rapid.IntRange(0, 5).Draw(t, "draining") == 0,
			ClockOff: rapid.IntRange(0, 5).Draw(t, "clock off") == 0,
			Since:    start,
		}
	}
	return list
}

func drawShards(t *rapid.T) []placement.Shard {
	list := shards(rapid.IntRange(1, 83).Draw(t, "shards"))
	for i := range list {
		list[i].Single = rapid.IntRange(0, 9).Draw(t, "single") == 0
		list[i].Timed = rapid.Bool().Draw(t, "timed")
	}
	return list
}

func TestDecisionsEndAndObeyTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes, list := drawNodes(t), drawShards(t)
		byID := make(map[messages.NodeID]placement.Node)
		for _, n := range nodes {
			byID[n.ID] = n
		}
		settle(t, nodes, list, later)
		for _, s := range list {
			bestRole := placement.Role(99)
			for _, n := range nodes {
				if !n.Draining && (!s.Timed || !n.ClockOff) {
					bestRole = min(bestRole, n.Role)
				}
			}
			owner, owned := byID[s.Owner]
			switch {
			case bestRole == 99 && owned:
				t.Errorf("shard %d was given to %s, and nobody is fit", s.ID, s.Owner)
			case bestRole == 99:
			case !owned || owner.Draining || s.Timed && owner.ClockOff:
				t.Errorf("shard %d is with %+v, who is not fit", s.ID, owner)
			case s.Single && owner.Role != bestRole, owner.Role == placement.Observer && bestRole != placement.Observer:
				t.Errorf("shard %d is with %s, a %s, though a %s is there", s.ID, owner.ID, owner.Role, bestRole)
			}
		}
	})
}

func TestOnlyTheShardsOfANodeThatGoesMove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := nodes(placement.Primary, placement.Replica, placement.Replica, placement.Replica, placement.Replica)
		all = all[:rapid.IntRange(2, 5).Draw(t, "nodes")]
		list := shards(80)
		settle(t, all, list, later)
		gone := rapid.IntRange(0, len(all)-1).Draw(t, "gone")
		orphans := held(list)[all[gone].ID]
		rest := append(append([]placement.Node(nil), all[:gone]...), all[gone+1:]...)
		if moved := settle(t, rest, list, later); moved != orphans {
			t.Errorf("%d moves, want %d: those of %s", moved, orphans, all[gone].ID)
		}
		back := append([]placement.Shard(nil), list...)
		if moved := settle(t, all, back, later); moved != orphans {
			t.Errorf("%d moves when it came back, want %d", moved, orphans)
		}
	})
}

func TestSharesFollowTheWeights(t *testing.T) {
	all := nodes(placement.Replica, placement.Replica, placement.Replica)
	all[0].Weight, all[1].Weight, all[2].Weight = 1, 2, 3
	list := shards(6000)
	settleAll := placement.DefaultConfig()
	carryOutAll(placement.Decide(settleAll, all, list, later), list)
	got := held(list)
	for i, n := range all {
		want := 1000 * (i + 1)
		if got[n.ID] < want*9/10 || got[n.ID] > want*11/10 {
			t.Errorf("%s of weight %d holds %d of 6000, want about %d", n.ID, n.Weight, got[n.ID], want)
		}
	}
}

// carryOutAll is carryOut for shards whose ids are their places.
func carryOutAll(moves []placement.Move, shards []placement.Shard) {
	for _, m := range moves {
		shards[m.Shard].Owner = m.To
	}
}
