package actors_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
)

// across runs a test on two linked nodes in virtual time.
func across(t *testing.T, test func(t *testing.T, one, two *member)) {
	synctest.Test(t, func(t *testing.T) {
		n := newCables(t)
		one, two := n.node("one"), n.node("two")
		n.link(one, two)
		test(t, one, two)
	})
}

func isRefused(err error, why actors.Reason) bool {
	return errors.Is(err, &actors.Refused{Reason: why})
}

func isUnknown(err error) bool {
	return errors.Is(err, &messages.Error{Code: messages.CodeOutcomeUnknown})
}

func TestTellsArriveOnTheOtherNodeInOrder(t *testing.T) {
	across(t, func(t *testing.T, one, two *member) {
		var came count
		spawn(t, two.System, orderedSpec(t, &came))
		tellAll(t, refOn(t, one.System, "two", "/ordered"), 0, 100_000)
		synctest.Wait()
		if came != 100_000 {
			t.Errorf("%d of 100,000 came", came)
		}
		if got := two.Stats().DeadLetters; dead(two.System, actors.MailboxFull) != 0 {
			t.Errorf("dead letters: %v", got)
		}
	})
}

func TestABurstWaitsForASmallMailbox(t *testing.T) {
	across(t, func(t *testing.T, one, two *member) {
		var came count
		small := orderedSpec(t, &came)
		small.MailboxLimit = 3
		spawn(t, two.System, small)
		tellAll(t, refOn(t, one.System, "two", "/ordered"), 0, 20_000)
		synctest.Wait()
		if came != 20_000 {
			t.Errorf("%d of 20,000 came", came)
		}
		if s := two.remote.Stats()[0]; s.Waiting != 0 {
			t.Errorf("%d still wait for room", s.Waiting)
		}
	})
}

func TestAnAskIsAnsweredAcrossNodes(t *testing.T) {
	across(t, func(t *testing.T, one, two *member) {
		later := make(chan actors.Replier, 1)
		spawn(t, two.System, spec("clerk", func(ctx *actors.Context, msg any) error {
			switch text := msg.(note).text; text {
			case "echo":
				ctx.Reply(msg)
			case "later":
				later <- ctx.Replier()
			case "refuse":
				ctx.Reply(messages.Errorf(messages.CodeNotFound, "no such account").With("id", uint64(7)))
			case "secret":
				ctx.Reply(secret{})
			case "nothing":
				ctx.Reply(nil)
			case "long":
				ctx.Reply(note{strings.Repeat("x", 300<<10)})
			case "fail":
				return errors.New("broken")
			case "silent":
			}
			return nil
		}))
		ref := refOn(t, one.System, "two", "/clerk")
		ask := func(text string) (note, error) {
			return actors.Ask[note](t.Context(), ref, note{text})
		}
		if got, err := ask("echo"); got.text != "echo" || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
		go func() { (<-later).Reply(note{"at last"}) }()
		if got, err := ask("later"); got.text != "at last" || err != nil {
			t.Errorf("a kept replier answered %v, %v", got, err)
		}
		_, err := ask("refuse")
		var refusal *messages.Error
		if !errors.As(err, &refusal) || refusal.Message != "no such account" ||
			!cmp.Equal(refusal.Data, map[string]any{"id": uint64(7)}) {
			t.Errorf("a refusal came as %#v", err)
		}
		if _, err := ask("fail"); !errors.Is(err, &messages.Error{Code: messages.CodeInternal}) {
			t.Errorf("the ask that failed got %v, want an internal error", err)
		}
		if _, err := ask("silent"); !errors.Is(err, actors.ErrNoReply) {
			t.Errorf("got %v, want no reply", err)
		}
		if _, err := ask("nothing"); !errors.Is(err, actors.ErrReplyType) {
			t.Errorf("a nil reply gave %v, want another type", err)
		}
		if _, err := actors.Ask[count](t.Context(), ref, note{"echo"}); !errors.Is(err, actors.ErrReplyType) {
			t.Errorf("a note for a count gave %v", err)
		}
		for _, text := range []string{"secret", "long"} {
			if _, err := ask(text); !isUnknown(err) {
				t.Errorf("a reply that cannot leave (%s) gave %v, want an unknown outcome", text, err)
			}
		}
		if n := dead(two.System, actors.Unsendable); n != 2 {
			t.Errorf("%d dead letters, want the two replies", n)
		}
	})
}

