package readmodel

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
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
	// epoch is the index's, for those who want nothing else.
	epoch, confirmed atomic.Uint64

	mu sync.RWMutex
	*index
	// moved is closed at the next advance; nil while nobody waits for it.
	moved chan struct{}
}

// New makes the model of an empty Store.
func New(shards int) *Model {
	return &Model{shards: shards, index: newIndex(shards)}
}

// replace gives the model another index. All work that the old one had handed out
// is in the new one too: whoever took it reads the record before acting on it.
func (m *Model) replace(x *index) wakes {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.index = x
	m.announce()
	w := wakes{executor: x.payable.Len() > 0}
	for shard := range x.due {
		id := messages.ShardID(shard)
		if x.isDue(id) || len(x.graph.FailingIn(id, 0, 1)) > 0 {
			w.shard(id)
		}
	}
	return w
}

// advance carries the changes of the log up to index into the model.
func (m *Model) advance(index uint64, changes []persistence.Change, now time.Time) (wakes, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := wakes{now: now}
	for i := range changes {
		if err := m.index.change(&changes[i], &w); err != nil {
			return w, fmt.Errorf("advance the read model to %d: %w", index, err)
		}
	}
	m.graph.Advance(index)
	m.announce()
	return w, nil
}

// announce wakes those who wait for an index.
func (m *Model) announce() {
	m.epoch.Store(uint64(m.index.epoch))
	m.confirmed.Store(m.index.confirmed)
	if m.moved != nil {
		close(m.moved)
		m.moved = nil
	}
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

// Swept reports whether a shard has nothing to sweep: nothing that is due, and nothing
// that fails.
func (m *Model) Swept(shard messages.ShardID) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return !m.index.isDue(shard) && len(m.graph.FailingIn(shard, 0, 1)) == 0
}

// TakeDue removes up to limit disbursements of a shard from the due index whose
// next step has come, and tells the epoch it is. Ids ascend.
func (m *Model) TakeDue(shard messages.ShardID, limit int) ([]messages.DisbursementID, messages.Epoch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.index.takeDue(shard, limit), m.index.epoch
}

// PutDue gives back what TakeDue handed out and was not done.
func (m *Model) PutDue(shard messages.ShardID, ids []messages.DisbursementID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		m.index.putDue(shard, dueEntry{m.index.epoch, id})
	}
}

// Failing lists up to limit open disbursements of a shard, above after, that have a
// rolled-back dependency.
func (m *Model) Failing(shard messages.ShardID, after messages.DisbursementID, limit int) []messages.DisbursementID {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.graph.FailingIn(shard, after, limit)
}

// TakePayable removes the lowest id among those that are due and met.
func (m *Model) TakePayable() (Payable, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.index.takePayable()
}

// PutPayable gives back what TakePayable handed out and was not paid.
func (m *Model) PutPayable(p Payable) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.index.putPayable(p)
}

// Epoch is the treasury's clock as far as this node has followed it.
func (m *Model) Epoch() messages.Epoch { return messages.Epoch(m.epoch.Load()) }

// Confirmed is the newest nonce of the outside chain that this node knows to be final.
func (m *Model) Confirmed() uint64 { return m.confirmed.Load() }

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

// Staged counts the disbursements whose payment is with the submitter.
func (m *Model) Staged() int { return m.InState(graph.Staged) }

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
	return m.payable.Len()
}

// ExecutedAt is when the newest payment was recorded, in Unix seconds; 0 if there was
// none.
func (m *Model) ExecutedAt() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.executedAt
}

// Queued counts the entries of all queues of work, those that are out of date included.
func (m *Model) Queued() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	count := m.scheduled.Len() + m.payable.Len()
	for i := range m.due {
		count += m.due[i].Len()
	}
	return count
}

// Facts gathers what a step that opens no window is stamped with: its epoch may lag.
func (m *Model) Facts(now time.Time, node messages.NodeID) disbursement.Facts {
	return disbursement.Facts{Epoch: m.Epoch(), Now: uint64(now.Unix()), Node: node, Confirmed: m.Confirmed()}
}

// FactsOf gathers what rules ask for that does not depend on the record, as of the newest
// entry that the Store has applied: whoever lost a race decides anew from it.
func (m *Model) FactsOf(store *persistence.Store, now time.Time, node messages.NodeID) (disbursement.Facts, error) {
	facts := m.Facts(now, node)
	epoch, err := store.Counter(rows.CounterEpoch)
	facts.Epoch = messages.Epoch(epoch)
	return facts, err
}
