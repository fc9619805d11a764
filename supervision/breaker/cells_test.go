package breaker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/supervision/breaker"
)

func newCells(tb testing.TB, cfg breaker.Config, room int) *breaker.Cells {
	tb.Helper()
	cells, err := breaker.NewCells("/top", cfg, breaker.NewBudget(room), start)
	if err != nil {
		tb.Fatal(err)
	}
	return cells
}

func childPath(i int) string { return fmt.Sprintf("/top/%d", i) }

// failChild reports a failure of the child in a call that its gate admits.
func failChild(t *testing.T, cells *breaker.Cells, child string, now time.Time) []breaker.Event {
	t.Helper()
	pass, ok := breaker.NewGate(cells.Own(), cells.Cell(child)).Admit()
	if !ok {
		t.Fatalf("the gate of %s refuses", child)
	}
	return cells.Failure(child, pass, now)
}

func TestAPoisonChildClosesItsOwnDoorOnly(t *testing.T) {
	cells := newCells(t, breaker.DefaultConfig(), 10)
	var events []breaker.Event
	for range 5 {
		events = append(events, failChild(t, cells, "/top/1", start)...)
	}
	if len(events) != 1 || events[0].Scope != breaker.Cell || events[0].Path != "/top/1" || events[0].To != breaker.Open {
		t.Fatalf("five failures of one child: %v, want its cell open", events)
	}
	poison := breaker.NewGate(cells.Own(), cells.Cell("/top/1"))
	if _, ok := poison.Admit(); ok || poison.Passes() || poison.RetryAfter(start) != time.Minute {
		t.Error("its gate lets calls pass")
	}
	sibling := breaker.NewGate(cells.Own(), cells.Cell("/top/2"))
	if _, ok := sibling.Admit(); !ok || sibling.RetryAfter(start) != 0 {
		t.Error("a sibling's gate refuses")
	}
}

func TestDifferentChildrenOpenTheSupervisor(t *testing.T) {
	cells := newCells(t, breaker.DefaultConfig(), 10)
	for i := range 4 {
		for range 3 { // the same child again is not a different one
			if events := failChild(t, cells, childPath(i), start); events != nil {
				t.Fatalf("child %d: %v", i, events)
			}
		}
	}
	events := failChild(t, cells, childPath(4), at(299*time.Second))
	if len(events) != 1 || events[0].Scope != breaker.Own || events[0].Reason != breaker.ChildrenFailed {
		t.Fatalf("the fifth child: %v, want the supervisor's own breaker open", events)
	}
	if _, ok := breaker.NewGate(cells.Own(), nil).Admit(); ok {
		t.Error("a child that never failed is still called")
	}
}

func TestChildrenCalledBeforeTheSupervisorOpenedDoNotCount(t *testing.T) {
	cells := newCells(t, breaker.DefaultConfig(), 10)
	early, _ := breaker.NewGate(cells.Own(), nil).Admit()
	cells.Own().Trip(breaker.ChildrenFailed, start)
	now := at(time.Minute)
	cells.Tick(now, 10)
	succeedProbes(cells.Own(), now)
	for i := range 8 {
		if events := cells.Failure(childPath(i), early, now); events != nil {
			t.Fatalf("child %d: %v", i, events)
		}
	}
}

func TestAChildsSuccessDoesNotHideWhatTheSupervisorGuards(t *testing.T) {
	cells := newCells(t, breaker.DefaultConfig(), 10)
	gate := breaker.NewGate(cells.Own(), nil)
	var opened *breaker.Event
	for range 5 {
		pass, _ := gate.Admit()
		gate.Success(pass, start)
		opened = fail(cells.Own(), 1, start)
	}
	if opened == nil || opened.Reason != breaker.FailuresInRow {
		t.Errorf("five failures of its storage among successes of children: %v, want open", opened)
	}
}

func TestChildrenThatFailedLongAgoDoNotCount(t *testing.T) {
	cells := newCells(t, breaker.DefaultConfig(), 100)
	for i := range 40 {
		if events := failChild(t, cells, childPath(i), at(time.Duration(i)*75*time.Second)); events != nil {
			t.Fatalf("child %d: %v; four failures a window must not open it", i, events)
		}
	}
}

