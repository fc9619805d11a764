package supervisiontest

import (
	"fmt"
	"strings"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/supervision/breaker"
)

// Step is one thing that happened, or shall have happened. Steps are compared with ==.
type Step struct {
	Path string
	What actors.What
	// Of actors.EventBreaker: which of the two breakers moved, where to, and why.
	Scope  breaker.Scope
	To     breaker.State
	Reason breaker.Reason
}

// Did is what an actor did, or what became of it.
func Did(path string, what actors.What) Step { return Step{Path: path, What: what} }

// Cell is a move of the breaker that guards the actor at a path itself.
func Cell(path string, to breaker.State, why breaker.Reason) Step {
	return Step{Path: path, What: actors.EventBreaker, Scope: breaker.Cell, To: to, Reason: why}
}

// Own is a move of the breaker that the actor at a path keeps over its children and
// over what it guards itself.
func Own(path string, to breaker.State, why breaker.Reason) Step {
	return Step{Path: path, What: actors.EventBreaker, Scope: breaker.Own, To: to, Reason: why}
}

// String tells the step on one line.
func (s Step) String() string {
	if s.What != actors.EventBreaker {
		return s.Path + " " + s.What.String()
	}
	return fmt.Sprintf("%s %s breaker to %s: %s", s.Path, s.Scope, s.To, s.Reason)
}

// stepOf is what an event tells, without its time and its error.
func stepOf(e actors.Event) Step {
	s := Step{Path: e.Path, What: e.What}
	if t := e.Transition; t != nil {
		s.Scope, s.To, s.Reason = t.Scope, t.To, t.Reason
	}
	return s
}

// Expect waits until all actors have come to rest and wants exactly these steps to
// have happened since the last Expect or ExpectAmong, in this order. Without steps
// it wants that nothing happened.
//
// Two actors that fail at the same instant may tell of it in either order: let time
// pass between them, or use one worker (actors.Config.Workers).
func (x *Tree) Expect(want ...Step) {
	x.t.Helper()
	got := x.news()
	for i := range max(len(want), len(got)) {
		if i == len(got) || i == len(want) || stepOf(got[i]) != want[i] {
			x.t.Error(x.complaint("something else happened", got, i, want[min(i, len(want)):]))
			return
		}
	}
}

// ExpectAmong is Expect for scenarios in which more happens: it wants these steps in
// this order, whatever else there was before, between and after them.
func (x *Tree) ExpectAmong(want ...Step) {
	x.t.Helper()
	got := x.news()
	met := 0
	for _, e := range got {
		if met < len(want) && stepOf(e) == want[met] {
			met++
		}
	}
	if met < len(want) {
		x.t.Error(x.complaint("not all of it happened", got, len(got), want[met:]))
	}
}

// Events are all events so far, for what the expectations do not look at: times,
// errors, counts of restarts.
func (x *Tree) Events() []actors.Event {
	x.t.Helper()
	synctest.Wait()
	for len(x.events.C) > 0 {
		x.all = append(x.all, <-x.events.C)
	}
	if missed := x.events.Missed(); missed > 0 {
		x.t.Fatalf("%d events were lost: look at the tree after %d of them at the latest", missed, eventsMax)
	}
	return x.all
}

// news are the events that no expectation has looked at yet.
func (x *Tree) news() []actors.Event {
	x.t.Helper()
	all := x.Events()
	from := x.seen
	x.seen = len(all)
	return all[from:]
}

// complaint tells what happened, with a mark at the first step that is wrong, and what
// should have come there.
func (x *Tree) complaint(title string, got []actors.Event, at int, missing []Step) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  what happened:\n", title)
	for i, e := range got {
		mark := " "
		if i == at {
			mark = ">"
		}
		fmt.Fprintf(&b, "  %s %10s  %s%s\n", mark, x.since(e), stepOf(e), cause(e))
	}
	if at >= len(got) {
		b.WriteString("  >             (nothing more)\n")
	}
	b.WriteString("  what was expected there:\n")
	for _, s := range missing {
		fmt.Fprintf(&b, "                %s\n", s)
	}
	if len(missing) == 0 {
		b.WriteString("                (nothing more)\n")
	}
	return b.String()
}

// since is when an event happened, from the tree's beginning.
func (x *Tree) since(e actors.Event) string {
	return "+" + e.At.Sub(x.began).Round(time.Millisecond).String()
}

// cause is the error behind an event, if it has one.
func cause(e actors.Event) string {
	if e.Err == nil {
		return ""
	}
	return fmt.Sprintf(" (%v)", e.Err)
}
