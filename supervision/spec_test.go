package supervision_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/breaker"
)

func TestSpecSaysWhichRuleIsBroken(t *testing.T) {
	for want, spoil := range map[string]func(*supervision.Spec){
		"strategy is missing":                       func(s *supervision.Spec) { s.Strategy = 0 },
		"child a is named twice":                    func(s *supervision.Spec) { s.Children[1].Name = "a" },
		"a child has no name":                       func(s *supervision.Spec) { s.Children[1].Name = "" },
		"child b: restart type is missing":          func(s *supervision.Spec) { s.Children[1].Restart = 0 },
		"child b: shutdown is 0s, want more than 0": func(s *supervision.Spec) { s.Children[1].Shutdown = 0 },
		"child a: give_up is 7, want fail_supervisor or isolate_child": func(s *supervision.Spec) {
			s.Children[0].GiveUp = 7
		},
		"child a: isolate_child: only with one_for_one, not all_for_one": func(s *supervision.Spec) {
			s.Strategy, s.Children[0].GiveUp = supervision.AllForOne, supervision.IsolateChild
		},
		"template: only with one_for_one, not rest_for_one": func(s *supervision.Spec) {
			s.Strategy, s.Template = supervision.RestForOne, supervision.DefaultTemplate()
		},
		"template: has the name x": func(s *supervision.Spec) {
			s.Template = supervision.DefaultTemplate()
			s.Template.Name = "x"
		},
		"template: shutdown is 0s, want more than 0": func(s *supervision.Spec) { s.Template.Restart = supervision.Permanent },
		"intensity: restarts is -1, want 0 or more":  func(s *supervision.Spec) { s.Intensity.Restarts = -1 },
		"intensity: period is 0s, want more than 0":  func(s *supervision.Spec) { s.Intensity.Period = 0 },
		"backoff: initial 1s, max 0s, want 0 <= initial <= max": func(s *supervision.Spec) {
			s.Backoff.Max = 0
		},
		"backoff: factor is NaN, want at least 1":            func(s *supervision.Spec) { s.Backoff.Factor = math.NaN() },
		"backoff: jitter is 2, want 0 to 1":                  func(s *supervision.Spec) { s.Backoff.Jitter = 2 },
		"breaker: failure_threshold is 0, want 1 to 1000000": func(s *supervision.Spec) { s.Breaker.FailureThreshold = 0 },
		fmt.Sprintf("%d children, want at most 10000", 10_001): func(s *supervision.Spec) {
			s.Children = make([]supervision.ChildSpec, 10_001)
		},
	} {
		spec := named(supervision.OneForOne, "a", "b")
		if err := spec.Validate(); err != nil {
			t.Fatalf("a sound spec is refused: %v", err)
		}
		spoil(&spec)
		if err := spec.Validate(); err == nil || err.Error() != want {
			t.Errorf("Validate = %v, want %s", err, want)
		}
		if _, err := supervision.New("/top", spec, nil); err == nil {
			t.Errorf("New accepted a spec with: %s", want)
		}
	}
}

func TestBackoffIsExponentialUpToItsCap(t *testing.T) {
	b := supervision.Backoff{Initial: 100 * time.Millisecond, Max: 10 * time.Second, Factor: 2}
	var got []time.Duration
	for n := range 9 {
		got = append(got, b.Delay(n, 0.5))
	}
	var want []time.Duration
	for _, ms := range []int{100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000} {
		want = append(want, time.Duration(ms)*time.Millisecond)
	}
	if !slices.Equal(got, want) {
		t.Errorf("delays = %v, want %v", got, want)
	}
	if got := b.Delay(1_000_000, 0); got != b.Max {
		t.Errorf("the millionth delay = %v, want the cap %v", got, b.Max)
	}
}

func TestJitterOnlyShortensADelayByItsShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := supervision.Backoff{
			Initial: time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "initial")),
			Max:     time.Hour,
			Factor:  rapid.Float64Range(1, 10).Draw(t, "factor"),
			Jitter:  rapid.Float64Range(0, 1).Draw(t, "jitter"),
		}
		n := rapid.IntRange(0, 2_000).Draw(t, "n")
		random := rapid.Float64Range(0, math.Nextafter(1, 0)).Draw(t, "random")
		full := b
		full.Jitter = 0
		most := full.Delay(n, 0)
		least := time.Duration(float64(most)*(1-b.Jitter)) - 1
		if got := b.Delay(n, random); got < least || got > most {
			t.Fatalf("Delay = %v, want %v to %v", got, least, most)
		}
		if next := full.Delay(n+1, 0); next < most || next > b.Max {
			t.Fatalf("restart %d waits %v, the one before %v, at most %v", n+1, next, most, b.Max)
		}
	})
}

// TestAHistoryAllowsWhatAListOfTimesWould compares with counting in the list of
// every restart that was ever allowed.
func TestAHistoryAllowsWhatAListOfTimesWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := supervision.Intensity{
			Restarts: rapid.IntRange(0, 5).Draw(t, "restarts"),
			Period:   time.Minute,
		}
		var h supervision.History
		var all []time.Time
		now := start
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second)
			within := 0
			for _, at := range all {
				if now.Sub(at) < limit.Period {
					within++
				}
			}
			want := within < limit.Restarts
			if got := h.Allow(limit, now); got != want {
				t.Fatalf("Allow = %v with %d restarts in the period, limit %d", got, within, limit.Restarts)
			}
			if want {
				all = append(all, now)
			}
		}
	})
}

func TestForcesAreATableWithALimit(t *testing.T) {
	var forces supervision.Forces
	for i := range supervision.ForcesMax {
		force := supervision.Force{Path: fmt.Sprintf("/%04d", i), State: breaker.ForcedOpen, By: "ann", At: start}
		if err := forces.Put(force); err != nil {
			t.Fatal(err)
		}
	}
	if err := forces.Put(supervision.Force{Path: "/more", State: breaker.ForcedOpen}); !errors.Is(err, supervision.ErrForcesFull) {
		t.Errorf("one more = %v, want it refused", err)
	}
	if err := forces.Put(supervision.Force{Path: "/0007", State: breaker.ForcedClosed}); err != nil {
		t.Errorf("replacing one = %v", err)
	}
	if got, ok := forces.Of("/0007"); !ok || got.State != breaker.ForcedClosed {
		t.Errorf("Of = %v, %v", got, ok)
	}
	if !forces.Remove("/0007") || forces.Remove("/0007") {
		t.Error("Remove is wrong")
	}
	all := forces.All()
	if len(all) != supervision.ForcesMax-1 || !slices.IsSortedFunc(all, func(a, b supervision.Force) int {
		return strings.Compare(a.Path, b.Path)
	}) {
		t.Errorf("All gives %d forces, want %d in order", len(all), supervision.ForcesMax-1)
	}
}

func TestAForceNeedsAPathAndAForcedState(t *testing.T) {
	var forces supervision.Forces
	for _, force := range []supervision.Force{{State: breaker.ForcedOpen}, {Path: "/a"}, {Path: "/a", State: breaker.Open}} {
		if err := forces.Put(force); !errors.Is(err, supervision.ErrForceInvalid) {
			t.Errorf("Put(%+v) = %v, want it refused", force, err)
		}
	}
	if len(forces.All()) != 0 {
		t.Error("a refused force left a trace")
	}
}
