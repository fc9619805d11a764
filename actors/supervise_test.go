package actors_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/breaker"
)

var (
	circuitOpen = &actors.Refused{Reason: actors.CircuitOpen}
	full        = &actors.Refused{Reason: actors.MailboxFull}
	stopped     = &actors.Refused{Reason: actors.Stopped}
	internal    = &messages.Error{Code: messages.CodeInternal}
	errBroken   = errors.New("broken")
)

// fragile fails on "fail", panics on "panic" and replies with its incarnation to
// the rest. starts records who started and stopped.
type fragile struct {
	name        string
	incarnation int
	log         *journal
	failStart   func(incarnation int) bool
}

// journal is what a test's actors write down. One actor at a time writes.
type journal struct{ lines []string }

func (j *journal) add(format string, args ...any) {
	if j != nil {
		j.lines = append(j.lines, fmt.Sprintf(format, args...))
	}
}

func (f *fragile) Start(*actors.Context) error {
	if f.failStart != nil && f.failStart(f.incarnation) {
		return errBroken
	}
	f.log.add("%s.%d starts", f.name, f.incarnation)
	return nil
}

func (f *fragile) Stop(*actors.Context) { f.log.add("%s.%d stops", f.name, f.incarnation) }

func (f *fragile) Receive(ctx *actors.Context, msg any) error {
	switch msg {
	case "fail":
		return errBroken
	case "panic":
		panic("broken")
	default:
		ctx.Reply(f.incarnation)
		return nil
	}
}

func fragileSpec(name string, log *journal) actors.Spec {
	incarnation := 0
	return actors.Spec{Name: name, Kind: "fragile", New: func() actors.Actor {
		incarnation++
		return &fragile{name: name, incarnation: incarnation, log: log}
	}}
}

// strict is one worker, so that a test's actors write their journal one at a time.
func strict(c *actors.Config) { c.Workers = 1 }

// at returns the actor at a path.
func at(t *testing.T, s *actors.System, path string) actors.Ref {
	t.Helper()
	ref, ok := s.Lookup(path)
	if !ok {
		t.Fatalf("no actor at %s", path)
	}
	return ref
}

// parent is a supervisor of named children.
func parent(strategy supervision.Strategy, children ...actors.Spec) actors.Spec {
	one := spec("top", echo)
	one.Children = children
	one.Supervision = supervision.DefaultSpec()
	one.Supervision.Strategy = strategy
	return one
}

func ask(t *testing.T, ref actors.Ref, msg any) (int, error) {
	t.Helper()
	return actors.Ask[int](t.Context(), ref, msg)
}

func TestARestartWaitsForItsBackoffAndKeepsTheMailbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ref := spawn(t, newSystem(t), fragileSpec("child", nil))
		synctest.Wait()
		began := time.Now()
		if _, err := ask(t, ref, "fail"); !errors.Is(err, internal) || time.Since(began) != 0 {
			t.Errorf("the failing ask: %v after %v, want an internal error at once", err, time.Since(began))
		}
		got, err := ask(t, ref, "who")
		if took := time.Since(began); got != 2 || err != nil || took < 5*time.Millisecond || took > 10*time.Millisecond {
			t.Errorf("the next message: incarnation %d, %v after %v; want 2 after the backoff of 5 to 10 ms", got, err, took)
		}
	})
}

func TestFailuresInARowOpenTheChildsBreakerOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		poison, sibling := spawn(t, s, fragileSpec("poison", nil)), spawn(t, s, fragileSpec("sibling", nil))
		for range 5 {
			if _, err := ask(t, poison, "panic"); !errors.Is(err, internal) {
				t.Fatal(err)
			}
		}
		began := time.Now()
		_, err := ask(t, poison, "who")
		var refused *actors.Refused
		if !errors.As(err, &refused) || refused.Reason != actors.CircuitOpen || refused.RetryAfter < 50*time.Second {
			t.Errorf("ask behind the open breaker: %v, want circuit_open with nearly 60 s to wait", err)
		}
		if time.Since(began) != 0 {
			t.Errorf("refused after %v, want at once", time.Since(began))
		}
		if got, err := ask(t, sibling, "who"); got != 1 || err != nil {
			t.Errorf("the sibling: %d, %v; want it untouched", got, err)
		}
		time.Sleep(61 * time.Second) // half-open: a new incarnation takes the probes
		for i := range 3 {
			if _, err := ask(t, poison, "who"); err != nil {
				t.Errorf("probe %d: %v", i, err)
			}
			synctest.Wait() // the reply comes before the breaker hears of it
		}
		if open := s.OpenBreakers(10); len(open) != 0 {
			t.Errorf("still open: %v", open)
		}
	})
}

