package demo

import (
	"context"
	"fmt"

	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/messages"
)

// accrualID makes the demo's accrual harmless to repeat.
const accrualID = "demo-accrual"

// Tally counts what the node answered.
type Tally struct {
	Accrued    messages.Amount
	Grants     int // submitted, now or in an earlier run
	Expenses   int
	Duplicates int // of these, in an earlier run
	Refused    map[messages.Code]int
	// Sum is the amount of all that was submitted.
	Sum messages.Amount
}

// Submitted is the number of disbursements the node has taken.
func (t Tally) Submitted() int { return t.Grants + t.Expenses }

// Run accrues what the book costs, submits the grants, then the expenses, which
// need the grants' ids. It tells progress the tally after each answer; the tally
// must not be kept. Running it again, even after an error, pays nothing twice.
func Run(ctx context.Context, client batch.Client, book Book, cfg batch.Config, progress func(*Tally)) (*Tally, error) {
	r := runner{client: client, cfg: cfg, progress: progress, tally: &Tally{Refused: make(map[messages.Code]int)}}
	if err := r.accrue(ctx, book.Total()); err != nil {
		return r.tally, err
	}
	ids, err := r.submit(ctx, grantItems(book.Grants), &r.tally.Grants)
	if err != nil {
		return r.tally, fmt.Errorf("grants: %w", err)
	}
	grants := make(map[string]messages.DisbursementID, len(ids))
	for i, id := range ids {
		if id != 0 {
			grants[book.Grants[i].ID] = id
		}
	}
	if _, err := r.submit(ctx, expenseItems(book.Expenses, grants), &r.tally.Expenses); err != nil {
		return r.tally, fmt.Errorf("expenses: %w", err)
	}
	return r.tally, nil
}

type runner struct {
	client   batch.Client
	cfg      batch.Config
	progress func(*Tally)
	tally    *Tally
}

func (r *runner) accrue(ctx context.Context, amount messages.Amount) error {
	params := &messages.AccrueParams{
		Options: messages.Options{RequestID: accrualID},
		Amount:  amount,
		Source:  "demo",
	}
	err := batch.Persist(ctx, r.cfg.Patience, func() error {
		return r.client.Call(ctx, messages.MethodAccrue, params, new(messages.AccrueResult))
	})
	if err != nil {
		return fmt.Errorf("accrue: %w", err)
	}
	r.tally.Accrued = amount
	r.progress(r.tally)
	return nil
}

// submit returns the items' ids, 0 for the refused, and counts the others in taken.
func (r *runner) submit(ctx context.Context, items []batch.Item, taken *int) ([]messages.DisbursementID, error) {
	ids := make([]messages.DisbursementID, len(items))
	err := batch.Submit(ctx, r.client, items, r.cfg, func(i int, o batch.Outcome) {
		switch {
		case o.Refused != nil:
			r.tally.Refused[o.Refused.Code]++
		default:
			ids[i] = o.ID
			*taken++
			r.tally.Sum += items[i].Payload.Disbursement.Amount
			if o.Duplicate {
				r.tally.Duplicates++
			}
		}
		r.progress(r.tally)
	})
	return ids, err
}
