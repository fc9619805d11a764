package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// historiesEvery is how often a node compares its state with those of the others.
const historiesEvery = 200 * time.Millisecond

// historiesWait is how long a node that differs from another waits for the rest to be
// comparable: states are compared every 64 entries, and pings tell them.
const historiesWait = 5 * time.Second

// comparison is what a node found when it compared its state with another's.
type comparison struct {
	node    messages.NodeID
	leads   bool
	known   bool   // they have an index in common
	differs uint64 // the oldest such index at which the states differ, 0 for none
}

// differing says which nodes have another state than this one, "" for none, and whether it
// is this one that has to stop: more nodes are of another history than of its own, or as
// many, the leader among them. A node that cannot be compared yet may be of its own: while
// it is awaited this node stops only if the others are more even so.
func differing(found []comparison, await bool) (which string, stop bool) {
	var names []string
	same, others, unknown, withLeader := 1, 0, 0, false
	for _, f := range found {
		switch {
		case !f.known:
			unknown++
		case f.differs == 0:
			same++
		default:
			others++
			withLeader = withLeader || f.leads
			names = append(names, fmt.Sprintf("%s from entry %d on", f.node, f.differs))
		}
	}
	which = strings.Join(names, ", ")
	if await && unknown > 0 {
		return which, others > same+unknown
	}
	return which, others > same || others == same && withLeader
}

// watchHistories compares this node's state with those that the pings of the others tell,
// and halts this node where it is the one that differs, until ctx ends.
func (n *Node) watchHistories(ctx context.Context) error {
	tick := time.NewTicker(historiesEvery)
	defer tick.Stop()
	told := ""
	var since time.Time // when a difference was seen first
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if n.differing.Load() == 0 {
			since = time.Now()
		}
		which, stop := n.compareHistories(time.Since(since) < historiesWait)
		if which != told && which != "" {
			n.log.Error("other nodes have another state at the same index", "component", "histories", "err", which)
		}
		told = which
		if stop {
			n.consensus.Diverge(which)
		}
	}
}

func (n *Node) compareHistories(await bool) (which string, stop bool) {
	leader, _ := n.consensus.Leader()
	var found []comparison
	for _, s := range n.peers.Statuses() {
		if !s.Up {
			continue
		}
		c := comparison{node: s.Node, leads: s.Node == leader}
		c.differs, c.known = n.store.Compare(persistence.ParseCheckpoints(s.Sums))
		found = append(found, c)
	}
	differ := 0
	for _, f := range found {
		if f.differs > 0 {
			differ++
		}
	}
	n.differing.Store(int64(differ))
	return differing(found, await)
}
