package treasury

import (
	"fmt"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Advance adds one epoch at once.
type Advance struct{ Request }

// clock advances the epoch: at most once per interval of this node's monotonic
// time, and never to catch up. A new owner waits one whole interval first.
type clock struct {
	deps
	fence messages.Fence // 0 on standby

	proposer[*turn]
	timer    *actors.Timer
	interval tick // the one that runs
	turning  bool // a turn of the clock's own is on its way
	expiring bool // an expire is on its way
}

// turn is one more epoch on its way through the log.
type turn struct{ asked *Advance } // nil for the clock's own

// tick says that an interval has passed. One that was ended before counts for nothing.
type tick struct{ number uint64 }

// Start implements actors.Starter.
func (c *clock) Start(ctx *actors.Context) error {
	c.proposer = newProposer[*turn](&c.deps, ctx.Self())
	c.activate(ctx)
	return nil
}

// Stop implements actors.Stopper.
func (c *clock) Stop(*actors.Context) { c.abandon() }

func (c *clock) abandon() {
	for _, t := range c.open {
		t.fail(outcomeUnknown())
	}
	clear(c.open)
}

// Drained implements actors.Drainer.
func (c *clock) Drained() bool { return len(c.open) == 0 }

// activate follows the clock's fence: under a new one a whole interval begins.
func (c *clock) activate(ctx *actors.Context) {
	if fence := c.fences.of(c.cfg.ClockShard()); fence != c.fence {
		c.fence = fence
		c.restart(ctx)
	}
}

// restart begins a whole interval, and ends the one that runs.
func (c *clock) restart(ctx *actors.Context) {
	c.interval.number++
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.fence != 0 {
		c.timer = ctx.After(c.cfg.EpochInterval, c.interval)
	}
}

// Receive implements actors.Actor.
func (c *clock) Receive(ctx *actors.Context, msg any) error {
	return guarded(func() error { return c.receive(ctx, msg) }, c.abandon)
}

func (c *clock) receive(ctx *actors.Context, msg any) error {
	switch msg := msg.(type) {
	case outcomes:
		err := c.settle(msg, func(t *turn, o persistence.Outcome) error {
			c.finish(ctx, t, o)
			return nil
		})
		c.activate(ctx) // one of them may have told of a newer fence
		return err
	case activate:
		c.activate(ctx)
	case tick:
		return c.tick(ctx, msg)
	case *Advance:
		if c.fence == 0 {
			msg.Fail(notOwner(c.cfg.ClockShard()))
			return nil
		}
		c.advance(ctx, &turn{msg}, msg.Deadline)
		c.watch(ctx)
	case expire:
		c.expire(ctx)
	default:
		return fmt.Errorf("clock: unknown message %T", msg)
	}
	return nil
}

// tick adds the epoch that the interval brings, unless the one before is still on
// its way. It holds for the epoch that the clock sees now: should an earlier turn
// whose outcome is not known commit after all, this one does not.
func (c *clock) tick(ctx *actors.Context, t tick) error {
	if c.fence == 0 || t != c.interval || c.turning {
		return nil
	}
	epoch, err := c.store.Counter(CounterEpoch)
	if err != nil {
		return err
	}
	c.turning = true
	// Without a deadline no crowd of callers has it refused.
	c.advance(ctx, &turn{}, time.Time{}, epochCondition(messages.Epoch(epoch)+1))
	return nil
}

// advance proposes one more epoch.
func (c *clock) advance(ctx *actors.Context, t *turn, deadline time.Time, conditions ...persistence.Condition) {
	txn := &persistence.Txn{
		Fences:     []persistence.ShardFence{{Shard: c.cfg.ClockShard(), Fence: c.fence}},
		Conditions: conditions,
		Adds:       []persistence.Add{balanceAdd(CounterEpoch, 1)},
	}
	if t.asked != nil {
		t.asked.identify(txn, persistence.KeepRecent)
	}
	if err := c.propose(persistence.Proposal{Txn: txn, Deadline: deadline}, t); err != nil {
		c.failed(ctx, t, errorOf(err))
	}
}

// finish answers who asked. The next interval begins when this epoch has.
func (c *clock) finish(ctx *actors.Context, t *turn, o persistence.Outcome) {
	refusal := refusalOf(o)
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
func (c *clock) failed(ctx *actors.Context, t *turn, err *messages.Error) {
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

// watch makes sure that deadlines are looked at while callers wait.
func (c *clock) watch(ctx *actors.Context) {
	if !c.expiring && len(c.open) > 0 {
		c.expiring = true
		ctx.After(expireEvery, expire{})
	}
}

// expire answers callers whose deadline has passed; what was proposed goes on.
func (c *clock) expire(ctx *actors.Context) {
	c.expiring = false
	now := time.Now()
	for _, t := range c.open {
		if t.asked != nil && t.asked.expired(now) {
			t.fail(outcomeUnknown())
		}
	}
	c.watch(ctx)
}
