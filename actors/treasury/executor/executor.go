package executor

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/the-block/bursar/actors/authority"
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/readmodel"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/actors/treasury/stats"
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
	cfg   Config
	model *readmodel.Model
	stats *stats.Stats
	log   *slog.Logger

	durable.Singleton
	durable.Proposer[executorWork]
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

	binding binding

	rest   durable.Rest
	blamed bool // the breaker was told of the batch in hand
	paid   bool // a submission went well, in the message in hand
}

// Config says how payments leave the treasury.
type Config struct {
	// Shard is the shard whose owner pays.
	Shard messages.ShardID
	// Node is the name under which this node records what it decides.
	Node messages.NodeID
	// EpochInterval is the least time between two epochs.
	EpochInterval time.Duration
	// Outside, if not nil, pays on an outside chain instead of in the cluster's own
	// accounts.
	Outside *Outside
}

// New makes an incarnation of the executor. It takes its work from model.
func New(cfg Config, host *durable.Host, model *readmodel.Model, counts *stats.Stats, log *slog.Logger) durable.Actor {
	return &executor{
		cfg: cfg, model: model, stats: counts, log: log,
		Singleton: durable.Singleton{Seat: durable.Seat{Host: host, Shard: cfg.Shard}},
		paying:    make(map[messages.DisbursementID]*payment), unfunded: newUnfunded(), callers: newCallers(),
		outside: newOutside(cfg.Outside),
	}
}

// Submitter names how payments leave the treasury.
func Submitter(o *Outside) string {
	if o != nil {
		return "http"
	}
	return "ledger"
}

// NonceCounter names the watermark of the nonces under which payments are made.
func NonceCounter(o *Outside) string {
	if o != nil {
		return rows.CounterChainNonce
	}
	return rows.CounterNonce
}

