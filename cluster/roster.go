package cluster

import (
	"cmp"
	"slices"
	"time"

	"github.com/the-block/bursar/messages"
)

// Candidate is a node as the leader knows it: what it last told of itself.
type Candidate struct {
	Node     messages.NodeID
	RaftAddr string
	// Rank says who is to lead: 0 primary, 1 replica, 2 observer.
	Rank int
	// Live says that it answers now.
	Live bool
	// WantsVote says that it was told to vote whoever votes already, and Expect how many
	// nodes it was told to form a cluster of: while fewer vote it is to be one of them.
	WantsVote bool
	Expect    int
	// Leaving says that it stops in order, or has.
	Leaving bool
	// Unheard says that its Raft has not answered this node's of late: it cannot lead.
	Unheard bool
	// Voting says that it takes part in elections, Life is its data directory's, and
	// Applied is its newest applied index.
	Voting  bool
	Life    string
	Applied uint64
	// RecordedLife is the life the log admits under its name, "" for none: a first voter's.
	RecordedLife string
}

// replaced says that the disk is not the one that was admitted last: one from before that
// was put back, which lacks what the node has acknowledged since.
func (c *Candidate) replaced() bool { return c.RecordedLife != "" && c.Life != c.RecordedLife }

// rankObserver is the rank that leads only while nobody else can.
const rankObserver = 2

// changeKind is what the leader changes about the group.
type changeKind int

// The changes, one at a time.
const (
	noChange changeKind = iota
	addFollower
	changeAddress
	demote
	admitLife
	promote
	handOver
	remove
)

// String is the change in the words of the log.
func (k changeKind) String() string {
	switch k {
	case noChange:
		return "nothing"
	case addFollower:
		return "add without a vote"
	case changeAddress:
		return "change address"
	case demote:
		return "take the vote"
	case admitLife:
		return "admit"
	case promote:
		return "give a vote"
	case handOver:
		return "hand leadership to"
	case remove:
		return "remove"
	}
	return "unknown"
}

// change is the next thing to do about one node.
type change struct {
	kind  changeKind
	node  Candidate
	voter bool // the node votes now
}

// roster decides what the leader changes about the group, and remembers what that
// takes. Time is an argument. Dead voters stay: two of three voters that are left
// would not survive a further loss, and a dead one may be back at any moment.
type roster struct {
	cfg  Config
	self messages.NodeID

	behind   map[messages.NodeID]time.Time // since when a node has been caught up
	away     map[messages.NodeID]time.Time // since when one that stopped in order has been gone
	notAgain map[messages.NodeID]retry     // what failed of late
}

// retry is when a node's next change is tried, after failures.
type retry struct {
	after    time.Time
	failures int
}

// How long a change that failed waits for its next try; it doubles.
const (
	retryFirst = time.Second
	retryLast  = time.Minute
	// handOverPause is how long after one hand-over to a node the next one may come.
	handOverPause = 10 * time.Second
)

func newRoster(cfg Config) *roster {
	r := &roster{cfg: cfg, self: cfg.Node, notAgain: make(map[messages.NodeID]retry)}
	r.forget()
	return r
}

// forget forgets who is caught up: another node has led meanwhile.
func (r *roster) forget() {
	r.behind, r.away = make(map[messages.NodeID]time.Time), make(map[messages.NodeID]time.Time)
}

// observe notes who is caught up with a leader that has applied index.
func (r *roster) observe(candidates []Candidate, index uint64, now time.Time) {
	since, away := make(map[messages.NodeID]time.Time), make(map[messages.NodeID]time.Time)
	for _, c := range candidates {
		if c.Leaving && !c.Live {
			away[c.Node] = now
			if before, known := r.away[c.Node]; known {
				away[c.Node] = before
			}
		}
		if !c.Live || c.Applied+r.cfg.CaughtUpEntries < index {
			continue
		}
		since[c.Node] = now
		if before, known := r.behind[c.Node]; known {
			since[c.Node] = before
		}
	}
	r.behind, r.away = since, away
}

// leftAfter is how long a node that stopped in order is gone before it has left for good:
// a restart takes less.
const leftAfter = time.Minute

// leaver takes the vote of a node that leaves, or the node itself off the group once it has
// none. A vote that makes their number even is taken at once: the rest survives one loss
// more without it. Any other stays for leftAfter, so that a restart, or one of all nodes,
// costs none. It is taken only where those that stay are a majority of what is left.
func (r *roster) leaver(group []Member, candidates []Candidate, now time.Time) change {
	voters, staying := r.votersOf(group), 0
	for _, c := range candidates {
		if c.Live && !c.Leaving && r.isVoter(c.Node, group) {
			staying++
		}
	}
	for _, c := range candidates {
		gone, away := r.away[c.Node]
		switch {
		case !c.Leaving || c.Node == r.self || now.Before(r.notAgain[c.Node].after):
		case r.isVoter(c.Node, group):
			left := away && now.Sub(gone) >= leftAfter
			if staying > (voters-1)/2 && (voters%2 == 0 || left) {
				return change{kind: demote, node: c, voter: true}
			}
		case away && isMember(c.Node, group):
			return change{kind: remove, node: c}
		}
	}
	return change{}
}

