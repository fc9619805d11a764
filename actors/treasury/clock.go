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
	timer *actors.Timer
}

// turn is one more epoch on its way through the log.
type turn struct{ asked *Advance } // nil for the clock's own

// tick says that the interval has passed.
type tick struct{}

// Start implements actors.Starter.
func (c *clock) Start(ctx *actors.Context) error {
	c.proposer = newProposer[*turn](c.journal, ctx.Self())
	c.activate(ctx, c.fences.of(c.cfg.ClockShard()))
	return nil
}

// Stop implements actors.Stopper.
func (c *clock) Stop(*actors.Context) {
	for _, t := range c.open {
		if t.asked != nil {
			t.asked.Fail(outcomeUnknown())
		}
	}
}

// Drained implements actors.Drainer.
func (c *clock) Drained() bool { return len(c.open) == 0 }

func (c *clock) activate(ctx *actors.Context, fence messages.Fence) {
	c.fence = fence
	if fence != 0 {
		c.restart(ctx)
	}
}

// restart begins a whole interval.
func (c *clock) restart(ctx *actors.Context) {
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer = ctx.After(c.cfg.EpochInterval, tick{})
}

// Receive implements actors.Actor.
func (c *clock) Receive(ctx *actors.Context, msg any) error {
	switch msg := msg.(type) {
	case outcomes:
		for _, o := range msg {
			if t, ok := c.settle(o); ok {
				c.finish(ctx, t, o)
			}
		}
	case activate:
		c.activate(ctx, msg.fence)
	case tick:
		if c.fence != 0 {
			c.advance(ctx, &turn{}, time.Now().Add(c.cfg.EpochInterval))
		}
	case *Advance:
		if c.fence == 0 {
			msg.Fail(notOwner(c.cfg.ClockShard()))
			return nil
		}
		c.advance(ctx, &turn{msg}, msg.Deadline)
	default:
		return fmt.Errorf("clock: unknown message %T", msg)
	}
	return nil
}

// advance proposes one more epoch.
func (c *clock) advance(ctx *actors.Context, t *turn, deadline time.Time) {
	txn := &persistence.Txn{
		Fences: []persistence.ShardFence{{Shard: c.cfg.ClockShard(), Fence: c.fence}},
		Adds:   []persistence.Add{balanceAdd(CounterEpoch, 1)},
	}
	if t.asked != nil {
		t.asked.identify(txn, persistence.KeepRecent)
	}
	if err := c.propose(txn, persistence.High, deadline, t); err != nil {
		c.failed(ctx, t, errorOf(err))
	}
}

// finish answers who asked. The next interval begins when this epoch has.
func (c *clock) finish(ctx *actors.Context, t *turn, o persistence.Outcome) {
	if refusal := refusalOf(o); refusal != nil {
		if o.Result.Status == persistence.Fenced {
			c.fence = 0
		}
		c.failed(ctx, t, refusal)
		return
	}
	c.restart(ctx)
	if t.asked == nil {
		return
	}
	t.asked.Reply(&messages.EpochResult{
		Epoch: messages.Epoch(o.Result.After[0]), Duplicate: o.Result.Status == persistence.Duplicate,
	})
}

func (c *clock) failed(ctx *actors.Context, t *turn, err *messages.Error) {
	if t.asked != nil {
		t.asked.Fail(err)
		return
	}
	if c.fence != 0 {
		c.restart(ctx)
	}
}
