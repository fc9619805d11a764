package placement

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/the-block/bursar/messages"
)

// Role is what a node is for.
type Role byte

// The roles. Primary and replica own shards; the observer only if it must.
const (
	Primary Role = iota + 1
	Replica
	Observer
)

// String gives the role's name.
func (r Role) String() string {
	switch r {
	case Primary:
		return "primary"
	case Replica:
		return "replica"
	case Observer:
		return "observer"
	}
	return "unknown"
}

// Node is a live node. A dead one is not listed.
type Node struct {
	ID   messages.NodeID
	Role Role
	// Weight is its share relative to the others'; 0 counts as 1.
	Weight uint32
	// Draining says that it hands its shards over and takes none.
	Draining bool
	// ClockOff says that its clock is too far from the leader's for a Timed shard.
	ClockOff bool
	// Misbound says that it is configured for another submitter than a Paying shard's.
	Misbound bool
	// Since is when it was last seen to come up.
	Since time.Time
}

// Shard is a shard and its present owner.
type Shard struct {
	ID messages.ShardID
	// Owner is "" where there is none yet.
	Owner messages.NodeID
	// Single says that it is a singleton: it goes to a primary rather than to a
	// replica.
	Single bool
	// Timed says that its owner needs the right time.
	Timed bool
	// Paying says that its owner pays, and must be configured for that.
	Paying bool
}

// Config tunes the decision.
type Config struct {
	// HoldDown is how long a node must have been up before shards move to it that have
	// a fit owner. Raised: a flapping node causes fewer moves. Lowered: a node that
	// returns takes its share sooner.
	HoldDown time.Duration
	// WillingMost is how many shards with a fit owner move in one decision, DrainedMost
	// how many with a draining one. Raised: a drain takes fewer rounds through the log, and
	// more calls wait for each. Shards without a live, fit owner all move at once.
	WillingMost, DrainedMost int
}

// DefaultConfig moves to nodes that are up for 10 s, one shard at a time; off a draining
// node, which is waited for, an eighth of all.
func DefaultConfig() Config {
	return Config{HoldDown: 10 * time.Second, WillingMost: 1, DrainedMost: 10}
}

// Cause is why a shard moves.
type Cause byte

// The causes, most pressing first.
const (
	Orphaned   Cause = iota + 1 // the owner is dead, unknown or unfit
	Drained                     // the owner is draining
	Rebalanced                  // another node has the higher score or the better role
)

// String gives the cause's name.
func (c Cause) String() string {
	switch c {
	case Orphaned:
		return "orphaned"
	case Drained:
		return "drained"
	case Rebalanced:
		return "rebalanced"
	}
	return "unknown"
}

// Move gives a shard to another owner.
type Move struct {
	Shard    messages.ShardID
	From, To messages.NodeID
	Cause    Cause
}

// Decide lists the moves to make now, most pressing first. It is to be asked again
// once they are in the log, and whenever a node or the time has moved on; it answers
// with nothing when all is well. A shard for which no node is fit stays where it is.
func Decide(cfg Config, nodes []Node, shards []Shard, now time.Time) []Move {
	var moves []Move
	for _, s := range shards {
		if m, ok := decide(cfg, nodes, s, now); ok {
			moves = append(moves, m)
		}
	}
	slices.SortFunc(moves, func(a, b Move) int {
		return cmp.Or(cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.Shard, b.Shard))
	})
	return cut(cfg, moves)
}

// cut leaves as many of the sorted moves as may be made at once: willing ones only where
// nothing more pressing is left for later.
func cut(cfg Config, moves []Move) []Move {
	begin := func(c Cause) int {
		i, _ := slices.BinarySearchFunc(moves, c, func(m Move, c Cause) int { return cmp.Compare(m.Cause, c) })
		return i
	}
	drained, willing := begin(Drained), begin(Rebalanced)
	if drained < willing {
		return moves[:min(willing, drained+cfg.DrainedMost)]
	}
	return moves[:min(len(moves), willing+cfg.WillingMost)]
}

// decide judges one shard.
func decide(cfg Config, nodes []Node, s Shard, now time.Time) (Move, bool) {
	cause, fitOwner := Orphaned, false
	for _, n := range nodes {
		if n.ID != s.Owner {
			continue
		}
		switch {
		case fit(n, s):
			cause, fitOwner = Rebalanced, true
		case n.Draining && !untimely(n, s):
			cause = Drained
		}
	}
	settled := func(n Node) bool { return n.ID == s.Owner || now.Sub(n.Since) >= cfg.HoldDown }
	if !fitOwner && !slices.ContainsFunc(nodes, func(n Node) bool { return fit(n, s) && settled(n) && n.Role != Observer }) {
		// It cannot wait: better with a node that has just come up than with an observer.
		settled = func(Node) bool { return true }
	}
	to, ok := best(nodes, s, settled)
	if !ok || to == s.Owner {
		return Move{}, false
	}
	return Move{Shard: s.ID, From: s.Owner, To: to, Cause: cause}, true
}

// best is the node that should own s among those fit and allowed: of the best rank,
// the one with the highest score, ties going to the smaller id.
func best(nodes []Node, s Shard, allowed func(Node) bool) (winner messages.NodeID, ok bool) {
	var rankBest int
	var scoreBest float64
	for _, n := range nodes {
		if !fit(n, s) || !allowed(n) {
			continue
		}
		r, x := rank(n, s), score(n, s.ID)
		better := !ok || r < rankBest || r == rankBest && (x > scoreBest || x == scoreBest && n.ID < winner)
		if better {
			winner, rankBest, scoreBest, ok = n.ID, r, x, true
		}
	}
	return winner, ok
}

// fit reports whether n may own s at all.
func fit(n Node, s Shard) bool {
	return !n.Draining && !untimely(n, s) && (!s.Paying || !n.Misbound)
}

// untimely reports whether s needs the right time and n has not got it.
func untimely(n Node, s Shard) bool { return s.Timed && n.ClockOff }

// rank orders nodes by their role; a lower one is preferred whatever the scores.
func rank(n Node, s Shard) int {
	switch n.Role {
	case Primary:
		return 0
	case Replica:
		if s.Single {
			return 1
		}
		return 0
	case Observer:
	}
	return 2
}

// score is n's draw for a shard: -weight / ln(u), where u in (0, 1) is a hash of the
// two. The chance to draw highest is the node's share of the weights (Schindelhauer
// and Schomaker, "Weighted distributed hash tables", 2005). It is a float, which may
// differ in its last bit between machines; only the leader's draw counts.
func score(n Node, shard messages.ShardID) float64 {
	u := (float64(hash(n.ID, shard)>>11) + 0.5) / (1 << 53)
	return -float64(max(n.Weight, 1)) / math.Log(u)
}

// hash mixes a node and a shard into 64 bits: FNV-1a over both, then the finalizer
// of SplitMix64, since FNV alone spreads short keys badly.
func hash(node messages.NodeID, shard messages.ShardID) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(node) {
		h = (h ^ uint64(node[i])) * prime
	}
	h = (h ^ uint64(shard&0xff)) * prime
	h = (h ^ uint64(shard>>8)) * prime
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
