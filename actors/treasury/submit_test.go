package treasury_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// with is a payment or proposal, changed.
func with(p messages.Payload, change func(*messages.Payload)) messages.Payload {
	change(&p)
	return p
}

func TestASubmissionIsRefusedInTheWordsOfItsFault(t *testing.T) {
	pay := func(change func(*messages.Disbursement)) messages.Payload {
		return with(payment(10, 1), func(p *messages.Payload) { change(&p.Disbursement) })
	}
	propose := func(change func(*messages.Proposal)) messages.Payload {
		return with(proposal(10, 1), func(p *messages.Payload) { change(p.Proposal) })
	}
	many := make([]messages.DisbursementID, 101)
	for i := range many {
		many[i] = messages.DisbursementID(i + 1)
	}
	for name, c := range map[string]struct {
		payload messages.Payload
		code    messages.Code
		words   string
	}{
		"blank title":       {propose(func(p *messages.Proposal) { p.Title = " " }), messages.CodeValidationFailed, "title"},
		"blank summary":     {propose(func(p *messages.Proposal) { p.Summary = "" }), messages.CodeValidationFailed, "summary"},
		"blank destination": {pay(func(d *messages.Disbursement) { d.Destination = "" }), messages.CodeValidationFailed, "destination"},
		"outside account":   {pay(func(d *messages.Disbursement) { d.Destination = "0xabc" }), messages.CodeValidationFailed, "tb1"},
		"amount 0":          {pay(func(d *messages.Disbursement) { d.Amount = 0 }), messages.CodeValidationFailed, "amount"},
		"amount too large":  {pay(func(d *messages.Disbursement) { d.Amount = 1 << 63 }), messages.CodeValidationFailed, "amount"},
		"epoch 0":           {pay(func(d *messages.Disbursement) { d.ScheduledEpoch = 0 }), messages.CodeValidationFailed, "scheduled_epoch"},
		"quorum too large": {propose(func(p *messages.Proposal) { p.Quorum.OperatorsPPM = 1_000_001 }),
			messages.CodeValidationFailed, "operators_ppm"},
		"no quorum": {propose(func(p *messages.Proposal) { p.Quorum = messages.Quorum{} }), messages.CodeValidationFailed, "quorum"},
		"no vote window": {propose(func(p *messages.Proposal) { p.VoteWindowEpochs = 0 }),
			messages.CodeValidationFailed, "vote_window_epochs"},
		"no timelock": {propose(func(p *messages.Proposal) { p.TimelockEpochs = 0 }),
			messages.CodeValidationFailed, "timelock_epochs"},
		"no rollback window": {propose(func(p *messages.Proposal) { p.RollbackWindowEpochs = 0 }),
			messages.CodeValidationFailed, "rollback_window_epochs"},
		"receipts that do not add up": {pay(func(d *messages.Disbursement) {
			d.ExpectedReceipts = []messages.Receipt{{Account: "a", Amount: 9}}
		}), messages.CodeValidationFailed, "expected_receipts"},
		"long memo": {pay(func(d *messages.Disbursement) { d.Memo = strings.Repeat("x", 8193) }), messages.CodeMemoTooLong, "8192"},
		"101 dependencies": {propose(func(p *messages.Proposal) { p.Deps = many }),
			messages.CodeTooManyDependencies, "100"},
		"101 items in the memo": {pay(func(d *messages.Disbursement) { d.Memo = "depends_on=" + strings.Repeat("1,", 100) + "1" }),
			messages.CodeTooManyDependencies, "100"},
		"no id in the memo":  {pay(func(d *messages.Disbursement) { d.Memo = "depends_on=1,two" }), messages.CodeValidationFailed, "memo"},
		"half JSON":          {pay(func(d *messages.Disbursement) { d.Memo = `{"depends_on":[1` }), messages.CodeValidationFailed, "memo"},
		"missing dependency": {payment(10, 1, 77), messages.CodeMissingDependency, "dependency 77 does not exist"},
		"dependency 0":       {pay(func(d *messages.Disbursement) { d.Memo = "depends_on=0" }), messages.CodeMissingDependency, "dependency 0"},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(w *world) {
				w.submit(c.payload).refused(c.code, c.words)
				if id := w.submitted(payment(10, 100)); id != 1 {
					t.Errorf("the refusal used up an id: the next is %d", id)
				}
			})
		})
	}
}

