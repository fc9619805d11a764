package treasury_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/actors/treasury/chain"
	"github.com/the-block/bursar/actors/treasury/chain/chaintest"
	"github.com/the-block/bursar/actors/treasury/executor"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/supervision/breaker"
)

// abroad is a world whose payments are made on an outside chain.
type abroad struct {
	*world
	node    *chaintest.Node
	account string
	home    []messages.DisbursementID // paid by the ledger
}

// liveAbroad runs a test in a bubble with a world and a chain of its own. At the end
// the chain works, and its ledger is held against the treasury's records.
func liveAbroad(t *testing.T, test func(*abroad)) {
	t.Helper()
	a := &abroad{}
	live(t, func(w *world) {
		a.world = w
		test(a)
		a.node.Behave(nil)
		a.node.Down(false)
		a.node.Manual(false)
		a.node.Confirm()
		a.calm()
		a.agree()
	}, a.found)
}

// found gives the world its chain.
func (a *abroad) found(w *world) {
	a.node = chaintest.NewNode()
	w.t.Cleanup(a.node.Close)
	signer, err := payout.NewSigner(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)))
	w.ok(err)
	a.account = signer.Account()
	cfg := chain.DefaultConfig()
	cfg.URL, cfg.Account = "http://chain.test/", a.account
	client, err := chain.New(cfg, a.node.Transport())
	w.ok(err)
	w.cfg.Outside = &executor.Outside{Chain: client, Signer: signer}
}

// calm lets everything come to its end: retries, the breaker's time-outs, pauses.
func (a *abroad) calm() {
	a.t.Helper()
	for range 100 {
		time.Sleep(2 * time.Minute)
		a.quiet()
		status := a.status()
		switch {
		case status.PausedID != nil:
			a.skip(*status.PausedID, true)
		case status.Staged == 0:
			next, waiting := a.node.Next(a.account)
			if next == status.NextNonce && waiting == 0 {
				return
			}
		}
	}
	next, waiting := a.node.Next(a.account)
	a.t.Errorf("no calm: %+v; on the chain the next nonce is %d, %d wait", a.status(), next, waiting)
}

// agree holds the chain's ledger against the records: one transfer for each payment
// that was executed, none for the others, no gap in the nonces.
func (a *abroad) agree() {
	a.t.Helper()
	paid := a.node.Payments()
	for id := messages.DisbursementID(1); uint64(id) <= a.store.Last(rows.TableDisbursements); id++ {
		if slices.Contains(a.home, id) {
			continue
		}
		d := a.get(id)
		transfers := paid[id]
		delete(paid, id)
		switch d.Status.State {
		case messages.Executed, messages.Finalized:
			if len(transfers) != 1 || transfers[0].Amount != d.Amount || transfers[0].Destination != d.Destination {
				a.t.Errorf("disbursement %d is %s; the chain has %+v", id, d.Status.State, transfers)
			}
		case messages.RolledBack:
			if want := len(d.Status.PriorTx) / 64; len(transfers) != want {
				a.t.Errorf("disbursement %d was rolled back (%q); the chain has %+v", id, d.Status.Reason, transfers)
			}
		default:
			if len(transfers) > 0 {
				a.t.Errorf("disbursement %d is %s; the chain has %+v", id, d.Status.State, transfers)
			}
		}
	}
	delete(paid, 0) // a stranger's
	if len(paid) > 0 {
		a.t.Errorf("the chain has payments that nobody ordered: %+v", paid)
	}
	sent := a.node.Sent(a.account)
	for i, nonce := range sent {
		if nonce != uint64(i+1) {
			a.t.Errorf("nonces were sent in the order %d", sent)
			break
		}
	}
	a.check()
}

func (a *abroad) status() messages.ExecutorStatus {
	a.t.Helper()
	result, refusal := a.Executor()
	if refusal != nil {
		a.t.Fatal(refusal)
	}
	return result.ExecutorStatus
}

