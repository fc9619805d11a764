package readmodel

import (
	"maps"
	"slices"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// projection carries the log into the model, checks the books after every step and wakes
// whoever has work. It implements durable.ReadModel.
type projection struct {
	model    *Model
	host     *durable.Host
	executor messages.ShardID
}

// Follower carries the log of host's Store into the model, and wakes the actors of host that
// have work: those of the shards, and executor's.
func (m *Model) Follower(host *durable.Host, executor messages.ShardID) durable.Follower {
	return durable.Follower{
		Store: host.Store, Tables: []persistence.Table{rows.TableDisbursements},
		Model: &projection{model: m, host: host, executor: executor},
	}
}

// Advance implements durable.ReadModel.
func (p *projection) Advance(index uint64, changes []persistence.Change) error {
	w, err := p.model.advance(index, changes, p.host.Steady())
	if err != nil {
		return err
	}
	w.executor = w.executor || moveFunds(changes)
	return p.checkAndWake(w)
}

// Draft implements durable.ReadModel.
func (p *projection) Draft() durable.Draft {
	return &draft{
		projection: p, index: newIndex(p.model.shards),
		wakes: wakes{now: p.host.Steady()}, // the work of an unfinished index wakes nobody
	}
}

// draft is an index that is being built.
type draft struct {
	*projection
	index *index
	wakes wakes
}

// At implements durable.Draft.
func (d *draft) At(v *persistence.View) {
	d.index.beginEpoch(messages.Epoch(v.Counter(rows.CounterEpoch)), &d.wakes)
	d.index.confirm(uint64(v.Counter(rows.CounterConfirmed)), &d.wakes)
}

// Change implements durable.Draft.
func (d *draft) Change(c *persistence.Change) error { return d.index.change(c, &d.wakes) }

// Show implements durable.Draft.
func (d *draft) Show(index uint64) error {
	d.index.graph.Advance(index)
	return d.checkAndWake(d.model.replace(d.index))
}

func (p *projection) checkAndWake(w wakes) error {
	books, err := rows.ReadBooks(p.host.Store)
	if err != nil {
		return err
	}
	if err := books.Check(); err != nil {
		return err
	}
	p.wake(w)
	return nil
}

// wake tells the actors that have work. One on standby looks for itself when it
// becomes active.
func (p *projection) wake(w wakes) {
	if w.executor {
		w.shard(p.executor)
	}
	for _, shard := range slices.Sorted(maps.Keys(w.shards)) {
		if p.host.Owns(shard) {
			p.host.Notify(shard, durable.Wake{})
		}
	}
}

// moveFunds reports whether the treasury's balance changed. Two looks at the balance
// would not do: an outflow and an accrual between them can leave less than before, and
// still more than the executor has seen.
func moveFunds(changes []persistence.Change) bool {
	for i := range changes {
		if name, _, ok := changes[i].Counter(); ok && name == rows.CounterTreasury {
			return true
		}
	}
	return false
}