func TestWhatWaitsWhenTheBreakerOpensIsAnsweredCircuitOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ref := spawn(t, newSystem(t), fragileSpec("poison", nil))
		answers := make(chan error, 105)
		for range 105 {
			go func() {
				_, err := actors.Ask[int](t.Context(), ref, "fail")
				answers <- err
			}()
		}
		time.Sleep(time.Second) // five fail, with backoff between them; the rest waited
		synctest.Wait()
		var failed, refused int
		for range 105 {
			switch err := <-answers; {
			case errors.Is(err, internal):
				failed++
			case errors.Is(err, circuitOpen):
				refused++
			default:
				t.Error(err)
			}
		}
		if failed != 5 || refused != 100 {
			t.Errorf("failed = %d, refused = %d; want 5 and 100", failed, refused)
		}
	})
}

func TestAllForOneRestartsTheSiblingsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		s := newSystem(t, strict)
		spawn(t, s, parent(supervision.AllForOne, fragileSpec("a", log), fragileSpec("b", log), fragileSpec("c", log)))
		synctest.Wait()
		if _, err := ask(t, at(t, s, "/top/b"), "fail"); !errors.Is(err, internal) {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		want := []string{
			"a.1 starts", "b.1 starts", "c.1 starts",
			"c.1 stops", "a.1 stops", "a.2 starts", "b.1 stops", "b.2 starts", "c.2 starts",
		}
		if diff := cmp.Diff(want, log.lines); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRestForOneLeavesTheElderAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		s := newSystem(t, strict)
		spawn(t, s, parent(supervision.RestForOne, fragileSpec("a", log), fragileSpec("b", log), fragileSpec("c", log)))
		synctest.Wait()
		c := at(t, s, "/top/c")
		if _, err := ask(t, at(t, s, "/top/b"), "fail"); !errors.Is(err, internal) {
			t.Fatal(err)
		}
		synctest.Wait() // c is down, its mailbox is not
		if got, err := ask(t, c, "who"); got != 2 || err != nil {
			t.Errorf("the message that waited met incarnation %d of c, %v; want 2", got, err)
		}
		if got, err := ask(t, at(t, s, "/top/a"), "who"); got != 1 || err != nil {
			t.Errorf("a: incarnation %d, %v; want it untouched", got, err)
		}
	})
}

func TestTooManyRestartsEscalateUpTheTree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		top := parent(supervision.OneForOne, fragileSpec("child", nil))
		top.Supervision.Intensity.Restarts = 2
		spawn(t, s, top)
		events, err := s.Subscribe(100)
		if err != nil {
			t.Fatal(err)
		}
		defer events.Close()
		synctest.Wait()
		for range 3 {
			if _, err := ask(t, at(t, s, "/top/child"), "fail"); !errors.Is(err, internal) {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		var got []string
		for len(events.C) > 0 {
			e := <-events.C
			got = append(got, fmt.Sprint(e.Path, " ", e.What))
		}
		want := []string{
			"/top/child failed", "/top/child restarted", "/top/child failed", "/top/child restarted",
			"/top/child failed", "/top escalated", "/top failed", "/top restarted",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if got, err := ask(t, at(t, s, "/top/child"), "who"); got != 4 || err != nil {
			t.Errorf("the child after escalation: %d, %v; want its fourth incarnation", got, err)
		}
	})
}

func TestATemporaryChildThatFailsHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, func(c *actors.Config) { c.Supervision.Template.Restart = supervision.Temporary })
		ref := spawn(t, s, fragileSpec("once", nil))
		var end actors.End
		watcher := spawn(t, s, spec("watcher", func(ctx *actors.Context, msg any) error {
			if msg, ok := msg.(actors.Terminated); ok {
				end = msg.End
				return nil
			}
			ctx.Watch(ref)
			return nil
		}))
		_ = watcher.Tell("watch")
		synctest.Wait()
		if _, err := ask(t, ref, "fail"); !errors.Is(err, internal) {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := ref.Tell("late"); !errors.Is(err, stopped) || end != actors.EndFailed {
			t.Errorf("tell after the failure: %v, the watcher heard %s; want it ended as failed", err, end)
		}
	})
}

