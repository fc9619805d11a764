package supervision_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/breaker"
)

// troupe is a runtime that does what it is told and complains about nonsense.
type troupe struct {
	t         *rapid.T
	s         *supervision.Supervisor
	names     []string // in their order
	up        map[string]bool
	gone      map[string]bool
	escalated bool
}

// do carries the actions out.
func (r *troupe) do(actions []supervision.Action) {
	var stops, restarts []string
	for i, a := range actions {
		switch a.Kind {
		case supervision.Start, supervision.Restart:
			if r.up[a.Child] || r.gone[a.Child] || r.escalated {
				r.t.Fatalf("%v of a child that is up or gone, in %v", a, actions)
			}
			r.needsRun(a, actions)
			r.up[a.Child] = true
			restarts = append(restarts, a.Child)
		case supervision.Suspend, supervision.Refuse:
			if r.up[a.Child] || r.gone[a.Child] {
				r.t.Fatalf("%v of a child that is up or gone, in %v", a, actions)
			}
		case supervision.Stop:
			if a.Timeout <= 0 || r.gone[a.Child] {
				r.t.Fatalf("%v without a timeout, or of a child that is gone", a)
			}
			r.up[a.Child] = false
			stops = append(stops, a.Child)
		case supervision.Remove:
			r.up[a.Child], r.gone[a.Child] = false, true
		case supervision.Escalate:
			if i != len(actions)-1 {
				r.t.Fatalf("something follows the escalation: %v", actions)
			}
			r.escalated = true
		case supervision.StopOthers, supervision.Attach, supervision.Report:
		}
	}
	backwards := func(a, b string) int { return slices.Index(r.names, b) - slices.Index(r.names, a) }
	if !slices.IsSortedFunc(stops, backwards) {
		r.t.Fatalf("stopped in the order %v", stops)
	}
	if len(stops) > 0 && len(restarts) > 0 {
		r.t.Fatalf("stops and restarts in one answer: %v", actions)
	}
}

// needsRun checks that no breaker forbids the child to run.
func (r *troupe) needsRun(a supervision.Action, actions []supervision.Action) {
	for _, b := range []*breaker.Breaker{r.s.Cells().Own(), r.s.Cells().Cell(r.s.ChildPath(a.Child))} {
		if s := b.State(); s == breaker.Open || s == breaker.ForcedOpen {
			r.t.Fatalf("%v while a breaker is %s, in %v", a, s, actions)
		}
	}
}

// settle ticks until nothing is due at now.
func (r *troupe) settle(now time.Time) {
	for range 100 {
		next, ok := r.s.Next(now)
		if !ok || next.After(now) {
			return
		}
		r.do(r.s.Tick(now))
	}
	r.t.Fatalf("after a hundred ticks something is still due at %v", now)
}