func (a *abroad) skip(id messages.DisbursementID, retry bool, hows ...how) *reply {
	a.t.Helper()
	a.reach()
	request, r := a.ask([]any{"skip", id, retry}, hows)
	a.SkipIntent(&executor.SkipIntent{Request: request, ID: id, Retry: retry, Reason: "a test"})
	return r
}

// payments submits n payments of 10 that are due at once, and gives their ids in order.
func (a *abroad) payments(n int) (ids []messages.DisbursementID) {
	a.t.Helper()
	var replies []*reply
	for range n {
		replies = append(replies, a.submit(payment(10, 1)))
	}
	for _, r := range replies {
		ids = append(ids, result[*messages.SubmitDisbursementResult](r).ID)
	}
	slices.Sort(ids)
	return ids
}

// begin is epoch 1, with funds.
func (a *abroad) begin(funds messages.Amount) {
	a.t.Helper()
	a.funded(funds)
	a.epochs(1)
}

func (a *abroad) all(ids []messages.DisbursementID, want messages.State) {
	a.t.Helper()
	for _, id := range ids {
		a.is(id, want)
	}
}

func TestPaymentsAreMadeOnAnOutsideChain(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(1000)
		ids := a.payments(5)
		a.quiet()
		a.all(ids, messages.Executed)
		a.holds(950)
		if got := a.node.Balance("tb1payee"); got != 50 {
			t.Errorf("the payee has %d on the chain, want 50", got)
		}
		mirror, refusal := a.Account("tb1payee")
		if refusal != nil || mirror.Balance != 50 {
			t.Errorf("the payee's mirror holds %+v %v", mirror, refusal)
		}
		if status := a.status(); status.Submitter != "http" || status.NextNonce != 6 || status.Staged != 0 {
			t.Errorf("the executor is %+v", status)
		}
		if got := a.node.Calls(chain.MethodSubmit); got != 5 {
			t.Errorf("%d transactions were sent, want 5", got)
		}
		a.epochs(1)
		a.all(ids, messages.Finalized)
	})
}

func TestMorePaymentsThanMayBeInFlight(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(1_000_000)
		a.node.Down(true)
		ids := a.payments(payout.InFlightMax + 500)
		a.quiet()
		if status := a.status(); status.Staged > payout.InFlightMax {
			t.Errorf("%d are staged", status.Staged)
		}
		a.node.Down(false)
		time.Sleep(5 * time.Minute)
		a.quiet()
		a.all(ids, messages.Executed)
	})
}

func TestARefusedPaymentIsRolledBackAndItsNonceTakenByTheNext(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(25) // the third has to wait for the funds of the first
		a.node.Refuse(func(tx payout.Transaction) string {
			if tx.ID == 1 {
				return "the payee is barred"
			}
			return ""
		})
		ids := a.payments(3)
		a.quiet()
		a.is(ids[0], messages.RolledBack)
		a.all(ids[1:], messages.Executed)
		a.holds(5)
		if got := a.get(ids[0]).Status.Reason; got != "the payee is barred" {
			t.Errorf("the reason is %q", got)
		}
		if got := a.status(); got.Breaker != "closed" || a.Stats().Executor().BreakerFailures.Load() != 0 || a.Stats().PaymentsRefused.Load() != 1 {
			t.Errorf("the refusal counts as a failure: %+v", got)
		}
	})
}

func TestAFreedNonceIsFilledThoughNothingIsToBePaid(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(1000)
		a.node.Refuse(func(payout.Transaction) string { return "no" })
		ids := a.payments(4)
		a.quiet()
		a.all(ids, messages.RolledBack)
		a.holds(1000)
		if next, _ := a.node.Next(a.account); next != a.status().NextNonce {
			t.Errorf("the chain's next nonce is %d, the treasury's %d", next, a.status().NextNonce)
		}
		a.node.Refuse(nil)
		ids = a.payments(2)
		a.quiet()
		a.all(ids, messages.Executed)
	})
}

