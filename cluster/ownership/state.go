package ownership

import (
	"errors"
	"fmt"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// NodesMax bounds the nodes of a cluster, dead ones included.
const NodesMax = 256

// State is what the log says about nodes and shards, at one index.
type State struct {
	Index uint64
	Nodes map[messages.NodeID]Record
	// Shards are the owners by the shard's number.
	Shards []persistence.Ownership
}

// Read gives the state of a Store with so many shards.
func Read(store *persistence.Store, shards int) (*State, error) {
	s := &State{Nodes: make(map[messages.NodeID]Record), Shards: make([]persistence.Ownership, shards)}
	var broken error
	err := store.View(func(v *persistence.View) error {
		s.Index = v.Applied()
		for i := range s.Shards {
			s.Shards[i] = v.Owner(messages.ShardID(i))
		}
		return v.Scan(persistence.NameKey(TableNodes, ""), persistence.TableEnd(TableNodes), false, NodesMax,
			func(key persistence.Key, value persistence.Value) bool {
				var r Record
				r, broken = parseRecord(value)
				s.Nodes[messages.NodeID(key.Name())] = r
				return broken == nil
			})
	})
	if err = errors.Join(err, broken); err != nil {
		return nil, fmt.Errorf("read who owns what: %w", err)
	}
	return s, nil
}

// Owned lists what a node may act on: nothing, unless boot is the start that the log
// holds.
func (s *State) Owned(node messages.NodeID, boot uint64) map[messages.ShardID]messages.Fence {
	owned := make(map[messages.ShardID]messages.Fence)
	if s.Nodes[node].Boot != boot {
		return owned
	}
	for i, o := range s.Shards {
		if o.Owner == node {
			owned[messages.ShardID(i)] = o.Fence
		}
	}
	return owned
}

// Count is how many shards a node owns, whatever its start.
func (s *State) Count(node messages.NodeID) (count int) {
	for _, o := range s.Shards {
		if o.Owner == node {
			count++
		}
	}
	return count
}

// Drain is the change that drains a node, or ends that; changes is false if that is so
// already, and the Txn only holds it to be. It is nil for a node without a record, which
// owns nothing.
func (s *State) Drain(node messages.NodeID, on bool) (txn *persistence.Txn, changes bool) {
	record, known := s.Nodes[node]
	if !known {
		return nil, false
	}
	if record.Drained == on {
		return &persistence.Txn{Conditions: []persistence.Condition{record.unchanged(node)}}, false
	}
	return s.change(node, func(r *Record) { r.Drained = on }), true
}

// Admit is the change that lets a node vote with the disk of that life, whose newest start is
// boot, 0 if that is not known. A start of the disk before says nothing of this one: it may
// have the greater count, and would make an old copy of whatever the new disk presents. ok is
// false if nothing is to change.
func (s *State) Admit(node messages.NodeID, life string, boot uint64) (txn *persistence.Txn, ok bool) {
	if s.Nodes[node].Life == life || len(life) > lifeBytesMax {
		return nil, false
	}
	return s.change(node, func(r *Record) {
		r.Life = life
		if r.Boot != boot {
			r.Boot = 0 // whoever decides about shards next sees a start
		}
	}), true
}

// change writes a node's record anew, provided it is still the one that was read.
func (s *State) change(node messages.NodeID, do func(*Record)) *persistence.Txn {
	record := s.Nodes[node]
	txn := &persistence.Txn{Conditions: []persistence.Condition{record.unchanged(node)}}
	do(&record)
	txn.Writes = []persistence.Write{record.write(node)}
	return txn
}
