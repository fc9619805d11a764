package treasury_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
)

func TestAPaymentOfTheTreasuryItselfIsMadeAtOnceIfItIsDueAndFunded(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		w.epochs(1)
		id := w.submitted(payment(40, 1))
		w.quiet()
		w.is(id, messages.Executed)
		w.holds(60)
		w.epochs(1)
		w.is(id, messages.Finalized)
	})
}

func TestAProposalIsPaidOnceItWasVotedOnAndItsTimelockEnded(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		id := w.submitted(proposal(40, 1))
		w.is(id, messages.Draft)
		w.epochs(1)
		w.is(id, messages.Voting)
		w.carried(id)
		w.epochs(1)
		w.is(id, messages.Voting)
		w.epochs(1)
		w.is(id, messages.Queued)
		w.epochs(1)
		w.is(id, messages.Executed)
		w.holds(60)
		w.epochs(1)
		w.is(id, messages.Executed)
		w.epochs(1)
		w.is(id, messages.Finalized)
		statement, refusal := w.Statement(&messages.StatementParams{ID: id})
		if refusal != nil {
			t.Fatal(refusal)
		}
		want := []string{"draft", "voting", "queued", "timelocked", "executed", "finalized"}
		if len(statement.Transitions) != len(want) {
			t.Fatalf("transitions: %+v", statement.Transitions)
		}
		for i, step := range statement.Transitions {
			if step.To != want[i] || step.Index == 0 || step.Node != "n1" || step.At == 0 {
				t.Errorf("step %d is %+v, want to %s", i, step, want[i])
			}
		}
	})
}

func TestStatesMoveOnlyAsTheirRulesSay(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(40, 6))
		w.vote(id, ayes(messages.Operators, "ada", 1)).refused(messages.CodeInvalidTransition, "the disbursement is draft")
		queued := result[*messages.TransitionResult](w.queue(id))
		if queued.State != messages.Voting { // at once, without an epoch
			t.Errorf("queued to %+v", queued)
		}
		w.queue(id).refused(messages.CodeInvalidTransition, "its next step comes at epoch 2, and it is epoch 0")
		w.vote(id, ayes(messages.Operators, "", 1)).refused(messages.CodeValidationFailed, "voter")
		w.vote(id, ayes(messages.Operators, "ada", 0)).refused(messages.CodeValidationFailed, "weight_ppm")
		w.vote(id, ayes(messages.Operators, "ada", 1_000_001)).refused(messages.CodeValidationFailed, "weight_ppm")
		w.vote(id, ayes(7, "ada", 1)).refused(messages.CodeValidationFailed, "house")
		w.vote(9, ayes(messages.Operators, "ada", 1)).refused(messages.CodeNotFound, "there is no disbursement 9")
		w.carried(id)
		w.vote(id, ayes(messages.Operators, "eve", 500_001)).refused(messages.CodeValidationFailed, "weights of the operators")
		w.epochs(3)
		w.is(id, messages.Timelocked)
		w.vote(id, ayes(messages.Operators, "ada", 1)).refused(messages.CodeInvalidTransition, "the disbursement is timelocked")
		w.queue(id).refused(messages.CodeInvalidTransition, "it is due at epoch 6, and it is epoch 3")
		w.rollback(id, "").refused(messages.CodeValidationFailed, "reason")
		result[*messages.TransitionResult](w.rollback(id, "no"))
		w.rollback(id, "no").refused(messages.CodeInvalidTransition, "the disbursement is rolled_back")
	})
}

func TestTheLastVoteOfAVoterCounts(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(40, 1))
		w.epochs(1)
		w.carried(id)
		nay := ayes(messages.Builders, "bob", 400_000)
		nay.Approve = false
		got := result[*messages.VoteResult](w.vote(id, nay))
		if got.OperatorsPPM != 500_000 || got.BuildersPPM != 0 {
			t.Errorf("got %+v", got)
		}
		w.epochs(2)
		w.is(id, messages.RolledBack)
		if got := w.get(id).Status.Reason; got != "quorum_not_reached" {
			t.Errorf("reason %q", got)
		}
		if got := w.Stats().QuorumsMissed.Load(); got != 1 {
			t.Errorf("%d votes without quorum are counted, want 1", got)
		}
	})
}

