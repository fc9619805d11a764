package treasury_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/supervision/breaker"
)

// The model is late by two entries: a payment that leaves less than the next one needs,
// and an accrual that makes up for it.
func TestFundsThatArriveBehindAPaymentAreSeen(t *testing.T) {
	live(t, func(w *world) {
		result[*messages.EpochResult](w.advance())
		w.funded(1000)
		w.reach()
		w.log.hold()
		first, second := w.submit(payment(900, 1)), w.submit(payment(150, 1))
		w.log.release()
		first.wait()
		second.wait()
		w.reach() // the first is proposed and commits; the second waits for funds
		synctest.Wait()
		w.is(1, messages.Executed)
		w.is(2, messages.Draft)
		w.funded(100)
		synctest.Wait()
		w.reach() // from 1000 to 200 at one look
		synctest.Wait()
		w.is(2, messages.Executed)
		w.step = nil
	}, func(w *world) { w.manual = true })
}

// A turn of the clock is in the log before a payment that was decided earlier.
func TestAPaymentKeepsItsRollbackWindowWhenTheClockTurnsBesideIt(t *testing.T) {
	live(t, func(w *world) {
		w.epochs(1)
		id := w.submitted(payment(100, 1))
		w.quiet()
		w.log.set(func(l *memoryLog) { l.delay = time.Second })
		w.accrue(100)
		synctest.Wait()
		result[*messages.EpochResult](w.advance())
		time.Sleep(3 * time.Second)
		w.log.set(func(l *memoryLog) { l.delay = 0 })
		w.quiet()
		w.is(id, messages.Executed)
		if _, err := w.rollback(id, "mistake").wait(); err != nil {
			t.Errorf("in the epoch of its execution it cannot be rolled back: %v", err)
		}
	})
}

// Whoever has read that a payment is made asks for it too late, though the executor has not
// heard of it yet.
func TestAPaymentThatIsMadeIsNotExecutedOnRequest(t *testing.T) {
	live(t, func(w *world) {
		w.accrue(100)
		id := w.submitted(payment(100, 1))
		w.quiet()
		w.log.set(func(l *memoryLog) { l.tell = time.Second })
		w.advance()
		synctest.Wait()
		w.is(id, messages.Executed)
		if _, err := w.execute(id).wait(); err == nil || err.Code != messages.CodeInvalidTransition {
			t.Errorf("it is executed on request: %v", err)
		}
	})
}

// The same beside a payment that an outside chain has taken: the clock turns between its
// staging and its recording.
func TestAnOutsidePaymentKeepsItsRollbackWindowWhenTheClockTurnsBesideIt(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(1000)
		a.quiet()
		a.log.set(func(l *memoryLog) { l.delay = time.Second })
		submission := a.submit(payment(10, 1)) // is there after one second, staged after two, recorded after three
		time.Sleep(1500 * time.Millisecond)
		a.advance()
		time.Sleep(4 * time.Second)
		a.log.set(func(l *memoryLog) { l.delay = 0 })
		a.quiet()
		a.is(result[*messages.SubmitDisbursementResult](submission).ID, messages.Executed)
	})
}

// The same beside a vote that is opened on request.
func TestAVoteKeepsItsWindowWhenTheClockTurnsBesideIt(t *testing.T) {
	live(t, func(w *world) {
		w.epochs(1)
		p := proposal(100, 1)
		p.Proposal.VoteWindowEpochs = 1
		id := w.submitted(p)
		w.log.set(func(l *memoryLog) { l.delay = time.Second })
		w.advance()
		synctest.Wait()
		w.queue(id)
		time.Sleep(10 * time.Second)
		w.log.set(func(l *memoryLog) { l.delay = 0 })
		w.quiet()
		w.is(id, messages.Voting)
	})
}

// The executor has a breaker of its own over what it submits to, and its supervisor
// keeps a cell for it: whichever is open stands between it and the next payment.
func TestAnExecutorShutOffByItsSupervisorSaysSo(t *testing.T) {
	live(t, func(w *world) {
		w.epochs(1)
		w.ok(w.system.Inject(actors.Fault{Path: "/treasury/executor", Mode: actors.FaultPanic, Times: 5}))
		for range 5 {
			w.accrue(100)
			time.Sleep(5 * time.Second) // it restarts meanwhile
		}
		status, err := w.Executor()
		if err != nil || status.Breaker != breaker.Open.String() {
			t.Errorf("after five panics the executor's breaker is %q, %v", status.Breaker, err)
		}
		id := w.submitted(payment(10, 1))
		time.Sleep(3 * time.Minute)
		w.quiet()
		w.is(id, messages.Executed)
	})
}
