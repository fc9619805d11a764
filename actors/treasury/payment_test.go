package treasury_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision/breaker"
)

// nonce is the one that a disbursement was paid under, 0 if it was not.
func (w *world) nonce(id messages.DisbursementID) uint64 {
	w.t.Helper()
	value, ok, err := w.store.Get(persistence.RecordKey(rows.TableDisbursements, uint64(id)))
	w.ok(err)
	if !ok {
		w.t.Fatalf("no disbursement %d", id)
	}
	record, err := disbursement.DecodeRecord(value.Data)
	w.ok(err)
	return record.Nonce
}

func TestPaymentsAreMadeInTheOrderOfIDsUnderConsecutiveNonces(t *testing.T) {
	live(t, func(w *world) {
		w.funded(1000)
		for range 100 {
			w.submit(payment(1, 1)).wait()
		}
		w.log.set(func(l *memoryLog) { l.delay = 10 * time.Millisecond })
		w.epochs(1)
		for id := messages.DisbursementID(1); id <= 100; id++ {
			if got := w.nonce(id); got != uint64(id) {
				t.Errorf("disbursement %d was paid under nonce %d", id, got)
			}
		}
	})
}

func TestWithoutFundsADueDisbursementWaitsAndOthersGoOn(t *testing.T) {
	live(t, func(w *world) {
		w.funded(50)
		large, small := w.submitted(payment(60, 1)), w.submitted(payment(20, 1))
		w.epochs(1)
		w.is(large, messages.Draft)
		w.is(small, messages.Executed)
		w.execute(large).refused(messages.CodeInsufficientFunds, "the treasury holds 30, the disbursement needs 60")
		status, _ := w.Executor()
		if status.Due != 1 || w.Stats().InsufficientFunds.Load() == 0 || status.LastError == "" || status.LastErrorAt == 0 {
			t.Errorf("executor: %+v", status.ExecutorStatus)
		}
		w.funded(30)
		w.quiet()
		w.is(large, messages.Executed)
		w.holds(0)
		if status, _ = w.Executor(); status.LastError != "" || status.LastErrorAt != 0 {
			t.Errorf("what is over is still told: %+v", status.ExecutorStatus)
		}
	})
}

func TestACallerIsNotRefusedForFundsThatAreThere(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		w.submitted(payment(60, 1))
		w.epochs(1)
		w.is(1, messages.Executed)
		second := w.submitted(payment(40, 2))
		w.log.hold()
		epoch := w.advance()
		time.Sleep(time.Second)
		w.log.set(func(l *memoryLog) { l.delay, l.held = 50*time.Millisecond, false })
		result[*messages.EpochResult](epoch)
		for i := range 60 { // before, while and after it is paid
			w.execute(second, func(r *durable.Request) { r.ID = fmt.Sprint("try-", i) })
			time.Sleep(2 * time.Millisecond)
		}
		if got := w.Stats().InsufficientFunds.Load(); got != 0 {
			t.Errorf("funds were missed %d times", got)
		}
		w.quiet()
		w.is(second, messages.Executed)
	})
}

func TestADependencyIsMetWhenItIsFinalNotBefore(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		first := w.submitted(payment(10, 1))
		second := w.submitted(payment(10, 1, first))
		w.epochs(1)
		w.is(first, messages.Executed)
		w.is(second, messages.Draft)
		w.execute(second).refused(messages.CodeInvalidTransition, "its dependency 1 is not finalized")
		w.epochs(1)
		w.is(first, messages.Finalized)
		w.is(second, messages.Executed)
	})
}

func TestAnExecutionCanBeTakenBackWithinItsWindow(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		id := w.submitted(payment(40, 1))
		late := w.submitted(payment(10, 1))
		w.epochs(1)
		w.holds(50)
		got := result[*messages.TransitionResult](w.rollback(id, "a mistake"))
		if got.State != messages.RolledBack {
			t.Errorf("got %+v", got)
		}
		w.holds(90)
		view := w.get(id)
		if view.Status.Reason != "a mistake" || view.Status.PriorTx == "" || view.Status.RolledBackAt == 0 {
			t.Errorf("status: %+v", view.Status)
		}
		w.epochs(1)
		w.is(late, messages.Finalized)
		w.rollback(late, "too late").refused(messages.CodeInvalidTransition, "the disbursement is finalized")
		w.rollback(id, "again").refused(messages.CodeInvalidTransition, "the disbursement is rolled_back")
		w.holds(90)
	})
}

