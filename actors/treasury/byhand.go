package treasury

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision/breaker"
)

// ByHand is a treasury whose actors have no runtime: they take their turns when the
// caller says so, on his goroutine. It is for who must repeat exactly what happened,
// such as a simulation of many nodes in one thread. It starts no goroutine and sets no
// timer, and the caller's clock is all the time there is.
//
// Everything that is decided, proposed and answered is the actors' own doing. The
// caller does what the runtime, the follower's loop and the timers do: he brings the
// outcomes of proposals (Settle), lets the model follow the Store (Follow), and gives
// turns (Turn, Tick, Question). An error of any method is one that makes an actor fail.
//
// It belongs to one goroutine.
type ByHand struct {
	*Treasury
	follow func(context.Context) error

	executor *executor
	shards   []*shard
	settlers []settler // one a shard
	entities map[messages.DisbursementID]*entity
	turner   *clock

	// owners tells whose a proposal is, by its token; current whose turn it is.
	owners  map[uint64]settler
	current settler
	to      Journal
}

// settler takes the outcome of what was proposed in its turn.
type settler func(outcomes) error

// Hand is what a runtime and a machine would give to a treasury.
type Hand struct {
	// Clock is what is written down; Steady is nobody's to set, and breakers go by it.
	Clock, Steady func() time.Time
	// Breaker is for the executor's own. Its timer is the caller's.
	Breaker breaker.Config
}

// NewByHand makes a treasury that owns nothing beside an empty read model.
func NewByHand(
	cfg Config, hand Hand, store *persistence.Store, journal Journal, log *slog.Logger,
) (*ByHand, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	h := &ByHand{to: journal, owners: make(map[uint64]settler), entities: make(map[messages.DisbursementID]*entity)}
	h.Treasury = &Treasury{deps: newDeps(cfg, store, h, log), projection: store}
	h.wall = hand.Clock
	h.addresses.Store(&addresses{shards: make([]actors.Ref, cfg.GraphShards)})
	f := &follower{t: h.Treasury}
	h.follow = func(ctx context.Context) error {
		h.follow = f.catchUp
		return f.rebuild(ctx)
	}
	return h, h.begin(hand)
}

// begin makes the actors as their Start does. Flags that say that a timer runs are set
// for good: its work is the caller's.
func (h *ByHand) begin(hand Hand) error {
	guard, err := breaker.New("/treasury/executor", hand.Breaker, hand.Steady())
	if err != nil {
		return fmt.Errorf("treasury by hand: %w", err)
	}
	h.executor = &executor{
		deps: h.deps, proposer: newProposer[executorWork](&h.deps, actors.Ref{}), breaker: guard,
		paying: make(map[messages.DisbursementID]*payment), unfunded: newUnfunded(), callers: newCallers(),
		outside: newOutside(h.cfg.Outside), resting: true, expiring: true,
	}
	h.executor.judge = func(token breaker.Token, ok bool) {
		if ok {
			guard.Success(token, hand.Steady())
		} else {
			guard.Failure(token, hand.Steady())
		}
	}
	for i := range h.cfg.GraphShards {
		s := newShard(h.deps, messages.ShardID(i))
		s.proposer, s.expiring = newProposer[shardWork](&h.deps, actors.Ref{}), true
		h.shards = append(h.shards, s)
		h.settlers = append(h.settlers, h.settleShard(s))
	}
	h.turner = &clock{deps: h.deps, proposer: newProposer[*turn](&h.deps, actors.Ref{}), expiring: true}
	return nil
}

// Propose implements Journal: it notes whose turn it is.
func (h *ByHand) Propose(p persistence.Proposal) error {
	if err := h.to.Propose(p); err != nil {
		return err
	}
	h.owners[p.Token] = h.current
	return nil
}

// turn gives an actor its turn.
func (h *ByHand) turn(who settler, do func() error) error {
	before := h.current
	h.current = who
	defer func() { h.current = before }()
	return do()
}

// Settle brings the outcome of one proposal to whoever made it.
func (h *ByHand) Settle(o persistence.Outcome) error {
	who, ok := h.owners[o.Token]
	if !ok {
		return nil
	}
	delete(h.owners, o.Token)
	return h.turn(who, func() error { return who(outcomes{o}) })
}

// Follow lets the read model catch up with the Store.
func (h *ByHand) Follow() error { return h.follow(context.Background()) }

// Own is Treasury.Own: the actors take over what they own, or hand it over.
func (h *ByHand) Own(owned map[messages.ShardID]messages.Fence) error {
	h.Treasury.Own(owned)
	h.turner.fence = h.fences.of(h.cfg.ClockShard())
	return h.turn(h.settleExecutor, func() error { return h.executor.activate(nil) })
}

// Turn lets the shards sweep and the executor pay. rested says that it is time to try
// again what the log did not take.
func (h *ByHand) Turn(rested bool) error {
	for i, s := range h.shards {
		s.resting = s.resting && !rested
		if err := h.turn(h.settlers[i], func() error { return s.sweep(nil) }); err != nil {
			return err
		}
	}
	return h.turn(h.settleExecutor, h.pay)
}

// pay is executor.pay without its rests: the caller chooses when it is called.
func (h *ByHand) pay() error {
	x := h.executor
	switch {
	case x.fence == 0:
		return nil
	case x.broken && x.outside != nil:
		return x.outside.resume(x, nil)
	case x.broken && len(x.paying) > 0:
		return nil
	case x.broken:
		if err := x.readNonce(); err != nil {
			return err
		}
	}
	if err := x.releaseFunded(); err != nil {
		return err
	}
	for x.room() > 0 && !x.broken && x.breaker.Passes() {
		due, ok := x.model.TakePayable()
		if !ok {
			return nil
		}
		if err := x.start(nil, due); err != nil {
			return err
		}
	}
	return nil
}