func TestDependentsOfARefusedPaymentFail(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(1000)
		a.node.Down(true)
		first := a.submitted(payment(10, 1))
		second := a.submitted(payment(10, 1, first))
		a.quiet()
		a.rollback(first, "never mind").refused(messages.CodeInvalidTransition, "staged")
		a.node.Refuse(func(tx payout.Transaction) string { return "no" })
		a.node.Down(false)
		time.Sleep(time.Minute)
		a.quiet()
		a.is(first, messages.RolledBack)
		a.is(second, messages.RolledBack)
	})
}

// TestEachFaultAtEachRequest lets the k-th request to the chain meet every fault.
func TestEachFaultAtEachRequest(t *testing.T) {
	for _, fault := range chaintest.Faults() {
		for _, refuses := range []bool{false, true} {
			for k := range 8 {
				t.Run(fmt.Sprintf("fault %d at request %d, refused: %t", fault, k, refuses), func(t *testing.T) {
					liveAbroad(t, func(a *abroad) {
						a.begin(1000)
						n := 0
						a.node.Behave(func(string) chaintest.Fault {
							if n++; n-1 == k {
								return fault
							}
							return chaintest.None
						})
						a.node.Refuse(func(tx payout.Transaction) string {
							if refuses && tx.ID == 2 {
								return "no"
							}
							return ""
						})
						a.payments(4)
						a.calm()
						a.agree()
						if a.get(2).Status.State == messages.RolledBack != refuses {
							t.Errorf("the second is %+v", a.get(2).Status)
						}
					})
				})
			}
		}
	}
}

// TestACrashAtEachStep crashes the node while the k-th entry is on its way to the log,
// which it reaches or not.
func TestACrashAtEachStep(t *testing.T) {
	for _, commit := range []bool{true, false} {
		for k := range 14 {
			t.Run(fmt.Sprintf("entry %d, committed: %t", k, commit), func(t *testing.T) {
				liveAbroad(t, func(a *abroad) {
					a.begin(1000)
					a.node.Refuse(func(tx payout.Transaction) string {
						if tx.ID == 2 {
							return "no"
						}
						return ""
					})
					a.log.set(func(l *memoryLog) {
						n := 0
						l.next = func() fate {
							n++
							l.held = l.held || n-1 == k
							return commits
						}
					})
					var replies []*reply
					for range 3 {
						replies = append(replies, a.submit(payment(10, 1)))
						a.quiet()
					}
					a.log.set(func(l *memoryLog) { l.next = func() fate { return commits } })
					a.crash(commit)
					a.calm()
					a.agree()
					for _, r := range replies {
						r.answered()
					}
				})
			})
		}
	}
}