func TestADependencyThatWasRolledBackIsRefusedWhileItFalls(t *testing.T) {
	live(t, func(w *world) {
		root := w.submitted(payment(10, 100))
		w.log.hold()
		falls := w.rollback(root, "no")
		time.Sleep(time.Second)
		late := w.submit(payment(10, 100, root)) // decided while root still stood
		time.Sleep(time.Second)
		w.log.release()
		result[*messages.TransitionResult](falls)
		err := late.refused(messages.CodeDependencyFailed, "dependency 1 was rolled back")
		if err.Data["dependency"] != uint64(root) {
			t.Errorf("data: %v", err.Data)
		}
		w.submit(payment(10, 100, root)).refused(messages.CodeDependencyFailed, "rolled back")
	})
}

func TestARequestIDMakesARepeatHarmless(t *testing.T) {
	requests := map[string]func(w *world, hows ...how) *reply{
		"submit":  func(w *world, hows ...how) *reply { return w.submit(payment(10, 100), hows...) },
		"propose": func(w *world, hows ...how) *reply { return w.submit(proposal(10, 100), hows...) },
		"accrue":  func(w *world, hows ...how) *reply { return w.accrue(10, hows...) },
		"plan": func(w *world, hows ...how) *reply {
			return w.plan([]messages.PlanItem{
				{Ref: "a", Payload: payment(1, 100), After: []string{"b"}}, {Ref: "b", Payload: payment(2, 100)},
			}, hows...)
		},
		"vote":     func(w *world, hows ...how) *reply { return w.vote(1, ayes(messages.Operators, "ada", 7), hows...) },
		"rollback": func(w *world, hows ...how) *reply { return w.rollback(1, "no", hows...) },
		"queue":    func(w *world, hows ...how) *reply { return w.queue(2, hows...) },
		"advance":  func(w *world, hows ...how) *reply { return w.advance(hows...) },
	}
	for name, ask := range requests {
		t.Run(name, func(t *testing.T) {
			live(t, func(w *world) {
				w.submitted(proposal(10, 1))
				w.epochs(1) // 1 is voting
				w.submitted(proposal(10, 1))
				first := result[any](ask(w, as("once")))
				same := func() {
					t.Helper()
					again := result[any](ask(w, as("once")))
					if !duplicate(again) || fmt.Sprintf("%+v", plain(again)) != fmt.Sprintf("%+v", plain(first)) {
						t.Errorf("first %+v, again %+v", first, again)
					}
				}
				same()
				last := w.store.Last(rows.TableDisbursements)
				w.crash(true)
				same()
				w.quiet()
				same()
				if now := w.store.Last(rows.TableDisbursements); now != last {
					t.Errorf("repeats made %d disbursements", now-last)
				}
				other := w.accrue(11, as("once"))
				other.refused(messages.CodeRequestIDConflict, "request_id")
			})
		})
	}
}

func TestTwoOfTheSameRequestAtOnceAreOne(t *testing.T) {
	live(t, func(w *world) {
		w.log.hold()
		a, b := w.submit(payment(10, 100), as("twin")), w.submit(payment(10, 100), as("twin"))
		time.Sleep(time.Second)
		w.log.release()
		one, two := result[*messages.SubmitDisbursementResult](a), result[*messages.SubmitDisbursementResult](b)
		if one.ID != two.ID || one.Duplicate == two.Duplicate {
			t.Errorf("got %+v and %+v", one, two)
		}
	})
}

