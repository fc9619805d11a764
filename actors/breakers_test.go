package actors_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/breaker"
)

// told gives breakers a line each.
func told(found []breaker.Snapshot) []string {
	var lines []string
	for _, b := range found {
		lines = append(lines, fmt.Sprintf("%s %s %s %d/%d", b.Scope, b.Path, b.State, b.Failures, b.Successes))
	}
	return lines
}

// fails makes an actor fail so many times.
func fails(t *testing.T, ref actors.Ref, times int) {
	t.Helper()
	for range times {
		if _, err := ask(t, ref, "fail"); !errors.Is(err, internal) {
			t.Fatal(err)
		}
	}
	synctest.Wait()
}

func TestABreakerIsListedFromTheFirstFailureUntilItsWindowIsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		once, often := spawn(t, s, fragileSpec("once", nil)), spawn(t, s, fragileSpec("often", nil))
		spawn(t, s, fragileSpec("well", nil))
		fails(t, once, 1)
		fails(t, often, 5)
		for range 3 {
			if _, err := ask(t, once, "who"); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		all, _ := s.Breakers(actors.BreakerPage{})
		if diff := cmp.Diff([]string{"cell /often open 5/0", "cell /once closed 1/3"}, told(all)); diff != "" {
			t.Errorf("all: want -, got +\n%s", diff)
		}
		if all[0].Cause != breaker.FailuresInRow || all[0].RetryAfter != 60*time.Second || all[0].Trips != 1 {
			t.Errorf("%+v", all[0])
		}
		shut, _ := s.Breakers(actors.BreakerPage{NotClosed: true})
		if diff := cmp.Diff([]string{"cell /often open 5/0"}, told(shut)); diff != "" {
			t.Errorf("not closed: want -, got +\n%s", diff)
		}
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if once, _ := s.Breakers(actors.BreakerPage{Path: "/once"}); len(once) != 0 {
			t.Errorf("after the window: %v", told(once))
		}
	})
}

func TestABreakerIsListedThoughItsActorIsNotLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		ref := spawn(t, s, fragileSpec("leaver", nil))
		fails(t, ref, 1)
		if err := ref.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		found, _ := s.Breakers(actors.BreakerPage{})
		if diff := cmp.Diff([]string{"cell /leaver closed 1/0"}, told(found)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTheBreakerOfAnEndedSupervisorIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		top := spawn(t, s, parent(supervision.OneForOne, fragileSpec("child", nil)))
		synctest.Wait()
		fails(t, at(t, s, "/top/child"), 5)
		if found, _ := s.Breakers(actors.BreakerPage{Path: "/top"}); len(found) != 1 || len(s.OpenBreakers(10)) != 1 {
			t.Fatalf("before its end: %v, %v", told(found), s.OpenBreakers(10))
		}
		if err := top.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if found, _ := s.Breakers(actors.BreakerPage{Path: "/top"}); len(found) != 0 || len(s.OpenBreakers(10)) != 0 {
			t.Errorf("after its end: %v, %v", told(found), s.OpenBreakers(10))
		}
	})
}

func TestWhatAnActorGuardsIsListedWithItsOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		ref := spawn(t, s, spec("executor", func(ctx *actors.Context, msg any) error {
			tok, _ := ctx.Breaker().Admit()
			ctx.Outcome(tok, msg == "works")
			ctx.Reply(1)
			return nil
		}))
		for _, msg := range []string{"works", "fails", "works"} {
			if _, err := ask(t, ref, msg); err != nil {
				t.Fatal(err)
			}
		}
		found, _ := s.Breakers(actors.BreakerPage{Path: "/executor"})
		if diff := cmp.Diff([]string{"own /executor closed 1/2"}, told(found)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestBreakersAreListedInPagesAndBelowAPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		for _, name := range []string{"a", "a-1", "b"} {
			top := parent(supervision.OneForOne, fragileSpec("x", nil), fragileSpec("y", nil))
			top.Name = name
			spawn(t, s, top)
			synctest.Wait()
			fails(t, at(t, s, "/"+name+"/x"), 1)
			fails(t, at(t, s, "/"+name+"/y"), 1)
		}
		below, _ := s.Breakers(actors.BreakerPage{Path: "/a"})
		if diff := cmp.Diff([]string{"cell /a/x closed 1/0", "cell /a/y closed 1/0"}, told(below)); diff != "" {
			t.Errorf("below /a: want -, got +\n%s", diff)
		}
		all, more := s.Breakers(actors.BreakerPage{})
		if len(all) != 6 || more != 0 || !slices.IsSorted(told(all)) {
			t.Fatalf("all: %v, more %d", told(all), more)
		}
		var paged []breaker.Snapshot
		for first, rounds := 0, 0; rounds == 0 || first != 0; rounds++ {
			var page []breaker.Snapshot
			page, first = s.Breakers(actors.BreakerPage{First: first, Limit: 4})
			paged = append(paged, page...)
			if rounds > 1 {
				t.Fatal("more than two pages")
			}
		}
		if diff := cmp.Diff(told(all), told(paged)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestBreakersAreCountedByKindAndState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		top := parent(supervision.OneForOne, fragileSpec("x", nil), fragileSpec("y", nil))
		top.Kind = "shop"
		spawn(t, s, top)
		synctest.Wait()
		fails(t, at(t, s, "/top/x"), 5)
		fails(t, at(t, s, "/top/y"), 1)
		if err := s.Force(actors.Forced{Path: "/top", Scope: breaker.Cell, State: breaker.ForcedOpen}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		stats := s.Stats()
		counts := make(map[string]int)
		for _, c := range stats.Breakers {
			counts[fmt.Sprint(c.Kind, " ", c.Scope, " ", c.State)] = c.Count
		}
		want := map[string]int{
			"root own closed": 1, "root cell forced_open": 1,
			"shop own closed": 1, "shop cell open": 1, "shop cell closed": 1,
		}
		if diff := cmp.Diff(want, counts); diff != "" {
			t.Errorf("want -, got +\n%s", diff)
		}
		for _, k := range stats.Kinds {
			if want := map[string]uint64{"shop": 1}[k.Kind]; k.Trips != want {
				t.Errorf("%s: %d trips, want %d", k.Kind, k.Trips, want)
			}
		}
	})
}