func TestARollbackDecidedBeforeTheWindowEndsDoesNotCommitAfterIt(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		id := w.submitted(payment(40, 1))
		w.epochs(1)
		w.log.hold()
		epoch := w.advance(within(time.Hour))
		time.Sleep(time.Second)
		back := w.rollback(id, "no", within(time.Hour))
		time.Sleep(time.Second)
		w.log.release()
		result[*messages.EpochResult](epoch)
		back.refused(messages.CodeInvalidTransition, "")
		w.quiet()
		w.is(id, messages.Finalized)
	})
}

func TestWhoeverAsksForAPaymentIsToldWhyItCannotBeMade(t *testing.T) {
	live(t, func(w *world) {
		w.execute(1).refused(messages.CodeNotFound, "there is no disbursement 1")
		id := w.submitted(payment(40, 5))
		w.execute(id).refused(messages.CodeInvalidTransition, "it is due at epoch 5, and it is epoch 0")
		w.queue(id).refused(messages.CodeInvalidTransition, "it is due at epoch 5")
		voted := w.submitted(proposal(40, 5))
		w.execute(voted).refused(messages.CodeInvalidTransition, "only a timelocked one is executed")
		result[*messages.TransitionResult](w.rollback(id, "no"))
		w.execute(id).refused(messages.CodeInvalidTransition, "the disbursement is rolled_back")
	})
}

func TestSeveralCallersForOnePaymentAreAllAnswered(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		id := w.submitted(payment(40, 1))
		w.log.fates(commits, declines) // the epoch, then the payment
		result[*messages.EpochResult](w.advance())
		time.Sleep(time.Millisecond) // the executor rests
		one, two := w.execute(id), w.queue(id)
		ours := w.execute(id, stamped)
		for _, r := range []*reply{one, two, ours} {
			if got := result[*messages.TransitionResult](r); got.State != messages.Executed || got.Duplicate {
				t.Errorf("got %+v", got)
			}
		}
		w.execute(id).refused(messages.CodeInvalidTransition, "the disbursement is executed")
	})
}

func TestACallerOfAPaymentIsToldAtItsDeadlineWhetherItWasProposed(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		id := w.submitted(payment(40, 1))
		w.log.fates(commits, declines, declines, declines, declines, declines, declines, declines, declines)
		result[*messages.EpochResult](w.advance())
		time.Sleep(2 * time.Second) // the executor rests for a second and more
		w.execute(id, within(100*time.Millisecond)).refused(messages.CodeUnavailable, "not done")
		w.log.always(commits)
		w.quiet()
		w.log.hold()
		second := w.submit(payment(1, 1), within(time.Hour))
		time.Sleep(time.Second)
		w.log.set(func(l *memoryLog) { l.delay, l.held = 2*time.Second, false })
		other := result[*messages.SubmitDisbursementResult](second).ID
		time.Sleep(time.Millisecond)
		w.execute(other, as("hung"), within(time.Second)).refused(messages.CodeOutcomeUnknown, "same request_id")
		w.quiet()
		w.is(other, messages.Executed)
	})
}

func TestAnAnswerAboutAPaymentIsRememberedWithIt(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		id := w.submitted(payment(40, 1))
		w.log.fates(commits, declines, mumbles)
		result[*messages.EpochResult](w.advance())
		time.Sleep(time.Millisecond)
		w.execute(id, as("pay")).refused(messages.CodeOutcomeUnknown, "")
		w.crash(true)
		got := result[*messages.TransitionResult](w.execute(id, as("pay")))
		if got.State != messages.Executed || !got.Duplicate {
			t.Errorf("got %+v", got)
		}
	})
}

func TestThePaymentsOfAnExecutorThatFailsAreMadeOnce(t *testing.T) {
	live(t, func(w *world) {
		w.funded(1000)
		for range 50 {
			w.submitted(payment(1, 1))
		}
		w.log.hold()
		epoch := w.advance(within(time.Hour))
		time.Sleep(time.Second)
		w.log.set(func(l *memoryLog) { l.delay, l.held = 100*time.Millisecond, false })
		result[*messages.EpochResult](epoch)
		time.Sleep(time.Millisecond) // payments are on their way
		w.ok(w.system.Inject(actors.Fault{Path: "/treasury/executor", Mode: actors.FaultPanic, Times: 1}))
		w.execute(1).wait()
		w.quiet()
		w.quiet()
		w.holds(950)
	})
}

