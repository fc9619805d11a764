package readmodel

import (
	"container/heap"
	"slices"
	"time"

	"github.com/the-block/bursar/messages"
)

// dueEntry says that something may happen to a disbursement from an epoch on.
type dueEntry struct {
	epoch messages.Epoch
	id    messages.DisbursementID
}

func (e dueEntry) before(other dueEntry) bool {
	return e.epoch < other.epoch || e.epoch == other.epoch && e.id < other.id
}

// Payable is a disbursement that is due and whose dependencies are met.
type Payable struct {
	ID messages.DisbursementID
	// Since is when this node saw it become so.
	Since time.Time
	// Funded is when the balance reached for it, if it had to wait for that.
	Funded time.Time
}

func (p Payable) before(other Payable) bool { return p.ID < other.ID }

// ordered is what a queue holds.
type ordered[E any] interface{ before(other E) bool }

// unconfirmed is a payment that its chain can still lose.
type unconfirmed struct {
	nonce uint64
	dueEntry
}

func (u unconfirmed) before(other unconfirmed) bool { return u.nonce < other.nonce }

var (
	_ ordered[dueEntry] = dueEntry{}
	_ ordered[Payable]  = Payable{}
)

// pruneMin is the length from which a queue is looked through for entries that are out
// of date.
const pruneMin = 1024

// queue gives its entries in order. An entry may be out of date: whoever takes it reads
// the record again. Where another node does the work nobody takes any, so the queue is
// pruned whenever it is twice as long as after the last time: it grows with what is
// open, not with what ever was.
type queue[E ordered[E]] struct {
	entries []E
	limit   int // the length at which it is pruned; pruneMin if that is more
}

// Len implements heap.Interface.
func (q *queue[E]) Len() int { return len(q.entries) }

// Less implements heap.Interface.
func (q *queue[E]) Less(i, j int) bool { return q.entries[i].before(q.entries[j]) }

// Swap implements heap.Interface.
func (q *queue[E]) Swap(i, j int) { q.entries[i], q.entries[j] = q.entries[j], q.entries[i] }

// Push implements heap.Interface.
func (q *queue[E]) Push(x any) { q.entries = append(q.entries, x.(E)) }

// Pop implements heap.Interface.
func (q *queue[E]) Pop() any {
	last := q.entries[len(q.entries)-1]
	q.entries = q.entries[:len(q.entries)-1]
	return last
}

// add files an entry. dead tells what is out of date, should it have to be pruned.
func (q *queue[E]) add(e E, dead func(E) bool) {
	heap.Push(q, e)
	if len(q.entries) > max(q.limit, pruneMin) {
		q.entries = slices.Clip(slices.DeleteFunc(q.entries, dead))
		heap.Init(q)
		q.limit = 2 * len(q.entries)
	}
}

// first gives the first entry; the queue must not be empty.
func (q *queue[E]) first() E { return q.entries[0] }

// pop removes the first entry.
func (q *queue[E]) pop() E { return heap.Pop(q).(E) }
