package treasury_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
)

func TestVotesDoNotMultiplyTheStepThatFollowsThem(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(40, 1))
		w.epochs(1)
		w.carried(id)
		for i := range 20 {
			result[*messages.VoteResult](w.vote(id, ayes(messages.Builders, fmt.Sprint("voter-", i), 1)))
		}
		w.epochs(2)
		w.is(id, messages.Queued)
		if got := w.Stats().Transitions(messages.Queued); got != 1 {
			t.Errorf("%d transitions to queued are counted, want 1", got)
		}
	})
}

func TestACascadeWiderThanASweepReachesAll(t *testing.T) {
	live(t, func(w *world) {
		root := w.submitted(payment(40, 1000))
		var replies []*reply
		for range 3000 {
			replies = append(replies, w.submit(payment(1, 1000, root)))
		}
		for _, r := range replies {
			result[*messages.SubmitDisbursementResult](r)
		}
		w.log.set(func(l *memoryLog) { l.delay = time.Millisecond })
		result[*messages.TransitionResult](w.rollback(root, "no"))
		w.quiet()
		w.check()
	})
}

func TestADisbursementKeepsItsActorWhenTheShardChangesItsFence(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(40, 1))
		w.epochs(1)
		result[*messages.VoteResult](w.vote(id, ayes(messages.Operators, "ada", 1)))
		w.Own(nil)
		w.claim()
		result[*messages.VoteResult](w.vote(id, ayes(messages.Operators, "ada", 2)))
	})
}

func TestThePaymentOfAnOldFenceDoesNotSilenceTheNewExecutor(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(payment(10, 1))
		w.epochs(1) // due, and without funds
		w.log.set(func(l *memoryLog) { l.delay = 50 * time.Millisecond })
		accrual := w.accrue(10)           // makes the executor pay under its old fence ...
		time.Sleep(10 * time.Millisecond) // ... behind the entry that ends that fence
		w.claim()
		result[*messages.AccrueResult](accrual)
		w.quiet()
		w.is(id, messages.Executed)
		w.epochs(1)
		w.is(id, messages.Finalized)
	})
}

func TestACallThatMeetsAnActorAboutToBeUnloadedIsDone(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(40, 1))
		w.epochs(1)
		w.log.hold()
		first := w.vote(id, ayes(messages.Operators, "ada", 1), within(time.Hour))
		time.Sleep(2 * time.Minute) // idle, and waiting for its outcome
		second := w.vote(id, ayes(messages.Builders, "bob", 1), within(time.Hour))
		time.Sleep(time.Second)
		w.log.release()
		result[*messages.VoteResult](first)
		result[*messages.VoteResult](second)
	})
}

func TestExecuteIsAnsweredOnceItWasPaid(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		id := w.submitted(payment(10, 1))
		w.log.hold()
		epoch := w.advance()
		time.Sleep(time.Second)
		w.log.set(func(l *memoryLog) { l.delay, l.held = time.Second, false })
		result[*messages.EpochResult](epoch)
		time.Sleep(10 * time.Millisecond) // its payment is on its way
		first := w.execute(id, as("pay"))
		got := result[*messages.TransitionResult](first)
		if got.State != messages.Executed || got.Duplicate {
			t.Errorf("got %+v", got)
		}
		got = result[*messages.TransitionResult](w.execute(id, as("pay")))
		if got.State != messages.Executed || !got.Duplicate {
			t.Errorf("the repeat got %+v", got)
		}
	})
}

func TestManyVotesWhileARecordFails(t *testing.T) {
	live(t, func(w *world) {
		root := w.submitted(payment(40, 1000))
		id := w.submitted(proposal(40, 1, root))
		w.epochs(1)
		w.log.set(func(l *memoryLog) { l.delay = time.Millisecond })
		voting := make(chan *messages.Error)
		go func() {
			for i := 0; ; i++ {
				_, err := w.vote(id, ayes(messages.Operators, "ada", messages.PPM(i%100+1))).wait()
				if err != nil {
					voting <- err
					return
				}
			}
		}()
		result[*messages.TransitionResult](w.rollback(root, "no"))
		if err := <-voting; err.Code != messages.CodeInvalidTransition {
			t.Errorf("votes end with %v", err)
		}
		w.is(id, messages.RolledBack)
	})
}

