package demo

import (
	"maps"
	"time"

	"github.com/the-block/bursar/messages"
)

// Tally counts what the node answered.
type Tally struct {
	Month      time.Time // of the DAO that the demo has come to
	Accrued    messages.Amount
	Grants     int // submitted, now or in an earlier run
	Expenses   int
	Duplicates int // of these, in an earlier run
	Refused    map[messages.Code]int
	// Sum is the amount of all that was submitted.
	Sum   messages.Amount
	Votes int // counted by the node, now or in an earlier run
	// Late counts what came too late: votes after the deadline, recalls after the
	// window. The treasury's rules decide then, and the demo goes on.
	Late      int
	Withdrawn int // grants that were out of budget
	// Cascade is there once the recalled grant has taken along all that waited for it.
	Cascade *Cascade
	// End is there once everything is final.
	End *End
}

// Submitted is the number of disbursements the node has taken.
func (t *Tally) Submitted() int { return t.Grants + t.Expenses }

func (t *Tally) clone() *Tally {
	c := *t
	c.Refused = maps.Clone(t.Refused)
	return &c
}

// Cascade is what one rollback brought about.
type Cascade struct {
	Root     messages.DisbursementID
	Title    string
	Returned messages.Amount // to the treasury
	Failed   int             // that waited for it
	Amount   messages.Amount // of these
	Reason   string          // that each of them gives; it names the root
}

// End is how the demo ends.
type End struct {
	Epoch     messages.Epoch
	Finalized int
	Paid      messages.Amount // to those finalized
	NoQuorum  int             // rolled back, because a house did not carry it
	Failed    int             // rolled back with the grant they waited for
	Cancelled int             // rolled back on somebody's request
	// Accrued, Spent and Balance are the whole treasury's, others' payments included,
	// as its balance history tells them: Accrued = Balance + Spent.
	Accrued, Spent, Balance messages.Amount
}
