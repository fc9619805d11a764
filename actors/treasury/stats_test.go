package treasury_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/messages"
)

func TestFailuresAreCountedByWhatTheyAre(t *testing.T) {
	live(t, func(w *world) {
		root := w.submitted(payment(40, 1000))
		child := w.submitted(payment(40, 1000, root))
		w.submitted(payment(40, 1000, child))
		w.submitted(payment(40, 1000))
		w.submit(payment(1, 1, 99)).refused(messages.CodeMissingDependency, "")
		result[*messages.TransitionResult](w.rollback(root, "no"))
		w.quiet()
		w.submit(payment(1, 1, root)).refused(messages.CodeDependencyFailed, "")
		w.submit(payment(1, 1, child)).refused(messages.CodeDependencyFailed, "")
		w.plan([]messages.PlanItem{{Ref: "a", After: []string{"a"}, Payload: payment(1, 1)}}).
			refused(messages.CodeDependencyCycle, "")
		want := map[string]uint64{"missing": 1, "stale": 2, "circular": 1, "rolled_back_dependency": 2}
		if diff := cmp.Diff(want, w.Stats().DependencyFailures()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		w.submitted(payment(40, 1)) // no funds
		w.submitted(proposal(40, 1))
		w.epochs(4) // no votes
		errors := w.Stats().ExecutionErrors()
		if errors["insufficient_funds"] == 0 || errors["quorum_not_reached"] != 1 {
			t.Errorf("execution errors: %v", errors)
		}
	})
}

func TestActorsThatTakeUpTheirStateAreCounted(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(40, 1))
		before, _ := w.Stats().Recoveries()
		w.claim() // the executor begins again
		w.queue(id).wait()
		w.rollback(id, "no").wait() // the same actor
		w.quiet()
		if got, failed := w.Stats().Recoveries(); got != before+2 || failed != 0 {
			t.Errorf("%d actors took up their state, %d failed; want 2 and 0", got-before, failed)
		}
	})
}
