package demo

import (
	"context"
	"slices"

	"github.com/the-block/bursar/messages"
)

// The reasons the demo gives for what it takes back.
const (
	reasonBudget = "out_of_budget: no money is left for it"
	reasonRecall = "recalled by the demo within the rollback window"
)

// intervention takes a grant back as soon as it is in a state.
type intervention struct {
	grant  *Grant
	id     messages.DisbursementID
	when   messages.State
	reason string
}

// expect notes what is to be done about a grant later.
func (r *runner) expect(g *Grant, id messages.DisbursementID) {
	switch {
	case g.ID == r.recalled:
		r.pending = append(r.pending, intervention{g, id, messages.Executed, reasonRecall})
	case g.Status == OutOfBudget:
		r.pending = append(r.pending, intervention{g, id, messages.Timelocked, reasonBudget})
	}
}

// intervene takes back what has come to where it is taken back, and follows the
// cascade that this may start.
func (r *runner) intervene(ctx context.Context) error {
	var failed error
	r.pending = slices.DeleteFunc(r.pending, func(i intervention) bool {
		if failed != nil {
			return false
		}
		var done bool
		done, failed = r.takeBack(ctx, i)
		return done
	})
	if failed != nil || r.cascade == nil {
		return failed
	}
	return r.follow(ctx)
}

// takeBack reports whether nothing is left to do about a grant.
func (r *runner) takeBack(ctx context.Context, i intervention) (bool, error) {
	view, err := r.look(ctx, i.id)
	if err != nil {
		return false, err
	}
	// One that is rolled back may be this demo's work in an earlier run: then the
	// request id tells.
	if state := view.Status.State; state != i.when && !state.Final() {
		return false, nil
	}
	_, err = ask[messages.TransitionResult](ctx, r, messages.MethodRollbackDisbursement, &messages.RollbackParams{
		Options: messages.Options{RequestID: "demo-back-" + i.grant.ID}, ID: i.id, Reason: i.reason,
	})
	switch {
	case tooLate(err):
		r.count(func(t *Tally) { t.Late++ })
		return true, nil
	case err != nil:
		return false, err
	case i.grant.ID == r.recalled:
		return true, r.startCascade(ctx, i)
	default:
		r.count(func(t *Tally) { t.Withdrawn++ })
		return true, nil
	}
}

// cascade is a rollback that is still taking dependents along.
type cascade struct {
	told    Cascade
	waiting []messages.DisbursementID
}

func (r *runner) startCascade(ctx context.Context, i intervention) error {
	r.cascade = &cascade{told: Cascade{Root: i.id, Title: i.grant.Title, Returned: i.grant.Amount}}
	params := &messages.DependentsParams{ID: i.id, Transitive: true}
	for {
		page, err := ask[messages.IDsResult](ctx, r, messages.MethodDependents, params)
		if err != nil {
			return err
		}
		r.cascade.waiting = append(r.cascade.waiting, page.IDs...)
		if params.Cursor = page.NextCursor; params.Cursor == 0 {
			return nil
		}
	}
}

// follow looks at the dependents that the cascade has not reached, and tells of it
// when it has reached them all.
func (r *runner) follow(ctx context.Context) error {
	views, err := r.lookAll(ctx, r.cascade.waiting)
	if err != nil {
		return err
	}
	r.cascade.waiting = r.cascade.waiting[:0]
	for _, view := range views {
		if view.Status.State != messages.RolledBack {
			r.cascade.waiting = append(r.cascade.waiting, view.ID)
			continue
		}
		r.cascade.told.Failed++
		r.cascade.told.Amount += view.Amount
		r.cascade.told.Reason = view.Status.Reason
	}
	if len(r.cascade.waiting) == 0 {
		told := r.cascade.told
		r.cascade = nil
		r.count(func(t *Tally) { t.Cascade = &told })
	}
	return nil
}

func (r *runner) look(ctx context.Context, id messages.DisbursementID) (*messages.DisbursementView, error) {
	row, err := ask[messages.GetDisbursementResult](ctx, r, messages.MethodGetDisbursement, &messages.IDParams{ID: id})
	if err != nil {
		return nil, err
	}
	return &row.Disbursement, nil
}

// lookAll answers in the order of ids.
func (r *runner) lookAll(ctx context.Context, ids []messages.DisbursementID) ([]*messages.DisbursementView, error) {
	views := make([]*messages.DisbursementView, len(ids))
	err := r.each(ctx, len(ids), func(ctx context.Context, i int) (err error) {
		views[i], err = r.look(ctx, ids[i])
		return err
	})
	return views, err
}