func TestAGoexitInStartIsAFailureLikeAnyOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		incarnation := 0
		ref := spawn(t, newSystem(t, strict), actors.Spec{Name: "leaver", New: func() actors.Actor {
			if incarnation++; incarnation < 3 {
				runtime.Goexit()
			}
			return &fragile{incarnation: incarnation}
		}})
		if got, err := ask(t, ref, "who"); got != 3 || err != nil {
			t.Errorf("got incarnation %d, %v; want 3", got, err)
		}
	})
}

func TestTheRootGivingUpEndsTheTree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, func(c *actors.Config) {
			c.Supervision.Template.GiveUp = supervision.FailSupervisor
			c.Supervision.Intensity.Restarts = 0
		})
		ref := spawn(t, s, fragileSpec("child", nil))
		if _, err := ask(t, ref, "fail"); !errors.Is(err, internal) {
			t.Fatal(err)
		}
		<-s.Done()
		if s.Err() == nil {
			t.Error("no cause is given")
		}
		if _, err := s.Spawn(fragileSpec("late", nil)); !errors.Is(err, actors.ErrStopping) {
			t.Errorf("spawn after the end: %v", err)
		}
	})
}

func TestAFailingStartIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		incarnation := 0
		ref := spawn(t, newSystem(t), actors.Spec{Name: "late", New: func() actors.Actor {
			incarnation++
			if incarnation == 1 {
				return nil
			}
			if incarnation == 2 {
				panic("new breaks")
			}
			return &fragile{incarnation: incarnation, failStart: func(n int) bool { return n < 5 }}
		}})
		if got, err := ask(t, ref, "who"); got != 5 || err != nil {
			t.Errorf("got incarnation %d, %v; want 5", got, err)
		}
	})
}

// brittle breaks when it is stopped.
type brittle struct{ fragile }

func (b *brittle) Stop(*actors.Context) { panic("broken in stop") }

func TestAPanicInStopIsSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		incarnation := 0
		s := newSystem(t)
		ref := spawn(t, s, actors.Spec{Name: "brittle", New: func() actors.Actor {
			incarnation++
			return &brittle{fragile{incarnation: incarnation}}
		}})
		if _, err := ask(t, ref, "fail"); !errors.Is(err, internal) {
			t.Fatal(err)
		}
		if got, err := ask(t, ref, "who"); got != 2 || err != nil {
			t.Errorf("after the broken stop: %d, %v; want incarnation 2", got, err)
		}
		if err := ref.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if err := ref.Tell("late"); !errors.Is(err, stopped) {
			t.Errorf("tell after the end: %v", err)
		}
	})
}

func TestAForcedBreakerHoldsForActorsNotLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		for _, f := range []actors.Forced{
			{Path: "/late", Scope: breaker.Cell, State: breaker.ForcedOpen},
			{Path: "/top", Scope: breaker.Own, State: breaker.ForcedOpen},
		} {
			if err := s.Force(f); err != nil {
				t.Fatal(err)
			}
		}
		late := spawn(t, s, fragileSpec("late", nil))
		spawn(t, s, parent(supervision.OneForOne, fragileSpec("child", nil)))
		synctest.Wait()
		for _, ref := range []actors.Ref{late, at(t, s, "/top/child")} {
			if _, err := ask(t, ref, "who"); !errors.Is(err, circuitOpen) {
				t.Errorf("%s behind a forced breaker: %v, want circuit_open", ref.Path(), err)
			}
		}
		s.Reset("/late", breaker.Cell)
		s.Reset("/top", breaker.Own)
		synctest.Wait()
		for _, ref := range []actors.Ref{late, at(t, s, "/top/child")} {
			if got, err := ask(t, ref, "who"); got != 1 || err != nil {
				t.Errorf("%s after the reset: %d, %v", ref.Path(), got, err)
			}
		}
	})
}

func TestDifferentFailingChildrenOpenTheSupervisorsBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		var refs []actors.Ref
		for i := range 6 {
			refs = append(refs, spawn(t, s, fragileSpec(fmt.Sprint(i), nil)))
		}
		for _, ref := range refs[:5] {
			if _, err := ask(t, ref, "fail"); !errors.Is(err, internal) {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if _, err := ask(t, refs[5], "who"); !errors.Is(err, circuitOpen) {
			t.Errorf("the healthy child: %v, want circuit_open", err)
		}
		time.Sleep(61 * time.Second)
		for _, ref := range refs[:2] {
			if _, err := ask(t, ref, "who"); err != nil {
				t.Errorf("a probe: %v", err)
			}
		}
		synctest.Wait()
		if _, err := ask(t, refs[5], "who"); err != nil {
			t.Errorf("after the probes: %v", err)
		}
	})
}

