package treasury

import (
	"container/heap"
	"time"

	"github.com/the-block/bursar/messages"
)

// dueEntry says that something may happen to a disbursement from an epoch on.
type dueEntry struct {
	epoch messages.Epoch
	id    messages.DisbursementID
}

// dueQueue orders disbursements by the epoch they become due, then by id. An
// entry may be out of date: whoever takes it reads the record again.
type dueQueue []dueEntry

func (q dueQueue) Len() int { return len(q) }
func (q dueQueue) Less(i, j int) bool {
	return q[i].epoch < q[j].epoch || q[i].epoch == q[j].epoch && q[i].id < q[j].id
}
func (q dueQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *dueQueue) Push(x any)   { *q = append(*q, x.(dueEntry)) }
func (q *dueQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func (q *dueQueue) add(epoch messages.Epoch, id messages.DisbursementID) {
	heap.Push(q, dueEntry{epoch, id})
}

// due reports whether the first entry is due at now.
func (q dueQueue) due(now messages.Epoch) bool { return len(q) > 0 && q[0].epoch <= now }

// take removes the first entry.
func (q *dueQueue) take() messages.DisbursementID { return heap.Pop(q).(dueEntry).id }

// Payable is a disbursement that is due and whose dependencies are met.
type Payable struct {
	ID messages.DisbursementID
	// Since is when this node saw it become so.
	Since time.Time
}

// payableQueue orders payable disbursements by id. An entry may be out of date.
type payableQueue []Payable

func (q payableQueue) Len() int           { return len(q) }
func (q payableQueue) Less(i, j int) bool { return q[i].ID < q[j].ID }
func (q payableQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *payableQueue) Push(x any)        { *q = append(*q, x.(Payable)) }
func (q *payableQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func (q *payableQueue) add(p Payable) { heap.Push(q, p) }

// take removes the entry with the lowest id.
func (q *payableQueue) take() Payable { return heap.Pop(q).(Payable) }