// TestACrashWhileTheChainIsAsked crashes the node during the k-th request, which the
// chain has done, or does later, or never.
func TestACrashWhileTheChainIsAsked(t *testing.T) {
	for _, fault := range []chaintest.Fault{chaintest.Lost, chaintest.Unanswered, chaintest.Late} {
		for _, refused := range []messages.DisbursementID{0, 1, 2} {
			for k := range 4 {
				t.Run(fmt.Sprintf("fault %d at request %d, %d refused", fault, k, refused), func(t *testing.T) {
					liveAbroad(t, func(a *abroad) {
						a.begin(1000)
						n := 0
						a.node.Behave(func(string) chaintest.Fault {
							if n++; n-1 == k {
								return fault
							}
							return chaintest.None
						})
						a.node.Refuse(func(tx payout.Transaction) string {
							if tx.ID == refused {
								return "no"
							}
							return ""
						})
						a.payments(3)
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

// TestEachFateOfEachEntry lets the k-th entry meet every fate a log may have for it.
func TestEachFateOfEachEntry(t *testing.T) {
	for _, f := range []fate{declines, loses, mumbles, dawdles} {
		for k := range 10 {
			t.Run(fmt.Sprintf("fate %d of entry %d", f, k), func(t *testing.T) {
				liveAbroad(t, func(a *abroad) {
					a.begin(1000)
					a.node.Refuse(func(tx payout.Transaction) string {
						if tx.ID == 2 {
							return "no"
						}
						return ""
					})
					ids := a.payments(1)
					a.quiet()
					fates := make([]fate, k, k+1)
					a.log.fates(append(fates, f)...)
					for range 3 {
						a.submit(payment(10, 1))
						a.quiet()
					}
					a.log.always(commits)
					a.calm()
					a.agree()
					a.all(ids, messages.Executed)
				})
			})
		}
	}
}

// TestARefusalAfterARestartDoesNotEndAPayment: the try before the crash may still be on
// its way, and the chain may think better of it.
func TestARefusalAfterARestartDoesNotEndAPayment(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(1000)
		a.node.Manual(true)
		a.node.Behave(func(string) chaintest.Fault { return chaintest.Late })
		id := a.payments(1)[0]
		time.Sleep(5 * time.Second)
		a.crash(true)
		a.node.Behave(nil)
		a.node.Refuse(func(payout.Transaction) string { return "no" })
		time.Sleep(time.Minute)
		a.is(id, messages.Draft) // given up, and the null transaction is not confirmed
		a.holds(990)
		a.node.Confirm()
		time.Sleep(2 * time.Minute)
		a.quiet()
		a.is(id, messages.RolledBack)
		a.holds(1000)
	})
}

// TestACommitFromBeforeTheLineIsRefused has a rollback reach the log so late that its
// payment was sent again meanwhile, and accepted.
func TestACommitFromBeforeTheLineIsRefused(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(1000)
		a.node.Refuse(func(payout.Transaction) string { return "no" })
		a.log.fates(commits, commits, dawdles) // submission, intent, rollback
		r := a.submit(payment(10, 1))
		var straggler [][]byte
		for straggler == nil {
			time.Sleep(time.Millisecond)
			a.log.set(func(l *memoryLog) { straggler, l.late = l.late, nil })
		}
		a.node.Refuse(nil)
		a.node.Behave(func(string) chaintest.Fault { return chaintest.Slow })
		for a.node.Calls(chain.MethodSubmit) < 2 {
			time.Sleep(time.Millisecond)
		}
		a.log.set(func(l *memoryLog) { l.late = straggler })
		a.funded(1) // takes it along
		a.quiet()
		a.is(result[*messages.SubmitDisbursementResult](r).ID, messages.Executed)
	})
}

// paused brings a world to the point where the executor has paused at the first of
// three payments; what it sent is done late.
func (a *abroad) paused(fault chaintest.Fault) []messages.DisbursementID {
	a.t.Helper()
	a.begin(1000)
	a.node.Behave(func(string) chaintest.Fault { return fault })
	ids := a.payments(3)
	time.Sleep(time.Hour) // the breaker's time-outs between the tries
	a.quiet()
	status := a.status()
	if status.PausedID == nil || *status.PausedID != ids[0] || status.PausedReason == "" || status.Staged != 3 {
		a.t.Fatalf("the executor is %+v", status)
	}
	return ids
}

func TestThePauseEndsWithARetry(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		ids := a.paused(chaintest.Unavailable)
		calls := a.node.Calls(chain.MethodSubmit)
		if calls != payout.TriesMax {
			t.Errorf("%d tries, want %d", calls, payout.TriesMax)
		}
		a.skip(ids[1], true).refused(messages.CodeInvalidTransition, "paused at disbursement 1")
		a.node.Behave(nil)
		time.Sleep(time.Hour)
		a.quiet()
		if got := a.node.Calls(chain.MethodSubmit); got != calls {
			t.Errorf("it went on by itself")
		}
		got := result[*messages.TransitionResult](a.skip(ids[0], true, as("again")))
		if got.State != messages.Draft || got.Duplicate {
			t.Errorf("got %+v", got)
		}
		time.Sleep(5 * time.Minute)
		a.quiet()
		a.all(ids, messages.Executed)
		if got := result[*messages.TransitionResult](a.skip(ids[0], true, as("again"))); !got.Duplicate {
			t.Errorf("the repeat got %+v", got)
		}
		a.skip(ids[0], true).refused(messages.CodeInvalidTransition, "has not paused")
	})
}

func TestASkippedPaymentIsRolledBackWhenAnotherTransactionIsConfirmed(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		ids := a.paused(chaintest.Lost)
		a.node.Behave(nil)
		a.node.Manual(true)
		result[*messages.TransitionResult](a.skip(ids[0], false))
		time.Sleep(10 * time.Minute)
		a.quiet()
		a.is(ids[0], messages.Draft) // not confirmed: it may still be paid
		a.all(ids[1:], messages.Executed)
		a.holds(970)
		a.node.Confirm()
		time.Sleep(10 * time.Minute)
		a.quiet()
		a.is(ids[0], messages.RolledBack)
		a.holds(980)
		if reason := a.get(ids[0]).Status.Reason; !strings.HasPrefix(reason, "skipped by an operator (a test): ") {
			t.Errorf("the reason is %q", reason)
		}
	})
}