func TestTheOwnBreakerGuardsWhatTheActorCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		works := false
		ref := spawn(t, s, spec("executor", func(ctx *actors.Context, _ any) error {
			tok, ok := ctx.Breaker().Admit()
			if !ok {
				ctx.Reply("refused")
				return nil
			}
			ctx.Outcome(tok, works)
			ctx.Reply("called")
			return nil
		}))
		count := func(n int) map[string]int {
			got := map[string]int{}
			for range n {
				answer, err := actors.Ask[string](t.Context(), ref, "submit")
				if err != nil {
					t.Fatal(err)
				}
				got[answer]++
			}
			return got
		}
		if diff := cmp.Diff(map[string]int{"called": 5, "refused": 5}, count(10)); diff != "" {
			t.Errorf("while the submitter fails: %s", diff)
		}
		works = true
		time.Sleep(61 * time.Second)
		if diff := cmp.Diff(map[string]int{"called": 10}, count(10)); diff != "" {
			t.Errorf("once it works again: %s", diff)
		}
	})
}

func TestAnOpenBreakerTurnsHalfOpenThoughItsActorRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		ref := spawn(t, s, spec("executor", func(ctx *actors.Context, msg any) error {
			if msg == "fail" {
				return errBroken
			}
			tok, ok := ctx.Breaker().Admit()
			if ok {
				ctx.Outcome(tok, msg == "works")
			}
			ctx.Reply(ok)
			return nil
		}))
		called := func(msg string) bool {
			ok, err := actors.Ask[bool](t.Context(), ref, msg)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		for called("fails") {
		}
		if _, err := ask(t, ref, "fail"); !errors.Is(err, internal) {
			t.Fatal(err)
		}
		time.Sleep(61 * time.Second)
		if !called("works") {
			t.Error("the breaker is open still")
		}
	})
}

func TestHalfOpenLetsNoMoreThroughThanItsProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		handled := 0
		release := make(chan struct{})
		ref := spawn(t, s, spec("guarded", func(ctx *actors.Context, msg any) error {
			if msg == "fail" {
				return errBroken
			}
			handled++
			<-release
			ctx.Reply(handled)
			return nil
		}))
		for range 5 {
			if _, err := ask(t, ref, "fail"); !errors.Is(err, internal) {
				t.Fatal(err)
			}
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		answers := make(chan error, 100)
		for range 100 {
			go func() {
				_, err := actors.Ask[int](t.Context(), ref, "call")
				answers <- err
			}()
		}
		synctest.Wait()
		if handled != 1 {
			t.Errorf("%d calls in the actor at once", handled)
		}
		close(release)
		synctest.Wait()
		var passed, refused int
		for range 100 {
			switch err := <-answers; {
			case err == nil:
				passed++
			case errors.Is(err, circuitOpen):
				refused++
			default:
				t.Error(err)
			}
		}
		// The two probes close the breaker; what waited behind them then passes.
		if passed != handled || passed+refused != 100 || passed < 2 {
			t.Errorf("passed = %d, refused = %d, handled = %d", passed, refused, handled)
		}
		if open := s.OpenBreakers(1); len(open) != 0 {
			t.Errorf("still not closed: %v", open)
		}
	})
}

func TestAReaderThatFallsBehindMissesEventsAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		events, err := s.Subscribe(1)
		if err != nil {
			t.Fatal(err)
		}
		ref := spawn(t, s, fragileSpec("child", nil))
		if _, err := ask(t, ref, "fail"); !errors.Is(err, internal) {
			t.Fatal(err)
		}
		if got, err := ask(t, ref, "who"); got != 2 || err != nil {
			t.Errorf("the actor waits for the reader: %d, %v", got, err)
		}
		if got := events.Missed(); got != 1 {
			t.Errorf("missed = %d, want the restart", got)
		}
		events.Close()
		events.Close()
		if e, ok := <-events.C; !ok || e.What != actors.EventFailed {
			t.Errorf("the queue held %v, %v; want the failure", e, ok)
		}
		if _, ok := <-events.C; ok {
			t.Error("the queue is not closed")
		}
	})
}
