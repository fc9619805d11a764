package treasury

import (
	"fmt"
	"strconv"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

const (
	// entityIdle is how long a disbursement's actor stays loaded without a message.
	entityIdle = 30 * time.Second
	// entityMailbox bounds the commands that wait for one disbursement.
	entityMailbox = 256
	// triesMax is how often a command that lost a race is decided anew before its
	// caller is sent away.
	triesMax = 16
)

// entity is one disbursement's own actor. It has at most one Txn in flight;
// further commands wait in a bounded queue of its own.
type entity struct {
	deps
	shard messages.ShardID
	id    messages.DisbursementID

	proposer[*attempt]
	recovered bool // its record was read
	waiting   []Command
	expiring  bool
}

// attempt is a command on its way through the log.
type attempt struct {
	command  Command
	decision decision
	tries    int
}

func entityName(id messages.DisbursementID) string {
	return "disbursement-" + strconv.FormatUint(uint64(id), 10)
}

// Start implements actors.Starter.
func (e *entity) Start(ctx *actors.Context) error {
	e.proposer = newProposer[*attempt](&e.deps, ctx.Self())
	ctx.SetPassivation(entityIdle)
	return nil
}

// Stop implements actors.Stopper.
func (e *entity) Stop(*actors.Context) { e.abandon() }

// abandon lets go of all callers: the one whose command is in the log, and those whose
// commands have not come that far.
func (e *entity) abandon() {
	for _, a := range e.open {
		a.command.request().Fail(outcomeUnknown())
	}
	clear(e.open)
	for _, c := range e.waiting {
		c.request().Fail(messages.Errorf(messages.CodeUnavailable, "not done: disbursement %d's actor restarts", e.id))
	}
	e.waiting = nil
}

// Drained implements actors.Drainer.
func (e *entity) Drained() bool { return len(e.open) == 0 && len(e.waiting) == 0 }

// Receive implements actors.Actor.
func (e *entity) Receive(ctx *actors.Context, msg any) error {
	return guarded(func() error { return e.receive(ctx, msg) }, e.abandon)
}

func (e *entity) receive(ctx *actors.Context, msg any) error {
	switch msg := msg.(type) {
	case outcomes:
		if err := e.settle(msg, e.finish); err != nil {
			return err
		}
		return e.next(ctx)
	case Command:
		if len(e.waiting) >= entityMailbox {
			msg.request().Fail(errorOf(actors.ErrStashFull))
			return nil
		}
		e.waiting = append(e.waiting, msg)
		return e.next(ctx)
	case expire:
		e.expire(ctx)
		return nil
	default:
		return fmt.Errorf("disbursement %d: unknown message %T", e.id, msg)
	}
}

// next takes up waiting commands until one is in the log.
func (e *entity) next(ctx *actors.Context) error {
	for len(e.open) == 0 && len(e.waiting) > 0 {
		c := e.waiting[0]
		e.waiting[0] = nil
		e.waiting = e.waiting[1:]
		if err := e.try(&attempt{command: c}); err != nil {
			c.request().Fail(errorOf(err))
			return err
		}
	}
	e.watch(ctx)
	return nil
}

// try reads the record, lets the command decide and proposes what it wants.
func (e *entity) try(a *attempt) error {
	r := a.command.request()
	if r.expired(time.Now()) {
		r.Fail(expired())
		return nil
	}
	if answered, err := e.answerRepeat(r, e.id); answered || err != nil {
		return err
	}
	fence := e.fences.of(e.shard)
	if fence == 0 {
		r.Fail(notOwner(e.shard))
		return nil
	}
	record, ok, err := load(e.store, e.id)
	if !e.recovered {
		e.recovered = err == nil
		e.stats.recovered(err)
	}
	switch {
	case err != nil:
		return err
	case !ok:
		r.Fail(notFound(e.id))
		return nil
	}
	if queue, ok := a.command.(*Queue); ok && record.record.AwaitsExecution() {
		// The executor's to do, and it refuses where it is not active.
		if err := e.addresses.Load().executor.Tell(&Execute{Request: *r, ID: queue.ID}); err != nil {
			r.Fail(errorOf(err))
		}
		return nil
	}
	facts, err := e.facts()
	if err != nil {
		return err
	}
	decision, refusal := a.command.decide(e, record, facts)
	if refusal != nil {
		r.Fail(refusal)
		return nil
	}
	a.decision = decision
	a.tries++
	txn := e.txn(a, record.version, persistence.ShardFence{Shard: e.shard, Fence: fence})
	if err := e.propose(persistence.Proposal{Txn: txn, Deadline: r.Deadline}, a); err != nil {
		r.Fail(errorOf(err))
	}
	return nil
}

// txn carries an attempt's decision out.
func (e *entity) txn(a *attempt, version uint64, fence persistence.ShardFence) *persistence.Txn {
	txn := moveTxn(fence, recordWrite{id: e.id, version: version, move: a.decision.move})
	if before := a.decision.before; before != 0 {
		txn.Conditions = append(txn.Conditions, epochCondition(before))
	}
	if claim := a.decision.claim; claim != "" {
		txn.Conditions = append(txn.Conditions, persistence.Absent(claim))
		txn.Writes = append(txn.Writes, persistence.Write{Key: claim})
	}
	a.command.request().identify(txn, persistence.KeepRecent)
	if txn.RequestID != "" {
		txn.Reply = a.decision.result.remember()
	}
	return txn
}

// finish answers an attempt, or decides it anew if it lost a race.
func (e *entity) finish(a *attempt, o persistence.Outcome) error {
	r := a.command.request()
	if refusal := refusalOf(o); refusal != nil {
		r.Fail(refusal)
		return nil
	}
	switch o.Result.Status {
	case persistence.Committed:
		if m := &a.decision.move; m.Transition() {
			e.stats.stepped(m.To, a.decision.due)
		}
		if s, ok := a.command.(*step); ok && !s.due {
			e.stats.failedDependency(1)
		}
		r.Reply(a.decision.result.answer(false))
	case persistence.Duplicate:
		repeat(r, e.id, o.Result.Reply)
	default:
		if a.tries < triesMax {
			return e.try(a)
		}
		r.Fail(messages.Errorf(messages.CodeOverloaded, "disbursement %d changes faster than this call can decide", e.id).
			With("retry_after_ms", retryOverload.Milliseconds()))
	}
	return nil
}

// watch makes sure that deadlines are looked at while a caller waits.
func (e *entity) watch(ctx *actors.Context) {
	if !e.expiring && len(e.open) > 0 {
		e.expiring = true
		ctx.After(expireEvery, expire{})
	}
}

// expire answers callers whose deadline has passed; what was proposed goes on. Once
// another node owns the shard, those who wait are sent there.
func (e *entity) expire(ctx *actors.Context) {
	e.expiring = false
	now := time.Now()
	for _, a := range e.open {
		if a.command.request().expired(now) {
			a.command.request().Fail(outcomeUnknown())
		}
	}
	e.waiting = failExpired(e.waiting, now)
	if e.fences.of(e.shard) == 0 {
		for _, c := range e.waiting {
			c.request().Fail(notOwner(e.shard))
		}
		e.waiting = nil
	}
	e.watch(ctx)
}
