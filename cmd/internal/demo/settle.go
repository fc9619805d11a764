package demo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/the-block/bursar/messages"
)

// The reasons the treasury itself gives.
const (
	reasonNoQuorum   = "quorum_not_reached"
	reasonDependency = "dependency_failed"
)

// settle returns when all that was submitted is final and the books add up. It looks
// once an epoch, because that is when states change.
func (r *runner) settle(ctx context.Context) error {
	end := &End{}
	for open := slices.Sorted(maps.Keys(r.paying)); ; {
		if err := r.awaitEpoch(ctx, r.now+1); err != nil {
			return err
		}
		views, err := r.lookAll(ctx, open)
		if err != nil {
			return err
		}
		open = open[:0]
		for _, view := range views {
			if !end.add(view) {
				open = append(open, view.ID)
			}
		}
		if len(open)+len(r.pending) == 0 && r.cascade == nil {
			break
		}
	}
	end.Epoch = r.now
	if err := r.audit(ctx, end); err != nil {
		return err
	}
	r.count(func(t *Tally) { t.End = end })
	return nil
}

// add counts a disbursement and reports whether it is final.
func (e *End) add(view *messages.DisbursementView) bool {
	status := &view.Status
	switch {
	case status.State == messages.Finalized:
		e.Finalized++
		e.Paid += view.Amount
	case status.State != messages.RolledBack:
		return false
	case status.Reason == reasonNoQuorum:
		e.NoQuorum++
	case strings.HasPrefix(status.Reason, reasonDependency):
		e.Failed++
	default:
		e.Cancelled++
	}
	return true
}

// audit walks the whole balance history and holds it to what was paid: each change
// is one row, so that accruals, payments and the balance must add up.
func (r *runner) audit(ctx context.Context, end *End) error {
	var accrued, spent, paid int64
	params := &messages.PageParams{Page: messages.Page{Limit: messages.LimitMax}}
	for first := true; first || params.Cursor != 0; first = false {
		page, err := ask[messages.BalanceHistoryResult](ctx, r, messages.MethodBalanceHistory, params)
		if err != nil {
			return err
		}
		if first {
			end.Balance = page.CurrentBalance
		}
		for _, row := range page.Snapshots {
			if row.Event == messages.EventAccrual {
				accrued += row.Delta
				continue
			}
			spent -= row.Delta
			if row.DisbursementID != nil && r.paying[*row.DisbursementID] > 0 {
				paid -= row.Delta
			}
		}
		params.Cursor = page.NextCursor
	}
	end.Accrued, end.Spent = messages.Amount(accrued), messages.Amount(spent)
	if end.Accrued != end.Balance+end.Spent || messages.Amount(paid) != end.Paid {
		return fmt.Errorf("the books do not add up: accrued %d, spent %d, balance %d; the demo's payments are %d, booked %d",
			end.Accrued, end.Spent, end.Balance, end.Paid, paid)
	}
	return nil
}
