package treasury

import (
	"fmt"
	"slices"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision/breaker"
)

// Execute asks the executor to pay a disbursement now.
type Execute struct {
	Request
	ID messages.DisbursementID
}

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
	paying  map[messages.DisbursementID]struct{}
	// reserved is what the payments in flight take out of the balance.
	reserved messages.Amount
	nonce    uint64 // of the newest payment proposed
	// broken says that a payment failed and nothing new is proposed until those in
	// flight are settled.
	broken bool
	// unfunded are due and met; the balance does not reach for them.
	unfunded map[messages.DisbursementID]unfunded
	// callers wait for a payment that somebody asked for.
	callers  map[messages.DisbursementID][]*Execute
	resting  bool // a wake is on its way
	expiring bool // an expire is on its way
}

// executorWork is what the executor waits for: the outcome of one proposal.
type executorWork interface {
	finish(x *executor, ctx *actors.Context, o persistence.Outcome) error
	abandon(x *executor)
}

const (
	// inFlightMax is how many payments may be on their way at once.
	inFlightMax = 1024
	// executorRetry is how long the executor rests after the log did not take a payment.
	executorRetry = 100 * time.Millisecond
)

// Start implements actors.Starter.
func (x *executor) Start(ctx *actors.Context) error {
	var err error
	if x.breaker, err = breaker.New(ctx.Self().Path(), breaker.DefaultConfig(), time.Now()); err != nil {
		return err
	}
	x.proposer = newProposer[executorWork](x.journal, ctx.Self())
	x.paying = make(map[messages.DisbursementID]struct{})
	x.unfunded = make(map[messages.DisbursementID]unfunded)
	x.callers = make(map[messages.DisbursementID][]*Execute)
	if fence := x.fences.of(x.cfg.ExecutorShard()); fence != 0 {
		return x.activate(ctx, fence)
	}
	return nil
}

// Stop implements actors.Stopper. What was proposed may still commit; what did not
// is found again by the next incarnation.
func (x *executor) Stop(*actors.Context) {
	for _, work := range x.open {
		work.abandon(x)
	}
	for _, u := range x.unfunded {
		x.model.PutPayable(u.Payable)
	}
	for id := range x.callers {
		x.failCallers(id, outcomeUnknown())
	}
}

// Drained implements actors.Drainer.
func (x *executor) Drained() bool { return len(x.open) == 0 }

// Receive implements actors.Actor.
func (x *executor) Receive(ctx *actors.Context, msg any) error {
	switch msg := msg.(type) {
	case outcomes:
		for _, o := range msg {
			if work, ok := x.settle(o); ok {
				if err := work.finish(x, ctx, o); err != nil {
					return err
				}
			}
		}
		return x.pay(ctx)
	case activate:
		return x.activate(ctx, msg.fence)
	case wake:
		x.resting = false
		return x.pay(ctx)
	case halfOpen:
		x.stats.breakerEvent(x.breaker.HalfOpen(time.Now()))
		return x.pay(ctx)
	case *Execute:
		return x.execute(ctx, msg)
	case expire:
		x.expire(ctx)
		return nil
	default:
		return fmt.Errorf("executor: unknown message %T", msg)
	}
}

// halfOpen ends the open state of the executor's breaker.
type halfOpen struct{}

func (x *executor) activate(ctx *actors.Context, fence messages.Fence) error {
	x.fence = fence
	if err := x.readNonce(); err != nil {
		return err
	}
	return x.pay(ctx)
}

// readNonce takes the watermark from the Store: nothing of ours is in flight.
func (x *executor) readNonce() error {
	watermark, err := x.store.Counter(CounterNonce)
	x.nonce, x.broken = uint64(watermark), false
	return err
}

// pay proposes payments until nothing is payable, or enough is in flight.
func (x *executor) pay(ctx *actors.Context) error {
	if x.fence == 0 || x.resting {
		return nil
	}
	if x.broken {
		if len(x.open) > 0 {
			return nil
		}
		if err := x.readNonce(); err != nil {
			return err
		}
	}
	if err := x.releaseFunded(); err != nil {
		return err
	}
	begun := time.Now()
	defer func() {
		x.stats.tick.observe(time.Since(begun))
		x.stats.paying.Store(int64(len(x.paying)))
	}()
	for len(x.open) < inFlightMax && !x.broken && !x.resting {
		due, ok := x.model.TakePayable()
		if !ok {
			return nil
		}
		if err := x.start(ctx, due); err != nil {
			x.model.PutPayable(due)
			return err
		}
	}
	return nil
}

