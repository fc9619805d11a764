package actors_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/supervision/breaker"
)

// letter is told when it is not delivered.
type letter struct {
	text string
	told []error
}

func (l *letter) Undelivered(err error) { l.told = append(l.told, err) }

func (l *letter) wantTold(t *testing.T, want error) {
	t.Helper()
	if len(l.told) != 1 || !errors.Is(l.told[0], want) {
		t.Errorf("%s was told %v, want once %v", l.text, l.told, want)
	}
}

func TestAMessageThatNobodyWillAnswerIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		gate := make(chan struct{})
		ref := spawn(t, s, spec("postman", func(ctx *actors.Context, msg any) error {
			switch msg.(*letter).text {
			case "slow":
				<-gate
			case "poison":
				return errors.New("poisoned")
			case "panic":
				panic("poisoned")
			case "last":
				ctx.Stop(ctx.Self())
				<-gate
				return errors.New("poisoned")
			}
			return nil
		}))
		letters := make(map[string]*letter)
		send := func(text string) *letter {
			letters[text] = &letter{text: text}
			if err := ref.Tell(letters[text]); err != nil {
				t.Fatal(err)
			}
			return letters[text]
		}
		fine, poison, panics := send("fine"), send("poison"), send("panic")
		time.Sleep(time.Second) // two restarts
		synctest.Wait()
		poison.wantTold(t, &messages.Error{Code: messages.CodeInternal})
		panics.wantTold(t, &messages.Error{Code: messages.CodeInternal})
		if fine.told != nil {
			t.Errorf("a message that was handled was told %v", fine.told)
		}

		slow, waits := send("slow"), send("waits")
		if err := s.Force(actors.Forced{Path: "/postman", Scope: breaker.Cell, State: breaker.ForcedOpen}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		close(gate)
		synctest.Wait()
		waits.wantTold(t, &actors.Refused{Reason: actors.CircuitOpen})
		if slow.told != nil {
			t.Errorf("a message that was handled was told %v", slow.told)
		}

		s.Reset("/postman", breaker.Cell)
		synctest.Wait()
		gate = make(chan struct{})
		last, behind := send("last"), send("behind")
		synctest.Wait()
		close(gate)
		synctest.Wait()
		last.wantTold(t, &messages.Error{Code: messages.CodeInternal})
		behind.wantTold(t, &actors.Refused{Reason: actors.Stopped})
	})
}