func TestASkippedPaymentThatTheChainHadIsExecuted(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		ids := a.paused(chaintest.Unanswered)
		a.node.Behave(nil)
		result[*messages.TransitionResult](a.skip(ids[0], false))
		time.Sleep(10 * time.Minute)
		a.quiet()
		a.all(ids, messages.Executed)
		a.holds(970)
	})
}

func TestAPaymentThatArrivesAfterItWasSkippedIsStillMadeOnce(t *testing.T) {
	for _, replaces := range []bool{false, true} {
		liveAbroad(t, func(a *abroad) {
			a.begin(1000)
			a.node.Manual(true)
			a.node.Replace(replaces)
			tries := 0
			a.node.Behave(func(string) chaintest.Fault {
				if tries++; tries == payout.TriesMax {
					return chaintest.Late
				}
				return chaintest.Unavailable
			})
			id := a.payments(1)[0]
			for a.status().PausedID == nil {
				time.Sleep(time.Second)
			}
			a.node.Behave(nil)
			result[*messages.TransitionResult](a.skip(id, false))
			time.Sleep(2 * time.Minute) // the null transaction is with the chain
			a.is(id, messages.Draft)
			time.Sleep(5 * time.Minute) // the late one has arrived
			a.is(id, messages.Draft)
			a.node.Confirm()
			time.Sleep(2 * time.Minute)
			a.quiet()
			want := messages.RolledBack
			if len(a.node.Payments()[id]) > 0 { // the one that came last is confirmed
				want = messages.Executed
			}
			a.is(id, want)
		})
	}
}

func TestExecuteIsAnsweredWhenTheChainHasAccepted(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(1000)
		a.node.Down(true)
		id := a.payments(1)[0]
		a.quiet()
		call := a.execute(id, as("now"), within(time.Hour))
		late := a.execute(id, within(time.Second))
		a.quiet()
		late.refused(messages.CodeOutcomeUnknown, "")
		if call.answered() {
			t.Error("answered before it was paid")
		}
		a.node.Down(false)
		time.Sleep(2 * time.Minute)
		if got := result[*messages.TransitionResult](call); got.State != messages.Executed || got.Duplicate {
			t.Errorf("got %+v", got)
		}
		if got := result[*messages.TransitionResult](a.execute(id, as("now"))); !got.Duplicate {
			t.Errorf("the repeat got %+v", got)
		}
	})
}

// accrueFrom accrues what a transaction of the chain brought.
func (a *abroad) accrueFrom(amount messages.Amount, tx string) *reply {
	a.t.Helper()
	request, r := a.ask([]any{amount, tx}, nil)
	a.Append([]treasury.Appendable{&treasury.Accrual{Request: request, Amount: amount, Source: tx}})
	return r
}