func TestARefusalLeavesTheRequestIDFree(t *testing.T) {
	live(t, func(w *world) {
		w.submit(payment(10, 1, 1), as("free")).refused(messages.CodeMissingDependency, "1")
		w.rollback(9, "no", as("free")).refused(messages.CodeNotFound, "disbursement 9")
		w.accrue(0, as("free")).refused(messages.CodeValidationFailed, "amount")
		if got := result[*messages.SubmitDisbursementResult](w.submit(payment(10, 100), as("free"))); got.Duplicate {
			t.Errorf("got %+v", got)
		}
	})
}

func TestAnAccrualIsRefusedInItsWords(t *testing.T) {
	live(t, func(w *world) {
		w.accrue(0).refused(messages.CodeValidationFailed, "amount must be above 0")
		w.accrue(1<<63).refused(messages.CodeValidationFailed, "amount must be at most")
		w.funded(messages.AmountMax)
		w.accrue(1).refused(messages.CodeValidationFailed, "all accruals together")
	})
}

func TestACallerIsToldInTimeWhetherItsRequestWasProposed(t *testing.T) {
	calls := map[string]func(w *world, hows ...how) *reply{
		"submit":  func(w *world, hows ...how) *reply { return w.submit(payment(10, 100), hows...) },
		"vote":    func(w *world, hows ...how) *reply { return w.vote(1, ayes(messages.Operators, "ada", 7), hows...) },
		"advance": func(w *world, hows ...how) *reply { return w.advance(hows...) },
	}
	for name, ask := range calls {
		t.Run(name, func(t *testing.T) {
			live(t, func(w *world) {
				w.submitted(proposal(10, 1))
				w.epochs(1)
				w.log.fates(declines)
				ask(w).refused(messages.CodeUnavailable, "not done")
				w.log.fates(loses)
				ask(w).refused(messages.CodeOutcomeUnknown, "same request_id")
				w.log.hold()
				began := time.Now()
				hung := ask(w, as("hung"), within(time.Second))
				hung.refused(messages.CodeOutcomeUnknown, "same request_id")
				if took := time.Since(began); took > 1200*time.Millisecond {
					t.Errorf("answered after %v", took)
				}
				w.log.release()
				w.quiet()
				if got := result[any](ask(w, as("hung"))); !duplicate(got) {
					t.Errorf("the repeat got %+v", got)
				}
			})
		})
	}
}

func TestACommandBehindOneInTheLogIsCertainlyNotDoneAtItsDeadline(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(10, 1))
		w.epochs(1)
		w.log.hold()
		first := w.vote(id, ayes(messages.Operators, "ada", 1), within(time.Hour))
		began := time.Now()
		w.vote(id, ayes(messages.Operators, "bob", 1), within(time.Second)).refused(messages.CodeUnavailable, "not done")
		if took := time.Since(began); took > 1200*time.Millisecond {
			t.Errorf("answered after %v", took)
		}
		w.log.release()
		result[*messages.VoteResult](first)
	})
}

func TestCommandsBeyondWhatOneDisbursementHoldsAreOverload(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(10, 1))
		w.epochs(1)
		w.log.hold()
		var replies []*reply
		for i := range 300 {
			replies = append(replies, w.vote(id, ayes(messages.Operators, fmt.Sprint("v", i), 1), within(time.Hour)))
			time.Sleep(time.Millisecond)
		}
		w.log.release()
		done, refused := 0, 0
		for _, r := range replies {
			_, err := r.wait()
			switch {
			case err == nil:
				done++
			case err.Code == messages.CodeOverloaded && err.Data["retry_after_ms"] != nil:
				refused++
			default:
				t.Errorf("refused with %v", err)
			}
		}
		if done != 257 || refused != 43 {
			t.Errorf("%d done and %d refused, want 257 and 43", done, refused)
		}
	})
}

