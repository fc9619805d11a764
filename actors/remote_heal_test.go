package actors_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/actors"
)

func TestALostFrameIsNoticedAndBothEndsBeginAnew(t *testing.T) {
	across(t, func(t *testing.T, one, two *member) {
		var heard []count
		spawn(t, two.System, spec("a", func(ctx *actors.Context, msg any) error {
			if n, ok := msg.(count); ok {
				heard = append(heard, n)
			} else {
				ctx.Replier() // never answered
			}
			return nil
		}))
		ref := refOn(t, one.System, "two", "/a")
		say := func(n count) {
			t.Helper()
			if err := ref.Tell(n); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		pending := make(chan error, 1)
		go func() { _, err := actors.Ask[note](t.Context(), ref, note{"x"}); pending <- err }()
		say(1)
		one.net.by[route{"one", "two"}].loseNext(1)
		say(2) // lost
		say(3) // shows the gap, and is lost with it
		select {
		case err := <-pending:
			if !isUnknown(err) {
				t.Errorf("the ask in flight: %v", err)
			}
		default:
			t.Error("the ask in flight was not told that frames were lost")
		}
		say(4)
		if fmt.Sprint(heard) != "[1 4]" {
			t.Errorf("heard %v, want what came before the loss and after it", heard)
		}
		if s := one.remote.Stats()[0]; s.Breaks != 1 || !s.Up {
			t.Errorf("one: %+v, want one break, and the link up again", s)
		}
	})
}

func TestALostReplyFailsItsAsk(t *testing.T) {
	across(t, func(t *testing.T, one, two *member) {
		spawn(t, two.System, spec("echo", echo))
		ref := refOn(t, one.System, "two", "/echo")
		ask := func() error { _, err := actors.Ask[note](t.Context(), ref, note{"x"}); return err }
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		one.net.by[route{"two", "one"}].loseNext(1)
		lost := make(chan error, 1)
		go func() { lost <- ask() }()
		synctest.Wait()
		if err := ask(); !isUnknown(err) { // its own answer shows the gap
			t.Errorf("the ask whose answer came after the gap: %v", err)
		}
		if err := <-lost; !isUnknown(err) {
			t.Errorf("the ask whose answer was lost: %v", err)
		}
		synctest.Wait() // both ends have begun anew
		if err := ask(); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// One node's connection breaks and is made again; the other's, which is another one,
// does not, and nobody tells it.
func TestOneDirectionMayBreakAlone(t *testing.T) {
	across(t, func(t *testing.T, one, two *member) {
		for _, m := range []*member{one, two} {
			spawn(t, m.System, spec("echo", echo))
		}
		there, back := refOn(t, one.System, "two", "/echo"), refOn(t, two.System, "one", "/echo")
		ask := func(when string) {
			t.Helper()
			for _, ref := range []actors.Ref{there, back} {
				if _, err := actors.Ask[note](t.Context(), ref, note{"x"}); err != nil {
					t.Errorf("%s: asking %s: %v", when, ref.Node(), err)
				}
			}
		}
		ask("at first")
		n := one.net
		n.cut(one, two)
		one.remote.LinkDown("two")
		n.lay(one, two)
		if err := one.remote.LinkUp("two"); err != nil {
			t.Fatal(err)
		}
		// The answer may come on the stream that is not taken any more.
		if _, err := actors.Ask[note](t.Context(), there, note{"x"}); err != nil && !isUnknown(err) {
			t.Errorf("at once: %v", err)
		}
		synctest.Wait()
		ask("after both ends have noticed")
		n.cut(two, one)
		n.lay(two, one) // and now without a LinkDown
		if err := two.remote.LinkUp("one"); err != nil {
			t.Fatal(err)
		}
		_, _ = actors.Ask[note](t.Context(), back, note{"x"})
		synctest.Wait()
		ask("after the other direction")
	})
}

func TestTheQuickerNodeMayAskBeforeTheOtherHasItsLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newCables(t)
		one, two := n.node("one"), n.node("two")
		spawn(t, two.System, spec("echo", echo))
		n.lay(one, two)
		n.lay(two, one)
		if err := one.remote.LinkUp("two"); err != nil {
			t.Fatal(err)
		}
		answer := make(chan error, 1)
		go func() {
			_, err := actors.Ask[note](t.Context(), refOn(t, one.System, "two", "/echo"), note{"x"})
			answer <- err
		}()
		synctest.Wait()
		if err := two.remote.LinkUp("one"); err != nil {
			t.Fatal(err)
		}
		if err := <-answer; err != nil {
			t.Errorf("the answer that waited for its link: %v", err)
		}
	})
}

// Whatever happens to the cables: no message comes twice or out of order, every ask ends,
// and when the cables hold again everything works and nothing is lost.
func TestWhateverHappensToTheCables(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { storm(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func storm(t *testing.T, random *rand.Rand) {
	n := newCables(t)
	nodes := []*member{n.node("one"), n.node("two")}
	n.link(nodes[0], nodes[1])
	refs := make([]actors.Ref, 2)
	var last [2]count
	for i, m := range nodes {
		rising := spec("rising", func(ctx *actors.Context, msg any) error {
			c, ok := msg.(count)
			if !ok {
				ctx.Reply(msg)
				return nil
			}
			if c <= last[i] {
				t.Errorf("count %d came after %d", c, last[i])
			}
			last[i] = c
			return nil
		})
		rising.MailboxLimit = 50
		spawn(t, m.System, rising)
		refs[1-i] = refOn(t, nodes[1-i].System, m.name, "/rising")
	}
	next := [2]count{1, 1}
	asked := make(chan error, 1000)
	asks := 0
	for range 200 {
		from := random.IntN(2)
		a, b := nodes[from], nodes[1-from]
		switch random.IntN(8) {
		case 0, 1, 2:
			for range random.IntN(500) {
				if refs[from].Tell(next[from]) == nil {
					next[from]++
				}
			}
		case 3, 4:
			asks++
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, err := actors.Ask[note](ctx, refs[from], note{"x"})
				asked <- err
			}()
		case 5, 6: // with all that is on it, one direction breaks; perhaps nobody says so
			n.cut(a, b)
			if random.IntN(2) == 0 {
				a.remote.LinkDown(b.name)
			}
			n.lay(a, b)
			if err := a.remote.LinkUp(b.name); err != nil {
				t.Fatal(err)
			}
		case 7:
			n.by[route{a.name, b.name}].slow(time.Duration(random.IntN(20)) * time.Millisecond)
		}
		time.Sleep(time.Duration(random.IntN(5)) * time.Millisecond)
	}
	for _, c := range n.by {
		c.slow(0)
	}
	for i := 0; i < 2; i++ { // what goes on shows each end what the other has lost
		for _, ref := range refs {
			_ = ref.Tell(note{"x"})
		}
		time.Sleep(time.Second)
	}
	for range asks {
		if err := <-asked; err != nil && !isUnknown(err) && !isRefused(err, actors.Unreachable) {
			t.Errorf("an ask ended with %v", err)
		}
	}
	for i, ref := range refs {
		if _, err := actors.Ask[note](t.Context(), ref, note{"x"}); err != nil {
			t.Fatalf("after the storm, %s: %v", ref.Node(), err)
		}
		tellAll(t, ref, next[i], next[i]+5000)
		synctest.Wait()
		if got, want := last[1-i], next[i]+4999; got != want {
			t.Errorf("after the storm %s has come to %d, want %d", ref.Node(), got, want)
		}
	}
}
