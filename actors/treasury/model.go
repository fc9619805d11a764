package treasury

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Model is what this node knows of all disbursements: the dependency graph, who
// becomes due when, and who can be paid now. It is a projection of the log, built
// from the Store at start and advanced by Follow in log order.
//
// Work is handed out by TakeDue and TakePayable. What is taken and not done comes
// back by PutDue and PutPayable, or by itself when the record changes.
type Model struct {
	shards int

	mu    sync.RWMutex
	graph *graph.Graph
	epoch messages.Epoch
	// due holds, for each shard, the records whose next step comes with an epoch.
	due []dueQueue
	// scheduled holds the records that await their execution at a later epoch and
	// whose dependencies are met; payable those whose epoch has come. blocked are
	// those with unmet dependencies, with the epoch they are scheduled for.
	scheduled dueQueue
	payable   payableQueue
	blocked   map[messages.DisbursementID]messages.Epoch
	// moved is closed at the next advance; nil while nobody waits for it.
	moved chan struct{}
}

// NewModel makes the model of an empty Store.
func NewModel(shards int) *Model {
	return &Model{
		shards:  shards,
		graph:   graph.New(shards),
		due:     make([]dueQueue, shards),
		blocked: make(map[messages.DisbursementID]messages.Epoch),
	}
}

// reset empties the model, to be filled from the Store.
func (m *Model) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.graph = graph.New(m.shards)
	m.epoch = 0
	m.due = make([]dueQueue, m.shards)
	m.scheduled, m.payable = nil, nil
	clear(m.blocked)
}

// wakes says who has new work after an advance.
type wakes struct {
	shards   map[messages.ShardID]struct{}
	executor bool
}

func (w *wakes) shard(id messages.ShardID) {
	if w.shards == nil {
		w.shards = make(map[messages.ShardID]struct{})
	}
	w.shards[id] = struct{}{}
}

// advance carries the changes of the log up to index into the model, together with
// the epoch at that index.
func (m *Model) advance(
	index uint64, epoch messages.Epoch, changes []persistence.Change, now time.Time,
) (wakes, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var w wakes
	for i := range changes {
		c := &changes[i]
		if c.Key.Table() != TableDisbursements {
			continue
		}
		number, _ := c.Key.Number()
		if err := m.change(messages.DisbursementID(number), c.Value, &w, now); err != nil {
			return w, fmt.Errorf("advance the read model to %d: %w", index, err)
		}
	}
	if epoch > m.epoch {
		m.epoch = epoch
		m.turn(&w, now)
	}
	m.graph.Advance(index)
	if m.moved != nil {
		close(m.moved)
		m.moved = nil
	}
	return w, nil
}

