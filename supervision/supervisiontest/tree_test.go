package supervisiontest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/breaker"
	"github.com/the-block/bursar/supervision/supervisiontest"
)

// recorder is a testing.TB that writes down what it is told.
type recorder struct {
	testing.TB
	errors []string
}

func (w *recorder) Helper()           {}
func (w *recorder) Error(args ...any) { w.errors = append(w.errors, fmt.Sprint(args...)) }

// complaints runs a scenario on a tree that complains to a recorder.
func complaints(t *testing.T, scenario func(tree, seen *supervisiontest.Tree)) []string {
	t.Helper()
	var said []string
	supervisiontest.Run(t, func(t *testing.T, tree *supervisiontest.Tree) {
		w := &recorder{TB: t}
		scenario(tree, supervisiontest.New(w, tree.System))
		said = w.errors
	})
	return said
}

func TestAComplaintShowsWhatHappenedAndWhatWasExpected(t *testing.T) {
	got := complaints(t, func(tree, seen *supervisiontest.Tree) {
		tree.Spawn(shop(supervision.OneForOne))
		tree.Wait(3 * time.Second)
		tree.Fail("/shop/till-1", 1)
		tree.Tell("/shop/till-1", sale{1})
		seen.Expect(
			supervisiontest.Did("/shop/till-1", actors.EventFailed),
			supervisiontest.Cell("/shop/till-1", breaker.Open, breaker.FailuresInRow),
		)
	})
	want := []string{`something else happened
  what happened:
           +3s  /shop/till-1 failed (actors: injected fault)
  >             (nothing more)
  what was expected there:
                /shop/till-1 cell breaker to open: failures_in_row
`}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("got -, want +\n%s", diff)
	}
}

func TestAStepThatWasNotExpectedIsMarked(t *testing.T) {
	got := complaints(t, func(tree, seen *supervisiontest.Tree) {
		tree.Spawn(shop(supervision.OneForOne))
		tree.Fail("/shop/till-1", 1)
		tree.Tell("/shop/till-1", sale{1})
		seen.Expect()
	})
	want := []string{`something else happened
  what happened:
  >        +0s  /shop/till-1 failed (actors: injected fault)
  what was expected there:
                (nothing more)
`}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("got -, want +\n%s", diff)
	}
}

func TestExpectationsJudgeOrderAndExtraSteps(t *testing.T) {
	failed := supervisiontest.Did("/shop/till-1", actors.EventFailed)
	restarted := supervisiontest.Did("/shop/till-1", actors.EventRestarted)
	for name, c := range map[string]struct {
		expect func(*supervisiontest.Tree)
		holds  bool
	}{
		"all in order":  {func(x *supervisiontest.Tree) { x.Expect(failed, restarted, failed, restarted) }, true},
		"a wrong order": {func(x *supervisiontest.Tree) { x.Expect(restarted, failed, failed, restarted) }, false},
		"one too few":   {func(x *supervisiontest.Tree) { x.Expect(failed, restarted, failed) }, false},
		"one too many":  {func(x *supervisiontest.Tree) { x.Expect(failed, restarted, failed, restarted, failed) }, false},
		"among others":  {func(x *supervisiontest.Tree) { x.ExpectAmong(restarted, restarted) }, true},
		"none of it":    {func(x *supervisiontest.Tree) { x.ExpectAmong() }, true},
		"among others, not often enough": {
			func(x *supervisiontest.Tree) { x.ExpectAmong(restarted, restarted, restarted) }, false},
		"among others, in another order": {
			func(x *supervisiontest.Tree) { x.ExpectAmong(restarted, failed, failed) }, false},
		"each step once": {func(x *supervisiontest.Tree) {
			x.ExpectAmong(failed)
			x.Expect()
		}, true},
	} {
		said := complaints(t, func(tree, seen *supervisiontest.Tree) {
			tree.Spawn(shop(supervision.OneForOne))
			for range 2 {
				tree.Fail("/shop/till-1", 1)
				tree.Tell("/shop/till-1", sale{1})
				tree.Wait(time.Second)
			}
			c.expect(seen)
		})
		if held := len(said) == 0; held != c.holds {
			t.Errorf("%s: held %v, want %v\n%s", name, held, c.holds, strings.Join(said, "\n"))
		}
	}
}

func TestSlowActorsTakeTheirTimeAndLoseNothing(t *testing.T) {
	supervisiontest.Run(t, func(t *testing.T, tree *supervisiontest.Tree) {
		tree.Spawn(shop(supervision.OneForOne))
		tree.Slow("/shop/till-1", 2, 50*time.Millisecond)
		began := time.Now()
		tree.Tell("/shop/till-1", sale{1}, sale{2})
		sum, err := supervisiontest.Ask[int](tree, "/shop/till-1", sale{3})
		if took := time.Since(began); sum != 6 || err != nil || took != 100*time.Millisecond {
			t.Errorf("%d, %v after %v; want 6 after 100ms", sum, err, took)
		}
		tree.Expect()
		if state := tree.State("/shop/till-1"); state.Processed != 3 || state.Restarts != 0 {
			t.Errorf("%d messages, %d restarts; want 3 and 0", state.Processed, state.Restarts)
		}
	})
}