func TestTheModelIsNeverSeenHalfBuilt(t *testing.T) {
	live(t, func(w *world) {
		w.log.set(func(l *memoryLog) { l.delay = time.Millisecond })
		var replies []*reply
		nodes := 0
		for i := range 3000 {
			p := payment(1, 1000)
			if i%2 == 1 {
				p = payment(1, 1000, messages.DisbursementID(1))
			}
			replies = append(replies, w.submit(p, within(time.Hour)))
			if i%50 == 0 {
				time.Sleep(time.Millisecond)
				synctest.Wait()
				if now := w.Model().View().Nodes(); now < nodes {
					t.Fatalf("the model went from %d disbursements back to %d", nodes, now)
				} else {
					nodes = now
				}
			}
		}
		for _, r := range replies {
			r.wait() // the first ones may be refused: their dependency was not there yet
		}
		w.reach()
		before := w.Model().View()
		w.crash(true)
		after := w.Model().View()
		if before.Nodes() != after.Nodes() || before.Edges() != after.Edges() {
			t.Errorf("followed: %d nodes and %d edges; rebuilt: %d and %d",
				before.Nodes(), before.Edges(), after.Nodes(), after.Edges())
		}
	}, func(w *world) { w.recent = 1 }) // every look at the log comes too late
}

func TestATreasuryWhoseSupervisorRestartsGoesOn(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		w.epochs(1)
		root, ok := w.system.Lookup("/treasury")
		if !ok {
			t.Fatal("there is no /treasury")
		}
		w.ok(root.Tell("nonsense"))
		w.quiet()
		id := w.submitted(payment(10, 1))
		w.quiet()
		w.is(id, messages.Executed)
		w.rollback(id, "no").wait()
		w.is(id, messages.RolledBack)
	})
}

func TestCallersOfAShardThatFailsAreAnsweredAtOnce(t *testing.T) {
	for _, mode := range []actors.FaultMode{actors.FaultPanic, actors.FaultError} {
		t.Run(mode.String(), func(t *testing.T) {
			live(t, func(w *world) {
				id := w.submitted(proposal(40, 1))
				w.epochs(1)
				w.ok(w.system.Inject(actors.Fault{Kind: "shard", Mode: mode, Times: 1}))
				w.submit(payment(1, 1)).refused(messages.CodeInternal, "failed on this message")
				w.quiet()
				w.ok(w.system.Inject(actors.Fault{Kind: "disbursement", Mode: mode, Times: 1}))
				w.vote(id, ayes(messages.Operators, "ada", 1)).refused(messages.CodeInternal, "failed on this message")
				w.quiet()
				w.ok(w.system.Inject(actors.Fault{Kind: "clock", Mode: mode, Times: 1}))
				w.advance().refused(messages.CodeInternal, "failed on this message")
				w.quiet()
				result[*messages.VoteResult](w.vote(id, ayes(messages.Operators, "ada", 1)))
				w.epochs(1)
			})
		})
	}
}

func TestNoActorIsMadeForADisbursementThatDoesNotExist(t *testing.T) {
	live(t, func(w *world) {
		for id := messages.DisbursementID(0); id < 100; id++ {
			w.vote(1000*id, ayes(messages.Operators, "ada", 1)).refused(messages.CodeNotFound, "there is no disbursement")
		}
		for _, kind := range w.system.Stats().Kinds {
			if kind.Kind == "disbursement" {
				t.Errorf("kinds: %+v", kind)
			}
		}
	})
}
