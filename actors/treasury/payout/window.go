package payout

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// RoundMax is how many questions are put to the chain together at most. More pay more in
// the time of one answer; each of them has to be asked again where that is lost.
const RoundMax = 256

// Window holds the intents in flight, ordered by nonce. It belongs to one goroutine.
type Window struct {
	entries []*entry
}

// Do is what a Decision asks for.
type Do byte

// What can be asked for. All but Wait and Pause are to be recorded in the log, and
// the window is told by Replace or Remove when they are.
const (
	// Wait asks for nothing: see Next.
	Wait Do = iota
	// Execute records that the disbursement was paid, and drops the intent.
	Execute
	// RollBack rolls the disbursement back. If the intent was to pay it, the nonce is
	// free: another intent takes it in the same commit.
	RollBack
	// Drop drops the intent: the nonce is taken.
	Drop
	// GiveUp replaces the intent to pay by one to skip.
	GiveUp
	// Pause stops at the intent until an operator decides.
	Pause
	// Forget says that bytes sent again have arrived. The log knows nothing of it.
	Forget
)

var doNames = [...]string{
	Wait: "wait", Execute: "execute", RollBack: "roll_back", Drop: "drop", GiveUp: "give_up", Pause: "pause",
	Forget: "forget",
}

// String names the decision in logs.
func (d Do) String() string {
	if int(d) < len(doNames) {
		return doNames[d]
	}
	return fmt.Sprintf("do(%d)", byte(d))
}

// Decision is what follows from an answer.
type Decision struct {
	Do     Do
	Intent Intent
	Reason string // of RollBack, GiveUp and Pause
	// Note says that Intent.Tries has changed and should be kept in the log, so that a
	// restart does not forget it. Nothing waits for that.
	Note bool
}

// Question is one question to put to the chain.
type Question struct {
	Ask    Ask
	Intent Intent
}

// Len is how many intents are in flight.
func (w *Window) Len() int { return len(w.entries) }

// Add takes an intent that the log holds. fresh says that its bytes were certainly
// never sent: whoever adds it has staged it itself.
func (w *Window) Add(i Intent, fresh bool) {
	e := &entry{Intent: i, doubtful: !fresh, ask: Submit}
	if i.Tries >= TriesMax {
		e.paused, e.reason = true, fmt.Sprintf("no clear answer after %d tries", i.Tries)
	}
	at, found := w.find(i.Nonce)
	if found {
		w.entries[at] = e
		return
	}
	w.entries = slices.Insert(w.entries, at, e)
}

// Resend has bytes sent again, before anything above their nonce. An intent that is still
// in flight is on its way by itself; it is tried again at once.
func (w *Window) Resend(i Intent) {
	if at, found := w.find(i.Nonce); found {
		if e := w.entries[at]; e.recording == Wait && !e.paused && !e.accepted {
			e.ask, e.due = Submit, time.Time{}
		}
		return
	}
	i.Kind = Resend
	w.Add(i, false)
}

// Remove forgets an intent that the log no longer holds.
func (w *Window) Remove(nonce uint64) {
	if at, found := w.find(nonce); found {
		w.entries = slices.Delete(w.entries, at, at+1)
	}
}

// Clear forgets all intents.
func (w *Window) Clear() { w.entries = nil }

// Each calls fn with every intent, in the order of nonces.
func (w *Window) Each(fn func(Intent)) {
	for _, e := range w.entries {
		fn(e.Intent)
	}
}

// Next gives the questions to put together at now, most of them at most, in the order
// of nonces. If there are none, wait is how long until there are, or 0 if only a commit,
// an answer or an operator can bring one.
//
// A nonce is submitted when each below it is taken, or is submitted before it in the
// same round.
func (w *Window) Next(now time.Time, most int) (questions []Question, wait time.Duration) {
	open := false // a nonce is being looked into, and may be free
	for _, e := range w.entries {
		switch {
		case len(questions) == most:
			return questions, 0
		case e.recording == Execute || e.recording == Drop:
			continue // its nonce is taken; those behind it need not wait for the log
		case e.recording != Wait || e.paused || open && e.ask == Submit:
			return questions, wait
		case !e.due.After(now):
			questions = append(questions, Question{Ask: e.ask, Intent: e.Intent})
			open = open || e.ask != Submit && !e.accepted
			continue
		}
		if left := e.due.Sub(now); wait == 0 || left < wait {
			wait = left
		}
		if !e.accepted {
			return questions, wait // nothing is sent past a nonce that is not taken
		}
	}
	return questions, wait
}

