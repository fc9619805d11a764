package actors_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors"
)

// watchOver spawns an actor on m that does what it is told with refs, and tells what it
// hears of their ends.
func watchOver(t *testing.T, m *member) (watcher actors.Ref, heard chan actors.Terminated) {
	heard = make(chan actors.Terminated, 16)
	return spawn(t, m.System, spec("watcher", func(ctx *actors.Context, msg any) error {
		switch msg := msg.(type) {
		case actors.Terminated:
			heard <- msg
		case func(*actors.Context):
			msg(ctx)
		}
		return nil
	})), heard
}

func tell(t *testing.T, ref actors.Ref, do func(*actors.Context)) {
	t.Helper()
	if err := ref.Tell(do); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// drained returns what is in a channel now.
func drained(heard chan actors.Terminated) (all []actors.Terminated) {
	synctest.Wait()
	for {
		select {
		case h := <-heard:
			all = append(all, h)
		default:
			return all
		}
	}
}

func TestTheEndOfAWatchedActorIsHeardOnTheOtherNode(t *testing.T) {
	across(t, func(t *testing.T, one, two *member) {
		watcher, heard := watchOver(t, one)
		want := func(when string, all ...actors.Terminated) {
			t.Helper()
			equal := cmp.Comparer(func(a, b actors.Ref) bool { return a == b })
			if diff := cmp.Diff(all, drained(heard), equal); diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
		}
		local := spawn(t, two.System, spec("a", echo))
		ref := refOn(t, one.System, "two", "/a")
		watch := func(ctx *actors.Context) { ctx.Watch(ref); ctx.Watch(ref) }
		tell(t, watcher, watch)
		want("it lives")
		if err := local.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		want("stopped", actors.Terminated{Ref: ref, End: actors.EndStopped})
		tell(t, watcher, watch)
		want("there is no such actor", actors.Terminated{Ref: ref, End: actors.EndStopped})

		fragile := spec("a", func(*actors.Context, any) error { return errors.New("broken") })
		boss := spec("boss", func(ctx *actors.Context, _ any) error { _, err := ctx.Spawn(fragile); return err })
		bossRef := spawn(t, two.System, boss)
		if err := bossRef.Tell("spawn"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ref = refOn(t, one.System, "two", "/boss/a")
		tell(t, watcher, watch)
		if err := ref.Tell(note{"fail"}); err != nil { // a restart is no end
			t.Fatal(err)
		}
		want("restarted")
		tell(t, watcher, func(ctx *actors.Context) { ctx.Unwatch(ref) })
		if err := bossRef.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		want("no longer watched")
	})
}

func TestABrokenLinkEndsWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newCables(t)
		one, two := n.node("one"), n.node("two")
		n.link(one, two)
		watcher, heard := watchOver(t, one)
		local := spawn(t, two.System, spec("a", echo))
		ref := refOn(t, one.System, "two", "/a")
		watch := func(ctx *actors.Context) { ctx.Watch(ref) }
		expect := func(when string, end actors.End) {
			t.Helper()
			if got := drained(heard); len(got) != 1 || got[0].Ref != ref || got[0].End != end {
				t.Errorf("%s: heard %v, want one end: %v", when, got, end)
			}
		}
		tell(t, watcher, watch)
		n.unlink(one, two)
		expect("cut", actors.EndUnreachable)
		tell(t, watcher, watch)
		expect("there is no link", actors.EndUnreachable)
		n.link(one, two)
		tell(t, watcher, watch)
		if got := drained(heard); len(got) != 0 {
			t.Errorf("heard %v of an actor that lives", got)
		}
		if err := local.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect("stopped after the link was made again", actors.EndStopped)
		for _, m := range []*member{one, two} {
			if s := m.remote.Stats()[0]; s.Watches != 0 {
				t.Errorf("%s still has %d watches", m.name, s.Watches)
			}
		}
	})
}

func TestARestartedNodeEndsTheWatchesOfTheOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newCables(t)
		one, two := n.node("one"), n.node("two")
		n.link(one, two)
		watcher, heard := watchOver(t, one)
		spawn(t, two.System, spec("a", echo))
		ref := refOn(t, one.System, "two", "/a")
		tell(t, watcher, func(ctx *actors.Context) { ctx.Watch(ref) })
		n.cut(one, two)
		n.cut(two, one)
		again := n.node("two") // it is back before anybody noticed
		spawn(t, again.System, spec("a", echo))
		n.link(one, again)
		if got := drained(heard); len(got) != 1 || got[0].End != actors.EndUnreachable {
			t.Errorf("heard %v, want the old node's actor unreachable", got)
		}
		if _, err := actors.Ask[note](t.Context(), ref, note{"hello"}); err != nil {
			t.Errorf("the new node: %v", err)
		}
	})
}

func TestAWatcherThatEndsTakesItsWatchesBack(t *testing.T) {
	across(t, func(t *testing.T, one, two *member) {
		watcher, _ := watchOver(t, one)
		spawn(t, two.System, spec("a", echo))
		ref := refOn(t, one.System, "two", "/a")
		tell(t, watcher, func(ctx *actors.Context) { ctx.Watch(ref) })
		if s := one.remote.Stats()[0]; s.Watches != 1 {
			t.Fatalf("%d watches, want 1", s.Watches)
		}
		if err := watcher.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := one.remote.Stats()[0]; s.Watches != 0 {
			t.Errorf("%d watches are left", s.Watches)
		}
	})
}

func TestOneWatchTooManyIsAnsweredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newCables(t)
		few := func(c *actors.RemoteConfig) { c.WatchesMax = 2 }
		for name, nodes := range map[string][2]*member{
			"the watcher's bound": {n.node("a", few), n.node("b")}, "the watched one's": {n.node("c"), n.node("d", few)},
		} {
			one, two := nodes[0], nodes[1]
			n.link(one, two)
			watcher, heard := watchOver(t, one)
			for i, actor := range []string{"x", "y", "z"} {
				spawn(t, two.System, spec(actor, echo))
				ref := refOn(t, one.System, two.name, "/"+actor)
				tell(t, watcher, func(ctx *actors.Context) { ctx.Watch(ref) })
				got := drained(heard)
				if i < 2 && len(got) != 0 || i == 2 && (len(got) != 1 || got[0].End != actors.EndUnreachable) {
					t.Errorf("%s: watch %d: heard %v", name, i, got)
				}
			}
		}
	})
}
