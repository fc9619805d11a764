package actors_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors"
)

func TestAKeptReplierAnswersLaterFromAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var keep actors.Replier
		ref := spawn(t, newSystem(t), spec("later", func(ctx *actors.Context, msg any) error {
			keep = ctx.Replier()
			time.AfterFunc(time.Second, func() { keep.Reply(msg) })
			return nil
		}))
		began := time.Now()
		got, err := actors.Ask[int](t.Context(), ref, 7)
		if got != 7 || err != nil || time.Since(began) != time.Second {
			t.Errorf("ask = %d, %v after %v; want 7 after 1s", got, err, time.Since(began))
		}
		if keep.Reply(8) {
			t.Error("a second reply was taken")
		}
	})
}

func TestALateReplyReachesNobodyAndIsADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var keep []actors.Replier
		s := newSystem(t)
		ref := spawn(t, s, spec("slow", func(ctx *actors.Context, _ any) error {
			keep = append(keep, ctx.Replier())
			return nil
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := actors.Ask[int](ctx, ref, "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("ask = %v, want its deadline", err)
		}
		answer := make(chan int, 1)
		go func() { got, _ := actors.Ask[int](t.Context(), ref, "y"); answer <- got }()
		synctest.Wait() // the second ask uses the first one's call again
		if keep[0].Reply(1) {
			t.Error("the late reply was taken")
		}
		keep[1].Reply(2)
		if got := <-answer; got != 2 {
			t.Errorf("the second ask got %d, want its own reply 2", got)
		}
		if got := s.DeadLetters(); len(got) != 1 || got[0].Reason != actors.ReplyUnclaimed {
			t.Errorf("dead letters = %v, want the late reply", got)
		}
	})
}

func TestAMessageWhoseAskerGaveUpIsNotHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		handled := 0
		s := newSystem(t)
		ref := spawn(t, s, spec("slow", func(*actors.Context, any) error {
			handled++
			<-release
			return nil
		}))
		if err := ref.Tell("first"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := actors.Ask[int](ctx, ref, "second"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		close(release)
		synctest.Wait()
		if handled != 1 {
			t.Errorf("handled = %d, want only the first", handled)
		}
		if got := s.Stats().DeadLetters["deadline_passed"]; got != 1 {
			t.Errorf("dead letters past their deadline = %d, want 1", got)
		}
	})
}

func TestOutcomesAreServedBeforeUserMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var got []any
		ref := spawn(t, newSystem(t), spec("order", func(_ *actors.Context, msg any) error {
			if got = append(got, msg); len(got) == 1 {
				<-release
			}
			return nil
		}))
		_ = ref.Tell("first")
		synctest.Wait()
		_ = ref.Tell("second")
		_ = ref.TellInternal("outcome")
		close(release)
		synctest.Wait()
		if diff := cmp.Diff([]any{"first", "outcome", "second"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAStashKeepsSendersAndOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := false
		handled := 0
		s := newSystem(t)
		ref := spawn(t, s, spec("door", func(ctx *actors.Context, msg any) error {
			switch {
			case msg == "open":
				open = true
				ctx.Unstash()
			case !open:
				return ctx.Stash()
			default:
				handled++
				ctx.Reply(fmt.Sprint(msg, " as ", handled))
			}
			return nil
		}))
		answers := make([]string, 3)
		done := make(chan struct{}, 3)
		for i := range answers {
			go func() {
				answers[i], _ = actors.Ask[string](t.Context(), ref, i)
				done <- struct{}{}
			}()
			synctest.Wait()
		}
		_ = ref.Tell("open")
		for range answers {
			<-done
		}
		if diff := cmp.Diff([]string{"0 as 1", "1 as 2", "2 as 3"}, answers); diff != "" {
			t.Error(diff)
		}
		synctest.Wait() // counted after they are answered
		if got := s.Stats().Kinds[1].Messages; got != 4 {
			t.Errorf("messages = %d, want each of the 4 counted once", got)
		}
	})
}

