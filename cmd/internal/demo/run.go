package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/messages"
)

// accrualID makes the demo's accrual harmless to repeat.
const accrualID = "demo-accrual"

// lookEvery is how often the node is asked for its epoch.
const lookEvery = 25 * time.Millisecond

// Run accrues what the book costs and plays the demo, one month an epoch, until
// all of it is final. It calls progress with a tally of its own after each answer,
// from one goroutine at a time. Running it again, even after an error, submits,
// votes and pays nothing twice; what has no epoch to wait for is passed at once.
func Run(ctx context.Context, client batch.Client, book Book, cfg batch.Config, progress func(*Tally)) (*Tally, error) {
	r := &runner{
		client: client, cfg: cfg, progress: progress,
		recalled: mostAwaited(book),
		grants:   make(map[string]messages.DisbursementID, len(book.Grants)),
		paying:   make(map[messages.DisbursementID]messages.Amount),
		tally:    &Tally{Refused: make(map[messages.Code]int)},
	}
	err := r.run(ctx, book)
	return r.tally, err
}

type runner struct {
	client   batch.Client
	cfg      batch.Config
	progress func(*Tally)

	now      messages.Epoch // last seen
	recalled string         // id of the grant that is recalled
	grants   map[string]messages.DisbursementID
	paying   map[messages.DisbursementID]messages.Amount // all that was submitted
	pending  []intervention
	cascade  *cascade

	mu    sync.Mutex
	tally *Tally
}

func (r *runner) run(ctx context.Context, book Book) error {
	if err := r.accrue(ctx, book.Total()); err != nil {
		return fmt.Errorf("accrue: %w", err)
	}
	for _, c := range chapters(book) {
		if err := r.awaitEpoch(ctx, c.epoch); err != nil {
			return err
		}
		if err := r.play(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", c.month.Format("January 2006"), err)
		}
	}
	if err := r.settle(ctx); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	return nil
}

// count changes the tally and tells of it.
func (r *runner) count(change func(*Tally)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r.tally)
	r.progress(r.tally.clone())
}

func (r *runner) accrue(ctx context.Context, amount messages.Amount) error {
	_, err := ask[messages.AccrueResult](ctx, r, messages.MethodAccrue, &messages.AccrueParams{
		Options: messages.Options{RequestID: accrualID}, Amount: amount, Source: "demo",
	})
	if err != nil {
		return err
	}
	r.count(func(t *Tally) { t.Accrued = amount })
	return nil
}

// play submits a month's grants, votes on them at once, and submits the expenses,
// which need the grants' ids.
func (r *runner) play(ctx context.Context, c chapter) error {
	r.count(func(t *Tally) { t.Month = c.month })
	items := make([]batch.Item, len(c.grants))
	for i := range c.grants {
		items[i] = grantItem(&c.grants[i], c.epoch, c.grants[i].ID == r.recalled)
	}
	ids, err := r.submit(ctx, items, func(t *Tally) { t.Grants++ })
	if err != nil {
		return err
	}
	for i, id := range ids {
		if id != 0 {
			r.grants[c.grants[i].ID] = id
			r.expect(&c.grants[i], id)
		}
	}
	err = r.each(ctx, len(ids), func(ctx context.Context, i int) error {
		if ids[i] == 0 || c.grants[i].decided() {
			return nil
		}
		return r.vote(ctx, &c.grants[i], ids[i])
	})
	if err != nil {
		return err
	}
	items = make([]batch.Item, len(c.expenses))
	for i := range c.expenses {
		grant, known := r.grants[c.expenses[i].GrantID]
		if !known {
			grant = absentGrant
		}
		items[i] = expenseItem(&c.expenses[i], grant)
	}
	_, err = r.submit(ctx, items, func(t *Tally) { t.Expenses++ })
	return err
}

// submit returns the items' ids, 0 for the refused, and counts the others by taken.
func (r *runner) submit(ctx context.Context, items []batch.Item, taken func(*Tally)) ([]messages.DisbursementID, error) {
	ids := make([]messages.DisbursementID, len(items))
	err := batch.Submit(ctx, r.client, items, r.cfg, func(i int, o batch.Outcome) {
		ids[i] = o.ID
		amount := items[i].Payload.Disbursement.Amount
		if o.Refused == nil {
			r.paying[o.ID] = amount
		}
		r.count(func(t *Tally) {
			if o.Refused != nil {
				t.Refused[o.Refused.Code]++
				return
			}
			taken(t)
			t.Sum += amount
			if o.Duplicate {
				t.Duplicates++
			}
		})
	})
	return ids, err
}

// vote opens the vote on a grant without waiting for the next epoch, and casts the
// ballots.
func (r *runner) vote(ctx context.Context, g *Grant, id messages.DisbursementID) error {
	_, err := ask[messages.TransitionResult](ctx, r, messages.MethodQueueDisbursement, &messages.IDParams{
		Options: messages.Options{RequestID: "demo-open-" + g.ID}, ID: id,
	})
	if err != nil && !tooLate(err) { // an epoch may have opened it meanwhile
		return err
	}
	for _, ballot := range ballots(g) {
		ballot.ID = id
		_, err := ask[messages.VoteResult](ctx, r, messages.MethodVote, &ballot)
		switch {
		case err == nil:
			r.count(func(t *Tally) { t.Votes++ })
		case tooLate(err):
			r.count(func(t *Tally) { t.Late++ })
		default:
			return err
		}
	}
	return nil
}

// tooLate reports whether the disbursement has left the state the call was for.
func tooLate(err error) bool {
	var refusal *messages.Error
	return errors.As(err, &refusal) && refusal.Code == messages.CodeInvalidTransition
}

// awaitEpoch returns when the treasury's clock has shown the epoch, and intervenes
// meanwhile where it is time to.
func (r *runner) awaitEpoch(ctx context.Context, epoch messages.Epoch) error {
	for {
		if err := r.intervene(ctx); err != nil {
			return err
		}
		if r.now >= epoch {
			return nil
		}
		clock, err := ask[messages.EpochResult](ctx, r, messages.MethodEpochGet, &messages.NoParams{})
		if err != nil {
			return err
		}
		if r.now = clock.Epoch; r.now >= epoch {
			continue
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context) error {
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// each does n things, some of them at the same time.
func (r *runner) each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.cfg.InFlight)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// ask calls a method until it has an answer. A call that changes something carries a
// request id.
func ask[R any, P interface {
	*R
	messages.Result
}](ctx context.Context, r *runner, method string, params messages.Params) (*R, error) {
	var result *R
	err := batch.Persist(ctx, r.cfg.RetryFor, func() error {
		result = new(R)
		return r.client.Call(ctx, method, params, P(result))
	})
	return result, err
}
