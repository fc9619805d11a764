package treasury

import (
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Limits of one sweep: how many records one Txn moves, and how large their
// encodings may be together.
const (
	sweepMax      = 64
	sweepBytesMax = 1 << 17
)

// sweeper is what a shard keeps about its sweeps.
type sweeper struct {
	sweeping bool         // one is on its way, and the turn to sweep is ours
	rest     durable.Rest // the log did not take the last
	// limit is how many records the next may move. A sweep that loses a race is tried
	// again with half as many, so that one busy record does not hold up the others. A
	// record that is lost alone goes to its own actor, whose turn comes between those
	// who keep it busy.
	limit     int
	delegated delegation
	// cascade is where the look for failing records goes on. Those before it were
	// looked at: they are being moved, or cannot be moved yet.
	cascade messages.DisbursementID
}

// sweepWork is one sweep on its way through the log.
type sweepWork struct {
	ids     []messages.DisbursementID
	entered []messages.State
	// due says that ids came from the due index, which has to take them back if the
	// sweep fails. Failing ones are listed until they have moved.
	due bool
}

func (w *sweepWork) fail(s *shard) {
	if w.due {
		s.model.PutDue(s.Shard, w.ids)
	}
}

// sweep moves what is due in this shard, up to sweepMax records in one Txn of low
// priority, one Txn at a time, and only when it is the shard's turn: an epoch that makes
// many records due becomes a row of small steps that lets submissions through.
func (s *shard) sweep(ctx durable.Context) error {
	if s.sweeping {
		return nil
	}
	fence, active := s.Fence()
	if !active || s.rest.Resting() || s.model.Swept(s.Shard) {
		s.endTurn()
		return nil
	}
	if !s.pace.ask(s.Shard) {
		return nil
	}
	moves, err := s.failingMoves()
	due := false
	if err == nil && len(moves) == 0 {
		due = true
		moves, err = s.dueMoves()
	}
	if err == nil && len(moves) > 0 {
		s.proposeSweep(ctx, fence, moves, due)
	}
	if !s.sweeping {
		s.endTurn()
	}
	return err
}

// endTurn lets another shard sweep.
func (s *shard) endTurn() {
	s.sweeping = false
	if next, ok := s.pace.leave(s.Shard); ok {
		s.Notify(next, durable.Wake{})
	}
}

// failingMoves rolls back open records with a rolled-back dependency. The model lists
// them until it has seen them move, so the look goes on behind those seen last, and
// comes round once.
func (s *shard) failingMoves() ([]rows.Write, error) {
	for round := 0; ; {
		ids := s.model.Failing(s.Shard, s.cascade, s.limit)
		if len(ids) == 0 {
			if s.cascade == 0 || round > 0 {
				s.cascade = 0
				return nil, nil
			}
			s.cascade, round = 0, 1
			continue
		}
		moves, decided, err := s.decide(ids, s.failDependency)
		if err != nil {
			return nil, err
		}
		s.cascade = ids[decided-1]
		if len(moves) > 0 {
			return s.widen(moves)
		}
	}
}

// dueMoves takes from the model what an epoch made due and decides about it. What it
// was given may be out of date: then it asks again.
func (s *shard) dueMoves() (moves []rows.Write, err error) {
	for {
		ids, epoch := s.model.TakeDue(s.Shard, s.limit)
		if len(ids) == 0 {
			return nil, nil
		}
		decided := 0
		err := durable.Guard(func() (err error) {
			facts := s.now()
			facts.Epoch = epoch
			moves, decided, err = s.decide(ids, func(r rows.Stored) (disbursement.Move, bool, error) {
				move, ok := disbursement.Next(r.Record, facts)
				return move, ok, nil
			})
			return err
		}, func() { s.model.PutDue(s.Shard, ids) })
		if err != nil {
			return nil, err
		}
		s.model.PutDue(s.Shard, ids[decided:])
		if len(moves) > 0 {
			return moves, nil
		}
	}
}

// decide asks a rule about each record and keeps the moves, as many as fit into one
// Txn. decided says how many of ids it came to, at least one.
func (s *shard) decide(
	ids []messages.DisbursementID, rule func(rows.Stored) (disbursement.Move, bool, error),
) (moves []rows.Write, decided int, err error) {
	size := 0
	for i, id := range ids {
		r, ok, err := s.load(id)
		if err != nil {
			return nil, 0, err
		}
		if !ok {
			continue
		}
		move, ok, err := rule(r)
		if err != nil {
			return nil, 0, err
		}
		if !ok {
			continue
		}
		if size += r.Size; size > sweepBytesMax && len(moves) > 0 {
			return moves, i, nil
		}
		moves = append(moves, rows.Write{ID: id, Version: r.Version, Move: move})
	}
	return moves, len(ids), nil
}

// failDependency rolls a record back that depends on a rolled-back one.
func (d *deps) failDependency(r rows.Stored) (disbursement.Move, bool, error) {
	root, ok, err := d.failedRoot(r.Record.Deps)
	if err != nil || !ok {
		return disbursement.Move{}, false, err
	}
	move, refusal := disbursement.FailDependency(r.Record, d.now(), root)
	return move, refusal == nil, nil
}

// failedRoot names the disbursement whose rollback started the cascade that
// reached one of deps.
func (d *deps) failedRoot(ids []messages.DisbursementID) (messages.DisbursementID, bool, error) {
	for _, id := range ids {
		dep, ok, err := d.load(id)
		if err != nil {
			return 0, false, err
		}
		if ok && dep.Record.State == messages.RolledBack {
			return dep.Record.RootOr(id), true, nil
		}
	}
	return 0, false, nil
}

func (s *shard) proposeSweep(ctx durable.Context, fence persistence.ShardFence, moves []rows.Write, due bool) {
	txn := rows.MoveTxn(moves...)
	txn.Fences = []persistence.ShardFence{fence}
	work := &sweepWork{due: due}
	for i := range moves {
		work.ids = append(work.ids, moves[i].ID)
		work.entered = append(work.entered, moves[i].Move.To)
	}
	if err := s.Propose(persistence.Proposal{Txn: txn, Priority: persistence.Low}, work); err != nil {
		work.fail(s)
		s.rest.BackOff(ctx, s.Chance())
		return
	}
	s.sweeping = true
}

// conclude notes what a sweep came to. What it did not move is given back, and the
// next sweep decides about it anew.
func (w *sweepWork) conclude(s *shard, ctx durable.Context, o persistence.Outcome) {
	s.endTurn()
	switch {
	case o.Err != nil:
		w.fail(s)
		s.rest.BackOff(ctx, s.Chance())
	case o.Result.Status == persistence.Committed:
		for _, state := range w.entered {
			s.stats.Stepped(state, w.due)
		}
		if !w.due {
			s.stats.RolledBackDependencies.Add(uint64(len(w.ids)))
		}
		s.limit = min(2*s.limit, sweepMax)
		s.rest.Reset()
	case o.Result.Status == persistence.Fenced:
		w.fail(s)
	case len(w.ids) == 1: // it changes faster than a sweep can decide
		s.delegate(ctx, w)
	default: // one of them changed meanwhile
		w.fail(s)
		s.limit = max(s.limit/2, 1)
	}
}

// delegation is a sweep's one record that its own actor was asked to move.
type delegation struct {
	name uint64 // 0 if there is none
	work *sweepWork
}

// step is a Command that nobody asked for: the shard has a record's own actor take the
// step that a sweep could not.
type step struct {
	durable.Request
	id  messages.DisbursementID
	due bool
}

// stepped says that the delegation of that name has ended.
type stepped struct{ name uint64 }

// stepEnd takes the answer to a step.
type stepEnd struct {
	shard durable.Ref
	stepped
}

// Reply implements durable.Replier.
func (e *stepEnd) Reply(any) { _ = e.shard.TellInternal(e.stepped) }

// Fail implements durable.Replier. The step is found again by a sweep.
func (e *stepEnd) Fail(*messages.Error) { _ = e.shard.TellInternal(e.stepped) }

func (c *step) target() messages.DisbursementID { return c.id }

// Recall implements durable.Command: nobody remembers a step.
func (c *step) Recall([]byte) (any, bool) { return nil, false }

func (c *step) decide(e *entity, r rows.Stored, facts disbursement.Facts) (decision, *messages.Error) {
	var move disbursement.Move
	var ok bool
	if c.due {
		move, ok = disbursement.Next(r.Record, facts)
	} else {
		var err error
		if move, ok, err = e.failDependency(r); err != nil {
			return decision{}, durable.ErrorOf(err)
		}
	}
	if !ok {
		return decision{}, messages.Errorf(messages.CodeInvalidTransition, "nothing is due")
	}
	return decision{move: move, due: c.due}, nil
}

// delegate has the one record of a sweep moved by its own actor. No sweep begins
// before that has answered.
func (s *shard) delegate(ctx durable.Context, w *sweepWork) {
	s.pace.ask(s.Shard) // or goes without: this is one record
	s.sweeping = true
	s.delegated = delegation{s.Number(), w}
	end := &stepEnd{ctx.Self(), stepped{s.delegated.name}}
	s.forward(ctx, &step{Request: durable.Request{To: end, Stamped: true}, id: w.ids[0], due: w.due})
}

// resume goes on after a delegation. Whatever came of it, the record is where the
// next sweep finds it.
func (s *shard) resume(ctx durable.Context, msg stepped) error {
	if msg.name == s.delegated.name {
		s.endDelegation()
	}
	return s.sweep(ctx)
}

func (s *shard) endDelegation() {
	if s.delegated.name != 0 {
		s.delegated.work.fail(s)
		s.delegated = delegation{}
		s.endTurn()
	}
}