// The statement tells every vote: who sent it, when and why, and which others took the place of.
func TestAStatementTellsEveryVote(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(40, 1))
		other := w.submitted(proposal(40, 1))
		w.epochs(1)
		nay := ayes(messages.Builders, "bob", 400_000)
		nay.Approve = false
		cast := func(id messages.DisbursementID, v disbursement.Vote, reason string) {
			request, r := w.ask(struct {
				V      disbursement.Vote
				Reason string
			}{v, reason}, nil)
			request.Who, request.By.Name = "10.0.0.7:51000", v.Voter+".cert"
			if reason == "" {
				request.Who, request.By.Name = "127.0.0.1:51000", ""
			}
			w.Command(&treasury.Vote{Request: request, ID: id, Vote: v, Reason: reason})
			result[*messages.VoteResult](r)
		}
		cast(id, ayes(messages.Operators, "ada", 500_000), "")
		cast(id, ayes(messages.Builders, "bob", 400_000), "well argued")
		cast(other, ayes(messages.Builders, "bob", 1), "")
		cast(id, nay, "too dear after all")
		got, refusal := w.Statement(&messages.StatementParams{ID: id})
		if refusal != nil {
			t.Fatal(refusal)
		}
		want := []messages.CastVote{
			{House: messages.Operators, Voter: "ada", WeightPPM: 500_000, Approve: true, Who: "loopback"},
			{House: messages.Builders, Voter: "bob", WeightPPM: 400_000, Approve: true, Who: "bob.cert", Reason: "well argued", Replaced: true},
			{House: messages.Builders, Voter: "bob", WeightPPM: 400_000, Who: "bob.cert", Reason: "too dear after all"},
		}
		for i := range want {
			want[i].At, want[i].Node = uint64(time.Now().Unix()), string(w.Config().Node)
		}
		if diff := cmp.Diff(got.Votes, want); diff != "" || got.NextCursor != 0 {
			t.Errorf("next %d (-got +want):\n%s", got.NextCursor, diff)
		}
	})
}

// A long list of votes comes in pages that know of each other what was replaced.
func TestTheVotesOfAStatementComeInPages(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(40, 1))
		w.epochs(1)
		const votes = 1_200
		for i := range votes {
			result[*messages.VoteResult](w.vote(id, ayes(messages.Operators, fmt.Sprint(i%700), 1)))
		}
		var all []messages.CastVote
		pages := 0
		for cursor := messages.Cursor(0); cursor != 0 || pages == 0; pages++ {
			got, refusal := w.Statement(&messages.StatementParams{ID: id, Cursor: cursor})
			if refusal != nil {
				t.Fatal(refusal)
			}
			all, cursor = append(all, got.Votes...), got.NextCursor
		}
		if len(all) != votes || pages != 3 {
			t.Fatalf("%d votes in %d pages", len(all), pages)
		}
		for i, v := range all {
			if v.Voter != fmt.Sprint(i%700) || v.Replaced != (i+700 < votes) {
				t.Fatalf("vote %d is %+v", i, v)
			}
		}
	})
}

func TestAVoteThatCommitsAfterTheDeadlineDoesNotCount(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(40, 1))
		w.epochs(2)
		w.log.hold()
		epoch := w.advance(within(time.Hour)) // the deadline
		time.Sleep(time.Second)
		vote := w.vote(id, ayes(messages.Operators, "ada", 1), within(time.Hour))
		time.Sleep(time.Second)
		w.log.release()
		result[*messages.EpochResult](epoch)
		vote.refused(messages.CodeInvalidTransition, "")
	})
}

func TestACascadeTakesAllDependentsAndNamesItsRoot(t *testing.T) {
	for name, crash := range map[string]bool{"in peace": false, "through crashes": true} {
		t.Run(name, func(t *testing.T) {
			live(t, func(w *world) {
				root := w.submitted(payment(1, 100))
				bystander := w.submitted(payment(1, 100))
				last := root
				for i := range 200 { // a chain, whose every third hangs on the bystander too
					deps := []messages.DisbursementID{last}
					if i%3 == 0 {
						deps = append([]messages.DisbursementID{bystander}, deps...)
					}
					last = w.submitted(proposal(1, 100, deps...))
				}
				w.log.set(func(l *memoryLog) { l.delay = 3 * time.Millisecond })
				result[*messages.TransitionResult](w.rollback(root, "no"))
				for i := 0; crash && i < 20; i++ {
					time.Sleep(20 * time.Millisecond)
					w.crash(i%2 == 0)
				}
				w.quiet()
				w.quiet()
				w.is(bystander, messages.Draft)
				for id := bystander + 1; id <= last; id++ {
					status := w.get(id).Status
					if status.State != messages.RolledBack || status.Reason != "dependency_failed: disbursement 1 was rolled back" {
						t.Fatalf("disbursement %d: %+v", id, status)
					}
				}
			})
		})
	}
}