func TestWhatNobodyTakesIsADeadLetterThereAndAnAnswerHere(t *testing.T) {
	across(t, func(t *testing.T, one, two *member) {
		gone := spawn(t, two.System, spec("gone", echo))
		ref := refOn(t, one.System, "two", "/gone")
		if _, err := actors.Ask[note](t.Context(), ref, note{"hello"}); err != nil {
			t.Fatal(err)
		}
		if err := gone.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name string
			ref  actors.Ref
			msg  any
			why  actors.Reason
		}{
			{"an actor that has ended", ref, note{"hello"}, actors.NoActor},
			{"an actor there never was", refOn(t, one.System, "two", "/never"), note{"hello"}, actors.NoActor},
			{"bytes its codec refuses", ref, note{"unreadable"}, actors.Malformed},
			{"bytes its codec chokes on", ref, note{"explosive"}, actors.Malformed},
		} {
			before := dead(two.System, c.why)
			if _, err := actors.Ask[note](t.Context(), c.ref, c.msg); !isRefused(err, c.why) {
				t.Errorf("%s: the ask got %v, want %v", c.name, err, c.why)
			}
			if err := c.ref.Tell(c.msg); err != nil {
				t.Errorf("%s: tell: %v", c.name, err)
			}
			synctest.Wait()
			if n := dead(two.System, c.why) - before; n != 2 {
				t.Errorf("%s: %d dead letters of %v, want 2", c.name, n, c.why)
			}
		}
		// The ref is of a path: who comes after gets the messages.
		spawn(t, two.System, spec("gone", echo))
		if _, err := actors.Ask[note](t.Context(), ref, note{"hello"}); err != nil {
			t.Errorf("the successor was not asked: %v", err)
		}
	})
}

func TestWhatCannotLeaveIsRefusedAtOnce(t *testing.T) {
	across(t, func(t *testing.T, one, two *member) {
		ref := refOn(t, one.System, "two", "/x")
		for name, msg := range map[string]any{
			"a type without a codec": secret{}, "a message too large": note{strings.Repeat("x", 256<<10+1)},
		} {
			if err := ref.Tell(msg); !isRefused(err, actors.Unsendable) {
				t.Errorf("%s: told: %v", name, err)
			}
			if _, err := actors.Ask[note](t.Context(), ref, msg); !isRefused(err, actors.Unsendable) {
				t.Errorf("%s: asked: %v", name, err)
			}
		}
		if err := ref.TellInternal(note{}); !errors.Is(err, actors.ErrElsewhere) {
			t.Errorf("an outcome: %v", err)
		}
		if err := ref.Stop(t.Context()); !errors.Is(err, actors.ErrElsewhere) {
			t.Errorf("stop: %v", err)
		}
		far := refOn(t, one.System, "three", "/x")
		if err := far.Tell(note{}); !isRefused(err, actors.Unreachable) {
			t.Errorf("a node without a link: %v", err)
		}
		if err := far.Check(); !isRefused(err, actors.Unreachable) {
			t.Errorf("check of a node without a link: %v", err)
		}
		if err := ref.Check(); err != nil {
			t.Errorf("check: %v", err)
		}
	})
}

