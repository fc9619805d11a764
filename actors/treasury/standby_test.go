package treasury_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
)

// owned is what the Store says this node owns.
func (w *world) owned() map[messages.ShardID]messages.Fence {
	owned := make(map[messages.ShardID]messages.Fence)
	for i := range w.cfg.Shards() {
		owned[messages.ShardID(i)] = w.store.Owner(messages.ShardID(i)).Fence
	}
	return owned
}

func TestAnOwnershipToldTwiceOrLateChangesNothing(t *testing.T) {
	live(t, func(w *world) {
		first := w.owned()
		w.claim()
		second := w.owned()
		for _, owned := range []map[messages.ShardID]messages.Fence{first, second, second, first} {
			w.Own(owned)
			w.submitted(payment(1, 1))
			result[*messages.EpochResult](w.advance())
			w.funded(1)
		}
		w.quiet()
		if paid := w.Model().InState(messages.Finalized) + w.Model().InState(messages.Executed); paid != 4 {
			t.Errorf("%d of 4 are paid", paid)
		}
	})
}

func TestAnOwnershipToldAgainDoesNotHoldUpTheClock(t *testing.T) {
	live(t, func(w *world) {
		for range 13 {
			time.Sleep(10 * time.Second)
			w.Own(w.owned())
		}
		if got := w.epoch(); got != 2 {
			t.Errorf("after 130 s it is epoch %d, want 2", got)
		}
	}, minutely)
}

func TestAnOwnershipToldAgainCostsNothing(t *testing.T) {
	live(t, func(w *world) {
		w.quiet()
		before := received(w)
		for range 100 {
			w.Own(w.owned())
		}
		synctest.Wait()
		if got := received(w) - before; got != 0 {
			t.Errorf("%d messages for nothing new", got)
		}
	})
}

// received counts the messages that the treasury's actors were given.
func received(w *world) (count uint64) {
	for _, kind := range w.system.Stats().Kinds {
		switch kind.Kind {
		case "shard", "executor", "clock":
			count += kind.Messages
		}
	}
	return count
}

// With part of the shards, a node submits under those it has, and sends away what it
// has not.
func TestANodeThatOwnsSomeShardsTakesWhatIsTheirs(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(10, 1))
		owned := w.owned()
		for shard := range owned {
			if shard != 2 {
				delete(owned, shard)
			}
		}
		w.Own(owned)
		for i := range 20 { // whatever their request ids
			if id := w.submitted(payment(1, 1)); id != messages.DisbursementID(i+2) {
				t.Errorf("got id %d", id)
			}
		}
		if got := w.IngressShard("any"); got != 2 {
			t.Errorf("the ingress shard is %d, want 2", got)
		}
		for id := messages.DisbursementID(1); id <= 4; id++ {
			r := w.rollback(id, "no")
			if w.ShardOf(id) == 2 {
				result[*messages.TransitionResult](r)
			} else if refusal := r.refused(messages.CodeUnavailable, "no owner here"); !moved(refusal) {
				t.Errorf("%v does not say that it may be asked for at another node", refusal)
			}
		}
		for _, r := range []*reply{w.execute(id), w.advance()} {
			if refusal := r.refused(messages.CodeUnavailable, "no owner here"); !moved(refusal) {
				t.Errorf("%v does not say that it may be asked for at another node", refusal)
			}
		}
		w.claim()
		w.epochs(1)
	})
}

// The next step of a record that awaits its payment is the executor's, wherever that is.
func TestAPaymentAskedForAsTheNextStepIsTheExecutors(t *testing.T) {
	live(t, func(w *world) {
		w.epochs(1)
		id := w.submitted(payment(10, 1))
		w.quiet() // without funds
		if got := w.QueueShard(id); got != w.ExecutorShard() {
			t.Errorf("it is shard %d's, want the executor's %d", got, w.ExecutorShard())
		}
		own := w.owned()[w.ExecutorShard()]
		w.Own(map[messages.ShardID]messages.Fence{w.ExecutorShard(): own})
		w.queue(id).refused(messages.CodeInsufficientFunds, "")
		rest := w.owned()
		delete(rest, w.ExecutorShard())
		w.Own(rest)
		if refusal := w.queue(id).refused(messages.CodeUnavailable, "no owner here"); !moved(refusal) {
			t.Errorf("%v does not say that it may be asked for at another node", refusal)
		}
		w.claim()
	})
}

func TestCommandsThatWaitAreSentAwayWhenTheShardMoves(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(10, 1))
		w.epochs(1)
		w.log.hold()
		first := w.vote(id, ayes(messages.Operators, "ada", 1), within(time.Hour))
		time.Sleep(10 * time.Millisecond)
		second := w.vote(id, ayes(messages.Operators, "bob", 1), within(time.Hour))
		time.Sleep(10 * time.Millisecond)
		w.Own(nil)
		time.Sleep(200 * time.Millisecond)
		if !second.answered() || first.answered() {
			t.Fatalf("in the log: answered %t; behind it: answered %t", first.answered(), second.answered())
		}
		if refusal := second.refused(messages.CodeUnavailable, ""); !moved(refusal) {
			t.Errorf("%v does not say that it may be asked for at another node", refusal)
		}
		w.log.release()
		result[*messages.VoteResult](first) // what was proposed in time counts
		w.claim()
	})
}