func TestAPlanIsTakenWholeOrNotAtAll(t *testing.T) {
	item := func(ref string, p messages.Payload, after ...string) messages.PlanItem {
		return messages.PlanItem{Ref: ref, Payload: p, After: after}
	}
	many := make([]messages.PlanItem, 102)
	for i := range many {
		many[i] = item(fmt.Sprint("i", i), payment(1, 1))
		if i > 0 {
			many[0].After = append(many[0].After, many[i].Ref)
		}
	}
	for name, c := range map[string]struct {
		items []messages.PlanItem
		code  messages.Code
		words string
	}{
		"empty":          {nil, messages.CodeValidationFailed, "items is empty"},
		"blank ref":      {[]messages.PlanItem{item("", payment(1, 1))}, messages.CodeValidationFailed, "items[0].ref is blank"},
		"twice":          {[]messages.PlanItem{item("a", payment(1, 1)), item("a", payment(1, 1))}, messages.CodeValidationFailed, "duplicate ref"},
		"unknown":        {[]messages.PlanItem{item("a", payment(1, 1), "b")}, messages.CodeValidationFailed, "unknown ref"},
		"itself":         {[]messages.PlanItem{item("a", payment(1, 1), "a")}, messages.CodeDependencyCycle, "a -> a"},
		"cycle":          {[]messages.PlanItem{item("a", payment(1, 1), "b"), item("b", payment(1, 1), "a")}, messages.CodeDependencyCycle, "a -> b -> a"},
		"bad item":       {[]messages.PlanItem{item("a", payment(1, 1)), item("b", payment(0, 1))}, messages.CodeValidationFailed, "item b"},
		"too many":       {many, messages.CodeTooManyDependencies, "item i0: 101"},
		"missing":        {[]messages.PlanItem{item("a", payment(1, 1)), item("b", payment(1, 1, 9))}, messages.CodeMissingDependency, "dependency 9"},
		"rolled back":    {[]messages.PlanItem{item("a", payment(1, 1, 1))}, messages.CodeDependencyFailed, "dependency 1"},
		"own id guessed": {[]messages.PlanItem{item("a", payment(1, 1, 2))}, messages.CodeMissingDependency, "dependency 2"},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(w *world) {
				id := w.submitted(payment(1, 100))
				result[*messages.TransitionResult](w.rollback(id, "no"))
				err := w.plan(c.items).refused(c.code, c.words)
				if c.code == messages.CodeDependencyCycle && err.Data["cycle"] == nil {
					t.Errorf("data: %v", err.Data)
				}
				if last := w.store.Last(rows.TableDisbursements); last != 1 {
					t.Errorf("%d disbursements were made of a refused plan", last-1)
				}
				judged, refusal := w.CheckPlan(c.items)
				switch {
				case c.code == messages.CodeDependencyCycle && (refusal != nil || len(judged.Cycle) == 0),
					c.code != messages.CodeDependencyCycle && (refusal == nil || refusal.Code != c.code):
					t.Errorf("check_plan says %+v, %v", judged, refusal)
				}
			})
		})
	}
}

func TestAPlansItemsWaitForOneAnotherWhateverTheirOrder(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		before := w.submitted(payment(1, 1))
		got := result[*messages.SubmitPlanResult](w.plan([]messages.PlanItem{
			{Ref: "last", Payload: payment(1, 1, before), After: []string{"middle", "first"}},
			{Ref: "middle", Payload: payment(1, 1), After: []string{"first"}},
			{Ref: "first", Payload: payment(1, 1)},
		}))
		ids := make(map[string]messages.DisbursementID)
		for _, item := range got.IDs {
			ids[item.Ref] = item.ID
		}
		row, refusal := w.Get(ids["last"])
		if refusal != nil || len(row.Deps) != 3 || row.Deps[0] != before {
			t.Fatalf("the last item depends on %v (%v)", row.Deps, refusal)
		}
		w.epochs(1)
		w.is(ids["first"], messages.Executed)
		w.is(ids["middle"], messages.Draft)
		w.epochs(1)
		w.is(ids["middle"], messages.Executed)
		w.is(ids["last"], messages.Draft)
		w.crash(true)
		w.epochs(1)
		w.is(ids["last"], messages.Executed)
	})
}

func TestADueSweepOfLargeRecordsIsCutToFit(t *testing.T) {
	live(t, func(w *world) {
		var replies []*reply
		for range 400 {
			p := proposal(1, 100)
			p.Proposal.Summary = strings.Repeat("s", 16<<10)
			replies = append(replies, w.submit(p))
		}
		for _, r := range replies {
			result[*messages.SubmitDisbursementResult](r)
		}
		w.epochs(1)
		if got := w.Model().InState(messages.Voting); got != 400 {
			t.Errorf("%d are voting, want 400", got)
		}
		if got := w.Stats().Transitions(messages.Voting); got != 400 {
			t.Errorf("%d transitions are counted, want 400", got)
		}
	})
}

// TestACascadeGoesDownManyLevelsInOneTxn, across shards: a long chain does not take a
// round through the log for each of its records.
func TestACascadeGoesDownManyLevelsInOneTxn(t *testing.T) {
	live(t, func(w *world) {
		w.epochs(1)
		const length = 900
		items := []messages.PlanItem{{Ref: "0", Payload: payment(1, 1000)}}
		for i := 1; i < length; i++ {
			items = append(items, messages.PlanItem{
				Ref: fmt.Sprint(i), After: []string{fmt.Sprint(i - 1)}, Payload: payment(1, 1000),
			})
		}
		ids := result[*messages.SubmitPlanResult](w.plan(items)).IDs
		w.quiet()
		before, root := w.store.Applied(), ids[0].ID
		result[*messages.TransitionResult](w.rollback(root, "no longer wanted"))
		w.quiet()
		want := fmt.Sprintf("dependency_failed: disbursement %d was rolled back", root)
		for _, item := range ids {
			status := w.get(item.ID).Status
			if status.State != messages.RolledBack || item.ID != root && status.Reason != want {
				t.Fatalf("item %s is %s (%s)", item.Ref, status.State, status.Reason)
			}
		}
		if entries := w.store.Applied() - before; entries > 20 {
			t.Errorf("it took %d entries for %d levels", entries, length)
		}
	})
}