// releaseFunded makes payable again what the balance now reaches for.
func (x *executor) releaseFunded() error {
	if len(x.unfunded) == 0 {
		return nil
	}
	facts, err := x.funds()
	if err != nil {
		return err
	}
	for id, u := range x.unfunded {
		if u.amount <= facts.Treasury {
			delete(x.unfunded, id)
			x.model.PutPayable(u.Payable)
		}
	}
	x.stats.unfunded.Store(int64(len(x.unfunded)))
	return nil
}

// funds is facts with a balance that leaves out what is in flight.
func (x *executor) funds() (disbursement.Facts, error) {
	facts, err := x.facts()
	facts.Treasury -= min(facts.Treasury, x.reserved)
	return facts, err
}

// unfunded is a payable disbursement that the balance does not reach for.
type unfunded struct {
	Payable
	amount messages.Amount
}

// start decides about one payment and proposes it.
func (x *executor) start(ctx *actors.Context, due Payable) error {
	if _, under := x.paying[due.ID]; under {
		return nil
	}
	r, ok, err := load(x.store, due.ID)
	if err != nil || !ok {
		return err
	}
	facts, err := x.funds()
	if err != nil {
		return err
	}
	nonce := x.nonce + 1
	_, hash := disbursement.LedgerTx(due.ID, nonce, r.record)
	move, refusal := disbursement.Execute(r.record, facts, disbursement.Intent{Nonce: nonce, TxHash: hash})
	amount := r.record.Payload.Disbursement.Amount
	if refusal != nil {
		x.refuse(unfunded{due, amount}, refusal)
		return nil
	}
	token, pass := x.breaker.Admit()
	if !pass {
		x.hold(ctx, due)
		return nil
	}
	x.submit(ctx, &payment{Payable: due, amount: amount, token: token}, x.txn(r, move, nonce))
	return nil
}

// txn pays: it needs the fence, the record as it was decided on, final
// dependencies, the balance and the next nonce, or nothing of it happens.
func (x *executor) txn(r stored, move disbursement.Move, nonce uint64) *persistence.Txn {
	txn := moveTxn(x.speaks(), recordWrite{id: r.id, version: r.version, move: move})
	for _, dep := range r.record.Deps {
		txn.Conditions = append(txn.Conditions, persistence.TagIn(recordKey(dep), byte(messages.Finalized)))
	}
	txn.Adds = append(txn.Adds, persistence.Add{
		Counter: CounterNonce, Delta: 1, Min: int64(nonce), Max: int64(nonce),
	})
	return txn
}

// speaks is the fence under which the executor writes.
func (x *executor) speaks() persistence.ShardFence {
	return persistence.ShardFence{Shard: x.cfg.ExecutorShard(), Fence: x.fence}
}

// submit hands a payment to the log.
func (x *executor) submit(ctx *actors.Context, p *payment, txn *persistence.Txn) {
	if err := x.propose(txn, persistence.High, noDeadline, p); err != nil {
		x.breaker.Cancel(p.token)
		x.model.PutPayable(p.Payable)
		x.rest(ctx)
		return
	}
	x.nonce++
	x.reserved += p.amount
	x.paying[p.ID] = struct{}{}
}

// refuse files a payment that cannot be made now. What waits for funds stays here;
// all else comes back by itself when its record, its epoch or a dependency changes.
func (x *executor) refuse(u unfunded, refusal *messages.Error) {
	if refusal.Code == messages.CodeInsufficientFunds {
		x.unfunded[u.ID] = u
		x.stats.unfunded.Store(int64(len(x.unfunded)))
		x.stats.executionError(refusal, time.Now())
	}
	x.failCallers(u.ID, refusal)
}

// hold keeps a payment back while the breaker lets nothing through.
func (x *executor) hold(ctx *actors.Context, due Payable) {
	x.model.PutPayable(due)
	x.failCallers(due.ID, messages.Errorf(messages.CodeCircuitOpen, "the executor's circuit breaker is open").
		With("retry_after_ms", x.breaker.RetryAfter(time.Now()).Milliseconds()))
	x.rest(ctx)
}

// rest makes the executor pause for a while.
func (x *executor) rest(ctx *actors.Context) {
	if !x.resting {
		x.resting = true
		ctx.After(executorRetry, wake{})
	}
}

// payment is one disbursement on its way through the log.
type payment struct {
	Payable
	amount messages.Amount
	token  breaker.Token
}

func (p *payment) abandon(x *executor) { x.model.PutPayable(p.Payable) }

