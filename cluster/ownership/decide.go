package ownership

import (
	"time"

	"github.com/the-block/bursar/cluster/placement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Live is a node that lives, as the leader sees it.
type Live struct {
	ID   messages.NodeID
	Boot uint64
	// Life is that of the disk it votes with, "" where it does not vote.
	Life string
	Role placement.Role
	// ClockOff says that its clock is too far from the leader's.
	ClockOff bool
	// Misbound says that it is configured to pay by another way than the log says.
	Misbound bool
	// Since is when it was last seen to come up, or to have caught up.
	Since time.Time
}

// Layout says what the shards are for, by their numbers.
type Layout struct {
	// Shards is how many there are.
	Shards int
	// Single lists those that prefer a primary, Timed those that need the right time.
	Single, Timed map[messages.ShardID]bool
	// Paying is the shard whose owner must be configured as the log says.
	Paying messages.ShardID
}

// Decision is what the leader writes into the log next.
type Decision struct {
	// Started are nodes whose newest start, or life, the log does not hold yet.
	Started []Live
	Moves   []placement.Move
}

// Empty reports whether all is well.
func (d *Decision) Empty() bool { return len(d.Started) == 0 && len(d.Moves) == 0 }

// Decide compares what the log says with the nodes that live. What a node owned in an
// earlier start has lost its owner.
func Decide(cfg placement.Config, layout Layout, s *State, live []Live, now time.Time) Decision {
	var d Decision
	nodes := make([]placement.Node, 0, len(live))
	restarted := make(map[messages.NodeID]bool)
	for _, l := range live {
		record := s.Nodes[l.ID]
		if record.presents(&l) {
			continue // it is an old copy of the disk, and owns nothing
		}
		n := placement.Node{ID: l.ID, Role: l.Role, Draining: record.Drained, ClockOff: l.ClockOff, Misbound: l.Misbound, Since: l.Since}
		if record.Boot != l.Boot {
			d.Started = append(d.Started, l)
			restarted[l.ID] = true
			n.Draining = false // it ends with the node's next start
		} else if record.Life == "" && l.Life != "" {
			d.Started = append(d.Started, l)
		}
		nodes = append(nodes, n)
	}
	shards := make([]placement.Shard, layout.Shards)
	for i := range shards {
		id := messages.ShardID(i)
		shards[i] = placement.Shard{ID: id, Owner: s.Shards[i].Owner, Single: layout.Single[id], Timed: layout.Timed[id], Paying: id == layout.Paying}
		if restarted[shards[i].Owner] {
			shards[i].Owner = ""
		}
	}
	d.Moves = placement.Decide(cfg, nodes, shards, now)
	d.renew(s, restarted)
	return d
}

// renew adds new fences for what nobody is fit to own: it stays with the node that owned
// it, whose earlier start is not to write any more.
func (d *Decision) renew(s *State, restarted map[messages.NodeID]bool) {
	moved := make(map[messages.ShardID]bool, len(d.Moves))
	for _, m := range d.Moves {
		moved[m.Shard] = true
	}
	for i, o := range s.Shards {
		if shard := messages.ShardID(i); restarted[o.Owner] && !moved[shard] {
			d.Moves = append(d.Moves, placement.Move{Shard: shard, From: o.Owner, To: o.Owner, Cause: placement.Orphaned})
		}
	}
}

// Txn is the change that carries the decision out, all or nothing. It holds for the
// state that was read.
func (d *Decision) Txn(s *State, now time.Time) *persistence.Txn {
	txn := &persistence.Txn{StampedAt: now.UnixMilli()}
	for _, l := range d.Started {
		record := s.Nodes[l.ID]
		txn.Conditions = append(txn.Conditions, record.unchanged(l.ID))
		record.Drained = record.Drained && record.Boot == l.Boot
		record.Boot = l.Boot
		if record.Life == "" {
			record.Life = l.Life
		}
		txn.Writes = append(txn.Writes, record.write(l.ID))
	}
	for _, m := range d.Moves {
		txn.Assigns = append(txn.Assigns, persistence.Assign{Shard: m.Shard, Owner: m.To, From: s.Shards[m.Shard].Fence})
	}
	return txn
}