// executorWork is what the executor waits for: the outcome of one proposal.
type executorWork interface {
	conclude(x *executor, ctx durable.Context, o persistence.Outcome) error
	fail(x *executor)
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

// Start implements durable.Actor.
func (x *executor) Start(ctx durable.Context) error {
	x.breaker = ctx.Breaker()
	x.Attach(x.Host, ctx.Self())
	return x.followFence(ctx)
}

// Stop implements durable.Stopper.
func (x *executor) Stop() { x.outside.stop() }

// FailPending implements durable.Actor. What was proposed may still commit; what was not
// is found again by the next incarnation.
func (x *executor) FailPending() {
	for _, id := range x.callers.ids() {
		x.failWaiting(id)
	}
	x.FailProposed(func(work executorWork) { work.fail(x) })
	x.outside.forget(x)
	x.releaseAll()
}

// Drained implements durable.Actor.
func (x *executor) Drained() bool { return x.InFlight() == 0 }

// Receive implements durable.Actor.
func (x *executor) Receive(ctx durable.Context, msg any) error {
	if err := x.handle(ctx, msg); err != nil {
		return err
	}
	if err := x.outside.ask(x, ctx); err != nil {
		return err
	}
	x.outside.report(x)
	x.stats.SetWaiting(len(x.paying), len(x.unfunded.byID))
	x.stats.EndError(x.paid, len(x.unfunded.byID), x.breaker.Passes())
	x.paid = false
	return nil
}

func (x *executor) handle(ctx durable.Context, msg any) error {
	switch msg := msg.(type) {
	case durable.Outcomes:
		x.blamed = false
		err := x.ApplyOutcomes(msg, func(work executorWork, o persistence.Outcome) error {
			return work.conclude(x, ctx, o)
		})
		if err != nil {
			return err
		}
		return x.followFence(ctx) // one of them may have told of a newer one
	case durable.Activate:
		return x.followFence(ctx)
	case durable.Wake:
		return x.pay(ctx)
	case durable.Rested:
		x.rest.End()
		return x.pay(ctx)
	case answered:
		if err := x.outside.answered(x, ctx, msg); err != nil {
			return err
		}
		return x.pay(ctx)
	case *Execute, *SkipIntent, *Resend:
		if !x.Current() { // the word of a new fence is behind it
			if err := x.followFence(ctx); err != nil {
				return err
			}
		}
		return x.order(ctx, msg)
	default:
		return fmt.Errorf("executor: unknown message %T", msg)
	}
}

// order carries out what a caller asks for.
func (x *executor) order(ctx durable.Context, msg any) error {
	switch msg := msg.(type) {
	case *Execute:
		return x.execute(ctx, msg)
	case *SkipIntent:
		return x.skip(ctx, msg)
	case *Resend:
		return x.resend(msg)
	}
	return fmt.Errorf("executor: unknown order %T", msg)
}

// followFence takes up the work under a new fence from what the Store says; what the
// executor knew may be out of date. Without one it hands over.
func (x *executor) followFence(ctx durable.Context) error {
	if !x.FenceChanged() {
		return x.pay(ctx)
	}
	x.binding = binding{proposing: x.binding.proposing}
	if !x.Active() {
		x.handOver()
		return nil
	}
	if x.outside != nil {
		x.outside.forget(x)
		x.broken = true
		return x.pay(ctx)
	}
	err := x.readNonce()
	x.stats.Recovered(err)
	if err != nil {
		return err
	}
	return x.pay(ctx)
}

// handOver lets go of what the next owner takes up. The payments in flight are still
// settled; callers who wait for others are sent away.
func (x *executor) handOver() {
	for _, id := range x.callers.ids() {
		switch {
		case x.outside.holds(id):
			x.callers.fail(id, durable.OutcomeUnknown())
		case x.paying[id] == nil:
			x.callers.fail(id, durable.NotOwner(x.Shard))
		}
	}
	x.outside.forget(x)
	x.releaseAll()
}

// readNonce takes the watermark from the Store: nothing of ours is in flight that
// could still commit under this fence.
func (x *executor) readNonce() error {
	watermark, err := x.Store.Counter(NonceCounter(x.cfg.Outside))
	x.nonce, x.broken = uint64(watermark), false
	x.chain, x.reserved = nil, 0
	return err
}

// pay proposes payments until nothing is payable, or enough is in flight.
func (x *executor) pay(ctx durable.Context) error {
	if !x.Active() || x.rest.Resting() {
		return nil
	}
	agreed, err := x.agree(ctx)
	if err != nil || x.binding.mismatch != "" {
		return err
	}
	if x.broken && x.outside != nil {
		return x.outside.resume(x, ctx)
	}
	if !agreed {
		return nil
	}
	if x.broken {
		if len(x.paying) > 0 {
			return nil
		}
		if err := x.readNonce(); err != nil {
			return err
		}
		x.binding.version = 0 // it may be what the log refused
		if agreed, err := x.agree(ctx); !agreed || err != nil {
			return err
		}
	}
	if paused, err := x.paused(); paused || err != nil {
		x.rest.Begin(ctx, holdMax)
		return err
	}
	begun := x.Steady()
	defer func() { x.stats.Executor().Tick.ObserveTime(x.Since(begun)) }()
	if err := x.releaseFunded(); err != nil {
		return err
	}
	for turn := 0; x.room() > 0 && !x.broken && !x.rest.Resting(); turn++ {
		if turn == turnMax {
			return ctx.Self().TellInternal(durable.Wake{})
		}
		due, ok := x.model.TakePayable()
		if !ok {
			return nil
		}
		err := durable.Guard(func() error { return x.start(ctx, due) }, func() { x.model.PutPayable(due) })
		if err != nil {
			return err
		}
	}
	return nil
}

// paused reports whether an operator has stopped new payments.
func (x *executor) paused() (bool, error) {
	for _, scope := range pauses {
		n, err := x.Store.Counter(authority.CounterPaused(scope))
		if n > 0 || err != nil {
			return true, err
		}
	}
	return false, nil
}

// pauses are the scopes of which none may be paused at the commit of a payment.
var pauses = []string{authority.ScopeExecutor, authority.ScopeTreasury}

// room is how many more payments may be on their way.
func (x *executor) room() int {
	if x.outside != nil {
		return x.outside.room(x)
	}
	return inFlightMax - x.InFlight()
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
	facts, err := x.model.FactsOf(x.Store, x.Wall(), x.cfg.Node)
	if err != nil {
		return facts, err
	}
	treasury, err := x.Store.Counter(rows.CounterTreasury)
	if err != nil {
		return facts, err
	}
	watermark, err := x.Store.Counter(NonceCounter(x.cfg.Outside))
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
		p.Funded = x.Steady()
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

// moveTxn is rows.MoveTxn under the executor's fence.
func (x *executor) moveTxn(writes ...rows.Write) *persistence.Txn {
	txn := rows.MoveTxn(writes...)
	if x.binding.version != 0 {
		txn.Conditions = append(txn.Conditions, persistence.VersionIs(rows.BindingKey, x.binding.version))
	}
	for _, scope := range pauses {
		txn.Conditions = append(txn.Conditions, authority.Unpaused(scope))
	}
	txn.Fences = []persistence.ShardFence{x.Held()}
	return txn
}
