package treasury_test

import (
	"testing"

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
		statement, refusal := w.Statement(id)
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
