package actors_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
)

// behave makes an actor out of a function.
type behave func(ctx *actors.Context, msg any) error

func (b behave) Receive(ctx *actors.Context, msg any) error { return b(ctx, msg) }

func spec(name string, b behave) actors.Spec {
	return actors.Spec{Name: name, New: func() actors.Actor { return b }}
}

// newSystem starts a system that the test ends, within a virtual minute.
func newSystem(t testing.TB, tune ...func(*actors.Config)) *actors.System {
	t.Helper()
	cfg := actors.DefaultConfig()
	for _, f := range tune {
		f(&cfg)
	}
	s, err := actors.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

func spawn(t testing.TB, s *actors.System, spec actors.Spec) actors.Ref {
	t.Helper()
	ref, err := s.Spawn(spec)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func echo(ctx *actors.Context, msg any) error {
	ctx.Reply(msg)
	return nil
}

func TestAnAskIsAnsweredWithTheReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ref := spawn(t, newSystem(t), spec("echo", echo))
		got, err := actors.Ask[int](t.Context(), ref, 7)
		if got != 7 || err != nil {
			t.Errorf("ask = %d, %v; want 7", got, err)
		}
		if _, err := actors.Ask[string](t.Context(), ref, 7); !errors.Is(err, actors.ErrReplyType) {
			t.Errorf("asking for another type: %v, want ErrReplyType", err)
		}
		if _, err := actors.Ask[int](t.Context(), ref, fmt.Errorf("no")); err == nil || err.Error() != "no" {
			t.Errorf("an error as reply: %v, want it as Ask's error", err)
		}
	})
}

func TestAnAskNobodyAnswersEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ref := spawn(t, newSystem(t), spec("mute", func(*actors.Context, any) error { return nil }))
		began := time.Now()
		_, err := actors.Ask[int](t.Context(), ref, 7)
		if !errors.Is(err, actors.ErrNoReply) || time.Since(began) != 0 {
			t.Errorf("ask = %v after %v, want ErrNoReply at once", err, time.Since(began))
		}
	})
}

func TestMessagesKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		ref := spawn(t, newSystem(t), spec("list", func(_ *actors.Context, msg any) error {
			got = append(got, msg.(int))
			return nil
		}))
		var want []int
		for i := range 1000 {
			want = append(want, i)
			if err := ref.Tell(i); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAFailingAskIsAnsweredAtOnceAndTheMailboxIsKept(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error":  func() error { return errors.New("broken") },
		"panic":  func() error { panic("broken") },
		"goexit": func() error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSystem(t)
				incarnations := 0
				ref := spawn(t, s, actors.Spec{Name: "fragile", New: func() actors.Actor {
					incarnations++
					mine := incarnations
					return behave(func(ctx *actors.Context, msg any) error {
						if msg == "fail" {
							return fail()
						}
						ctx.Reply(mine)
						return nil
					})
				}})
				failed := make(chan error, 1)
				go func() {
					_, err := actors.Ask[int](t.Context(), ref, "fail")
					failed <- err
				}()
				synctest.Wait()
				got, err := actors.Ask[int](t.Context(), ref, "who")
				if got != 2 || err != nil {
					t.Errorf("after the failure: %d, %v; want the second incarnation", got, err)
				}
				if err := <-failed; !errors.Is(err, &messages.Error{Code: messages.CodeInternal}) {
					t.Errorf("the failing ask got %v, want an internal error", err)
				}
			})
		})
	}
}

func TestStopDrainsWhatWasAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		handled := 0
		ref := spawn(t, s, spec("worker", func(*actors.Context, any) error {
			handled++
			return nil
		}))
		for range 500 {
			if err := ref.Tell("work"); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if handled != 500 {
			t.Errorf("handled = %d, want 500", handled)
		}
		if err := ref.Tell("late"); !errors.Is(err, &actors.Refused{Reason: actors.Stopped}) {
			t.Errorf("tell after stop: %v, want it refused as stopped", err)
		}
	})
}

func TestAFullMailboxRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		one := spec("slow", func(*actors.Context, any) error { <-release; return nil })
		one.MailboxLimit = 8
		ref := spawn(t, newSystem(t), one)
		taken := 0
		for range 100 {
			if err := ref.Tell("x"); err == nil {
				taken++
			} else if !errors.Is(err, &actors.Refused{Reason: actors.MailboxFull}) {
				t.Fatal(err)
			}
		}
		if taken != 8 {
			t.Errorf("taken = %d, want the limit of 8", taken)
		}
		if err := ref.TellInternal("outcome"); err != nil {
			t.Errorf("an outcome was refused: %v", err)
		}
		close(release)
		synctest.Wait()
		if err := ref.Tell("x"); err != nil {
			t.Errorf("after the mailbox emptied: %v", err)
		}
	})
}
