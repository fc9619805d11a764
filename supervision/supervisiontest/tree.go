package supervisiontest

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/actors"
)

const (
	// eventsMax is how many events may happen between two looks at a Tree.
	eventsMax = 1 << 16
	// answerWithin bounds an Ask and the end of a Tree, in virtual time.
	answerWithin = time.Hour
)

// Tree is a runtime whose events are kept.
type Tree struct {
	// System is the runtime itself, for what a Tree does not wrap.
	System *actors.System

	t      testing.TB
	began  time.Time
	events *actors.Subscription
	all    []actors.Event
	seen   int // of all, those that an expectation has met
}

// Run runs a scenario on a runtime of its own, in virtual time, and ends it. The
// scenario's t is the bubble's. An actor that does not end fails the test, and so does a
// goroutine that is left over: it is named, with where it was started.
func Run(t *testing.T, scenario func(*testing.T, *Tree)) {
	t.Helper()
	RunWith(t, actors.DefaultConfig(), scenario)
}

// RunWith is Run with a configuration of the caller's.
func RunWith(t *testing.T, cfg actors.Config, scenario func(*testing.T, *Tree)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { noLeaks(t) }) // after those of the scenario
		system, err := actors.New(cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer end(t, system)
		scenario(t, New(t, system))
	})
}

// end stops the system; what hangs in a message has an hour to come back.
func end(t testing.TB, system *actors.System) {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	if err := system.Stop(ctx); err != nil {
		t.Errorf("the tree does not end: %v", err)
	}
}

// New watches a system that the caller starts and stops, within a bubble of the
// caller's: for tests that need more around the tree than Run gives them.
func New(t testing.TB, system *actors.System) *Tree {
	t.Helper()
	events, err := system.Subscribe(eventsMax)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(events.Close)
	return &Tree{System: system, t: t, began: time.Now(), events: events}
}

// Spawn starts an actor below the root and lets it, and its children, begin.
func (x *Tree) Spawn(spec actors.Spec) actors.Ref {
	x.t.Helper()
	ref, err := x.System.Spawn(spec)
	if err != nil {
		x.t.Fatal(err)
	}
	synctest.Wait()
	return ref
}

// Ref is the actor at a path, which must be there.
func (x *Tree) Ref(path string) actors.Ref {
	x.t.Helper()
	ref, ok := x.System.Lookup(path)
	if !ok {
		x.t.Fatalf("there is no actor %s", path)
	}
	return ref
}

// Tell sends messages to the actor at a path and lets all actors come to rest. A
// message that is refused at once fails the test; Ref and actors.Ref.Tell are for those
// that may be.
func (x *Tree) Tell(path string, messages ...any) {
	x.t.Helper()
	ref := x.Ref(path)
	for _, msg := range messages {
		if err := ref.Tell(msg); err != nil {
			x.t.Fatalf("tell %s: %v", path, err)
		}
	}
	synctest.Wait()
}

// Ask asks the actor at a path and gives its reply, or the error that the asker got:
// see actors.Ask. It waits for a virtual hour at most, so that restarts and open
// breakers have their time.
func Ask[R any](x *Tree, path string, msg any) (R, error) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	return actors.Ask[R](ctx, x.Ref(path), msg)
}

// Wait lets virtual time pass and then all actors come to rest. Wait(0) lets them come
// to rest now: what waits for a backoff or a timer goes on waiting.
func (x *Tree) Wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// State is what the runtime tells of the actor at a path.
func (x *Tree) State(path string) actors.Node {
	x.t.Helper()
	x.Wait(0)
	node, err := x.System.Tree(actors.Page{Path: path})
	if err != nil {
		x.t.Fatal(err)
	}
	return node
}