// TestASupervisorKeepsItsPromises: no child starts twice or while a breaker is
// open, stops come in reverse order, and once failures end every child that may
// run does, unless the supervisor has escalated; then none does.
func TestASupervisorKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := named(supervision.Strategy(rapid.IntRange(1, 3).Draw(t, "strategy")))
		spec.Breaker.FailureThreshold = rapid.IntRange(1, 6).Draw(t, "threshold")
		spec.Intensity.Restarts = rapid.IntRange(0, 8).Draw(t, "restarts")
		for i := range rapid.IntRange(1, 5).Draw(t, "children") {
			child := supervision.ChildSpec{
				Name:     fmt.Sprint(i),
				Restart:  supervision.RestartType(rapid.IntRange(1, 3).Draw(t, "restart")),
				Shutdown: time.Second,
			}
			if spec.Strategy == supervision.OneForOne && rapid.Bool().Draw(t, "isolated") {
				child.GiveUp = supervision.IsolateChild
			}
			spec.Children = append(spec.Children, child)
		}
		cells, err := breaker.NewCells("/top", spec.Breaker, breaker.NewBudget(3), start)
		if err != nil {
			t.Fatal(err)
		}
		s, err := supervision.New("/top", spec, cells)
		if err != nil {
			t.Fatal(err)
		}
		r := &troupe{t: t, s: s, up: map[string]bool{}, gone: map[string]bool{}}
		for _, c := range spec.Children {
			r.names = append(r.names, c.Name)
		}
		r.do(s.Start())
		now := start
		anyChild := func(t *rapid.T) string { return rapid.SampledFrom(r.names).Draw(t, "child") }
		gate := func(name string) *breaker.Gate { return breaker.NewGate(cells.Own(), cells.Cell(s.ChildPath(name))) }
		fail := func(t *rapid.T) {
			name := anyChild(t)
			pass, ok := gate(name).Admit()
			if !r.up[name] || !ok {
				return
			}
			r.up[name] = false
			r.do(s.Failed(name, pass, now, rapid.Float64Range(0, 0.99).Draw(t, "random")))
		}
		t.Repeat(map[string]func(*rapid.T){
			"failure":       fail,
			"failure again": fail,
			"failure while down": func(t *rapid.T) {
				if name := anyChild(t); !r.up[name] {
					r.do(s.Failed(name, gate(name).Current(), now, 0))
				}
			},
			"success": func(t *rapid.T) {
				g := gate(anyChild(t))
				if pass, ok := g.Admit(); ok {
					g.Success(pass, now)
				}
			},
			"exit": func(t *rapid.T) {
				if name := anyChild(t); r.up[name] {
					r.up[name] = false
					r.do(s.Exited(name, now, 0))
				}
			},
			"own failure": func(*rapid.T) { r.do(s.OwnFailed(cells.Own().Current(), now)) },
			"force": func(t *rapid.T) {
				to := rapid.SampledFrom([]breaker.State{breaker.ForcedOpen, breaker.ForcedClosed}).Draw(t, "to")
				r.do(s.Force(rapid.SampledFrom(append(r.names, "")).Draw(t, "whose"), to, now))
			},
			"reset": func(t *rapid.T) {
				r.do(s.Reset(rapid.SampledFrom(append(r.names, "")).Draw(t, "whose"), now))
			},
			"time passes": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds")) * time.Second)
				r.settle(now)
			},
		})
		for _, name := range append(r.names, "") {
			r.do(s.Reset(name, now))
		}
		for range 10 {
			now = now.Add(time.Hour)
			r.settle(now)
		}
		for _, name := range r.names {
			if want := !r.escalated && !r.gone[name]; r.up[name] != want {
				t.Fatalf("in the end child %s is up: %v, want %v", name, r.up[name], want)
			}
		}
	})
}

// TestNothingIsRememberedOfAChildThatIsWellAgain bounds what a supervisor keeps.
func TestNothingIsRememberedOfAChildThatIsWellAgain(t *testing.T) {
	spec := named(supervision.OneForOne)
	spec.Template = supervision.DefaultTemplate()
	spec.Breaker.FailureThreshold = 10_000
	s := supervise(t, spec)
	for i := range 1_000 {
		s.Failed(fmt.Sprint(i), breaker.Pass{}, start, 0)
	}
	ticks := 0
	for next, ok := s.Next(start); ok; next, ok = s.Next(next) {
		if restarts := len(lines(s.Tick(next))); restarts > supervision.TickMax {
			t.Fatalf("one tick restarted %d children, want at most %d", restarts, supervision.TickMax)
		}
		if ticks++; ticks > 1_000 {
			t.Fatal("it never comes to rest")
		}
	}
	if got := s.Cells().Len(); got != 0 {
		t.Errorf("%d cells are kept", got)
	}
}

func BenchmarkFailedAndRestarted(b *testing.B) {
	spec := named(supervision.OneForOne)
	spec.Template = supervision.DefaultTemplate()
	spec.Intensity.Restarts = 1 << 30
	spec.Backoff = supervision.Backoff{Factor: 1}
	spec.Breaker.FailureThreshold = 1_000_000
	s := supervise(b, spec)
	now := start
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		s.Failed("x", breaker.Pass{}, now, 0)
		s.Tick(now)
	}
}