// settleExecutor takes outcomes for the executor.
func (h *ByHand) settleExecutor(list outcomes) error {
	x := h.executor
	x.blamed = false
	err := x.settle(list, func(work executorWork, o persistence.Outcome) error { return work.finish(x, nil, o) })
	if err != nil {
		return err
	}
	return x.activate(nil)
}

// settleShard takes outcomes for a shard. A sweep that lost with its only record is
// delegated to the record's own actor, as shard.delegate does.
func (h *ByHand) settleShard(s *shard) settler {
	return func(list outcomes) error {
		return s.proposer.settle(list, func(work shardWork, o persistence.Outcome) error {
			if sweep, ok := work.(*sweepWork); ok {
				s.resting = s.resting || o.Err != nil
				if o.Err == nil && o.Result.Status == persistence.Refused && len(sweep.ids) == 1 {
					return h.delegate(s, sweep)
				}
			}
			work.settle(s, nil, o)
			return nil
		})
	}
}

func (h *ByHand) delegate(s *shard, w *sweepWork) error {
	s.pace.ask(s.id)
	s.sweeping = true
	s.delegated = delegation{tokens.Add(1), w}
	end := &delegated{s}
	return h.Command(&step{Request: Request{To: end, Stamped: true}, id: w.ids[0], due: w.due})
}

// delegated ends a delegation, however it is answered.
type delegated struct{ s *shard }

// Reply implements Replier.
func (d *delegated) Reply(any) { d.s.takeBack() }

// Fail implements Replier.
func (d *delegated) Fail(*messages.Error) { d.s.takeBack() }

// Append is Treasury.Append for one request.
func (h *ByHand) Append(r Appendable) error {
	shard := h.IngressShard(r.request().ID)
	return h.turn(h.settlers[shard], func() error {
		h.shards[shard].take(r)
		return nil
	})
}

// Command is Treasury.Command. The disbursement's actor stays loaded.
func (h *ByHand) Command(c Command) error {
	id := c.target()
	if q, ok := c.(*Queue); ok && h.QueueShard(id) == h.ExecutorShard() {
		return h.Execute(&Execute{Request: q.Request, ID: id})
	}
	shard := h.ShardOf(id)
	switch {
	case !h.Owns(shard):
		c.request().Fail(notOwner(shard))
		return nil
	case id == 0 || uint64(id) > h.store.Last(TableDisbursements):
		c.request().Fail(notFound(id))
		return nil
	}
	e := h.entities[id]
	if e == nil {
		e = &entity{deps: h.deps, shard: shard, id: id, proposer: newProposer[*attempt](&h.deps, actors.Ref{}), expiring: true}
		h.entities[id] = e
	}
	return h.turn(h.settleEntity(e), func() error { return e.receive(nil, c) })
}

func (h *ByHand) settleEntity(e *entity) settler {
	return func(list outcomes) error { return e.receive(nil, list) }
}

// Execute is Treasury.Execute.
func (h *ByHand) Execute(c *Execute) error {
	return h.turn(h.settleExecutor, func() error { return h.executor.execute(nil, c) })
}

// SkipIntent is Treasury.SkipIntent.
func (h *ByHand) SkipIntent(c *SkipIntent) error {
	return h.turn(h.settleExecutor, func() error { return h.executor.skip(nil, c) })
}

// Tick tells the clock's owner that a whole interval has passed.
func (h *ByHand) Tick() error {
	c := h.turner
	return h.turn(h.settleClock, func() error { return c.tick(nil, c.interval) })
}

// Advance is Treasury.Advance.
func (h *ByHand) Advance(r *Advance) error {
	return h.turn(h.settleClock, func() error { return h.turner.receive(nil, r) })
}

// settleClock takes outcomes for the clock. It is without a fence meanwhile, so that it
// sets no timer.
func (h *ByHand) settleClock(list outcomes) error {
	c := h.turner
	c.fence = 0
	err := c.settle(list, func(t *turn, o persistence.Outcome) error {
		c.finish(nil, t, o)
		return nil
	})
	c.fence = h.fences.of(h.cfg.ClockShard())
	return err
}

// Questions takes the questions that are to be put to the outside chain now, if there
// are any and the breaker lets them through. Answer is to be called with what came of
// them, unless the node dies first.
func (h *ByHand) Questions(now time.Time) []payout.Question {
	x, s := h.executor, h.executor.outside
	if s == nil || !s.drawn || s.call != nil || x.broken || x.fence == 0 {
		return nil
	}
	c, _ := s.next(x, now)
	if c == nil {
		return nil
	}
	c.cancel, s.call = func() {}, c
	return c.questions
}

// Answer brings the answers to the last Questions, as Chain.Ask returns them. If those
// were taken back meanwhile it says nothing. chance, in [0, 1), spreads retries.
func (h *ByHand) Answer(questions []payout.Question, answers []payout.Answer, now time.Time, chance float64) error {
	s := h.executor.outside
	if s.call == nil || &s.call.questions[0] != &questions[0] {
		return nil
	}
	return h.turn(h.settleExecutor, func() error {
		return s.decide(h.executor, nil, answers, now, chance)
	})
}

// Paused tells at which disbursement the executor has paused.
func (h *ByHand) Paused() (id messages.DisbursementID, reason string, paused bool) {
	if h.executor.outside == nil {
		return 0, "", false
	}
	i, reason, paused := h.executor.outside.window.Paused()
	return i.ID, reason, paused
}

// Breaker is the executor's own, over its submitter. Its timer is the caller.
func (h *ByHand) Breaker() *breaker.Breaker { return h.executor.breaker }