func TestAShardWithoutOwnerSaysSo(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(10, 1))
		w.Own(nil)
		time.Sleep(time.Second)
		w.submit(payment(1, 1)).refused(messages.CodeUnavailable, "no owner here")
		w.vote(id, ayes(messages.Operators, "ada", 1)).refused(messages.CodeUnavailable, "no owner here")
		w.execute(id).refused(messages.CodeUnavailable, "no owner here")
		w.advance().refused(messages.CodeUnavailable, "no owner here")
		w.claim()
		w.epochs(1)
	})
}

func TestAnOwnerThatWasReplacedWritesNothing(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(10, 1))
		txn := &persistence.Txn{}
		for i := range w.cfg.Shards() {
			shard := messages.ShardID(i)
			txn.Assigns = append(txn.Assigns, persistence.Assign{Shard: shard, Owner: "n2", From: w.store.Owner(shard).Fence})
		}
		w.propose(txn)
		for _, r := range []*reply{w.submit(payment(1, 1)), w.rollback(id, "no"), w.advance()} {
			if refusal := r.refused(messages.CodeUnavailable, ""); !moved(refusal) {
				t.Errorf("%v does not say that it may be asked for at another node", refusal)
			}
		}
		w.is(id, messages.Draft)
		w.claim()
	})
}

func TestAJournalThatIsFullIsOverload(t *testing.T) {
	live(t, func(w *world) {
		w.log.hold()
		var refused *messages.Error
		for range 200 {
			var burst []treasury.Appendable
			var replies []*reply
			for range 512 {
				request, r := w.ask("accrue", []how{within(time.Hour)})
				burst = append(burst, &treasury.Accrual{Request: request, Amount: 1})
				replies = append(replies, r)
			}
			w.Append(burst)
			time.Sleep(time.Millisecond)
			for _, r := range replies {
				if r.answered() {
					_, refused = r.wait()
				}
			}
			if refused != nil {
				break
			}
		}
		if refused == nil || refused.Code != messages.CodeOverloaded || refused.Data["retry_after_ms"] == nil {
			t.Errorf("refused with %v", refused)
		}
		w.log.release()
	})
}

// What is remembered under a request id is told by its kind: it was told by its length, so
// that a queue whose id a vote had borne was answered with that vote's result.
func TestARepeatIsAnsweredInItsOwnKindOnly(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(10, 1))
		w.epochs(1)
		same := func(r *durable.Request) { r.Hash = [16]byte{1} }
		result[*messages.VoteResult](w.vote(id, ayes(messages.Operators, "ada", 1), as("x"), same))
		w.queue(id, as("x"), same).refused(messages.CodeRequestIDConflict, "choose a new one")
		again := result[*messages.VoteResult](w.vote(id, ayes(messages.Operators, "ada", 1), as("x"), same))
		if !again.Duplicate || again.ID != id || again.OperatorsPPM != 1 {
			t.Errorf("the vote's own repeat got %+v", again)
		}
	})
}

// Rows that were written before replies bore the name of their kind stay readable.
func TestOldRepliesAreStillRead(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(10, 1))
		remembered := func(name string, reply []byte) {
			o := w.propose(&persistence.Txn{RequestID: name, PayloadHash: [16]byte{1}, Keep: persistence.KeepRecent, Reply: reply})
			w.ok(o.Err)
		}
		same := func(r *durable.Request) { r.Hash = [16]byte{1} }
		remembered("moved", []byte{byte(messages.Timelocked)})
		remembered("voted", []byte{0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3})
		moved := result[*messages.TransitionResult](w.queue(id, as("moved"), same))
		if want := (messages.TransitionResult{ID: id, State: messages.Timelocked, Duplicate: true}); *moved != want {
			t.Errorf("got %+v, want %+v", *moved, want)
		}
		voted := result[*messages.VoteResult](w.vote(id, ayes(messages.Operators, "ada", 1), as("voted"), same))
		if want := (messages.VoteResult{ID: id, OperatorsPPM: 258, BuildersPPM: 3, Duplicate: true}); *voted != want {
			t.Errorf("got %+v, want %+v", *voted, want)
		}
	})
}
