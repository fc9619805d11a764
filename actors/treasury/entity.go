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
// further commands wait in its bounded stash.
type entity struct {
	deps
	fence persistence.ShardFence
	id    messages.DisbursementID

	proposer[*attempt]
	expiring bool
}

// attempt is a command on its way through the log.
type attempt struct {
	command  Command
	decision decision
	tries    int
}

// forward hands a command to its disbursement's actor, which is spawned if it is
// not loaded.
func (s *shard) forward(ctx *actors.Context, c Command) error {
	if s.fence == 0 {
		c.request().Fail(notOwner(s.id))
		return nil
	}
	name := "disbursement-" + strconv.FormatUint(uint64(c.target()), 10)
	child, ok := ctx.Child(name)
	if !ok {
		var err error
		fence := s.speaks()
		child, err = ctx.Spawn(actors.Spec{
			Name: name, Kind: "disbursement", MailboxLimit: entityMailbox,
			New: func() actors.Actor { return &entity{deps: s.deps, fence: fence, id: c.target()} },
		})
		if err != nil {
			c.request().Fail(errorOf(err))
			return nil
		}
	}
	if err := child.Tell(c); err != nil {
		c.request().Fail(errorOf(err))
	}
	return nil
}

// Start implements actors.Starter.
func (e *entity) Start(ctx *actors.Context) error {
	e.proposer = newProposer[*attempt](e.journal, ctx.Self())
	ctx.SetPassivation(entityIdle)
	return nil
}

// Stop implements actors.Stopper.
func (e *entity) Stop(*actors.Context) {
	for _, a := range e.open {
		a.command.request().Fail(outcomeUnknown())
	}
	clear(e.open)
}

// Drained implements actors.Drainer.
func (e *entity) Drained() bool { return len(e.open) == 0 }

// Receive implements actors.Actor.
func (e *entity) Receive(ctx *actors.Context, msg any) error {
	switch msg := msg.(type) {
	case outcomes:
		for _, o := range msg {
			if a, ok := e.settle(o); ok {
				if err := e.finish(a, o); err != nil {
					return err
				}
			}
		}
		if len(e.open) == 0 {
			ctx.Unstash()
		}
		return nil
	case Command:
		if len(e.open) > 0 {
			if err := ctx.Stash(); err != nil {
				msg.request().Fail(errorOf(err))
			}
			return nil
		}
		err := e.try(&attempt{command: msg})
		e.watch(ctx)
		return err
	case expire:
		e.expire(ctx)
		return nil
	default:
		return fmt.Errorf("disbursement %d: unknown message %T", e.id, msg)
	}
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
	record, ok, err := load(e.store, e.id)
	switch {
	case err != nil:
		return err
	case !ok:
		r.Fail(notFound(e.id))
		return nil
	}
	if queue, ok := a.command.(*Queue); ok && record.record.AwaitsExecution() {
		if err := e.executor.Tell(&Execute{Request: queue.Request, ID: queue.ID}); err != nil {
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
	if err := e.propose(e.txn(a, record.version), persistence.High, r.Deadline, a); err != nil {
		r.Fail(errorOf(err))
	}
	return nil
}

// txn carries an attempt's decision out.
func (e *entity) txn(a *attempt, version uint64) *persistence.Txn {
	txn := moveTxn(e.fence, recordWrite{id: e.id, version: version, move: a.decision.move})
	if before := a.decision.before; before != 0 {
		txn.Conditions = append(txn.Conditions, epochCondition(before))
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
			e.stats.entered(m.To, 1)
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

// expire answers callers whose deadline has passed; what was proposed goes on.
func (e *entity) expire(ctx *actors.Context) {
	e.expiring = false
	now := time.Now()
	for _, a := range e.open {
		if a.command.request().expired(now) {
			a.command.request().Fail(outcomeUnknown())
		}
	}
	e.watch(ctx)
}
