package treasury_test

import (
	"fmt"
	"testing"
	"time"

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
		w.funded(100)
		w.epochs(1)
		w.log.hold()
		first := w.submit(payment(10, 1)) // waits in the log
		w.log.release()
		result[*messages.SubmitDisbursementResult](first)
		w.log.hold()
		w.quiet() // its payment is on its way
		w.Own(nil)
		go func() { time.Sleep(time.Second); w.log.release() }()
		w.claim()
		w.quiet()
		id := w.submitted(payment(10, 1))
		w.quiet()
		w.is(id, messages.Executed)
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
