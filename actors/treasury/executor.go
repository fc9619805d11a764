package treasury

import (
	"fmt"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision/breaker"
)

// executor pays what is due, met and funded, in the order of ids. There is one in
// the cluster; its shard's fence and the nonce watermark make a second one
// harmless.
//
// Payments are proposed ahead of their commit, each with the next nonce. The log
// refuses a nonce that is not the watermark's successor, so one payment that is
// refused takes all behind it along: the executor waits until none is in flight,
// and decides about them anew from what the Store says.
type executor struct {
	deps
	fence messages.Fence // 0 on standby

	proposer[executorWork]
	breaker *breaker.Breaker
	paying  map[messages.DisbursementID]*payment
	// chain holds the payments that were in flight at the last look at the Store, in
	// the order of their nonces; reserved is what they take out of the balance.
	chain    []*payment
	reserved messages.Amount
	nonce    uint64 // of the newest payment proposed
	// broken says that a payment failed and nothing new is proposed until those in
	// flight are settled.
	broken   bool
	unfunded unfunded
	callers  callers
	outside  *outside // nil pays in the cluster's own accounts

	resting  bool // a rested is on its way
	backoff  backoff
	blamed   bool // the breaker was told of the batch in hand
	expiring bool // an expire is on its way
	// judge, if not nil, is told in the runtime's place how calls to the submitter end.
	judge func(token breaker.Token, ok bool)
}

// executorWork is what the executor waits for: the outcome of one proposal.
type executorWork interface {
	finish(x *executor, ctx *actors.Context, o persistence.Outcome) error
	abandon(x *executor)
}

const (
	// inFlightMax is how many payments may be on their way at once.
	inFlightMax = 1024
	// turnMax is how many payments are decided about before others get their turn.
	turnMax = 1024
	// holdMax is how long the executor rests at most before it looks at an open breaker
	// again, which an operator may have closed.
	holdMax = time.Second
)

// Start implements actors.Starter.
func (x *executor) Start(ctx *actors.Context) error {
	x.breaker = ctx.Breaker()
	x.stats.breaker.Store(x.breaker)
	x.proposer = newProposer[executorWork](&x.deps, ctx.Self())
	x.paying = make(map[messages.DisbursementID]*payment)
	x.unfunded = newUnfunded()
	x.callers = newCallers()
	x.outside = newOutside(x.cfg.Outside)
	return x.activate(ctx)
}

// Stop implements actors.Stopper.
func (x *executor) Stop(*actors.Context) {
	x.abandon()
	x.outside.stop()
}

// abandon lets go of everything. What was proposed may still commit; what did not is
// found again by the next incarnation.
func (x *executor) abandon() {
	for id := range x.callers.byID {
		x.failWaiting(id)
	}
	for _, work := range x.open {
		work.abandon(x)
	}
	clear(x.open)
	x.outside.forget(x)
	x.releaseAll()
}

// Drained implements actors.Drainer.
func (x *executor) Drained() bool { return len(x.open) == 0 }

// Receive implements actors.Actor.
func (x *executor) Receive(ctx *actors.Context, msg any) error {
	return guarded(func() error { return x.receive(ctx, msg) }, x.abandon)
}

func (x *executor) receive(ctx *actors.Context, msg any) error {
	if err := x.handle(ctx, msg); err != nil {
		return err
	}
	x.outside.ask(x, ctx)
	x.outside.report(x)
	x.stats.paying.Store(int64(len(x.paying)))
	x.stats.unfunded.Store(int64(len(x.unfunded.byID)))
	return nil
}

func (x *executor) handle(ctx *actors.Context, msg any) error {
	switch msg := msg.(type) {
	case outcomes:
		x.blamed = false
		err := x.settle(msg, func(work executorWork, o persistence.Outcome) error {
			return work.finish(x, ctx, o)
		})
		if err != nil {
			return err
		}
		return x.activate(ctx) // one of them may have told of a newer fence
	case activate:
		return x.activate(ctx)
	case wake:
		return x.pay(ctx)
	case rested:
		x.resting = false
		return x.pay(ctx)
	case answered:
		if err := x.outside.answered(x, ctx, msg); err != nil {
			return err
		}
		return x.pay(ctx)
	case *Execute:
		return x.execute(ctx, msg)
	case *SkipIntent:
		return x.skip(ctx, msg)
	case expire:
		x.expire(ctx)
		return nil
	default:
		return fmt.Errorf("executor: unknown message %T", msg)
	}
}

