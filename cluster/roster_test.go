package cluster_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/messages"
)

// alive is a node that lives, votes and has applied index 5,000.
func alive(name messages.NodeID, rank int) cluster.Candidate {
	life := "life of " + string(name)
	return cluster.Candidate{
		Node: name, RaftAddr: addrOf(name), Rank: rank, Live: true,
		Voting: true, Life: life, Applied: 5_000, RecordedLife: life, WantsVote: true,
	}
}

func with(c cluster.Candidate, change func(*cluster.Candidate)) cluster.Candidate {
	change(&c)
	return c
}

func voters(names ...messages.NodeID) []cluster.Member {
	var group []cluster.Member
	for _, name := range names {
		group = append(group, cluster.Member{Node: name, Addr: addrOf(name), Voter: true})
	}
	return group
}

func TestWhatTheLeaderChanges(t *testing.T) {
	const nothing = "nothing"
	n1, n2, n3, n4 := alive("n1", 1), alive("n2", 1), alive("n3", 2), alive("n4", 1)
	fresh := func(c *cluster.Candidate) { c.Voting, c.Life = false, "another life" }
	before := func(c *cluster.Candidate) { c.Life = "an earlier life" }
	gone := func(c *cluster.Candidate) { c.Live = false }
	lags := func(c *cluster.Candidate) { c.Applied = 3_999 }
	three, five := voters("n1", "n2", "n3"), voters("n1", "n2", "n3", "a", "b")
	follower := cluster.Member{Node: "n4", Addr: addrOf("n4")}
	unasked := func(c *cluster.Candidate) { c.WantsVote = false }
	leaves := func(c *cluster.Candidate) { c.Leaving = true }
	left := func(c *cluster.Candidate) { c.Leaving, c.Live = true, false }
	expects := func(nodes int) func(*cluster.Candidate) {
		return func(c *cluster.Candidate) { c.WantsVote, c.Expect = false, nodes }
	}
	one, two, four := voters("n1"), voters("n1", "n2"), voters("n1", "n2", "n3", "n4")
	primary := alive("n2", 0)
	for _, c := range []struct {
		name  string
		group []cluster.Member
		seen  []cluster.Candidate
		after time.Duration
		want  string
		node  messages.NodeID
	}{
		{"all is well", three, []cluster.Candidate{n1, n2, n3}, time.Hour, nothing, ""},
		{"a dead voter stays", three, []cluster.Candidate{n1, n2, with(n3, gone)}, time.Hour, nothing, ""},
		{"a new node", three, []cluster.Candidate{n1, n2, n3, with(n4, fresh)}, 0, "add without a vote", "n4"},
		{"a new node that is gone", three, []cluster.Candidate{n1, n2, n3, with(n4, gone)}, 0, nothing, ""},
		{"it follows, and is not admitted", append(three, follower), []cluster.Candidate{n1, n4, with(n4, fresh)}, 0, "admit", "n4"},
		{"it is admitted, and does not know yet", append(three, follower),
			[]cluster.Candidate{n1, with(n4, func(c *cluster.Candidate) { c.Voting = false })}, time.Hour, nothing, ""},
		{"it has just caught up", append(three, follower), []cluster.Candidate{n1, n4}, 0, nothing, ""},
		{"it has been caught up", append(three, follower), []cluster.Candidate{n1, n4}, 2 * time.Second, "give a vote", "n4"},
		{"it lags", append(three, follower), []cluster.Candidate{n1, with(n4, lags)}, time.Hour, nothing, ""},
		{"there are five voters", append(five, follower), []cluster.Candidate{n1, n4}, time.Hour, nothing, ""},
		{"nobody asked for its vote", append(three, follower), []cluster.Candidate{n1, with(n4, unasked)}, time.Hour, nothing, ""},
		{"it was told of as many as vote", append(three, follower), []cluster.Candidate{with(n1, expects(3)), with(n4, expects(3))}, time.Hour, nothing, ""},
		{"it was told of more than vote", append(three, follower), []cluster.Candidate{n1, with(n4, expects(5))}, time.Hour, "give a vote", "n4"},
		{"a first voter whose disk was replaced", append(two, cluster.Member{Node: "n3", Addr: addrOf("n3")}),
			[]cluster.Candidate{n1, n2, with(n3, expects(3))}, time.Hour, "give a vote", "n3"},
		{"a first voter whose disk was replaced, while others had asked for a vote", append(four, cluster.Member{Node: "n5", Addr: addrOf("n5")}),
			[]cluster.Candidate{with(n1, expects(3)), with(n2, expects(3)), n3, n4, with(alive("n5", 1), expects(3))}, time.Hour, "give a vote", "n5"},
		{"one of two voters leaves", two, []cluster.Candidate{n1, with(n2, leaves)}, 0, "take the vote", "n2"},
		{"one of four leaves", four, []cluster.Candidate{n1, n2, n3, with(n4, leaves)}, 0, "take the vote", "n4"},
		{"one of four leaves, and the others are no majority", four, []cluster.Candidate{n1, with(n2, gone), with(n3, gone), with(n4, leaves)}, time.Hour, nothing, ""},
		{"one of three leaves", three, []cluster.Candidate{n1, n2, with(n3, leaves)}, time.Hour, nothing, ""},
		{"one of three is restarted", three, []cluster.Candidate{n1, n2, with(n3, left)}, 59 * time.Second, nothing, ""},
		{"one of three has left", three, []cluster.Candidate{n1, n2, with(n3, left)}, time.Minute, "take the vote", "n3"},
		{"two of three have left", three, []cluster.Candidate{n1, with(n2, left), with(n3, left)}, time.Hour, nothing, ""},
		{"the leader leaves", two, []cluster.Candidate{with(n1, leaves), n2}, time.Hour, nothing, ""},
		{"a follower has left", append(one, follower), []cluster.Candidate{n1, with(n4, left)}, 0, "remove", "n4"},
		{"a follower leaves", append(one, follower), []cluster.Candidate{n1, with(n4, leaves)}, time.Hour, nothing, ""},
		{"a follower is killed", append(one, follower), []cluster.Candidate{n1, with(n4, gone)}, time.Hour, nothing, ""},
		{"another address", three, []cluster.Candidate{n1, with(n2, func(c *cluster.Candidate) { c.RaftAddr = "elsewhere:1" })}, 0, "change address", "n2"},
		{"a voter without its disk", three, []cluster.Candidate{n1, with(n2, fresh)}, 0, "take the vote", "n2"},
		{"one that was admitted as a follower by a leader whose demotion was lost", three,
			[]cluster.Candidate{n1, with(n2, func(c *cluster.Candidate) { c.Voting = false })}, 0, "take the vote", "n2"},
		{"a voter with a disk from before", three, []cluster.Candidate{n1, with(n2, before)}, 0, "take the vote", "n2"},
		{"a follower with a disk from before", append(three, follower), []cluster.Candidate{n1, with(n4, before)}, time.Hour, "admit", "n4"},
		{"a first voter, of whose life the log says nothing", three,
			[]cluster.Candidate{n1, with(n2, func(c *cluster.Candidate) { c.RecordedLife = "" })}, time.Hour, nothing, ""},
		{"a life that is not known", three, []cluster.Candidate{n1, with(n2, func(c *cluster.Candidate) { c.Voting, c.Life = false, "" })}, 0, nothing, ""},
		{"the primary is new", three, []cluster.Candidate{n1, primary}, 29 * time.Second, nothing, ""},
		{"the primary has been caught up", three, []cluster.Candidate{n1, primary}, 30 * time.Second, "hand leadership to", "n2"},
		{"the primary has no vote", voters("n1", "n3"), []cluster.Candidate{n1, primary}, 0, "add without a vote", "n2"},
		{"an observer leads", three, []cluster.Candidate{alive("n1", 2), n2}, 0, "hand leadership to", "n2"},
		{"an observer leads, the best is next", three, []cluster.Candidate{alive("n1", 2), alive("n3", 1), primary}, 0, "hand leadership to", "n2"},
		{"an observer leads, the other lags", three, []cluster.Candidate{alive("n1", 2), with(n2, lags)}, time.Hour, nothing, ""},
		{"equals", three, []cluster.Candidate{n1, n2}, time.Hour, nothing, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := cluster.DefaultConfig()
			cfg.Node = "n1"
			r, now := cluster.NewRoster(cfg), time.Unix(1, 0)
			got, node := r.Next(c.group, c.seen, 5_000, now)
			if c.after > 0 {
				got, node = r.Next(c.group, c.seen, 5_000, now.Add(c.after))
			}
			if got != c.want || node != c.node {
				t.Errorf("%s %s, want %s %s", got, node, c.want, c.node)
			}
		})
	}
}