func TestTheExecutorGoesOnAfterTheLogFailed(t *testing.T) {
	for _, f := range []fate{declines, loses, mumbles, dawdles} {
		t.Run(fmt.Sprint(f), func(t *testing.T) {
			live(t, func(w *world) {
				w.funded(1000)
				for range 20 {
					w.submitted(payment(1, 1))
				}
				w.log.fates(commits, f, commits, f, f)
				w.epochs(1)
				w.quiet()
				w.holds(980)
				if got := w.Breaker(); got != breaker.Closed {
					t.Errorf("the breaker is %v", got)
				}
			})
		})
	}
}

func TestTheExecutorRestsLongerTheLongerTheLogIsDown(t *testing.T) {
	live(t, func(w *world) {
		w.funded(1000)
		w.epochs(1)
		declining := false
		w.log.set(func(l *memoryLog) {
			l.next = func() fate { // all after the submission
				if declining {
					return declines
				}
				declining = true
				return commits
			}
		})
		id := w.submitted(payment(1, 1))
		w.quiet()
		w.is(id, messages.Draft)
		before := 0
		w.log.set(func(l *memoryLog) { before = l.taken })
		time.Sleep(10 * time.Minute)
		tries := 0
		w.log.set(func(l *memoryLog) { tries = l.taken - before })
		if tries < 600 || tries > 1200 { // a rest is half a second to a second long
			t.Errorf("%d tries in ten minutes", tries)
		}
		w.log.always(commits)
		time.Sleep(time.Second)
		synctest.Wait()
		w.is(id, messages.Executed)
	})
}

func TestAForcedBreakerHoldsPaymentsBackUntilItIsReset(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		id := w.submitted(payment(40, 1))
		w.ok(w.system.Force(actors.Forced{Path: "/treasury/executor", Scope: breaker.Own, State: breaker.ForcedOpen}))
		w.quiet()
		w.epochs(1)
		w.is(id, messages.Draft)
		err := w.execute(id).refused(messages.CodeCircuitOpen, "breaker")
		if err.Data["retry_after_ms"] == nil {
			t.Errorf("data: %v", err.Data)
		}
		w.system.Reset("/treasury/executor", breaker.Own)
		w.quiet()
		w.is(id, messages.Executed)
	})
}

func TestTheBreakerOpensOnSubmissionsThatAreLostAndClosesByItself(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		id := w.submitted(payment(40, 1))
		list := []fate{commits}
		for range 5 {
			list = append(list, loses)
		}
		w.log.fates(list...)
		result[*messages.EpochResult](w.advance())
		time.Sleep(20 * time.Second)
		if got := w.Breaker(); got != breaker.Open {
			t.Errorf("the breaker is %v, want open", got)
		}
		w.is(id, messages.Draft)
		time.Sleep(2 * time.Minute)
		w.is(id, messages.Executed)
		w.submitted(payment(1, 1))
		w.quiet()
		if got := w.Breaker(); got != breaker.Closed {
			t.Errorf("the breaker is %v, want closed", got)
		}
	})
}

func TestManyDuePaymentsDoNotKeepSubmissionsWaiting(t *testing.T) {
	live(t, func(w *world) {
		const many = 10_000
		w.funded(many + 1000)
		const burst = 1000 // more than four entries' worth at once may be refused
		for range many / burst {
			var replies []*reply
			for range burst {
				replies = append(replies, w.submit(payment(1, 1), within(time.Hour)))
			}
			for _, r := range replies {
				result[*messages.SubmitDisbursementResult](r)
			}
		}
		w.log.set(func(l *memoryLog) { l.delay = 5 * time.Millisecond })
		result[*messages.EpochResult](w.advance())
		slowest := time.Duration(0)
		for range 20 {
			began := time.Now()
			w.submitted(payment(1, 100))
			slowest = max(slowest, time.Since(began))
		}
		if slowest > 100*time.Millisecond { // of virtual time: twenty entries
			t.Errorf("a submission took %v", slowest)
		}
		time.Sleep(time.Minute)
		w.holds(1000)
		result[*messages.EpochResult](w.advance())
		time.Sleep(time.Minute)
		if got := w.Model().InState(messages.Finalized); got != many {
			t.Errorf("%d are finalized, want %d", got, many)
		}
	})
}