// activate follows the executor's fence. Under a new one it takes up the work from
// what the Store says; what it knew may be out of date. Without one it hands over.
func (x *executor) activate(ctx *actors.Context) error {
	fence := x.fences.of(x.cfg.ExecutorShard())
	if fence == x.fence {
		return x.pay(ctx)
	}
	x.fence = fence
	if fence == 0 {
		x.handOver()
		return nil
	}
	if x.outside != nil {
		x.outside.forget(x)
		x.broken = true
		return x.pay(ctx)
	}
	err := x.readNonce()
	x.stats.recovered(err)
	if err != nil {
		return err
	}
	return x.pay(ctx)
}

// handOver lets go of what the next owner takes up. The payments in flight are still
// settled; callers who wait for others are sent away.
func (x *executor) handOver() {
	for id := range x.callers.byID {
		switch {
		case x.outside.holds(id):
			x.callers.fail(id, outcomeUnknown())
		case x.paying[id] == nil:
			x.callers.fail(id, notOwner(x.cfg.ExecutorShard()))
		}
	}
	x.outside.forget(x)
	x.releaseAll()
}

// readNonce takes the watermark from the Store: nothing of ours is in flight that
// could still commit under this fence.
func (x *executor) readNonce() error {
	watermark, err := x.store.Counter(x.cfg.nonceCounter())
	x.nonce, x.broken = uint64(watermark), false
	x.chain, x.reserved = nil, 0
	return err
}

// pay proposes payments until nothing is payable, or enough is in flight.
func (x *executor) pay(ctx *actors.Context) error {
	if x.fence == 0 || x.resting {
		return nil
	}
	if x.broken && x.outside != nil {
		return x.outside.resume(x, ctx)
	}
	if x.broken {
		if len(x.paying) > 0 {
			return nil
		}
		if err := x.readNonce(); err != nil {
			return err
		}
	}
	begun := time.Now()
	defer func() { x.stats.tick.observe(time.Since(begun)) }()
	if err := x.releaseFunded(); err != nil {
		return err
	}
	for turn := 0; x.room() > 0 && !x.broken && !x.resting; turn++ {
		if turn == turnMax {
			return ctx.Self().TellInternal(wake{})
		}
		due, ok := x.model.TakePayable()
		if !ok {
			return nil
		}
		err := guarded(func() error { return x.start(ctx, due) }, func() { x.model.PutPayable(due) })
		if err != nil {
			return err
		}
	}
	return nil
}

// room is how many more payments may be on their way.
func (x *executor) room() int {
	if x.outside != nil {
		return x.outside.room(x)
	}
	return inFlightMax - len(x.open)
}

// under reports whether a payment is on its way.
func (x *executor) under(id messages.DisbursementID) bool {
	return x.paying[id] != nil || x.outside.holds(id)
}

// funds is facts with the balance, less what is in flight.
//
// The balance is read before the watermark: a payment that commits in between counts
// neither as booked nor as reserved, and the log has the last word about that. The
// other way round it would count twice, and a caller would be refused for it.
func (x *executor) funds() (disbursement.Facts, error) {
	facts, err := x.facts()
	if err != nil {
		return facts, err
	}
	treasury, err := x.store.Counter(CounterTreasury)
	if err != nil {
		return facts, err
	}
	watermark, err := x.store.Counter(x.cfg.nonceCounter())
	if err != nil {
		return facts, err
	}
	for len(x.chain) > 0 && x.chain[0].nonce <= uint64(watermark) {
		x.reserved -= x.chain[0].amount
		x.chain[0] = nil
		x.chain = x.chain[1:]
	}
	facts.Treasury = messages.Amount(treasury) - min(messages.Amount(treasury), x.reserved)
	return facts, nil
}

// releaseFunded makes payable again what the balance now reaches for.
func (x *executor) releaseFunded() error {
	if len(x.unfunded.byID) == 0 {
		return nil
	}
	facts, err := x.funds()
	if err != nil {
		return err
	}
	for _, p := range x.unfunded.release(facts.Treasury) {
		x.model.PutPayable(p)
	}
	return nil
}

// releaseAll gives back to the model what waits for funds here.
func (x *executor) releaseAll() {
	for _, p := range x.unfunded.byID {
		x.model.PutPayable(p.Payable)
	}
	x.unfunded = newUnfunded()
}

// speaks is the fence under which the executor writes.
func (x *executor) speaks() persistence.ShardFence {
	return persistence.ShardFence{Shard: x.cfg.ExecutorShard(), Fence: x.fence}
}

// rest makes the executor pause for a while.
func (x *executor) rest(ctx *actors.Context, d time.Duration) {
	if !x.resting {
		x.resting = true
		ctx.After(d, rested{})
	}
}

// outcome reports to the breaker how a call to the submitter ended.
func (x *executor) outcome(ctx *actors.Context, token breaker.Token, ok bool) {
	if x.judge != nil {
		x.judge(token, ok)
		return
	}
	ctx.Outcome(token, ok)
}
