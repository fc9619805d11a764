package actors_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/the-block/bursar/actors"
)

// relaying starts an actor that hands every message on to another.
func relaying(t *testing.T, s *actors.System, to actors.Ref) actors.Ref {
	t.Helper()
	return spawn(t, s, spec("relay", func(ctx *actors.Context, msg any) error {
		if err := ctx.Forward(to, msg); err != nil {
			ctx.Reply(err)
		}
		return nil
	}))
}

func TestWhoeverAskedIsAnsweredByTheOneForwardedTo(t *testing.T) {
	s := newSystem(t)
	relay := relaying(t, s, spawn(t, s, spec("end", echo)))
	if got, err := actors.Ask[int](t.Context(), relay, 7); err != nil || got != 7 {
		t.Errorf("got %d, %v, want 7", got, err)
	}
	if err := relay.Tell(8); err != nil { // nobody asks
		t.Error(err)
	}
}

func TestAForwardThatIsRefusedLeavesTheAnswerHere(t *testing.T) {
	s := newSystem(t)
	end := spawn(t, s, spec("end", echo))
	relay := relaying(t, s, end)
	if err := end.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := actors.Ask[int](t.Context(), relay, 7); !errors.Is(err, &actors.Refused{Reason: actors.Stopped}) {
		t.Errorf("got %v, want that it has stopped", err)
	}
	if _, err := actors.Ask[int](t.Context(), relaying2(t, s), 7); !errors.Is(err, &actors.Refused{Reason: actors.Stopped}) {
		t.Errorf("to nobody: %v", err)
	}
}

func relaying2(t *testing.T, s *actors.System) actors.Ref {
	t.Helper()
	return spawn(t, s, spec("relay-to-nobody", func(ctx *actors.Context, msg any) error {
		if err := ctx.Forward(actors.Ref{}, msg); err != nil {
			ctx.Reply(err)
		}
		return nil
	}))
}

func TestAnAskThatNobodyWaitsInIsAnsweredOnce(t *testing.T) {
	refusal := errors.New("no")
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		gate := make(chan struct{})
		ref := spawn(t, s, spec("a", func(ctx *actors.Context, msg any) error {
			switch msg {
			case "wait":
				<-gate
			case "no":
				ctx.Reply(refusal)
				return nil
			case "fail":
				return refusal
			case "silent":
				return nil
			}
			ctx.Reply(msg)
			return nil
		}))
		type answer struct {
			reply any
			err   error
		}
		answers := make(map[any][]answer)
		ask := func(msg any) func() bool {
			giveUp, err := ref.AskFunc(msg, func(reply any, err error) { answers[msg] = append(answers[msg], answer{reply, err}) })
			if err != nil {
				t.Fatal(err)
			}
			return giveUp
		}
		for _, msg := range []any{1, "no", "silent", "fail"} {
			giveUp := ask(msg)
			synctest.Wait()
			if giveUp() {
				t.Errorf("%v: the right to answer was there still", msg)
			}
		}
		for msg, want := range map[any]error{1: nil, "no": refusal, "silent": actors.ErrNoReply} {
			if got := answers[msg]; len(got) != 1 || !errors.Is(got[0].err, want) {
				t.Errorf("%v: %v, want once %v", msg, got, want)
			}
		}
		if got := answers["fail"]; len(got) != 1 || got[0].err == nil {
			t.Errorf("an actor that failed: %v", got)
		}
		begun := ask("wait")
		synctest.Wait()
		skipped := ask("skipped")
		if !begun() || !skipped() {
			t.Error("who gives up first is told that somebody has answered")
		}
		close(gate)
		synctest.Wait()
		if len(answers["wait"])+len(answers["skipped"]) != 0 {
			t.Errorf("answered after giving up: %v", answers)
		}
		if err := ref.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := ref.AskFunc(2, func(any, error) { t.Error("called for a message that was refused") }); err == nil {
			t.Error("an actor that has ended takes a message")
		}
	})
}
