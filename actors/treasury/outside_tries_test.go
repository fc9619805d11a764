package treasury_test

import (
	"testing"
	"time"

	"github.com/the-block/bursar/actors/treasury/chain"
	"github.com/the-block/bursar/actors/treasury/chain/chaintest"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
)

func TestARestartGrantsNoFurtherTries(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(1000)
		a.node.Behave(func(string) chaintest.Fault { return chaintest.Unavailable })
		id := a.payments(1)[0]
		const restarts = 4
		for range restarts {
			for before := a.node.Calls(chain.MethodSubmit); a.node.Calls(chain.MethodSubmit) < before+4; {
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(10 * time.Millisecond) // the last try is in the log
			a.crash(true)
		}
		time.Sleep(2 * time.Hour)
		a.quiet()
		if status := a.status(); status.PausedID == nil || *status.PausedID != id {
			t.Fatalf("the executor is %+v", status)
		}
		// A try that a crash cuts off before it is in the log is not counted.
		if got := a.node.Calls(chain.MethodSubmit); got > payout.TriesMax+restarts {
			t.Errorf("%d tries, want at most %d and one for each restart", got, payout.TriesMax)
		}

		calls := a.node.Calls(chain.MethodSubmit)
		a.crash(true)
		time.Sleep(2 * time.Hour)
		a.quiet()
		status := a.status()
		if status.PausedID == nil || *status.PausedID != id || status.PausedReason == "" {
			t.Fatalf("after a restart the executor is %+v", status)
		}
		if got := a.node.Calls(chain.MethodSubmit); got != calls {
			t.Errorf("a restart granted %d more tries", got-calls)
		}

		result[*messages.TransitionResult](a.skip(id, true))
		time.Sleep(10 * time.Second)
		a.crash(true) // the order to try again is in the log
		time.Sleep(time.Minute)
		if got := a.node.Calls(chain.MethodSubmit); got == calls {
			t.Error("the order to try again was forgotten")
		}
		a.node.Behave(nil)
		time.Sleep(5 * time.Minute)
		a.quiet()
		a.is(id, messages.Executed)
	})
}
