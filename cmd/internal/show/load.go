package show

import (
	"context"
	"fmt"
	"time"

	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/messages"
)

// The shape of the load: small payments, submitted in portions.
const (
	loadSlices    = 10 // portions a second
	loadAmountMax = 100
)

// load keeps paying small amounts to the payees in turn, each portion funded by an
// accrual of its own.
type load struct {
	link      batch.Client
	cfg       batch.Config
	run       string // begins the request ids of this run
	payees    []string
	perSecond int
}

// keep submits until ctx ends and calls taken for each payment the node took, from
// one goroutine at a time. A node that cannot keep up gets the next portion late,
// not on top.
func (l *load) keep(ctx context.Context, taken func()) error {
	tick := time.NewTicker(time.Second / loadSlices)
	defer tick.Stop()
	for slice := 0; ; slice++ {
		from, to := slice*l.perSecond/loadSlices, (slice+1)*l.perSecond/loadSlices
		if err := l.submit(ctx, from, to, taken); err != nil {
			return fmt.Errorf("the load: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// submit accrues what the payments from..to-1 need, and submits them.
func (l *load) submit(ctx context.Context, from, to int, taken func()) error {
	if from == to {
		return nil
	}
	items := make([]batch.Item, 0, to-from)
	var sum messages.Amount
	for n := from; n < to; n++ {
		item := l.payment(n)
		sum += item.Payload.Disbursement.Amount
		items = append(items, item)
	}
	accrual := &messages.AccrueParams{
		Options: messages.Options{RequestID: fmt.Sprintf("%s-accrual-%d", l.run, from)}, Amount: sum, Source: "load",
	}
	err := batch.Persist(ctx, l.cfg.RetryFor, func() error {
		return l.link.Call(ctx, messages.MethodAccrue, accrual, new(messages.AccrueResult))
	})
	if err != nil {
		return err
	}
	return batch.Submit(ctx, l.link, items, l.cfg, func(_ int, o batch.Outcome) {
		if o.Refused == nil {
			taken()
		}
	})
}

func (l *load) payment(n int) batch.Item {
	return batch.Item{
		RequestID: fmt.Sprintf("%s-%d", l.run, n),
		Payload: messages.Payload{Disbursement: messages.Disbursement{
			Destination: l.payees[n%len(l.payees)], Amount: messages.Amount(1 + n%loadAmountMax),
			Memo: "live load", ScheduledEpoch: 1,
		}},
	}
}
