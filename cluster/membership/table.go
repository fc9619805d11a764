package membership

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/the-block/bursar/messages"
)

// State is how a member is, as far as gossip tells. A silent member that is under
// suspicion is Alive until the suspicion ends.
type State byte

// The states of a member.
const (
	Alive State = iota + 1
	Dead        // it fell silent
	Left        // it said good-bye
)

// String names the state.
func (s State) String() string {
	switch s {
	case Alive:
		return "alive"
	case Dead:
		return "dead"
	case Left:
		return "left"
	default:
		return "unknown"
	}
}

// Member is a node as this one sees it.
type Member struct {
	Meta
	State State
	// Since is when this node saw the member come into its State, or start again.
	Since time.Time
}

// change is what happened to a member. From is 0 for one that was not there.
type change struct {
	member    Member
	from      State
	restarted bool
}

// table holds the members that gossip told of. Gossip's callbacks write it while gossip
// holds its own lock, so nothing of gossip's may be called while mu is held.
type table struct {
	max    int
	forget time.Duration

	mu       sync.Mutex
	self     Meta
	members  map[messages.NodeID]*entry
	snapshot []Member
	changed  chan struct{}
}

// entry is one member beside this node.
type entry struct {
	Member
	addr    string // where it gossips from, host:port with an IP address
	leaving bool   // it said good-bye, and gossip has not noticed yet
}

func newTable(self Meta, maxMembers int, forget time.Duration, now time.Time) *table {
	t := &table{
		max: maxMembers, forget: forget, self: self,
		members: make(map[messages.NodeID]*entry), changed: make(chan struct{}),
	}
	t.snapshot = []Member{{Meta: self, State: Alive, Since: now}}
	return t
}

// watch returns the members, this node among them, in the order of their names, and a
// channel that is closed when they have changed.
func (t *table) watch() ([]Member, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.snapshot, t.changed
}

// me is what this node tells about itself.
func (t *table) me() Meta {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.self
}

// update changes what this node tells about itself. It reports whether anything did
// change; what breaks a rule is an error and changes nothing.
func (t *table) update(edit func(*Meta)) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	edited := t.self
	edit(&edited)
	edited.Name, edited.Boot = t.self.Name, t.self.Boot
	if err := edited.validate(); err != nil {
		return false, err
	}
	if edited == t.self {
		return false, nil
	}
	t.self = edited
	t.publish()
	return true, nil
}

// publish makes the next snapshot. The caller holds mu.
func (t *table) publish() {
	next := make([]Member, 0, len(t.members)+1)
	for _, m := range t.snapshot {
		if m.Name == t.self.Name {
			next = append(next, Member{Meta: t.self, State: Alive, Since: m.Since})
		}
	}
	for _, e := range t.members {
		if !foreign(e.Cluster, t.self.Cluster) {
			next = append(next, e.Member)
		}
	}
	slices.SortFunc(next, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	t.snapshot = next
	close(t.changed)
	t.changed = make(chan struct{})
}

// foreign reports whether two nodes belong to different clusters. One that belongs to
// none yet is a stranger to nobody.
func foreign(a, b string) bool { return a != "" && b != "" && a != b }

// admits judges a node that is said to be alive. A known member that has gone over to
// another cluster is taken off the list.
func (t *table) admits(m Meta) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.members[m.Name]
	if foreign(m.Cluster, t.self.Cluster) {
		if known != nil && known.Boot == m.Boot {
			delete(t.members, m.Name)
			t.publish()
		}
		return &foreignError{theirs: m.Cluster, ours: t.self.Cluster}
	}
	if known == nil && len(t.members)+1 >= t.max && t.oldestGone() == nil {
		return errTooMany
	}
	return nil
}

// oldestGone is the member that has been gone for longest, nil where all are alive. The
// caller holds mu.
func (t *table) oldestGone() *entry {
	var oldest *entry
	for _, e := range t.members {
		if e.State != Alive && (oldest == nil || e.Since.Before(oldest.Since)) {
			oldest = e
		}
	}
	return oldest
}

// alive notes that gossip holds a node for alive and what it tells of itself.
func (t *table) alive(m Meta, addr string, now time.Time) (change, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.Name == t.self.Name {
		return change{}, false
	}
	e := t.members[m.Name]
	if e == nil {
		if gone := t.oldestGone(); gone != nil && len(t.members)+1 >= t.max {
			delete(t.members, gone.Name)
		}
		e = &entry{}
		t.members[m.Name] = e
	}
	c := change{from: e.State, restarted: e.Boot != 0 && e.Boot != m.Boot}
	if e.State != Alive || c.restarted {
		e.Since = now
	}
	e.leaving = e.leaving && !c.restarted && e.State == Alive
	e.Meta, e.State, e.addr = m, Alive, addr
	t.publish()
	c.member = e.Member
	return c, c.from != Alive || c.restarted
}

// leaving notes that this boot of a member said good-bye. Gossip tells later that it is
// gone, or has told so already.
func (t *table) leaving(name messages.NodeID, boot uint64, now time.Time) (change, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.members[name]
	if e == nil || e.Boot != boot || e.State == Left {
		return change{}, false
	}
	if e.State == Alive {
		e.leaving = true
		return change{}, false
	}
	return t.end(e, Left, now), true
}

// end takes a member off the living. The caller holds mu.
func (t *table) end(e *entry, state State, now time.Time) change {
	c := change{from: e.State}
	e.State, e.Since, e.leaving = state, now, false
	t.publish()
	c.member = e.Member
	return c
}

// gone notes that gossip no longer holds a node for alive.
func (t *table) gone(name messages.NodeID, now time.Time) (change, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.members[name]
	if e == nil || e.State != Alive {
		return change{}, false
	}
	if e.leaving {
		return t.end(e, Left, now), true
	}
	return t.end(e, Dead, now), true
}

// forgetLeft is how long a member that said good-bye stays in the list.
const forgetLeft = 10 * time.Minute

// sweep forgets members that have been gone for long.
func (t *table) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := len(t.members)
	maps.DeleteFunc(t.members, func(_ messages.NodeID, e *entry) bool {
		left := e.State == Left && now.Sub(e.Since) >= forgetLeft
		return left || e.State != Alive && now.Sub(e.Since) >= t.forget
	})
	if len(t.members) != before {
		t.publish()
	}
}

// peers lists where the members beside this node gossip from: those that are alive, and
// those that are gone.
func (t *table) peers() (alive, gone []peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.members {
		p := peer{Name: e.Name, Gossip: e.addr}
		switch {
		case foreign(e.Cluster, t.self.Cluster):
		case e.State == Alive:
			alive = append(alive, p)
		default:
			gone = append(gone, p)
		}
	}
	byName := func(a, b peer) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(alive, byName)
	slices.SortFunc(gone, byName)
	return alive, gone
}