func (a *abroad) reverse(id messages.DisbursementID, tx string) *reply {
	a.t.Helper()
	a.reach()
	request, r := a.ask([]any{"reverse", id, tx}, nil)
	c := &treasury.Rollback{Request: request, ID: id}
	c.Reversal.Reason, c.Reversal.ReversingTx = "paid by mistake", tx
	if refusal := a.VerifyReversal(a.t.Context(), c); refusal != nil {
		r.Fail(refusal)
		return r
	}
	a.Command(c)
	return r
}

func TestAnOutsidePaymentIsRolledBackByThePayeesConfirmedTransferOnly(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		payee := payment(10, 1).Disbursement.Destination
		text := func(sender, destination string, amount messages.Amount) string {
			hash := a.node.Transfer(sender, destination, amount)
			return hex.EncodeToString(hash[:])
		}
		early := text(payee, a.account, 10)
		a.begin(1000)
		ids := a.payments(2)
		a.quiet()
		a.reverse(ids[0], "").refused(messages.CodeValidationFailed, "must name the confirmed transfer")
		a.reverse(ids[0], "0xfeed").refused(messages.CodeValidationFailed, "hexadecimal")
		a.reverse(ids[0], strings.Repeat("ab", 32)).refused(messages.CodeValidationFailed, "not a confirmed")
		a.reverse(ids[0], text(payee, "tb1somebody", 10)).refused(messages.CodeValidationFailed, "pays tb1somebody")
		a.reverse(ids[0], text(payee, a.account, 9)).refused(messages.CodeValidationFailed, "pays 9")
		a.reverse(ids[0], text("tb1stranger", a.account, 10)).refused(messages.CodeValidationFailed, "paid by tb1stranger")
		a.reverse(ids[0], a.get(ids[1]).Status.TxHash).refused(messages.CodeValidationFailed, "paid by "+a.account)
		a.reverse(ids[0], early).refused(messages.CodeValidationFailed, "a return comes after it")
		accrued := text(payee, a.account, 10)
		a.accrueFrom(10, accrued).wait()
		a.reverse(ids[0], accrued).refused(messages.CodeValidationFailed, "or is an accrual")
		good := text(payee, a.account, 10)
		a.node.Down(true)
		a.reverse(ids[0], good).refused(messages.CodeUnavailable, "cannot be looked up")
		a.node.Down(false)
		result[*messages.TransitionResult](a.reverse(ids[0], strings.ToUpper(good)))
		a.is(ids[0], messages.RolledBack)
		a.holds(1000)
		a.reverse(ids[1], good).refused(messages.CodeValidationFailed, "taken for another payment")
		a.accrueFrom(10, good).refused(messages.CodeValidationFailed, "or returned a payment")
		a.accrueFrom(10, accrued).refused(messages.CodeValidationFailed, "was accrued before")
		a.holds(1000)
	})
}

// TestOneTransferReturnsOnePaymentThoughTwoAreTakenBackAtOnce: both decisions are made before
// either is in the log.
func TestOneTransferReturnsOnePaymentThoughTwoAreTakenBackAtOnce(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(1000)
		ids := a.payments(2)
		a.quiet()
		hash := a.node.Transfer(payment(10, 1).Disbursement.Destination, a.account, 10)
		good := hex.EncodeToString(hash[:])
		a.log.set(func(l *memoryLog) { l.delay = time.Second })
		first, second := a.reverse(ids[0], good), a.reverse(ids[1], good)
		time.Sleep(5 * time.Second)
		a.log.set(func(l *memoryLog) { l.delay = 0 })
		a.quiet()
		taken := 0
		for _, r := range []*reply{first, second} {
			if _, err := r.wait(); err == nil {
				taken++
			}
		}
		if taken != 1 {
			t.Errorf("one transfer has returned %d payments", taken)
		}
		a.holds(990)
	})
}

