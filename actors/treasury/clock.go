package treasury

import (
	"fmt"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Advance adds one epoch at once.
type Advance struct{ durable.Request }

// clock advances the epoch: at most once per interval of this node's monotonic
// time, and never to catch up. A new owner waits one whole interval first.
type clock struct {
	deps
	durable.Singleton
	durable.Proposer[*turn]
	timer    durable.Timer
	interval tick // the one that runs
	turning  bool // a turn of the clock's own is on its way
}

func newClock(d deps) *clock {
	return &clock{deps: d, Singleton: durable.Singleton{Seat: d.seat(d.cfg.ClockShard())}}
}

// turn is one more epoch on its way through the log.
type turn struct{ asked *Advance } // nil for the clock's own

// tick says that an interval has passed. One that was ended before counts for nothing.
type tick struct{ number uint64 }

// Start implements durable.Actor.
func (c *clock) Start(ctx durable.Context) error {
	c.Attach(c.Host, ctx.Self())
	c.followFence(ctx)
	return nil
}

// FailPending implements durable.Actor.
func (c *clock) FailPending() { c.FailProposed(func(t *turn) { t.fail(durable.OutcomeUnknown()) }) }

// Drained implements durable.Actor.
func (c *clock) Drained() bool { return c.InFlight() == 0 }

// followFence begins a whole interval under a new fence.
func (c *clock) followFence(ctx durable.Context) {
	if c.FenceChanged() {
		c.restart(ctx)
	}
}

// restart begins a whole interval, and ends the one that runs.
func (c *clock) restart(ctx durable.Context) {
	c.interval.number++
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.Active() {
		c.timer = ctx.After(c.cfg.EpochInterval, c.interval)
	}
}

// Receive implements durable.Actor.
func (c *clock) Receive(ctx durable.Context, msg any) error {
	switch msg := msg.(type) {
	case durable.Outcomes:
		err := c.ApplyOutcomes(msg, func(t *turn, o persistence.Outcome) error {
			c.conclude(ctx, t, o)
			return nil
		})
		c.followFence(ctx) // one of them may have told of a newer one
		return err
	case durable.Activate:
		c.followFence(ctx)
	case tick:
		return c.tick(ctx, msg)
	case *Advance:
		c.followFence(ctx) // the word of a new one may be behind it
		if !c.Active() {
			msg.Fail(durable.NotOwner(c.Shard))
			return nil
		}
		txn := c.txn()
		msg.Identify(txn, persistence.KeepRecent)
		c.ProposeFor(&msg.Request, persistence.Proposal{Txn: txn}, &turn{msg})
	default:
		return fmt.Errorf("clock: unknown message %T", msg)
	}
	return nil
}

// tick adds the epoch that the interval brings, unless the one before is still on
// its way. It holds for the epoch that the clock sees now: should an earlier turn
// whose outcome is not known commit after all, this one does not.
func (c *clock) tick(ctx durable.Context, t tick) error {
	if !c.Active() || t != c.interval || c.turning {
		return nil
	}
	epoch, err := c.Store.Counter(rows.CounterEpoch)
	if err != nil {
		return err
	}
	c.turning = true
	// Without a deadline no number of callers has it refused.
	own := &turn{}
	if err := c.Propose(persistence.Proposal{Txn: c.txn(rows.EpochBefore(messages.Epoch(epoch) + 1))}, own); err != nil {
		c.failed(ctx, own, durable.ErrorOf(err))
	}
	return nil
}

// txn adds one epoch.
func (c *clock) txn(conditions ...persistence.Condition) *persistence.Txn {
	return &persistence.Txn{
		Fences:     []persistence.ShardFence{c.Held()},
		Conditions: conditions,
		Adds:       []persistence.Add{rows.BalanceAdd(rows.CounterEpoch, 1)},
	}
}

// conclude answers who asked. The next interval begins when this epoch has.
func (c *clock) conclude(ctx durable.Context, t *turn, o persistence.Outcome) {
	refusal := durable.RefusalOf(o)
	if refusal == nil && o.Result.Status == persistence.Refused { // the counter is full, or another turn came first
		refusal = messages.Errorf(messages.CodeInvalidTransition, "there is no epoch after this one")
	}
	if refusal != nil {
		c.failed(ctx, t, refusal)
		return
	}
	if t.asked == nil {
		c.turning = false
		c.restart(ctx)
		return
	}
	duplicate := o.Result.Status == persistence.Duplicate
	if !duplicate {
		c.restart(ctx)
	}
	t.asked.Reply(&messages.EpochResult{
		Epoch: messages.Epoch(o.Result.After[0]), AppliedIndex: o.Result.Index, Duplicate: duplicate,
	})
}

// failed tells who asked. After a turn of its own the clock waits another interval.
func (c *clock) failed(ctx durable.Context, t *turn, err *messages.Error) {
	t.fail(err)
	if t.asked == nil {
		c.turning = false
		c.restart(ctx)
	}
}

func (t *turn) fail(err *messages.Error) {
	if t.asked != nil {
		t.asked.Fail(err)
	}
}