func TestRefsOfOtherNodesAreValues(t *testing.T) {
	across(t, func(t *testing.T, one, _ *member) {
		a, b := refOn(t, one.System, "two", "/a"), refOn(t, one.System, "two", "/"+strings.Clone("a"))
		if a != b || a == refOn(t, one.System, "two", "/b") || a == refOn(t, one.System, "three", "/a") {
			t.Error("refs are not equal exactly when node and path are")
		}
		if a.Node() != "two" || a.Path() != "/a" {
			t.Errorf("got %s %s", a.Node(), a.Path())
		}
		local := spawn(t, one.System, spec("here", echo))
		if got := refOn(t, one.System, "one", "/here"); got != local || got.Node() != "" {
			t.Error("a ref on the own node is not the actor's own")
		}
		for _, path := range []string{"", "/", "a", "/a/", "/" + strings.Repeat("a", 10_000)} {
			if _, err := one.RefOn("two", path); !errors.Is(err, actors.ErrBadRef) {
				t.Errorf("path %.20q: %v", path, err)
			}
		}
		if _, err := one.RefOn("one", "/nobody"); !errors.Is(err, actors.ErrNotFound) {
			t.Errorf("nobody here: %v", err)
		}
	})
}

func TestAFullQueueRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newCables(t)
		one, two := n.node("one", func(c *actors.RemoteConfig) { c.QueueMessages = 100 }), n.node("two")
		there, _ := n.link(one, two)
		var came count
		spawn(t, two.System, orderedSpec(t, &came))
		ref := refOn(t, one.System, "two", "/ordered")
		synctest.Wait() // the first frame, which carries a grant only, is on its way
		release := there.block()
		taken := count(0)
		for ref.Tell(taken) == nil {
			taken++
			synctest.Wait()
		}
		if err := ref.Tell(taken); !isRefused(err, actors.QueueFull) || taken < 100 || taken > 101 {
			t.Errorf("after %d: %v, want a full queue after 100 and the one on its way", taken, err)
		}
		if !errors.Is(ref.Tell(taken), &messages.Error{Code: messages.CodeOverloaded}) {
			t.Error("a full queue is not overload to a caller on the wire")
		}
		release()
		synctest.Wait()
		if came != taken {
			t.Errorf("%d came of %d taken", came, taken)
		}
	})
}

func TestAStuckActorHoldsTheOthersUpForItsPatienceOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newCables(t)
		one, two := n.node("one"), n.node("two")
		n.link(one, two)
		release := make(chan struct{})
		handled := 0
		slow := spec("stuck", func(ctx *actors.Context, msg any) error { <-release; handled++; ctx.Reply(msg); return nil })
		slow.MailboxLimit = 10
		spawn(t, two.System, slow)
		spawn(t, two.System, spec("echo", echo))
		stuck, other := refOn(t, one.System, "two", "/stuck"), refOn(t, one.System, "two", "/echo")
		for i := range 50_000 { // more than the window holds
			if err := stuck.Tell(count(i)); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		if _, err := actors.Ask[note](t.Context(), other, note{"hello"}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < time.Second || took > 2*time.Second {
			t.Errorf("the other actor's answer took %v, want the patience of one second, or twice that", took)
		}
		if n := dead(two.System, actors.MailboxFull); n != 50_000-10 {
			t.Errorf("%d dead letters, want all but the mailbox's 10", n)
		}
		began = time.Now()
		if _, err := actors.Ask[note](t.Context(), stuck, note{"hello"}); !isRefused(err, actors.MailboxFull) {
			t.Errorf("the stuck actor was asked: %v", err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the refusal took %v: the actor is known to be stuck", took)
		}
		close(release)
		synctest.Wait()
		if _, err := actors.Ask[note](t.Context(), stuck, note{"hello"}); err != nil || handled != 11 {
			t.Errorf("after it came back: %v, %d handled", err, handled)
		}
	})
}