// finish notes what a payment came to. A payment that lost a race is decided anew,
// after those behind it have failed with it.
func (p *payment) finish(x *executor, ctx *actors.Context, o persistence.Outcome) error {
	x.reserved -= p.amount
	delete(x.paying, p.ID)
	now := time.Now()
	if o.Err != nil {
		x.broken = true
		x.model.PutPayable(p.Payable)
		x.stats.executionError(errorOf(o.Err), now)
		x.failure(ctx, p.token, now)
		return nil
	}
	x.stats.breakerOutcome(true, x.breaker.Success(p.token, now))
	switch o.Result.Status {
	case persistence.Committed:
		x.stats.entered(messages.Executed, 1)
		x.stats.lastExecutedAt.Store(uint64(now.Unix()))
		x.stats.lag.observe(now.Sub(p.Since))
		x.answerCallers(p.ID)
	case persistence.Fenced:
		x.fence = 0
		x.model.PutPayable(p.Payable)
		x.failCallers(p.ID, refusalOf(o))
	default:
		x.broken = true
		x.model.PutPayable(p.Payable)
	}
	return nil
}

// failure notes that the submitter, here the log, did not say what became of a
// payment. Deciding anew is safe: version and nonce let at most one commit.
func (x *executor) failure(ctx *actors.Context, token breaker.Token, now time.Time) {
	event := x.breaker.Failure(token, now)
	x.stats.breakerOutcome(false, event)
	if event != nil && event.To == breaker.Open {
		ctx.After(x.breaker.RetryAfter(now), halfOpen{})
	}
	x.rest(ctx)
}

// execute lets a caller wait for a payment, if it can be made now.
func (x *executor) execute(ctx *actors.Context, c *Execute) error {
	if x.fence == 0 {
		c.Fail(notOwner(x.cfg.ExecutorShard()))
		return nil
	}
	if answered, err := x.answerRepeat(&c.Request, c.ID); answered || err != nil {
		return err
	}
	r, ok, err := load(x.store, c.ID)
	switch {
	case err != nil:
		return err
	case !ok:
		c.Fail(notFound(c.ID))
		return nil
	}
	if _, under := x.paying[c.ID]; !under {
		facts, err := x.funds()
		if err != nil {
			return err
		}
		if facts.Unmet, err = x.unmet(r.record.Deps); err != nil {
			return err
		}
		if refusal := disbursement.Executable(r.record, facts); refusal != nil {
			c.Fail(refusal)
			return nil
		}
		x.model.PutPayable(Payable{c.ID, time.Now()})
	}
	if x.waiting() >= callersMax {
		c.Fail(messages.Errorf(messages.CodeOverloaded, "%d callers wait for the executor", callersMax).
			With("retry_after_ms", retryOverload.Milliseconds()))
		return nil
	}
	x.callers[c.ID] = append(x.callers[c.ID], c)
	x.watch(ctx)
	return x.pay(ctx)
}

// callersMax bounds the callers that wait for a payment.
const callersMax = 4096

func (x *executor) waiting() int {
	n := 0
	for _, list := range x.callers {
		n += len(list)
	}
	return n
}

func (x *executor) failCallers(id messages.DisbursementID, err *messages.Error) {
	for _, c := range x.callers[id] {
		c.Fail(err)
	}
	delete(x.callers, id)
}

// answerCallers tells those who asked for a payment that it was made, after their
// request ids are remembered with that answer.
func (x *executor) answerCallers(id messages.DisbursementID) {
	for _, c := range x.callers[id] {
		result := &transitionResult{id, messages.Executed}
		if c.Stamped {
			c.Reply(result.answer(false))
			continue
		}
		txn := &persistence.Txn{Fences: []persistence.ShardFence{x.speaks()}, Reply: result.remember()}
		c.identify(txn, persistence.KeepRecent)
		if err := x.propose(txn, persistence.High, c.Deadline, &memory{c, result}); err != nil {
			c.Fail(errorOf(err))
		}
	}
	delete(x.callers, id)
}

// memory is the answer to a caller on its way to being remembered.
type memory struct {
	call   *Execute
	result *transitionResult
}

func (m *memory) abandon(*executor) { m.call.Fail(outcomeUnknown()) }

func (m *memory) finish(_ *executor, _ *actors.Context, o persistence.Outcome) error {
	if refusal := refusalOf(o); refusal != nil {
		m.call.Fail(refusal)
		return nil
	}
	m.call.Reply(m.result.answer(o.Result.Status == persistence.Duplicate))
	return nil
}

// watch makes sure that deadlines are looked at while callers wait.
func (x *executor) watch(ctx *actors.Context) {
	if !x.expiring && len(x.callers) > 0 {
		x.expiring = true
		ctx.After(expireEvery, expire{})
	}
}

// expire answers the callers whose deadline has passed; the payment goes on.
func (x *executor) expire(ctx *actors.Context) {
	x.expiring = false
	now := time.Now()
	for id, list := range x.callers {
		x.callers[id] = slices.DeleteFunc(list, func(c *Execute) bool {
			if !c.expired(now) {
				return false
			}
			c.Fail(outcomeUnknown())
			return true
		})
		if len(x.callers[id]) == 0 {
			delete(x.callers, id)
		}
	}
	x.watch(ctx)
}
