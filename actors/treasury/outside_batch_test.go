package treasury_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/the-block/bursar/actors/treasury/chain"
	"github.com/the-block/bursar/actors/treasury/chain/chaintest"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/supervision/breaker"
)

// slowly makes the node answer each POST after a second, so that payments are staged
// meanwhile, but for the k-th, from 0, which meets a fault. Those that look transactions up
// are not counted.
func (a *abroad) slowly(k int, fault chaintest.Fault) {
	n := 0
	a.node.Behave(func(method string) chaintest.Fault {
		if method == chain.MethodTransaction {
			return chaintest.Slow
		}
		if n++; n-1 == k {
			return fault
		}
		return chaintest.Slow
	})
}

// bars makes the chain refuse to pay some disbursements.
func (a *abroad) bars(ids ...messages.DisbursementID) {
	a.node.Refuse(func(tx payout.Transaction) string {
		if slices.Contains(ids, tx.ID) {
			return "barred"
		}
		return ""
	})
}

func TestManyPaymentsGoInOneRequest(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		const n = 3000
		a.begin(n * 10)
		a.slowly(-1, chaintest.None)
		ids := a.payments(n)
		time.Sleep(20 * time.Second)
		a.quiet()
		a.all(ids, messages.Executed)
		if posts := a.node.Posts(); len(posts) > 20 || slices.Max(posts) != payout.RoundMax {
			t.Errorf("requests in each POST: %d", posts)
		}
		if got := a.node.Calls(chain.MethodSubmit); got != n {
			t.Errorf("%d transactions were sent, want %d", got, n)
		}
	})
}

// TestEachFaultAtEachBatch lets the k-th POST meet every fault, while some payments are
// refused for good and the chain minds gaps, or does not.
func TestEachFaultAtEachBatch(t *testing.T) {
	barred := []messages.DisbursementID{4, 7, 8}
	for _, fault := range append(chaintest.Faults(), chaintest.None) {
		for _, gaps := range []bool{false, true} {
			for k := range 6 {
				t.Run(fmt.Sprintf("fault %d at POST %d, gaps refused: %t", fault, k, gaps), func(t *testing.T) {
					liveAbroad(t, func(a *abroad) {
						a.begin(1000)
						a.node.Gaps(gaps)
						a.bars(barred...)
						a.slowly(k, fault)
						ids := a.payments(16)
						a.calm()
						const probe = 1 // where it fails they are asked one by one for a while
						if posts := a.node.Posts(); k != probe && slices.Max(posts) < 4 {
							t.Errorf("requests in each POST: %d", posts)
						}
						for _, id := range ids {
							want := messages.Executed
							if slices.Contains(barred, id) {
								want = messages.RolledBack
							}
							a.is(id, want)
						}
					})
				})
			}
		}
	}
}

// TestACrashWhileABatchIsAsked crashes the node during the k-th POST, of which the chain
// does all, the first half, all later, or nothing.
func TestACrashWhileABatchIsAsked(t *testing.T) {
	for _, fault := range []chaintest.Fault{chaintest.Lost, chaintest.Half, chaintest.Unanswered, chaintest.Late} {
		for _, gaps := range []bool{false, true} {
			for k := range 5 {
				t.Run(fmt.Sprintf("fault %d at POST %d, gaps refused: %t", fault, k, gaps), func(t *testing.T) {
					liveAbroad(t, func(a *abroad) {
						a.begin(1000)
						a.node.Gaps(gaps)
						a.bars(3, 4)
						a.slowly(k, fault)
						a.payments(12)
						for len(a.node.Posts()) <= k {
							time.Sleep(10 * time.Millisecond)
						}
						time.Sleep(5 * time.Second) // it waits for the answer
						a.crash(true)
						a.calm()
						a.agree()
					})
				})
			}
		}
	}
}

// TestARefusalBehindAnotherIsNotForGood: the chain refuses the first of a batch for good,
// and all behind it because its nonce is free.
func TestARefusalBehindAnotherIsNotForGood(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(1000)
		a.node.Gaps(true)
		a.slowly(-1, chaintest.None)
		a.bars(2)
		ids := a.payments(30)
		time.Sleep(20 * time.Second)
		a.quiet()
		a.is(ids[1], messages.RolledBack)
		a.all(append(ids[:1:1], ids[2:]...), messages.Executed)
		if got := a.Stats().Executor().BreakerFailures.Load(); got != 0 {
			t.Errorf("the refusals count as %d failures", got)
		}
		if got := a.Stats().PaymentsRefused.Load(); got != 1 {
			t.Errorf("%d payments were refused, want 1", got)
		}
	})
}

// TestABatchIsOneCallToTheBreaker: what fails is the request, however many payments were
// in it, and a half-open breaker lets one payment out at a time.
func TestABatchIsOneCallToTheBreaker(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(10_000)
		a.slowly(-1, chaintest.None)
		ids := a.payments(500)
		for slices.Max(append(a.node.Posts(), 0)) < 32 {
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
		before := len(a.node.Posts())
		failures := 0
		a.node.Behave(func(method string) chaintest.Fault {
			if method == chain.MethodTransaction {
				return chaintest.None
			}
			failures++
			return chaintest.Unavailable
		})
		for a.Breaker() != breaker.Open {
			time.Sleep(100 * time.Millisecond)
		}
		if want := breaker.DefaultConfig().FailureThreshold; failures != want {
			t.Errorf("it opened after %d requests, want %d", failures, want)
		}
		if got := a.Stats().Executor().BreakerFailures.Load(); got != uint64(failures) {
			t.Errorf("%d failures were counted of %d", got, failures)
		}
		if got := a.node.Posts()[before]; got < 16 {
			t.Errorf("the first of them had %d payments", got)
		}
		before = len(a.node.Posts())
		a.slowly(-1, chaintest.None) // the chain is well again before the first probe
		time.Sleep(5 * time.Minute)
		a.quiet()
		a.all(ids, messages.Executed)
		probes := breaker.DefaultConfig().SuccessThreshold
		posts := a.node.Posts()[before:]
		if slices.Max(posts[:probes]) != 1 || posts[probes] == 1 {
			t.Errorf("requests in each POST after it was half open: %d", posts)
		}
	})
}

func TestAPauseAmongMany(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(10_000)
		a.slowly(-1, chaintest.None)
		a.bars(60)
		ids := a.payments(100)
		for slices.Max(append(a.node.Posts(), 0)) < 16 {
			time.Sleep(100 * time.Millisecond)
		}
		a.node.Behave(func(string) chaintest.Fault { return chaintest.Half })
		for a.status().PausedID == nil {
			time.Sleep(time.Second)
		}
		paused := *a.status().PausedID
		a.all(ids[:paused-1], messages.Executed)
		a.slowly(-1, chaintest.None)
		result[*messages.TransitionResult](a.skip(paused, false))
		time.Sleep(10 * time.Minute)
		a.quiet()
		a.is(60, messages.RolledBack)
		for _, id := range ids {
			want := messages.Executed
			if len(a.node.Payments()[id]) == 0 { // the paused one may have been in a half that was done
				want = messages.RolledBack
			}
			a.is(id, want)
		}
	})
}