// TestTheRosterKeepsItsPromises drives it through random worlds.
func TestTheRosterKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := cluster.DefaultConfig()
		cfg.Node = "n1"
		r, now := cluster.NewRoster(cfg), time.Unix(1, 0)
		group := voters("n1", "n2", "n3")
		for range 40 {
			var seen []cluster.Candidate
			for i := range 7 {
				c := alive(messages.NodeID(fmt.Sprintf("n%d", i+1)), rapid.IntRange(0, 2).Draw(t, "rank"))
				c.Live, c.Voting = i == 0 || rapid.Bool().Draw(t, "live"), i == 0 || rapid.Bool().Draw(t, "voting")
				c.Applied = rapid.SampledFrom([]uint64{0, 4_500, 5_000}).Draw(t, "applied")
				c.Life = rapid.SampledFrom([]string{"", c.Life, "another"}).Draw(t, "life")
				c.Leaving, c.WantsVote = rapid.IntRange(0, 3).Draw(t, "leaving") == 0, rapid.Bool().Draw(t, "wants")
				c.Expect = rapid.SampledFrom([]int{0, 3, 5}).Draw(t, "expect")
				seen = append(seen, c)
			}
			what, node := r.Next(group, seen, 5_000, now)
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second)
			if what == "nothing" {
				continue
			}
			at := int(node[1] - '1')
			if !seen[at].Live && !seen[at].Leaving {
				t.Fatalf("%s %s, which is gone", what, node)
			}
			next := group[:0:0]
			member, voter, count, stay := false, false, 0, 0
			for _, m := range group {
				if m.Node == node {
					member, voter = true, m.Voter
				} else {
					next = append(next, m)
				}
				if m.Voter {
					count++
					if s := seen[m.Node[1]-'1']; s.Live && !s.Leaving {
						stay++
					}
				}
			}
			own := seen[at].Life == seen[at].RecordedLife
			changed := cluster.Member{Node: node, Addr: addrOf(node), Voter: voter}
			switch what {
			case "add without a vote":
				if member {
					t.Fatalf("%s %s, a member", what, node)
				}
			case "take the vote":
				if !voter || seen[at].Voting && own && !seen[at].Leaving || node == cfg.Node {
					t.Fatalf("%s %s, which needs none of it", what, node)
				}
				if seen[at].Leaving && stay <= (count-1)/2 {
					t.Fatalf("%s %s, and %d of %d stay", what, node, stay, count-1)
				}
				changed.Voter = false
			case "remove":
				if voter || seen[at].Live || !seen[at].Leaving {
					t.Fatalf("%s %s, which has not left", what, node)
				}
				group = next
				continue
			case "give a vote":
				asked := 0 // voters who would have a vote whoever else has
				for _, c := range seen {
					if c.WantsVote && slices.ContainsFunc(group, func(m cluster.Member) bool { return m.Voter && m.Node == c.Node }) {
						asked++
					}
				}
				if !seen[at].WantsVote && count-asked >= seen[at].Expect {
					t.Fatalf("%s %s, and nobody asked for it", what, node)
				}
				if voter || !seen[at].Voting || count >= cfg.VotersMax || seen[at].Applied < 4_000 {
					t.Fatalf("%s %s, the voter number %d", what, node, count+1)
				}
				changed.Voter = true
			case "admit":
				if voter || seen[at].Voting && own {
					t.Fatalf("%s %s, a voter", what, node)
				}
			case "hand leadership to":
				if !voter || !seen[at].Voting || seen[at].Rank >= seen[0].Rank || seen[at].Applied < 4_000 {
					t.Fatalf("%s %s, which is not better", what, node)
				}
			default:
				t.Fatalf("%s %s", what, node)
			}
			group = append(next, changed)
		}
	})
}

func TestLeadershipGoesToThePrimaryAndLeavesAnObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		leader := tr.leader(t, "")
		tr.ranks = map[messages.NodeID]int{"n1": 1, "n2": 1, "n3": 1}
		primary := tr.other(leader).State().Node
		tr.ranks[primary] = 0
		tr.keep(t)
		tr.under(t, 3*time.Second, func(*history) {
			time.Sleep(20 * time.Second)
			if got := tr.leader(t, "").State().Node; got == primary {
				t.Error("the primary leads before it has been caught up for 30 s")
			}
			time.Sleep(12 * time.Second)
			if got := tr.leader(t, "").State().Node; got != primary {
				t.Errorf("%s leads, want %s", got, primary)
			}
			tr.mu.Lock()
			tr.ranks[primary] = 2
			tr.mu.Unlock()
			time.Sleep(2 * time.Second)
			if got := tr.leader(t, "").State().Node; got == primary {
				t.Errorf("%s leads, an observer", got)
			}
		})
	})
}
