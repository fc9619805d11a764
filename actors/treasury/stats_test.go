package treasury_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors/treasury"
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
		s := w.Stats()
		got := []uint64{s.MissingDependencies.Load(), s.StaleDependencies.Load(), s.CircularDependencies.Load(), s.RolledBackDependencies.Load()}
		if diff := cmp.Diff([]uint64{1, 2, 1, 2}, got); diff != "" {
			t.Errorf("missing, stale, circular, rolled back (-want +got)\n%s", diff)
		}
		w.submitted(payment(40, 1)) // no funds
		w.submitted(proposal(40, 1))
		w.epochs(4) // no votes
		if s.InsufficientFunds.Load() == 0 || s.QuorumsMissed.Load() != 1 {
			t.Errorf("%d without funds, %d without a quorum", s.InsufficientFunds.Load(), s.QuorumsMissed.Load())
		}
	})
}

func TestActorsThatTakeUpTheirStateAreCounted(t *testing.T) {
	live(t, func(w *world) {
		id := w.submitted(proposal(40, 1))
		before := w.Stats().Recoveries.Load()
		w.claim() // the executor begins again
		w.queue(id).wait()
		w.rollback(id, "no").wait() // the same actor
		w.quiet()
		if got, failed := w.Stats().Recoveries.Load(), w.Stats().RecoveriesFailed.Load(); got != before+2 || failed != 0 {
			t.Errorf("%d actors took up their state, %d failed; want 2 and 0", got-before, failed)
		}
	})
}

// A payment is in time within three epochs of nothing keeping it back any more.
func TestThreeEpochsAreInTime(t *testing.T) {
	due := time.Unix(1000, 0)
	for _, c := range []struct {
		name       string
		funded     time.Time
		took       time.Duration
		wantInTime bool
	}{
		{"at the limit", time.Time{}, 30 * time.Second, true},
		{"beyond it", time.Time{}, 31 * time.Second, false},
		{"funds came later", due.Add(time.Hour), time.Hour + 30*time.Second, true},
		{"late after funds came", due.Add(time.Hour), time.Hour + 31*time.Second, false},
	} {
		if got := treasury.InTime(due, c.funded, 10*time.Second, due.Add(c.took)); got != c.wantInTime {
			t.Errorf("%s: in time is %v", c.name, got)
		}
	}
}
