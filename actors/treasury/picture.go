package treasury

import (
	"fmt"
	"slices"
	"time"

	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// picture is what the model shows. It takes no lock: one that is being painted
// belongs to the follower, the one shown is guarded by the model.
type picture struct {
	graph *graph.Graph
	epoch messages.Epoch
	// due holds, for each shard, the records whose next step comes with an epoch.
	due []queue[dueEntry]
	// scheduled holds the records that await their execution at a later epoch and
	// whose dependencies are met; payable those whose epoch has come, each once:
	// queued says which. blocked are those with unmet dependencies, with the epoch
	// they are scheduled for.
	scheduled queue[dueEntry]
	payable   queue[Payable]
	queued    map[messages.DisbursementID]struct{}
	blocked   map[messages.DisbursementID]messages.Epoch
	// executedAt is when the newest payment was recorded, in Unix seconds.
	executedAt uint64
}

func newPicture(shards int) *picture {
	return &picture{
		graph:   graph.New(shards),
		due:     make([]queue[dueEntry], shards),
		queued:  make(map[messages.DisbursementID]struct{}),
		blocked: make(map[messages.DisbursementID]messages.Epoch),
	}
}

// wakes says who has new work after an advance, at now.
type wakes struct {
	now      time.Time
	shards   map[messages.ShardID]struct{}
	executor bool
}

func (w *wakes) shard(id messages.ShardID) {
	if w.shards == nil {
		w.shards = make(map[messages.ShardID]struct{})
	}
	w.shards[id] = struct{}{}
}

// change carries one change of the log into the picture: a record's new value, or
// the epoch.
func (p *picture) change(c *persistence.Change, w *wakes) error {
	if c.Key.Table() == TableDisbursements {
		number, _ := c.Key.Number()
		id := messages.DisbursementID(number)
		if err := p.record(id, &c.Value, w); err != nil {
			return fmt.Errorf("disbursement %d: %w", id, err)
		}
		return nil
	}
	if name, value, ok := c.Counter(); ok && name == CounterEpoch {
		p.turn(messages.Epoch(value), w)
	}
	return nil
}

// record carries a record's new value into the picture. Most changes after a birth are
// told by the tag alone: one that stays in its state, such as for a vote, changes
// nothing here, and nothing follows a final state.
func (p *picture) record(id messages.DisbursementID, v *persistence.Value, w *wakes) error {
	state := messages.State(v.Tag)
	if int(id) <= p.graph.Nodes() {
		if known, err := p.graph.State(id); err != nil || known == state {
			return err
		}
		if err := p.move(id, state, w); err != nil {
			return err
		}
		delete(p.blocked, id)
		if state.Final() {
			return nil
		}
	}
	record, err := disbursement.DecodeRecord(v.Data)
	if err != nil {
		return err
	}
	d := &record.Payload.Disbursement
	if int(id) > p.graph.Nodes() {
		if err := p.graph.Add(id, record.Deps, state, d.Amount); err != nil {
			return err
		}
	}
	if record.AwaitsExecution() {
		p.await(id, d.ScheduledEpoch, w)
		return nil
	}
	if step, ok := record.Entered(messages.Executed); ok {
		p.executedAt = max(p.executedAt, step.At)
	}
	if epoch, ok := disbursement.DueEpoch(record); ok {
		shard := p.graph.Shard(id)
		p.putDue(shard, dueEntry{epoch, id})
		if epoch <= p.epoch {
			w.shard(shard)
		}
	}
	return nil
}

// move changes a state and follows its effects on the dependents.
func (p *picture) move(id messages.DisbursementID, state messages.State, w *wakes) error {
	effects, err := p.graph.SetState(id, state)
	if err != nil {
		return err
	}
	for _, ready := range effects.Ready {
		if scheduled, ok := p.blocked[ready]; ok {
			delete(p.blocked, ready)
			p.await(ready, scheduled, w)
		}
	}
	for _, failing := range effects.Failing {
		w.shard(p.graph.Shard(failing))
	}
	return nil
}

// await files a record that awaits its execution under what it waits for.
func (p *picture) await(id messages.DisbursementID, scheduled messages.Epoch, w *wakes) {
	switch {
	case !p.graph.IsReady(id):
		p.blocked[id] = scheduled
	case scheduled > p.epoch:
		p.scheduled.add(dueEntry{scheduled, id}, func(e dueEntry) bool { return !p.unpaid(e.id) })
	default:
		p.putPayable(Payable{id, w.now})
		w.executor = true
	}
}

// turn begins an epoch and hands on what it made due.
func (p *picture) turn(epoch messages.Epoch, w *wakes) {
	if epoch <= p.epoch {
		return
	}
	p.epoch = epoch
	for p.scheduled.Len() > 0 && p.scheduled.first().epoch <= epoch {
		p.putPayable(Payable{p.scheduled.take().id, w.now})
		w.executor = true
	}
	for shard := range p.due {
		if p.isDue(messages.ShardID(shard)) {
			w.shard(messages.ShardID(shard))
		}
	}
}

// final reports whether nothing can happen to a disbursement any more. One that the
// picture does not hold yet is not.
func (p *picture) final(id messages.DisbursementID) bool {
	state, err := p.graph.State(id)
	return err == nil && state.Final()
}

// unpaid reports whether a disbursement may still have to be paid.
func (p *picture) unpaid(id messages.DisbursementID) bool {
	state, err := p.graph.State(id)
	return err != nil || state < messages.Executed
}

func (p *picture) putDue(shard messages.ShardID, e dueEntry) {
	p.due[shard].add(e, func(e dueEntry) bool { return p.final(e.id) })
}

// isDue reports whether the due index holds work for a shard.
func (p *picture) isDue(shard messages.ShardID) bool {
	return p.due[shard].Len() > 0 && p.due[shard].first().epoch <= p.epoch
}

// takeDue removes up to limit of a shard's records that are due and gives each once,
// ascending: an entry that is out of date may name one twice.
func (p *picture) takeDue(shard messages.ShardID, limit int) []messages.DisbursementID {
	var ids []messages.DisbursementID
	for len(ids) < limit && p.isDue(shard) {
		if id := p.due[shard].take().id; !p.final(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (p *picture) putPayable(due Payable) {
	if _, there := p.queued[due.ID]; !there {
		p.queued[due.ID] = struct{}{}
		p.payable.add(due, func(due Payable) bool {
			if p.unpaid(due.ID) {
				return false
			}
			delete(p.queued, due.ID)
			return true
		})
	}
}

func (p *picture) takePayable() (Payable, bool) {
	for p.payable.Len() > 0 {
		due := p.payable.take()
		delete(p.queued, due.ID)
		if p.unpaid(due.ID) {
			return due, true
		}
	}
	return Payable{}, false
}