func TestABrokenLinkFailsAsksAtOnce(t *testing.T) {
	across(t, func(t *testing.T, one, two *member) {
		spawn(t, two.System, spec("slow", func(ctx *actors.Context, _ any) error { ctx.Replier(); return nil }))
		ref := refOn(t, one.System, "two", "/slow")
		failed := make(chan error, 10)
		for range 10 {
			go func() {
				_, err := actors.Ask[note](t.Context(), ref, note{"work"})
				failed <- err
			}()
		}
		synctest.Wait()
		began := time.Now()
		one.net.unlink(one, two)
		for range 10 {
			if err := <-failed; !isUnknown(err) || !strings.Contains(err.Error(), "two") {
				t.Errorf("got %v, want an unknown outcome that names the node", err)
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		if _, err := actors.Ask[note](t.Context(), ref, note{"work"}); !isRefused(err, actors.Unreachable) {
			t.Errorf("without a link: %v", err)
		}
	})
}

func TestWhatWasNotSentIsKnownNotToHaveArrived(t *testing.T) {
	across(t, func(t *testing.T, one, two *member) {
		synctest.Wait() // the first frame, which carries a grant only, is on its way
		there := one.net.by[route{"one", "two"}]
		there.block() // for ever: the cut ends it
		ref := refOn(t, one.System, "two", "/x")
		failed := make(chan error, 2)
		ask := func() {
			_, err := actors.Ask[note](t.Context(), ref, note{"work"})
			failed <- err
		}
		go ask()
		synctest.Wait() // the writer has it
		go ask()
		synctest.Wait() // and this one waits
		for range 5 {
			if err := ref.Tell(note{"x"}); err != nil {
				t.Fatal(err)
			}
		}
		one.net.unlink(one, two)
		first, second := <-failed, <-failed
		if isUnknown(second) {
			first, second = second, first
		}
		if !isUnknown(first) || !isRefused(second, actors.Unreachable) {
			t.Errorf("got %v and %v, want the one on its way unknown, the other refused", first, second)
		}
		if n := dead(one.System, actors.Unreachable); n != 5 {
			t.Errorf("%d dead letters, want the 5 tells", n)
		}
		if l := one.DeadLetters()[0]; l.Path != "/x" || l.Type != "actors_test.note" {
			t.Errorf("a dead letter: %+v", l)
		}
	})
}

func TestARefOutlivesTheOtherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newCables(t)
		one, two := n.node("one"), n.node("two")
		n.link(one, two)
		spawn(t, two.System, spec("echo", echo))
		ref := refOn(t, one.System, "two", "/echo")
		if _, err := actors.Ask[note](t.Context(), ref, note{"a"}); err != nil {
			t.Fatal(err)
		}
		n.unlink(one, two)
		two.end()
		again := n.node("two")
		spawn(t, again.System, spec("echo", echo))
		n.link(one, again)
		if _, err := actors.Ask[note](t.Context(), ref, note{"b"}); err != nil {
			t.Errorf("the restarted node was not asked: %v", err)
		}
	})
}

func TestAnAskThatIsGivenUpIsNotHandledLater(t *testing.T) {
	across(t, func(t *testing.T, one, two *member) {
		release := make(chan struct{})
		var handled []string
		spawn(t, two.System, spec("slow", func(ctx *actors.Context, msg any) error {
			handled = append(handled, msg.(note).text)
			if msg.(note).text == "first" {
				<-release
			}
			ctx.Reply(msg)
			return nil
		}))
		ref := refOn(t, one.System, "two", "/slow")
		if err := ref.Tell(note{"first"}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := actors.Ask[note](ctx, ref, note{"second"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Second)
		close(release)
		synctest.Wait()
		if diff := cmp.Diff([]string{"first"}, handled); diff != "" {
			t.Errorf("handled (-want +got):\n%s", diff)
		}
		if n := dead(two.System, actors.DeadlinePassed); n != 1 {
			t.Errorf("%d dead letters, want the one nobody waits for", n)
		}
		if s := one.remote.Stats()[0]; s.Asks != 0 {
			t.Errorf("%d asks are still on the books", s.Asks)
		}
	})
}

func TestStopSendsTheLastReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newCables(t)
		one, two := n.node("one"), n.node("two")
		n.link(one, two)
		started, release := make(chan struct{}), make(chan struct{})
		spawn(t, two.System, spec("slow", func(ctx *actors.Context, msg any) error {
			close(started)
			<-release
			ctx.Reply(msg)
			return nil
		}))
		answer := make(chan error, 1)
		go func() {
			_, err := actors.Ask[note](t.Context(), refOn(t, one.System, "two", "/slow"), note{"x"})
			answer <- err
		}()
		<-started
		go two.end()
		synctest.Wait()
		close(release)
		if err := <-answer; err != nil {
			t.Errorf("the ask that the node had accepted before it stopped: %v", err)
		}
	})
}
