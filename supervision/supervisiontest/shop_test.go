package supervisiontest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/breaker"
	"github.com/the-block/bursar/supervision/supervisiontest"
)

// sale is what a till is told.
type sale struct{ cents int }

// till adds up sales and answers with the sum.
type till struct{ sum int }

func (t *till) Receive(ctx *actors.Context, msg any) error {
	t.sum += msg.(sale).cents
	ctx.Reply(t.sum)
	return nil
}

// door has children and nothing to say.
type door struct{}

func (door) Receive(*actors.Context, any) error { return nil }

// shop supervises two tills.
func shop(strategy supervision.Strategy) actors.Spec {
	spec := actors.Spec{Name: "shop", New: func() actors.Actor { return door{} }}
	spec.Supervision = supervision.DefaultSpec()
	spec.Supervision.Strategy = strategy
	for _, name := range []string{"till-1", "till-2"} {
		spec.Children = append(spec.Children, actors.Spec{
			Name: name, Kind: "till", New: func() actors.Actor { return &till{} },
		})
	}
	return spec
}

func TestAPanicRestartsOneTill(t *testing.T) {
	supervisiontest.Run(t, func(t *testing.T, tree *supervisiontest.Tree) {
		tree.Spawn(shop(supervision.OneForOne))
		tree.Tell("/shop/till-1", sale{100})
		tree.Tell("/shop/till-2", sale{100})

		tree.Panic("/shop/till-1", 1)
		_, err := supervisiontest.Ask[int](tree, "/shop/till-1", sale{5})
		if !errors.Is(err, &messages.Error{Code: messages.CodeInternal}) {
			t.Errorf("who asked the failing till was answered %v", err)
		}
		tree.Wait(time.Second) // longer than the backoff
		tree.Expect(
			supervisiontest.Did("/shop/till-1", actors.EventFailed),
			supervisiontest.Did("/shop/till-1", actors.EventRestarted),
		)

		if sum, err := supervisiontest.Ask[int](tree, "/shop/till-1", sale{5}); sum != 5 || err != nil {
			t.Errorf("the new till begins anew: %d, %v", sum, err)
		}
		if sum, err := supervisiontest.Ask[int](tree, "/shop/till-2", sale{5}); sum != 105 || err != nil {
			t.Errorf("its sibling was not touched: %d, %v", sum, err)
		}
	})
}

func TestAPoisonedTillIsShutOff(t *testing.T) {
	supervisiontest.Run(t, func(t *testing.T, tree *supervisiontest.Tree) {
		tree.Spawn(shop(supervision.OneForOne))
		tree.Fail("/shop/till-1", 5)
		for range 5 {
			tree.Tell("/shop/till-1", sale{5})
			tree.Wait(time.Second)
		}
		tree.ExpectAmong(supervisiontest.Cell("/shop/till-1", breaker.Open, breaker.FailuresInRow))
		_, err := supervisiontest.Ask[int](tree, "/shop/till-1", sale{5})
		if !errors.Is(err, &actors.Refused{Reason: actors.CircuitOpen}) {
			t.Errorf("behind an open breaker: %v", err)
		}

		tree.Wait(breaker.DefaultConfig().Timeout) // a minute, in no time
		for range breaker.DefaultConfig().SuccessThreshold {
			tree.Tell("/shop/till-1", sale{5})
		}
		tree.Expect(
			supervisiontest.Cell("/shop/till-1", breaker.HalfOpen, breaker.TimeoutPassed),
			supervisiontest.Did("/shop/till-1", actors.EventRestarted),
			supervisiontest.Cell("/shop/till-1", breaker.Closed, breaker.ProbesSucceeded),
		)
	})
}

func TestAHangingTillIsSeen(t *testing.T) {
	supervisiontest.Run(t, func(t *testing.T, tree *supervisiontest.Tree) {
		tree.Spawn(shop(supervision.OneForOne))
		tree.Stall("/shop/till-1", time.Minute)
		tree.Tell("/shop/till-1", sale{5})
		tree.Wait(time.Second)
		tree.Expect(supervisiontest.Did("/shop/till-1", actors.EventStalled))
		if sum, err := supervisiontest.Ask[int](tree, "/shop/till-2", sale{5}); sum != 5 || err != nil {
			t.Errorf("the others go on: %d, %v", sum, err)
		}
		tree.Wait(time.Minute)
		tree.Expect(supervisiontest.Did("/shop/till-1", actors.EventUnstalled))
	})
}

func TestTooMuchTroubleIsTheShops(t *testing.T) {
	cfg := actors.DefaultConfig()
	cfg.Workers = 1 // the tills restart at the same instant
	supervisiontest.RunWith(t, cfg, func(t *testing.T, tree *supervisiontest.Tree) {
		spec := shop(supervision.AllForOne)
		spec.Supervision.Intensity = supervision.Intensity{Restarts: 1, Period: time.Minute}
		tree.Spawn(spec)
		for range 2 {
			tree.Panic("/shop/till-2", 1)
			tree.Tell("/shop/till-2", sale{5})
			tree.Wait(time.Second)
		}
		tree.Expect(
			supervisiontest.Did("/shop/till-2", actors.EventFailed),
			supervisiontest.Did("/shop/till-1", actors.EventRestarted), // all for one, in their order
			supervisiontest.Did("/shop/till-2", actors.EventRestarted),
			supervisiontest.Did("/shop/till-2", actors.EventFailed), // one more than allowed
			supervisiontest.Did("/shop", actors.EventEscalated),
			supervisiontest.Did("/shop", actors.EventFailed),
			supervisiontest.Did("/shop", actors.EventRestarted),
		)
	})
}
