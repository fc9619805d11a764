package treasury

import (
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Limits of one sweep: how many records one Txn moves, and how large their
// encodings may be together.
const (
	sweepMax      = 256
	sweepBytesMax = 1 << 20
)

// sweepWork is one sweep on its way through the log.
type sweepWork struct {
	ids     []messages.DisbursementID // taken from the due index
	entered []messages.State
	// noQuorum counts the records that their houses did not carry.
	noQuorum uint64
}

func (w *sweepWork) request() *Request { return nil }

func (w *sweepWork) abandon(s *shard) { s.model.PutDue(s.id, w.ids) }

// sweepRetry is how long a sweep waits after the log did not take one.
const sweepRetry = 100 * time.Millisecond

// sweep moves what is due in this shard, up to sweepMax records in one Txn of low
// priority, and one Txn at a time: an epoch that makes many records due becomes a
// row of small steps that lets submissions through.
func (s *shard) sweep(ctx *actors.Context) error {
	if s.fence == 0 || s.sweeping {
		return nil
	}
	if s.resting {
		s.resting = false
		ctx.After(sweepRetry, wake{})
		return nil
	}
	// A sweep that finds nothing to move asks again: what it was given was out of date.
	for {
		work, moves, err := s.dueMoves()
		switch {
		case err != nil:
			return err
		case len(moves) > 0:
			s.proposeSweep(ctx, work, moves)
			return nil
		case len(work.ids) == 0:
			return nil
		}
	}
}

// dueMoves takes work from the model and decides about it: first what depends on
// a rolled-back disbursement, then what an epoch made due.
func (s *shard) dueMoves() (work *sweepWork, moves []recordWrite, err error) {
	work = &sweepWork{}
	if failing := s.model.Failing(s.id, sweepMax); len(failing) > 0 {
		moves, err = s.decide(failing, s.failDependency)
		if len(moves) > 0 || err != nil {
			return work, moves, err
		}
	}
	ids, epoch := s.model.TakeDue(s.id, sweepMax)
	work.ids = ids
	decided := false
	defer func() {
		if !decided { // an error or a panic: the next incarnation finds the work again
			work.abandon(s)
		}
	}()
	facts, err := s.facts()
	if err != nil {
		return work, nil, err
	}
	facts.Epoch = epoch
	moves, err = s.decide(ids, func(r stored) (disbursement.Move, bool, error) {
		move, ok := disbursement.Next(r.record, facts)
		return move, ok, nil
	})
	decided = err == nil
	return work, moves, err
}

// decide asks a rule about each record and keeps the moves, as many as fit.
func (s *shard) decide(
	ids []messages.DisbursementID, rule func(stored) (disbursement.Move, bool, error),
) ([]recordWrite, error) {
	moves := make([]recordWrite, 0, len(ids))
	size := 0
	for i, id := range ids {
		r, ok, err := load(s.store, id)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		move, ok, err := rule(r)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if size += recordSize(&r.record); size > sweepBytesMax && len(moves) > 0 {
			s.model.PutDue(s.id, ids[i:])
			break
		}
		moves = append(moves, recordWrite{id: id, version: r.version, move: move})
	}
	return moves, nil
}

// failDependency rolls a record back that depends on a rolled-back one.
func (s *shard) failDependency(r stored) (disbursement.Move, bool, error) {
	root, ok, err := s.failedRoot(r.record.Deps)
	if err != nil || !ok {
		return disbursement.Move{}, false, err
	}
	facts, err := s.facts()
	if err != nil {
		return disbursement.Move{}, false, err
	}
	move, refusal := disbursement.FailDependency(r.record, facts, root)
	return move, refusal == nil, nil
}

// failedRoot names the disbursement whose rollback started the cascade that
// reached one of deps.
func (d *deps) failedRoot(ids []messages.DisbursementID) (messages.DisbursementID, bool, error) {
	for _, id := range ids {
		dep, ok, err := load(d.store, id)
		if err != nil {
			return 0, false, err
		}
		if ok && dep.record.State == messages.RolledBack {
			return dep.record.RootOr(id), true, nil
		}
	}
	return 0, false, nil
}

func (s *shard) proposeSweep(ctx *actors.Context, work *sweepWork, moves []recordWrite) {
	work.entered = make([]messages.State, len(moves))
	for i := range moves {
		work.entered[i] = moves[i].move.To
		if moves[i].move.From == messages.Voting && moves[i].move.To == messages.RolledBack {
			work.noQuorum++
		}
	}
	if err := s.propose(moveTxn(s.speaks(), moves...), persistence.Low, noDeadline, work); err != nil {
		work.abandon(s)
		ctx.After(sweepRetry, wake{})
		return
	}
	s.sweeping = true
}

// settle notes what a sweep came to. What it did not move is given back: one of
// its records changed meanwhile, and the next sweep decides about all of them anew.
func (w *sweepWork) settle(s *shard, o persistence.Outcome) {
	s.sweeping = false
	if o.Err == nil && o.Result.Status == persistence.Committed {
		for _, state := range w.entered {
			s.stats.entered(state, 1)
		}
		s.stats.quorumsMissed.Add(w.noQuorum)
		return
	}
	w.abandon(s)
	s.resting = o.Err != nil || o.Result.Status == persistence.Fenced
}