// Answer decides what follows from the answers to questions that Next gave together.
// They are in the order of the questions; those at the end without an answer were not
// put at all. What asks for nothing is left out. chance, in [0, 1), spreads retries.
//
// The first question is judged as if it had been put alone. The others were put before
// it was known that the nonces below them are taken: only what does not depend on that
// counts. For all else they are put again, until they are the first.
//
// An answer about an intent that is no longer there, or that waits for no answer of its
// kind, changes nothing.
func (w *Window) Answer(questions []Question, answers []Answer, now time.Time, chance float64) []Decision {
	var decisions []Decision
	for n, a := range answers[:min(len(answers), len(questions))] {
		e := w.asked(questions[n], a)
		if e == nil {
			continue
		}
		var d Decision
		if n == 0 || a.Verdict.stands() {
			d = w.decide(e, a, now, chance)
		} else {
			e.doubt(a)
		}
		if d.Do != Wait || d.Note {
			decisions = append(decisions, d)
		}
	}
	return decisions
}

// asked gives the entry that a question is about, if it waits for such an answer.
func (w *Window) asked(q Question, a Answer) *entry {
	at, found := w.find(q.Intent.Nonce)
	if !found {
		return nil
	}
	e := w.entries[at]
	if e.Hash != q.Intent.Hash || e.ask != q.Ask || e.recording != Wait || e.paused || !a.Verdict.answers(q.Ask) {
		return nil
	}
	return e
}

func (w *Window) decide(e *entry, a Answer, now time.Time, chance float64) Decision {
	d := e.answer(a, now, chance)
	d.Intent = e.Intent
	switch d.Do {
	case Execute, RollBack, Drop, GiveUp:
		e.recording = d.Do
	case Pause:
		e.paused, e.reason = true, d.Reason
	case Forget:
		w.Remove(e.Nonce)
	case Wait:
	}
	return d
}

// Paused gives the intent at which the window has paused, and why.
func (w *Window) Paused() (i Intent, reason string, ok bool) {
	for _, e := range w.entries {
		if e.paused {
			return e.Intent, e.reason, true
		}
	}
	return Intent{}, "", false
}

// Retry ends the pause: the intent is tried again, from now on as if never before.
func (w *Window) Retry() {
	for _, e := range w.entries {
		if e.paused {
			e.paused, e.Tries, e.due, e.ask = false, 0, time.Time{}, Submit
		}
	}
}

// GiveUp decides, on an operator's word, about the intent at which the window has paused.
// A payment is given up, a null transaction that fills a nonce is dropped: whoever orders
// that answers for the nonce. Bytes sent again are forgotten at once. ok is false if the
// window has not paused at one of these.
func (w *Window) GiveUp(reason string) (d Decision, ok bool) {
	for _, e := range w.entries {
		if !e.paused || e.recording != Wait {
			continue
		}
		d = Decision{Intent: e.Intent, Reason: reason}
		switch e.Kind {
		case Pay:
			d.Do, e.recording = GiveUp, GiveUp
		case Fill:
			d.Do, e.recording = Drop, Drop
		case Resend:
			d.Do = Forget
			w.Remove(e.Nonce)
		case Skip:
			continue
		}
		e.paused = false
		return d, true
	}
	return Decision{}, false
}

func (w *Window) find(nonce uint64) (int, bool) {
	return slices.BinarySearchFunc(w.entries, nonce, func(e *entry, nonce uint64) int {
		return cmp.Compare(e.Nonce, nonce)
	})
}