// A tick of the clock that waits in the mailbox while another owner comes and goes
// belongs to an interval that has ended.
func TestAClockThatComesBackWaitsAWholeInterval(t *testing.T) {
	live(t, func(w *world) {
		time.Sleep(59*time.Second + 900*time.Millisecond)
		w.ok(w.system.Inject(actors.Fault{Kind: "clock", Mode: actors.FaultSlow, Times: 1, Delay: 300 * time.Millisecond}))
		w.Own(nil) // keeps it busy while its interval ends
		time.Sleep(200 * time.Millisecond)
		w.claim()
		time.Sleep(59 * time.Second)
		if got := w.epoch(); got != 0 {
			t.Errorf("within an interval of its new owner it is epoch %d, want 0", got)
		}
		time.Sleep(2 * time.Second)
		if got := w.epoch(); got != 1 {
			t.Errorf("it is epoch %d, want 1", got)
		}
	}, minutely)
}

// A node that never acts follows as much as is open, and no more.
func TestAStandbyForgetsWhatIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "n1", "n2")
		acts, stands := g.nodes[0], g.nodes[1]
		before := received(stands)
		must[*messages.AccrueResult](g, accruing(1_000_000), "grant")
		var longest int
		for round := range 20 {
			must[*messages.EpochResult](g, advancing(), fmt.Sprint("round-", round))
			var due, never []*reply
			for range 1000 {
				due = append(due, acts.submit(payment(1, messages.Epoch(round+1))))
			}
			for range 500 {
				never = append(never, acts.submit(payment(1, 1_000_000)))
			}
			for _, r := range due {
				r.wait()
			}
			for _, r := range never {
				id := result[*messages.SubmitDisbursementResult](r).ID
				acts.rollback(id, "no")
			}
			g.quiet()
			longest = max(longest, stands.Model().Queued(), acts.Model().Queued())
		}
		if got := received(stands) - before; got > 50 {
			t.Errorf("the standby's actors were woken %d times", got)
		}
		// 4 shards, what is payable and what is scheduled: each may keep what was open twice,
		// or the length from which a queue is looked through.
		if most := 6 * 2 * 1500; longest > most {
			t.Errorf("of 30000 lives at most 1500 were open, and %d entries are kept", longest)
		}
		must[*messages.EpochResult](g, advancing(), "last")
		g.quiet()
		for shard := range stands.cfg.Shards() {
			g.move(messages.ShardID(shard), stands)
		}
		g.quiet()
		if got := stands.Model().InState(messages.Finalized); got != 20_000 {
			t.Errorf("%d of 20000 are final", got)
		}
		g.end()
	})
}

// The answer to a submission needs nothing of the node's Store, and does not wait for
// it; a vote does.
func TestASubmissionIsAnsweredWhenItIsCertain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "n1", "n2")
		g.quiet()
		slow := g.nodes[0]
		slow.seat.lag.Store(int64(time.Second))
		for _, ask := range []func() *reply{
			func() *reply { return slow.submit(payment(1, 1)) },
			func() *reply { return slow.accrue(1) },
			func() *reply {
				return slow.plan([]messages.PlanItem{{Ref: "a", Payload: payment(1, 1)}})
			},
		} {
			began := time.Now()
			if _, err := ask().wait(); err != nil || time.Since(began) > 100*time.Millisecond {
				t.Errorf("answered with %v after %v", err, time.Since(began))
			}
		}
		slow.seat.lag.Store(0)
		g.quiet()
		g.end()
	})
}

// lastExecuted is what the executor says of its newest payment.
func (w *world) lastExecuted() uint64 {
	w.t.Helper()
	status, refusal := w.Executor()
	if refusal != nil {
		w.t.Fatal(refusal)
	}
	return status.LastExecutedAt
}

func TestTheTimeOfTheNewestPaymentOutlivesARestart(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		w.epochs(1)
		time.Sleep(time.Hour)
		id := w.submitted(payment(10, 1))
		w.quiet()
		at := w.get(id).Status.ExecutedAt
		if got := w.lastExecuted(); got != at || at == 0 {
			t.Errorf("the newest payment was at %d, the executor says %d", at, got)
		}
		w.epochs(2) // it is final
		w.crash(true)
		if got := w.lastExecuted(); got != at {
			t.Errorf("after a restart the newest payment was at %d, want %d", got, at)
		}
	})
}

// moved reports whether a call was refused only because its shard is owned elsewhere.
func moved(refusal *messages.Error) bool { return refusal != nil && refusal.Data["moved"] == true }
