package readmodel

import (
	"fmt"
	"slices"
	"time"

	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// index is what the model shows. It takes no lock: one that is being built
// belongs to the follower, the one shown is guarded by the model.
type index struct {
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
	// unconfirmed holds what the outside chain has taken and not confirmed yet; confirmed is
	// its newest nonce that is final.
	unconfirmed queue[unconfirmed]
	confirmed   uint64
	// executedAt is when the newest payment was recorded, in Unix seconds.
	executedAt uint64
}

func newIndex(shards int) *index {
	return &index{
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

// change carries one change of the log into the index: a record's new value, or
// the epoch.
func (x *index) change(c *persistence.Change, w *wakes) error {
	if c.Key.Table() == rows.TableDisbursements {
		number, _ := c.Key.Number()
		id := messages.DisbursementID(number)
		if err := x.record(id, &c.Value, w); err != nil {
			return fmt.Errorf("disbursement %d: %w", id, err)
		}
		return nil
	}
	switch name, value, _ := c.Counter(); name {
	case rows.CounterEpoch:
		x.beginEpoch(messages.Epoch(value), w)
	case rows.CounterConfirmed:
		x.confirm(uint64(value), w)
	}
	return nil
}

// record carries a record's new value into the index. Most changes after a birth are
// told by the tag alone: one that stays in its state, such as for a vote, changes
// nothing here, and nothing follows a final state.
func (x *index) record(id messages.DisbursementID, v *persistence.Value, w *wakes) error {
	state := messages.State(v.Tag)
	if int(id) <= x.graph.Nodes() {
		if known, err := x.graph.State(id); err != nil || known == state {
			return err
		}
		if err := x.setState(id, state, w); err != nil {
			return err
		}
		delete(x.blocked, id)
		if state.Final() {
			return nil
		}
	}
	record, err := disbursement.DecodeRecord(v.Data)
	if err != nil {
		return err
	}
	d := &record.Payload.Disbursement
	if int(id) > x.graph.Nodes() {
		if err := x.graph.Add(id, record.Deps, state, d.Amount); err != nil {
			return err
		}
	}
	if record.AwaitsExecution() {
		x.await(id, d.ScheduledEpoch, w)
		return nil
	}
	if step, ok := record.Entered(messages.Executed); ok {
		x.executedAt = max(x.executedAt, step.At)
	}
	if epoch, ok := disbursement.DueEpoch(record); ok {
		if record.AwaitsChain(x.confirmed) {
			x.unconfirmed.add(unconfirmed{record.Nonce, dueEntry{epoch, id}}, func(u unconfirmed) bool { return x.final(u.id) })
			return nil
		}
		x.awaitStep(dueEntry{epoch, id}, w)
	}
	return nil
}

// awaitStep files a record whose next step comes with an epoch.
func (x *index) awaitStep(e dueEntry, w *wakes) {
	shard := x.graph.Shard(e.id)
	x.putDue(shard, e)
	if e.epoch <= x.epoch {
		w.shard(shard)
	}
}

// confirm notes that the outside chain has confirmed all nonces up to one.
func (x *index) confirm(nonce uint64, w *wakes) {
	x.confirmed = nonce
	for x.unconfirmed.Len() > 0 && x.unconfirmed.first().nonce <= nonce {
		x.awaitStep(x.unconfirmed.pop().dueEntry, w)
	}
}

// setState changes a state and follows its effects on the dependents.
func (x *index) setState(id messages.DisbursementID, state messages.State, w *wakes) error {
	effects, err := x.graph.SetState(id, state)
	if err != nil {
		return err
	}
	for _, ready := range effects.Ready {
		if scheduled, ok := x.blocked[ready]; ok {
			delete(x.blocked, ready)
			x.await(ready, scheduled, w)
		}
	}
	for _, failing := range effects.Failing {
		w.shard(x.graph.Shard(failing))
	}
	return nil
}

// await files a record that awaits its execution under what it waits for.
func (x *index) await(id messages.DisbursementID, scheduled messages.Epoch, w *wakes) {
	switch {
	case !x.graph.IsReady(id):
		x.blocked[id] = scheduled
	case scheduled > x.epoch:
		x.scheduled.add(dueEntry{scheduled, id}, func(e dueEntry) bool { return !x.unpaid(e.id) })
	default:
		x.putPayable(Payable{ID: id, Since: w.now})
		w.executor = true
	}
}

// beginEpoch begins an epoch and hands on what it made due.
func (x *index) beginEpoch(epoch messages.Epoch, w *wakes) {
	if epoch <= x.epoch {
		return
	}
	x.epoch = epoch
	for x.scheduled.Len() > 0 && x.scheduled.first().epoch <= epoch {
		x.putPayable(Payable{ID: x.scheduled.pop().id, Since: w.now})
		w.executor = true
	}
	for shard := range x.due {
		if x.isDue(messages.ShardID(shard)) {
			w.shard(messages.ShardID(shard))
		}
	}
}

// final reports whether nothing can happen to a disbursement any more. One that the
// index does not hold yet is not.
func (x *index) final(id messages.DisbursementID) bool {
	state, err := x.graph.State(id)
	return err == nil && state.Final()
}

// unpaid reports whether a disbursement may still have to be paid.
func (x *index) unpaid(id messages.DisbursementID) bool {
	state, err := x.graph.State(id)
	return err != nil || state < messages.Executed
}

func (x *index) putDue(shard messages.ShardID, e dueEntry) {
	x.due[shard].add(e, func(e dueEntry) bool { return x.final(e.id) })
}

// isDue reports whether the due index holds work for a shard.
func (x *index) isDue(shard messages.ShardID) bool {
	return x.due[shard].Len() > 0 && x.due[shard].first().epoch <= x.epoch
}

// takeDue removes up to limit of a shard's records that are due and gives each once,
// ascending: an entry that is out of date may name one twice.
func (x *index) takeDue(shard messages.ShardID, limit int) []messages.DisbursementID {
	var ids []messages.DisbursementID
	for len(ids) < limit && x.isDue(shard) {
		if id := x.due[shard].pop().id; !x.final(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (x *index) putPayable(due Payable) {
	if _, there := x.queued[due.ID]; !there {
		x.queued[due.ID] = struct{}{}
		x.payable.add(due, func(due Payable) bool {
			if x.unpaid(due.ID) {
				return false
			}
			delete(x.queued, due.ID)
			return true
		})
	}
}

func (x *index) takePayable() (Payable, bool) {
	for x.payable.Len() > 0 {
		due := x.payable.pop()
		delete(x.queued, due.ID)
		if x.unpaid(due.ID) {
			return due, true
		}
	}
	return Payable{}, false
}