// TestTheBreakerOfTheSubmitter counts the transitions that failing submissions cause
// (F16), and what a half-open breaker lets through.
func TestTheBreakerOfTheSubmitter(t *testing.T) {
	tests := []struct {
		name string
		// fails says of the n-th request, from 0, whether it fails.
		fails func(n int) bool
		// trips is how often the breaker opens.
		trips int
	}{
		{"one in ten", func(n int) bool { return n%10 == 9 }, 0},
		{"half", func(n int) bool { return n%2 == 0 }, 31}, // at the tenth failure, and at each of the 30 after it
		{"all", func(int) bool { return true }, 1 + payout.TriesMax - breaker.DefaultConfig().FailureThreshold},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			liveAbroad(t, func(a *abroad) {
				a.begin(1000)
				events, err := a.system.Subscribe(1000)
				a.ok(err)
				defer events.Close()
				var asked []time.Time
				a.node.Batches(0, chaintest.AsObject)
				a.node.Behave(func(method string) chaintest.Fault {
					if method != chain.MethodSubmit {
						return chaintest.None // a look whether the node takes batches
					}
					asked = append(asked, time.Now())
					if test.fails(len(asked) - 1) {
						return chaintest.Unavailable
					}
					return chaintest.None
				})
				a.payments(40)
				time.Sleep(30 * time.Minute)
				a.quiet()
				var got []string
				for len(events.C) > 0 {
					if e := <-events.C; e.Transition != nil {
						got = append(got, e.Transition.String())
					}
				}
				want, trips := replayed(t, asked, test.fails)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("transitions (-want +got):\n%s", diff)
				}
				if trips != uint64(test.trips) {
					t.Errorf("it opened %d times, want %d", trips, test.trips)
				}
				failures := 0
				for n := range asked {
					if test.fails(n) {
						failures++
					}
				}
				stats := a.Stats().Executor()
				if stats.BreakerFailures.Load() != uint64(failures) || stats.BreakerSuccesses.Load() != uint64(len(asked)-failures) {
					t.Errorf("counted %d failures and %d successes of %d requests", stats.BreakerFailures.Load(),
						stats.BreakerSuccesses.Load(), len(asked))
				}
			})
		})
	}
}

// replayed puts requests to a breaker of its own, which must let each of them pass, and
// gives the transitions up to now.
func replayed(t *testing.T, asked []time.Time, fails func(int) bool) (transitions []string, trips uint64) {
	t.Helper()
	b, err := breaker.New("/treasury/executor", breaker.DefaultConfig(), asked[0])
	if err != nil {
		t.Fatal(err)
	}
	note := func(e *breaker.Event) {
		if e != nil {
			transitions = append(transitions, e.String())
			trips = e.Trips
		}
	}
	for n, at := range asked {
		note(b.Tick(at))
		token, ok := b.Admit()
		if !ok {
			t.Errorf("request %d was made though the breaker was %s", n, b.State())
		}
		if fails(n) {
			note(b.Failure(token, at))
		} else {
			note(b.Success(token, at))
		}
	}
	note(b.Tick(time.Now()))
	return transitions, trips
}

func TestATreasuryMayChangeItsSubmitterWhileNothingIsInFlight(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(1000)
		abroad := a.payments(3)
		a.quiet()
		a.node.Down(true)
		open := a.payments(1)
		a.quiet()
		outside, ledger := a.cfg.Outside, payout.Binding{Submitter: "ledger"}
		a.cfg.Outside = nil
		a.crash(true)
		home := a.payments(5)
		a.quiet()
		a.all(append(home, open...), messages.Draft)
		a.rebind(ledger).refused(messages.CodeInvalidTransition, "payments are in flight")
		a.cfg.Outside = outside
		a.node.Down(false)
		a.crash(true)
		time.Sleep(2 * time.Minute)
		a.quiet()
		a.all(append(home, open...), messages.Executed)
		a.ok(a.rebound(ledger))
		a.cfg.Outside = nil
		a.crash(true)
		home = a.payments(5)
		a.quiet()
		a.all(home, messages.Executed)
		a.check()
		result[*messages.TransitionResult](a.reverse(home[0], ""))
		a.is(home[0], messages.RolledBack)
		a.reverse(abroad[0], "").refused(messages.CodeValidationFailed, "outside chain")
		a.ok(a.rebound(payout.Binding{Submitter: "http", Account: a.account}))
		a.cfg.Outside = outside
		a.crash(true)
		abroad = append(append(abroad, open...), a.payments(2)...)
		time.Sleep(2 * time.Minute)
		a.quiet()
		a.all(abroad, messages.Executed)
		a.home = home
	})
}

