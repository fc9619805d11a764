package actors_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/supervision"
)

// A supervisor whose own decision panics has failed, like any actor: its parent
// restarts it, with its children.
func TestAPanicInTheSupervisorIsItsFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		spawn(t, s, parent(supervision.OneForOne, fragileSpec("child", nil), fragileSpec("other", nil)))
		sibling := spawn(t, s, fragileSpec("sibling", nil))
		synctest.Wait()
		events, err := s.Subscribe(100)
		if err != nil {
			t.Fatal(err)
		}
		defer events.Close()
		actors.BreakSupervision(at(t, s, "/top"))
		fails(t, at(t, s, "/top/child"), 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, name := range []string{"child", "other"} {
			if got, err := ask(t, at(t, s, "/top/"+name), "who"); got != 2 || err != nil {
				t.Errorf("%s after the supervisor's restart: incarnation %d, %v; want 2", name, got, err)
			}
		}
		if got, err := ask(t, sibling, "who"); got != 1 || err != nil {
			t.Errorf("the supervisor's sibling: incarnation %d, %v; want it untouched", got, err)
		}
		failures := 0
		for len(events.C) > 0 {
			if e := <-events.C; e.Path == "/top" && e.What == actors.EventFailed {
				failures++
			}
		}
		if failures != 1 {
			t.Errorf("the supervisor failed %d times, want once", failures)
		}
	})
}

// A supervisor that breaks again while it comes down still ends its children.
func TestASupervisorThatCannotDecideStillStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		s := newSystem(t, strict)
		top := spawn(t, s, parent(supervision.OneForOne, fragileSpec("a", log), fragileSpec("b", log)))
		synctest.Wait()
		actors.BreakSupervision(top)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := top.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		stops := 0
		for _, line := range log.lines {
			if line == "a.1 stops" || line == "b.1 stops" {
				stops++
			}
		}
		if _, found := s.Lookup("/top/a"); found || stops != 2 {
			t.Errorf("%v; want both children stopped", log.lines)
		}
	})
}

// The give-up path at its end: nobody is above the root, so the tree ends, and the
// process lives to say why.
func TestAPanicInTheRootsSupervisionEndsTheTree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		child := spawn(t, s, fragileSpec("child", nil))
		synctest.Wait()
		s.BreakRoot()
		fails(t, child, 1)
		select {
		case <-s.Done():
		case <-time.After(time.Hour):
			t.Fatal("the tree did not end")
		}
		if s.Err() == nil {
			t.Error("no cause is given")
		}
		if err := child.Tell("late"); !errors.Is(err, stopped) {
			t.Errorf("tell after the end: %v", err)
		}
	})
}

// A decision that panics inside a message is a failure on that message.
func TestAPanicInADecisionOnAnOutcomeFailsTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		ref := spawn(t, s, spec("executor", func(ctx *actors.Context, msg any) error {
			if msg == "submit" {
				tok, _ := ctx.Breaker().Admit()
				ctx.Outcome(tok, false)
			}
			ctx.Reply(1)
			return nil
		}))
		synctest.Wait()
		actors.BreakSupervision(ref)
		if _, err := ask(t, ref, "submit"); !errors.Is(err, internal) {
			t.Errorf("the message: %v, want an internal error", err)
		}
		if _, err := ask(t, ref, "submit"); err != nil {
			t.Errorf("the next incarnation: %v", err)
		}
	})
}

// leaver ends its goroutine, or panics, where it is told to.
type leaver struct {
	incarnation int
	in          map[string]func() // what happens in start, stop and drained, on the first incarnation
}

func (l *leaver) do(what string) {
	if f := l.in[what]; f != nil && l.incarnation == 1 {
		f()
	}
}

func (l *leaver) Start(*actors.Context) error { l.do("start"); return nil }
func (l *leaver) Stop(*actors.Context)        { l.do("stop") }
func (l *leaver) Drained() bool               { l.do("drained"); return true }

func (l *leaver) Receive(ctx *actors.Context, msg any) error {
	if msg == "fail" {
		return errBroken
	}
	ctx.Reply(l.incarnation)
	return nil
}

func TestPanicAndGoexitAnywhereInALifeAreSurvived(t *testing.T) {
	for how, leave := range map[string]func(){"panic": func() { panic("broken") }, "goexit": runtime.Goexit} {
		for where, want := range map[string]int{"start": 2, "stop": 2, "drained": 1} {
			t.Run(how+" in "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSystem(t)
					incarnation := 0
					ref := spawn(t, s, actors.Spec{Name: "leaver", New: func() actors.Actor {
						incarnation++
						return &leaver{incarnation: incarnation, in: map[string]func(){where: leave}}
					}})
					if where == "stop" {
						fails(t, ref, 1)
					}
					if got, err := ask(t, ref, "who"); got != want || err != nil {
						t.Errorf("incarnation %d, %v; want %d", got, err, want)
					}
					sibling := spawn(t, s, fragileSpec("sibling", nil))
					if got, err := ask(t, sibling, "who"); got != 1 || err != nil {
						t.Errorf("the sibling: %d, %v", got, err)
					}
					if err := ref.Stop(t.Context()); err != nil {
						t.Error(err)
					}
					if err := ref.Tell("late"); !errors.Is(err, stopped) {
						t.Errorf("tell after the end: %v", err)
					}
					if got := s.Stats().Workers; got < 1 {
						t.Errorf("%d workers are left", got)
					}
				})
			})
		}
	}
}