// Wait returns once the model stands for index or a later one. It returns ctx's
// error.
func (m *Model) Wait(ctx context.Context, index uint64) error {
	for {
		m.mu.Lock()
		if m.graph.Index() >= index {
			m.mu.Unlock()
			return nil
		}
		if m.moved == nil {
			m.moved = make(chan struct{})
		}
		moved := m.moved
		m.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// change carries one record's new value into the model.
func (m *Model) change(id messages.DisbursementID, v persistence.Value, w *wakes, now time.Time) error {
	record, err := disbursement.DecodeRecord(v.Data)
	if err != nil {
		return fmt.Errorf("disbursement %d: %w", id, err)
	}
	state := messages.State(record.Tag())
	if int(id) > m.graph.Nodes() {
		err = m.graph.Add(id, record.Deps, state, record.Payload.Disbursement.Amount)
	} else {
		err = m.move(id, state, w, now)
	}
	if err != nil {
		return err
	}
	if record.AwaitsExecution() {
		m.await(id, record.Payload.Disbursement.ScheduledEpoch, w, now)
		return nil
	}
	delete(m.blocked, id)
	if epoch, ok := disbursement.DueEpoch(record); ok {
		shard := m.graph.Shard(id)
		m.due[shard].add(epoch, id)
		if epoch <= m.epoch {
			w.shard(shard)
		}
	}
	return nil
}

// move changes a state and follows its effects on the dependents.
func (m *Model) move(id messages.DisbursementID, state messages.State, w *wakes, now time.Time) error {
	effects, err := m.graph.SetState(id, state)
	if err != nil {
		return err
	}
	for _, ready := range effects.Ready {
		if scheduled, ok := m.blocked[ready]; ok {
			delete(m.blocked, ready)
			m.await(ready, scheduled, w, now)
		}
	}
	for _, failing := range effects.Failing {
		w.shard(m.graph.Shard(failing))
	}
	return nil
}

// await files a record that awaits its execution under what it waits for.
func (m *Model) await(id messages.DisbursementID, scheduled messages.Epoch, w *wakes, now time.Time) {
	switch {
	case !m.graph.IsReady(id):
		m.blocked[id] = scheduled
	case scheduled > m.epoch:
		m.scheduled.add(scheduled, id)
	default:
		m.payable.add(Payable{id, now})
		w.executor = true
	}
}

// turn hands on what the new epoch made due.
func (m *Model) turn(w *wakes, now time.Time) {
	for m.scheduled.due(m.epoch) {
		m.payable.add(Payable{m.scheduled.take(), now})
		w.executor = true
	}
	for shard := range m.due {
		if m.due[shard].due(m.epoch) {
			w.shard(messages.ShardID(shard))
		}
	}
}

// TakeDue removes up to limit disbursements of a shard from the due index whose
// next step has come, and tells the epoch it is.
func (m *Model) TakeDue(shard messages.ShardID, limit int) ([]messages.DisbursementID, messages.Epoch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []messages.DisbursementID
	for len(ids) < limit && m.due[shard].due(m.epoch) {
		ids = append(ids, m.due[shard].take())
	}
	return ids, m.epoch
}

// PutDue gives back what TakeDue handed out and was not done.
func (m *Model) PutDue(shard messages.ShardID, ids []messages.DisbursementID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		m.due[shard].add(m.epoch, id)
	}
}

// Failing lists up to limit open disbursements of a shard that have a rolled-back
// dependency.
func (m *Model) Failing(shard messages.ShardID, limit int) []messages.DisbursementID {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.graph.FailingIn(shard, 0, limit)
}

// TakePayable removes the lowest id among those that are due and met.
func (m *Model) TakePayable() (Payable, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.payable) == 0 {
		return Payable{}, false
	}
	return m.payable.take(), true
}

// PutPayable gives back what TakePayable handed out and was not paid.
func (m *Model) PutPayable(p Payable) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.payable.add(p)
}

// Epoch is the treasury's clock as far as this node has followed it.
func (m *Model) Epoch() messages.Epoch {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.epoch
}

// Index is the log index the model stands for.
func (m *Model) Index() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.graph.Index()
}

// InState counts the disbursements in a state; staged ones stand apart, under
// graph.Staged.
func (m *Model) InState(s messages.State) int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.graph.InState(s)
}

// View takes a view of the graph, to be walked without the lock.
func (m *Model) View() graph.View {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.graph.View()
}

// ViewAt takes the view again that bore a mark.
func (m *Model) ViewAt(mark graph.Mark) graph.View {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.graph.ViewAt(mark)
}

// Snapshot takes a view with the states of its index.
func (m *Model) Snapshot() graph.Snapshot {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.graph.Snapshot()
}

// Pending tells of one disbursement whether it waits for a dependency, of 0 whether
// any is not final yet. Error: graph.ErrUnknown.
func (m *Model) Pending(id messages.DisbursementID) (pending bool, index uint64, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if id == 0 {
		return m.graph.AnyPending(), m.graph.Index(), nil
	}
	pending, err = m.graph.HasPending(id)
	return pending, m.graph.Index(), err
}

// Ready lists up to limit disbursements above after whose dependencies are met and
// that are not executed yet, ascending.
func (m *Model) Ready(after messages.DisbursementID, limit int) (ids []messages.DisbursementID, index uint64) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.graph.Ready(after, limit), m.graph.Index()
}

// PayableCount counts the disbursements that are due and met.
func (m *Model) PayableCount() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.payable)
}