// TestAPaymentIsFinalOnceItsChainSaysSo: what was accepted can still be lost.
func TestAPaymentIsFinalOnceItsChainSaysSo(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(1000)
		a.node.Manual(true)
		ids := a.payments(3)
		a.quiet()
		a.all(ids, messages.Executed)
		a.epochs(20)
		time.Sleep(time.Hour)
		a.all(ids, messages.Executed)
		a.queue(ids[0]).refused(messages.CodeInvalidTransition, "the chain has not confirmed its payment, under nonce 1")
		a.node.Confirm()
		time.Sleep(time.Minute)
		a.quiet()
		a.all(ids, messages.Finalized)
		if got := a.status(); got.ConfirmedNonce != 3 || got.LostNonce != 0 {
			t.Errorf("the executor says %+v", got)
		}
	})
}

// TestALedgerPaymentNeedsNoChain to be final.
func TestALedgerPaymentNeedsNoChain(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		id := result[*messages.SubmitDisbursementResult](w.submit(payment(10, 1))).ID
		w.epochs(3)
		w.quiet()
		w.is(id, messages.Finalized)
	})
}

// TestAChainThatLosesWhatItTook is told, finalizes nothing of it, and is sent the same
// bytes again when an operator says so.
func TestAChainThatLosesWhatItTook(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(10_000)
		final := a.payments(3)
		a.quiet()
		time.Sleep(time.Minute)
		a.epochs(3)
		a.quiet()
		a.all(final, messages.Finalized)
		a.node.Manual(true)
		lost := a.payments(5)
		a.quiet()
		a.all(lost, messages.Executed)
		a.node.Fork(a.account, 5)
		more := a.payments(2)
		a.quiet()
		a.node.Manual(false)
		a.node.Confirm()
		a.epochs(20)
		time.Sleep(time.Hour)
		a.is(lost[0], messages.Finalized) // nonce 4 came through
		a.all(append(lost[1:], more...), messages.Executed)
		if got := a.status(); got.ConfirmedNonce != 4 || got.LostNonce != 5 {
			t.Fatalf("the executor says %+v", got)
		}
		a.resend(0).refused(messages.CodeValidationFailed, "that can be sent again are 1 to 10")
		a.resend(11).refused(messages.CodeValidationFailed, "from_nonce is 11")
		got := result[*messages.ResendResult](a.resend(5, as("again")))
		if want := (messages.ResendResult{FromNonce: 5, Nonces: 6}); *got != want {
			t.Errorf("got %+v, want %+v", *got, want)
		}
		time.Sleep(time.Minute)
		a.quiet()
		a.all(append(lost[1:], more...), messages.Finalized)
		if got := a.status(); got.ConfirmedNonce != 10 || got.LostNonce != 0 {
			t.Errorf("the executor says %+v", got)
		}
		if got := result[*messages.ResendResult](a.resend(5, as("again"))); !got.Duplicate {
			t.Errorf("the repeat got %+v", got)
		}
	})
}

func (a *abroad) resend(from uint64, hows ...how) *reply {
	a.t.Helper()
	a.reach()
	request, r := a.ask([]any{"resend", from}, hows)
	a.Resend(&executor.Resend{Request: request, From: from})
	return r
}