func TestTimersDieWithTheirIncarnation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		incarnation := 0
		var got []string
		ref := spawn(t, newSystem(t), actors.Spec{Name: "timed", New: func() actors.Actor {
			incarnation++
			mine := incarnation
			return behave(func(ctx *actors.Context, msg any) error {
				switch msg {
				case "set":
					ctx.After(time.Minute, fmt.Sprint("timer of ", mine))
					ctx.After(time.Minute, "stopped").Stop()
				case "fail":
					return errBroken
				default:
					got = append(got, msg.(string))
				}
				return nil
			})
		}})
		for _, msg := range []string{"set", "fail", "set"} {
			if err := ref.Tell(msg); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if diff := cmp.Diff([]string{"timer of 2"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnIdleActorIsPassivatedAndItsWatcherTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		var told []actors.Terminated
		idle := spec("idle", func(ctx *actors.Context, _ any) error {
			ctx.SetPassivation(time.Minute)
			return nil
		})
		top := spawn(t, s, spec("top", func(ctx *actors.Context, msg any) error {
			switch msg := msg.(type) {
			case actors.Terminated:
				told = append(told, msg)
			case string:
				child, err := ctx.Spawn(idle)
				if err != nil {
					return err
				}
				ctx.Watch(child)
				return child.Tell("begin")
			}
			return nil
		}))
		_ = top.Tell("spawn")
		synctest.Wait()
		child := at(t, s, "/top/idle")
		time.Sleep(30 * time.Second)
		_ = child.Tell("touch")
		time.Sleep(59 * time.Second)
		if err := child.Check(); err != nil {
			t.Errorf("unloaded too early: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if err := child.Tell("late"); !errors.Is(err, stopped) {
			t.Errorf("tell to the unloaded actor: %v", err)
		}
		want := []actors.Terminated{{Ref: child, End: actors.EndPassivated}}
		if !slices.Equal(told, want) {
			t.Errorf("the watcher heard %v, want %v", told, want)
		}
		_ = top.Tell("spawn") // the name is free again
		synctest.Wait()
		if again := at(t, s, "/top/idle"); again == child {
			t.Error("the new actor has the old one's ref")
		}
	})
}

func TestWatchingAnEndedActorTellsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		gone := spawn(t, s, spec("gone", echo))
		if err := gone.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		told := 0
		watcher := spawn(t, s, spec("watcher", func(ctx *actors.Context, msg any) error {
			if end, ok := msg.(actors.Terminated); ok && end.Ref == gone {
				told++
				return nil
			}
			ctx.Watch(gone)
			return nil
		}))
		_ = watcher.Tell("watch")
		synctest.Wait()
		if told != 1 {
			t.Errorf("told %d times, want once", told)
		}
	})
}

// pending is an actor with work in flight outside.
type pending struct {
	inFlight int
	log      *journal
}

func (p *pending) Receive(_ *actors.Context, msg any) error {
	if msg == "done" {
		p.inFlight--
		p.log.add("done")
		return nil
	}
	p.inFlight++
	return nil
}

func (p *pending) Drained() bool        { return p.inFlight == 0 }
func (p *pending) Stop(*actors.Context) { p.log.add("stops") }

func TestAStoppingActorWaitsForItsWorkInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		ref := spawn(t, newSystem(t), actors.Spec{Name: "shard", New: func() actors.Actor { return &pending{log: log} }})
		_ = ref.Tell("propose")
		time.AfterFunc(time.Second, func() {
			if err := ref.TellInternal("done"); err != nil {
				t.Errorf("the outcome was refused: %v", err)
			}
		})
		began := time.Now()
		if err := ref.Stop(t.Context()); err != nil || time.Since(began) != time.Second {
			t.Errorf("stop: %v after %v, want 1s", err, time.Since(began))
		}
		if diff := cmp.Diff([]string{"done", "stops"}, log.lines); diff != "" {
			t.Error(diff)
		}
	})
}

func TestChildrenStopBeforeTheirParentTheYoungestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		s := newSystem(t, strict)
		top := fragileSpec("top", log)
		top.Children = []actors.Spec{fragileSpec("a", log), fragileSpec("b", log)}
		spawn(t, s, top)
		synctest.Wait()
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{"top.1 starts", "a.1 starts", "b.1 starts", "b.1 stops", "a.1 stops", "top.1 stops"}
		if diff := cmp.Diff(want, log.lines); diff != "" {
			t.Error(diff)
		}
	})
}

func TestStopNamesWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		release := make(chan struct{})
		ref := spawn(t, s, spec("hangs", func(*actors.Context, any) error { <-release; return nil }))
		_ = ref.Tell("x")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Stop(ctx); err == nil || !strings.Contains(err.Error(), "/hangs") {
			t.Errorf("stop = %v, want it to name /hangs", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Stop(ctx); err == nil || !strings.Contains(err.Error(), "/hangs") {
			t.Errorf("stop after /hangs was abandoned = %v, want it to name /hangs", err)
		}
		close(release)
	})
}

func TestAStuckActorIsReportedAndStarvesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, strict)
		events, err := s.Subscribe(10)
		if err != nil {
			t.Fatal(err)
		}
		defer events.Close()
		release := make(chan struct{})
		stuck := spawn(t, s, spec("stuck", func(*actors.Context, any) error { <-release; return nil }))
		other := spawn(t, s, spec("other", echo))
		_ = stuck.Tell("x")
		_ = stuck.Tell("waits")
		synctest.Wait()
		began := time.Now()
		if got, err := actors.Ask[int](t.Context(), other, 7); got != 7 || err != nil || time.Since(began) > time.Second {
			t.Errorf("ask beside the stuck actor: %d, %v after %v", got, err, time.Since(began))
		}
		if got := s.Stalled(); len(got) != 1 || got[0].Path != "/stuck" {
			t.Errorf("stalled = %v, want /stuck", got)
		}
		time.Sleep(61 * time.Second)
		node, err := s.Tree(actors.Page{Path: "/stuck"})
		if err != nil || node.Depth != 2 || node.OldestAge < time.Minute {
			t.Errorf("tree shows %+v, %v; want 2 messages, the oldest over a minute", node, err)
		}
		close(release)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := s.Stalled(); len(got) != 0 {
			t.Errorf("still stalled: %v", got)
		}
		a, b := <-events.C, <-events.C
		if a.What != actors.EventStalled || b.What != actors.EventUnstalled || b.Took < time.Minute {
			t.Errorf("events = %v, %v; want stalled and unstalled after a minute", a, b)
		}
		if got := s.Stats().Workers; got != 1 {
			t.Errorf("workers = %d after the stand-in left, want 1", got)
		}
	})
}

func TestALoopBetweenFullMailboxesEndsInRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, strict)
		refused := 0
		var a, b actors.Ref
		loop := func(name string, to *actors.Ref) actors.Spec {
			one := spec(name, func(_ *actors.Context, msg any) error {
				for range 2 { // each message makes two, until both mailboxes are full
					if err := to.Tell(msg); errors.Is(err, full) {
						refused++
					}
				}
				if refused > 1000 {
					to = &actors.Ref{}
				}
				return nil
			})
			one.MailboxLimit = 16
			return one
		}
		a, b = spawn(t, s, loop("a", &b)), spawn(t, s, loop("b", &a))
		_ = a.Tell("x")
		synctest.Wait()
		if refused <= 1000 {
			t.Errorf("refused = %d, want the loop to have met full mailboxes", refused)
		}
	})
}

func TestNilMessagesAreOrdinaryMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ref := spawn(t, newSystem(t), spec("any", func(ctx *actors.Context, msg any) error {
			ctx.Reply(msg == nil)
			return nil
		}))
		if got, err := actors.Ask[bool](t.Context(), ref, nil); !got || err != nil {
			t.Errorf("ask with nil = %v, %v", got, err)
		}
		if err := ref.TellInternal(nil); err != nil {
			t.Error(err)
		}
	})
}

func TestTheZeroRefRefuses(t *testing.T) {
	var none actors.Ref
	if err := none.Tell("x"); !errors.Is(err, stopped) {
		t.Errorf("tell: %v", err)
	}
	if _, err := actors.Ask[int](t.Context(), none, "x"); !errors.Is(err, stopped) {
		t.Errorf("ask: %v", err)
	}
	if none.Path() != "" || none.Check() == nil || none.Stop(t.Context()) != nil {
		t.Error("the zero ref is somebody")
	}
}

func TestSpecsThatCannotRunAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, func(c *actors.Config) { c.ActorsMax = 3 })
		for name, bad := range map[string]actors.Spec{
			"no name":      {New: func() actors.Actor { return behave(echo) }},
			"a slash":      spec("a/b", echo),
			"no new":       {Name: "x"},
			"a long name":  spec(strings.Repeat("x", 129), echo),
			"a bad child":  {Name: "x", New: func() actors.Actor { return behave(echo) }, Children: []actors.Spec{{}}},
			"a huge limit": {Name: "x", New: func() actors.Actor { return behave(echo) }, MailboxLimit: 1 << 30},
		} {
			if _, err := s.Spawn(bad); !errors.Is(err, actors.ErrInvalidSpec) {
				t.Errorf("%s: %v, want ErrInvalidSpec", name, err)
			}
		}
		spawn(t, s, spec("a", echo))
		if _, err := s.Spawn(spec("a", echo)); !errors.Is(err, actors.ErrNameTaken) {
			t.Errorf("a taken name: %v", err)
		}
		spawn(t, s, spec("b", echo))
		if _, err := s.Spawn(spec("c", echo)); !errors.Is(err, actors.ErrTooManyActors) {
			t.Errorf("one too many: %v", err)
		}
	})
}

func TestATreeHasABottom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		var deepest error
		var nest behave
		nest = func(ctx *actors.Context, _ any) error {
			child, err := ctx.Spawn(spec("below", nest))
			if err != nil {
				deepest = err
				return nil
			}
			return child.Tell("on")
		}
		_ = spawn(t, s, spec("top", nest)).Tell("on")
		synctest.Wait()
		if !errors.Is(deepest, actors.ErrInvalidSpec) {
			t.Errorf("the deepest spawn: %v, want ErrInvalidSpec", deepest)
		}
		if got := s.Stats().Actors; got != 65 {
			t.Errorf("actors = %d, want 64 levels and the root", got)
		}
	})
}

func TestTheTreeComesInPagesAndTheBusiestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		for i := range 250 {
			ref := spawn(t, s, spec(fmt.Sprintf("%03d", i), echo))
			for range i {
				_ = ref.Tell("x")
			}
		}
		synctest.Wait()
		var names []string
		for page := (actors.Page{Levels: 1}); ; {
			node, err := s.Tree(page)
			if err != nil || node.Population != 250 || len(node.Children) > 100 {
				t.Fatalf("page at %d: %d of %d children, %v", page.First, len(node.Children), node.Population, err)
			}
			for _, child := range node.Children {
				names = append(names, child.Path)
			}
			if page.First = node.More; page.First == 0 {
				break
			}
		}
		if len(names) != 250 || names[0] != "/000" || names[249] != "/249" {
			t.Errorf("%d names from %s to %s", len(names), names[0], names[len(names)-1])
		}
		busy, depths := s.Busiest(3)
		if len(busy) != 3 || busy[0].Path != "/249" || busy[0].Messages != 249 || busy[0].Total != 249 || busy[2].Path != "/247" {
			t.Errorf("busiest = %v", busy)
		}
		for kind, depth := range depths {
			if depth != 0 {
				t.Errorf("%d messages wait for actors of kind %s", depth, kind)
			}
		}
		if again, _ := s.Busiest(3); len(again) != 0 {
			t.Errorf("busiest after nothing happened = %v", again)
		}
		if _, err := s.Tree(actors.Page{Path: "/nobody"}); !errors.Is(err, actors.ErrNotFound) {
			t.Errorf("tree of nobody: %v", err)
		}
	})
}

func TestDeadLettersKeepTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		gone := spawn(t, s, spec("gone", echo))
		if err := gone.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 300 {
			_ = gone.Tell(1)
		}
		_ = gone.Tell("last")
		got := s.DeadLetters()
		if len(got) != 256 || got[0].Type != "string" || got[0].Path != "/gone" || got[0].Reason != actors.Stopped {
			t.Errorf("%d dead letters, the newest %+v", len(got), got[0])
		}
		if n := s.Stats().DeadLetters["stopped"]; n != 301 {
			t.Errorf("counted %d, want 301", n)
		}
	})
}