func TestACallToAChildProbesTheSupervisor(t *testing.T) {
	cells := newCells(t, breaker.DefaultConfig(), 10)
	cells.Own().Trip(breaker.ChildrenFailed, start)
	now := at(time.Minute)
	cells.Tick(now, 10)
	gate := breaker.NewGate(cells.Own(), nil)
	first, _ := gate.Admit()
	second, _ := gate.Admit()
	if _, ok := gate.Admit(); ok {
		t.Fatal("a third call passes")
	}
	gate.Cancel(second)
	second, _ = gate.Admit()
	if events := gate.Success(first, now); events != nil {
		t.Fatalf("one of two: %v", events)
	}
	if events := gate.Success(second, now); len(events) != 1 || events[0].To != breaker.Closed {
		t.Errorf("both: %v, want closed", events)
	}

	cells.Own().Trip(breaker.ChildrenFailed, now)
	now = now.Add(time.Minute)
	cells.Tick(now, 10)
	first, _ = gate.Admit()
	if events := cells.Failure("/top/1", first, now); len(events) != 1 || events[0].Reason != breaker.ProbeFailed {
		t.Errorf("a failed call: %v, want open again", events)
	}
}

func TestARefusedCallGivesTheSupervisorsProbeBack(t *testing.T) {
	cells := newCells(t, breaker.DefaultConfig(), 10)
	cells.Trip("/top/1", breaker.RestartsExhausted, at(time.Minute))
	cells.Own().Trip(breaker.ChildrenFailed, start)
	cells.Tick(at(time.Minute), 10)
	gate := breaker.NewGate(cells.Own(), cells.Cell("/top/1"))
	for range 10 {
		if _, ok := gate.Admit(); ok {
			t.Fatal("the gate of an open cell admits")
		}
	}
	if got := cells.Own().Snapshot(at(time.Minute)).InFlight; got != 0 {
		t.Errorf("%d of the supervisor's probes are out, want 0", got)
	}
}

func TestWithoutRoomForACellTheFailureIsTheSupervisors(t *testing.T) {
	cells := newCells(t, breaker.DefaultConfig(), 2)
	for i := range 3 {
		failChild(t, cells, childPath(i), start)
	}
	if cells.Cell(childPath(2)) != nil || cells.Len() != 2 {
		t.Fatalf("%d cells, want 2", cells.Len())
	}
	if got := cells.Own().Snapshot(start).Failures; got != 1 {
		t.Errorf("the supervisor counts %d failures, want 1", got)
	}
	if event := cells.Trip(childPath(2), breaker.RestartsExhausted, start); event != nil {
		t.Errorf("Trip without room = %v", event)
	}
	if event := cells.Force(childPath(2), breaker.ForcedOpen, start); event == nil {
		t.Error("a force found no room: it has a limit of its own")
	}
}

func TestForgottenCellsMakeRoom(t *testing.T) {
	cells := newCells(t, breaker.DefaultConfig(), 2)
	failChild(t, cells, childPath(0), start)
	failChild(t, cells, childPath(1), at(time.Second))
	next, ok := cells.Next(start)
	if !ok || !next.Equal(at(300*time.Second)) {
		t.Fatalf("Next = %v, %v, want a window after the first failure", next, ok)
	}
	_, forgotten := cells.Tick(at(300*time.Second), 10)
	if diff := cmp.Diff([]string{childPath(0)}, forgotten); diff != "" {
		t.Errorf("forgotten (-want +got):\n%s", diff)
	}
	failChild(t, cells, childPath(2), at(300*time.Second))
	if cells.Cell(childPath(2)) == nil {
		t.Error("the room was not given back")
	}
}

func TestSweepingIsBounded(t *testing.T) {
	cfg := breaker.DefaultConfig()
	cfg.FailureThreshold = 1_000
	cells := newCells(t, cfg, 1_000)
	for i := range 500 {
		failChild(t, cells, childPath(i), start)
	}
	later := at(cfg.Window)
	for want := 400; want >= 0; want -= 100 {
		if _, forgotten := cells.Tick(later, 100); len(forgotten) != 100 || cells.Len() != want {
			t.Fatalf("one tick forgot %d, %d are left, want 100 and %d", len(forgotten), cells.Len(), want)
		}
	}
	if next, ok := cells.Next(later); ok {
		t.Errorf("Next = %v with nothing left", next)
	}
}

func TestAHalfOpenCellNobodyCallsIsForgotten(t *testing.T) {
	cells := newCells(t, breaker.DefaultConfig(), 10)
	cells.Trip("/top/1", breaker.RestartsExhausted, start)
	held := cells.Cell("/top/1")
	var reasons []string
	for next, ok := cells.Next(start); ok; next, ok = cells.Next(next) {
		events, _ := cells.Tick(next, 10)
		for _, e := range events {
			reasons = append(reasons, e.Reason.String()+" at "+next.Sub(start).String())
		}
	}
	want := []string{"timeout_passed at 1m0s", "forgotten at 6m0s"}
	if diff := cmp.Diff(want, reasons); diff != "" {
		t.Errorf("what happened to it (-want +got):\n%s", diff)
	}
	if !held.Passes() || held.State() != breaker.Closed {
		t.Error("who still holds it finds it shut")
	}
}

