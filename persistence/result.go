package persistence

import (
	"fmt"

	"github.com/the-block/bursar/messages"
)

// Result is the FSM's verdict on one Txn.
type Result struct {
	Status Status
	// Index is the log index of the entry; of a Duplicate, that of the first commit.
	Index uint64
	// First and Count are the numbers assigned to the Appends that go to the table of
	// the first Append: First, First+1 ... . A Duplicate has those of the first commit.
	First uint64
	Count uint32
	// After holds each Add's counter after it, in the order of the Adds. A Duplicate
	// of a Txn without Appends has those of the first commit.
	After []int64
	// Shard and Newest name the shard of a Fenced Txn and its newest fence.
	Shard  messages.ShardID
	Newest messages.Fence
	// Failed says what made a Refused Txn fail.
	Failed Failed
	// Reply of a Duplicate is the one kept with the first commit.
	Reply []byte
}

// Status is how the FSM judged a Txn.
type Status byte

// The verdicts. All but Committed leave no trace in the Store.
const (
	Committed Status = iota + 1
	Duplicate        // the request id was committed before, with the same payload
	Conflict         // the request id was committed before, with another payload
	Fenced           // a shard has a newer fence
	Refused          // a condition, add or delete failed
)

var statusLabels = [...]string{
	Committed: "committed",
	Duplicate: "duplicate",
	Conflict:  "conflict",
	Fenced:    "fenced",
	Refused:   "refused",
}

// String gives the verdict's label in metrics and logs.
func (s Status) String() string {
	if s >= Committed && s <= Refused {
		return statusLabels[s]
	}
	return fmt.Sprintf("status(%d)", byte(s))
}

// Failed names the part of a Txn that did not hold.
type Failed struct {
	Kind FailedKind
	// Position in the Txn's list of that kind, from 0.
	Position int
}

// FailedKind is the list of the Txn in which something did not hold.
type FailedKind byte

// The lists that can fail.
const (
	FailedCondition FailedKind = iota + 1
	FailedAdd
	FailedDelete // the record keeps a request id
	FailedRight  // a condition of Unchanged: whoever proposed it may do so no more
)

// String names the list.
func (k FailedKind) String() string {
	switch k {
	case FailedCondition:
		return "condition"
	case FailedAdd:
		return "add"
	case FailedDelete:
		return "delete"
	case FailedRight:
		return "right"
	}
	return fmt.Sprintf("failed(%d)", byte(k))
}
