package actors_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/actors"
)

// handled is what a kind has handled, by the counters of the kind, the tree and the
// busiest actors: they must agree.
func handled(t *testing.T, s *actors.System, kind string, ref actors.Ref) uint64 {
	t.Helper()
	var messages uint64
	for _, k := range s.Stats().Kinds {
		if k.Kind == kind {
			messages = k.Messages
		}
	}
	node, err := s.Tree(actors.Page{Path: ref.Path()})
	if err != nil {
		t.Fatal(err)
	}
	busy, _ := s.Busiest(10)
	var total uint64
	for _, b := range busy {
		if b.Path == ref.Path() {
			total = b.Total
		}
	}
	if node.Processed != messages || total != messages {
		t.Errorf("the kind handled %d, the tree says %d, the busiest %d", messages, node.Processed, total)
	}
	return messages
}

func TestMessagesOfTheInternalLaneCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		ref := spawn(t, s, spec("clock", func(ctx *actors.Context, msg any) error {
			if msg == "begin" {
				ctx.After(time.Second, "elapsed")
			}
			return nil
		}))
		_ = ref.Tell("begin")
		for range 3 {
			_ = ref.TellInternal("outcome")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := handled(t, s, "clock", ref); got != 5 {
			t.Errorf("%d messages, want 1 told, 3 outcomes and a timer", got)
		}
	})
}

func TestAMessageThatFailsCounts(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error":  func() error { return errBroken },
		"panic":  func() error { panic("broken") },
		"goexit": func() error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSystem(t)
				ref := spawn(t, s, spec("fragile", func(_ *actors.Context, msg any) error {
					if msg == "fail" {
						return fail()
					}
					return nil
				}))
				for _, msg := range []string{"well", "fail", "well"} {
					_ = ref.Tell(msg)
				}
				_ = ref.TellInternal("fail")
				time.Sleep(time.Second)
				synctest.Wait()
				if got := handled(t, s, "fragile", ref); got != 4 {
					t.Errorf("%d messages, want 4, two of them failed", got)
				}
			})
		})
	}
}

func TestAStashedMessageCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		open := false
		ref := spawn(t, s, spec("shop", func(ctx *actors.Context, msg any) error {
			switch {
			case msg == "open":
				open = true
				ctx.Unstash()
			case !open:
				return ctx.Stash()
			}
			return nil
		}))
		_ = ref.Tell("customer")
		_ = ref.TellInternal("goods")
		synctest.Wait()
		if got := handled(t, s, "shop", ref); got != 0 {
			t.Errorf("%d messages handled while all are stashed", got)
		}
		_ = ref.Tell("open")
		synctest.Wait()
		if got := handled(t, s, "shop", ref); got != 3 {
			t.Errorf("%d messages, want 3", got)
		}
	})
}

// An actor that fails before it has handled anything has handled nothing.
func TestAFailureOutsideAMessageCountsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		ref := spawn(t, s, actors.Spec{Name: "late", New: func() actors.Actor {
			return &fragile{failStart: func(int) bool { return true }}
		}})
		time.Sleep(time.Second)
		synctest.Wait()
		if got := handled(t, s, "late", ref); got != 0 {
			t.Errorf("%d messages, want none", got)
		}
	})
}