func TestAForceKeepsItsCellAndResetRemovesIt(t *testing.T) {
	cells := newCells(t, breaker.DefaultConfig(), 0)
	cells.Force("/top/1", breaker.ForcedOpen, start)
	now := start
	for range 5 {
		now, _ = cells.Next(now)
		cells.Tick(now, 10)
	}
	held := cells.Cell("/top/1")
	if held == nil || held.Passes() {
		t.Fatal("the force is gone")
	}
	if event := cells.Reset("/top/1", now); event == nil || event.Reason != breaker.ResetByOperator {
		t.Errorf("Reset = %v", event)
	}
	if cells.Cell("/top/1") != nil || !held.Passes() {
		t.Error("the cell is still there")
	}
	if event := cells.Reset("/top/1", now); event != nil {
		t.Errorf("Reset of nothing = %v", event)
	}
}

// TestCellsKeepTheirPromises holds whatever happens: no more cells than room, a
// cell for exactly those children that failed within the window or are not closed,
// and Next is never in the past once Tick has nothing left to do.
func TestCellsKeepTheirPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room := rapid.IntRange(1, 6).Draw(t, "room")
		cfg := breaker.DefaultConfig()
		cells, err := breaker.NewCells("/top", cfg, breaker.NewBudget(room), start)
		if err != nil {
			t.Fatal(err)
		}
		now := start
		failed := map[string]time.Time{}  // children with a cell, by their last failure
		touched := map[string]time.Time{} // by their last failure, or turn that a tick brought
		settle := func() {
			for next, ok := cells.Next(now); ok && !next.After(now); next, ok = cells.Next(now) {
				events, _ := cells.Tick(now, 3)
				for _, e := range events {
					touched[e.Path] = now
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"failure": func(t *rapid.T) {
				child := childPath(rapid.IntRange(0, 8).Draw(t, "child"))
				gate := breaker.NewGate(cells.Own(), cells.Cell(child))
				pass, ok := gate.Admit()
				if !ok {
					return
				}
				cells.Failure(child, pass, now)
				if cells.Cell(child) != nil {
					failed[child], touched[child] = now, now
				}
			},
			"success": func(t *rapid.T) {
				child := childPath(rapid.IntRange(0, 8).Draw(t, "child"))
				gate := breaker.NewGate(cells.Own(), cells.Cell(child))
				if pass, ok := gate.Admit(); ok {
					gate.Success(pass, now)
				}
			},
			"time passes": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 200).Draw(t, "seconds")) * time.Second)
				settle()
			},
			"": func(t *rapid.T) {
				if cells.Len() > room {
					t.Fatalf("%d cells, room for %d", cells.Len(), room)
				}
				for child, when := range failed {
					if now.Sub(when) < cfg.Window && cells.Cell(child) == nil {
						t.Fatalf("the cell of %s is gone %v after its failure", child, now.Sub(when))
					}
				}
				for b := range cells.All() {
					s := b.Snapshot(now)
					if s.Scope == breaker.Cell && s.State == breaker.Closed && now.Sub(touched[s.Path]) >= cfg.Window+cfg.ProbeTimeout {
						t.Fatalf("the cell of %s is kept %v after anything happened to it", s.Path, now.Sub(touched[s.Path]))
					}
				}
			},
		})
	})
}

func TestClosedCellsGiveTheirRoomBack(t *testing.T) {
	budget := breaker.NewBudget(2)
	for range 3 {
		cells, err := breaker.NewCells("/top", breaker.DefaultConfig(), budget, start)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			failChild(t, cells, childPath(i), start)
		}
		if got := cells.Len(); got != 2 {
			t.Fatalf("%d cells, want room for 2", got)
		}
		cells.Close()
		if got := cells.Len(); got != 0 {
			t.Errorf("%d cells after the end", got)
		}
	}
}

func TestBreakersAreListedWhileChildrenFail(t *testing.T) {
	cfg := breaker.DefaultConfig()
	cfg.FailureThreshold = 1000
	cells := newCells(t, cfg, 1000)
	spin(
		func() {
			for i := range 500 {
				cells.Failure(childPath(i), breaker.NewGate(cells.Own(), nil).Current(), start)
			}
		},
		func() {
			for range 100 {
				n := 0
				for b := range cells.All() {
					if n++; b.State() == breaker.HalfOpen {
						t.Error("half-open")
					}
				}
				if n == 0 {
					t.Error("the supervisor's own breaker is missing")
				}
			}
		},
	)
}
