package supervision_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/breaker"
)

var start = time.Unix(1_700_000_000, 0)

// named returns a spec of permanent children with the given names that may restart
// twice a minute, without jitter, and whose breakers stay out of the way.
func named(strategy supervision.Strategy, names ...string) supervision.Spec {
	spec := supervision.DefaultSpec()
	spec.Strategy = strategy
	spec.Intensity = supervision.Intensity{Restarts: 2, Period: time.Minute}
	spec.Backoff = supervision.Backoff{Initial: time.Second, Max: time.Minute, Factor: 2}
	spec.Breaker.FailureThreshold = 100
	for _, name := range names {
		child := supervision.ChildSpec{Name: name, Restart: supervision.Permanent, Shutdown: time.Second}
		spec.Children = append(spec.Children, child)
	}
	return spec
}

func supervise(tb testing.TB, spec supervision.Spec) *supervision.Supervisor {
	tb.Helper()
	cells, err := breaker.NewCells("/top", spec.Breaker, breaker.NewBudget(1_000), start)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := supervision.New("/top", spec, cells)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// lines gives the actions without those that attach cells.
func lines(actions []supervision.Action) []string {
	var out []string
	for _, a := range actions {
		if a.Kind != supervision.Attach {
			out = append(out, a.String())
		}
	}
	return out
}

func TestRestartsThatDoNotHelpFailTheSupervisor(t *testing.T) {
	for _, strategy := range []supervision.Strategy{
		supervision.OneForOne, supervision.AllForOne, supervision.RestForOne,
	} {
		t.Run(strategy.String(), func(t *testing.T) {
			s := supervise(t, named(strategy, "a", "b", "c"))
			s.Start()
			now := start
			for range 2 {
				s.Failed("b", breaker.Pass{}, now, 0)
				now = now.Add(2 * time.Second)
				s.Tick(now)
			}
			got := lines(s.Failed("b", breaker.Pass{}, now, 0))
			want := []string{"stop c", "stop b", "stop a", "escalate"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the third failure (-want +got):\n%s", diff)
			}
			if again := s.Failed("a", breaker.Pass{}, now, 0); len(again) != 0 {
				t.Errorf("a failure after the end caused %v", again)
			}
			if at, ok := s.Next(now); ok {
				t.Errorf("the ended supervisor wants a tick at %v", at)
			}
		})
	}
}

func TestRestartsOutsideThePeriodAreForgotten(t *testing.T) {
	s := supervise(t, named(supervision.OneForOne, "a"))
	s.Start()
	now := start
	for i := range 50 {
		got := lines(s.Failed("a", breaker.Pass{}, now, 0))
		if diff := cmp.Diff([]string{"suspend a"}, got); diff != "" {
			t.Fatalf("failure %d (-want +got):\n%s", i, diff)
		}
		now = now.Add(31 * time.Second)
		s.Tick(now)
	}
}

func TestAnIsolatedChildThatRestartsTooOftenStopsNobody(t *testing.T) {
	spec := named(supervision.OneForOne, "a")
	spec.Template = supervision.DefaultTemplate()
	s := supervise(t, spec)
	s.Start()
	now := start
	for range 2 {
		s.Failed("x", breaker.Pass{}, now, 0)
		now = now.Add(2 * time.Second)
		s.Tick(now)
	}
	got := lines(s.Failed("x", breaker.Pass{}, now, 0))
	want := []string{"report cell /top/x: closed -> open (restarts_exhausted)", "refuse x"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the third failure (-want +got):\n%s", diff)
	}
	now = now.Add(spec.Breaker.Timeout)
	got = lines(s.Tick(now))
	want = []string{"report cell /top/x: open -> half_open (timeout_passed)", "restart x"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after the timeout (-want +got):\n%s", diff)
	}
	if got := lines(s.Failed("a", breaker.Pass{}, now, 0)); !cmp.Equal(got, []string{"suspend a"}) {
		t.Errorf("a sibling's failure = %v, want a plain restart", got)
	}
}

func TestChildrenMayEndAfterTheirSupervisorHas(t *testing.T) {
	s := supervise(t, named(supervision.OneForOne, "a", "b"))
	s.Start()
	s.Failed("a", breaker.Pass{}, start, 0) // a restart of it is due
	s.Stop()
	s.Stopped("a")
	s.Stopped("b")
	if at, ok := s.Next(start); ok {
		t.Errorf("the ended supervisor wants a tick at %v", at)
	}
}