func isMember(node messages.NodeID, group []Member) bool {
	return slices.ContainsFunc(group, func(m Member) bool { return m.Node == node })
}

// caughtUp reports whether a node has been caught up for a while.
func (r *roster) caughtUp(node messages.NodeID, while time.Duration, now time.Time) bool {
	since, known := r.behind[node]
	return known && now.Sub(since) >= while
}

// failed notes that a change failed.
func (r *roster) failed(c change, now time.Time) {
	last := r.notAgain[c.node.Node]
	wait := min(retryFirst<<min(last.failures, 10), retryLast)
	r.notAgain[c.node.Node] = retry{now.Add(wait), last.failures + 1}
}

// succeeded notes that a change was made. A node that was made the leader and is none
// soon after is not made it again at once.
func (r *roster) succeeded(c change, now time.Time) {
	delete(r.notAgain, c.node.Node)
	if c.kind == handOver {
		r.notAgain[c.node.Node] = retry{after: now.Add(handOverPause)}
	}
}

// next decides about the nodes that live, in the order of their names: first their part
// in the group, then who leads it.
func (r *roster) next(group []Member, candidates []Candidate, now time.Time) change {
	ordered := slices.SortedFunc(slices.Values(candidates), func(a, b Candidate) int { return cmp.Compare(a.Node, b.Node) })
	if todo := r.leaver(group, ordered, now); todo.kind != noChange {
		return todo
	}
	for _, c := range ordered {
		if !c.Live || c.Leaving || now.Before(r.notAgain[c.Node].after) {
			continue
		}
		if todo := r.nextOf(c, group, ordered, now); todo.kind != noChange {
			return todo
		}
	}
	return r.successor(group, ordered, now)
}

// nextOf decides about one node that lives.
func (r *roster) nextOf(c Candidate, group []Member, all []Candidate, now time.Time) change {
	at := slices.IndexFunc(group, func(m Member) bool { return m.Node == c.Node })
	if at < 0 {
		return change{kind: addFollower, node: c}
	}
	todo := change{node: c, voter: group[at].Voter}
	switch {
	case c.RaftAddr != "" && c.RaftAddr != group[at].Addr:
		todo.kind = changeAddress
	case c.Node == r.self || c.Life == "":
		// The leader is what it is; of the other nothing is known yet.
	case todo.voter && (!c.Voting || c.replaced()):
		todo.kind = demote // it has lost its disk, and what it had acknowledged
	case !todo.voter && c.Life != c.RecordedLife && (!c.Voting || c.replaced()):
		todo.kind = admitLife
	case !todo.voter && c.Voting && r.wanted(c, group, all) && r.caughtUp(c.Node, r.cfg.PromoteAfter, now):
		todo.kind = promote
	}
	return todo
}

// wanted reports whether somebody asked for a node's vote, and there is a place for it. Those
// who vote because they were told to take no place of the first voters': one that has lost
// its disk gets its vote back.
func (r *roster) wanted(c Candidate, group []Member, all []Candidate) bool {
	voters := r.votersOf(group)
	asked := 0
	for _, other := range all {
		if other.WantsVote && r.isVoter(other.Node, group) {
			asked++
		}
	}
	return voters < r.cfg.VotersMax && (c.WantsVote || voters-asked < c.Expect)
}

func (r *roster) votersOf(group []Member) int {
	voters := 0
	for _, m := range group {
		if m.Voter {
			voters++
		}
	}
	return voters
}

// successor decides whether somebody else is to lead: a voter of a better rank that
// has been caught up for a while; an observer does not wait.
func (r *roster) successor(group []Member, candidates []Candidate, now time.Time) change {
	own := slices.IndexFunc(candidates, func(c Candidate) bool { return c.Node == r.self })
	if own < 0 {
		return change{}
	}
	while := r.cfg.HandOverAfter
	if candidates[own].Rank >= rankObserver {
		while = 0
	}
	best := change{}
	for _, c := range candidates {
		better := c.Rank < candidates[own].Rank && (best.kind == noChange || c.Rank < best.node.Rank)
		if better && c.Voting && !c.Unheard && !c.Leaving && r.isVoter(c.Node, group) && r.caughtUp(c.Node, while, now) && !now.Before(r.notAgain[c.Node].after) {
			best = change{kind: handOver, node: c, voter: true}
		}
	}
	return best
}

func (r *roster) isVoter(node messages.NodeID, group []Member) bool {
	return slices.ContainsFunc(group, func(m Member) bool { return m.Node == node && m.Voter })
}
