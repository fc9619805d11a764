package actors_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/actors"
)

func TestInjectedFaultsHappenAsOftenAsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		ref, other := spawn(t, s, fragileSpec("a", nil)), spawn(t, s, fragileSpec("b", nil))
		inject := func(f actors.Fault) {
			if err := s.Inject(f); err != nil {
				t.Fatal(err)
			}
		}
		inject(actors.Fault{Path: "/a", Mode: actors.FaultPanic, Times: 1})
		inject(actors.Fault{Kind: "fragile", Mode: actors.FaultError, Times: 1})
		for range 2 {
			if _, err := ask(t, ref, "who"); !errors.Is(err, internal) {
				t.Errorf("with a fault waiting: %v", err)
			}
		}
		if got, err := ask(t, other, "who"); got != 1 || err != nil {
			t.Errorf("the faults went elsewhere: %d, %v", got, err)
		}
		inject(actors.Fault{Path: "/a", Mode: actors.FaultStall, Times: 1, Delay: time.Minute})
		began := time.Now()
		if got, err := ask(t, ref, "who"); got != 3 || err != nil || time.Since(began) < time.Minute {
			t.Errorf("stalled: %d, %v after %v; want incarnation 3 after a minute", got, err, time.Since(began))
		}
	})
}

func TestFaultsThatMakeNoSenseAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		for name, f := range map[string]actors.Fault{
			"nobody":       {Mode: actors.FaultPanic, Times: 1},
			"both":         {Path: "/a", Kind: "a", Mode: actors.FaultPanic, Times: 1},
			"no mode":      {Path: "/a", Times: 1},
			"never":        {Path: "/a", Mode: actors.FaultPanic},
			"endless wait": {Path: "/a", Mode: actors.FaultStall, Times: 1, Delay: time.Hour},
		} {
			if err := s.Inject(f); !errors.Is(err, actors.ErrInvalidSpec) {
				t.Errorf("%s: %v, want ErrInvalidSpec", name, err)
			}
		}
	})
}

func TestFaultModesAreFoundByTheirNames(t *testing.T) {
	for mode := actors.FaultPanic; mode <= actors.FaultSlow; mode++ {
		if got, ok := actors.ParseFaultMode(mode.String()); got != mode || !ok {
			t.Errorf("%s: %s, %v", mode, got, ok)
		}
	}
	if got, ok := actors.ParseFaultMode("fire"); ok {
		t.Errorf("fire is %s", got)
	}
}

func TestWaitingFaultsAreCountedAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		for range actors.FaultsMax {
			if err := s.Inject(actors.Fault{Path: "/a", Mode: actors.FaultError, Times: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.FaultsWaiting(); got != actors.FaultsMax {
			t.Errorf("%d wait, want %d", got, actors.FaultsMax)
		}
		if err := s.Inject(actors.Fault{Path: "/b", Mode: actors.FaultError, Times: 1}); !errors.Is(err, actors.ErrInvalidSpec) {
			t.Errorf("one more: %v, want ErrInvalidSpec", err)
		}
		if _, err := ask(t, spawn(t, s, fragileSpec("a", nil)), "who"); !errors.Is(err, internal) {
			t.Errorf("with a fault waiting: %v", err)
		}
		if got := s.FaultsWaiting(); got != actors.FaultsMax-1 {
			t.Errorf("%d wait after one has happened, want %d", got, actors.FaultsMax-1)
		}
	})
}
