package payout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
)

var start = time.Unix(1_700_000_000, 0)

func pay(t testing.TB, nonce uint64) payout.Intent {
	t.Helper()
	record := disbursement.New(messages.Payload{Disbursement: messages.Disbursement{
		Destination: "tb1payee", Amount: 7, Memo: "for work", ScheduledEpoch: 1,
	}}, nil, disbursement.Facts{})
	return signer(t).Pay(messages.DisbursementID(nonce), nonce, &record)
}

// TestWhatAnAnswerMeans tells each conversation as "question verdict: decision", line
// by line. Time passes between the lines. The intent is one to pay with nonce 1.
func TestWhatAnAnswerMeans(t *testing.T) {
	intent := pay(t, 1)
	unclear := strings.Repeat("submit unclear: wait\n", payout.TriesMax-1) + "submit unclear: pause\n"
	tests := []struct {
		name   string
		intent payout.Intent
		fresh  bool
		script string
	}{
		{"accepted", intent, true, "submit accepted: execute"},
		{"refused at the first try", intent, true, "submit refused: roll_back"},
		{"accepted after failures", intent, true, "submit unclear: wait\nsubmit unclear: wait\nsubmit accepted: execute"},
		{"refused after a failure, the chain has it", intent, true,
			"submit unclear: wait\nsubmit refused: wait\ninquire known: execute"},
		{"refused after a failure, the chain has it not", intent, true,
			"submit unclear: wait\nsubmit refused: wait\ninquire unknown: give_up"},
		{"refused after a restart", intent, false, "submit refused: wait\ninquire unknown: give_up"},
		{"asked about in vain", intent, false,
			"submit refused: wait\ninquire unclear: wait\ninquire unclear: wait\ninquire known: execute"},
		{"confirmed by an earlier try", intent, false, "submit nonce_used: wait\nwatch own: execute"},
		{"its nonce was used by somebody else", intent, true, "submit nonce_used: wait\nwatch other: pause"},
		{"a chain that contradicts itself", intent, true,
			"submit nonce_used: wait\nwatch free: wait\nsubmit accepted: execute"},
		{"never a clear answer", intent, true, unclear},

		{"a nonce filled", signer(t).Fill(9, 1), true, "submit accepted: drop"},
		{"a nonce filled by another", signer(t).Fill(9, 1), false, "submit nonce_used: drop"},
		{"a fill that was known", signer(t).Fill(9, 1), false, "submit refused: wait\ninquire known: drop"},
		{"a fill that is refused", signer(t).Fill(9, 1), true,
			strings.Repeat("submit refused: wait\ninquire unknown: wait\n", payout.TriesMax-1) +
				"submit refused: wait\ninquire unknown: pause\n"},

		{"skipped", signer(t).Skip(&intent, "no"), true, "submit accepted: wait\nwatch own: roll_back"},
		{"skipped by another transaction still", signer(t).Skip(&intent, "no"), true,
			"submit nonce_used: wait\nwatch other: roll_back"},
		{"skipped too late", signer(t).Skip(&intent, "no"), true, "submit refused: wait\nwatch rival: execute"},
		{"skipped, and long not confirmed", signer(t).Skip(&intent, "no"), true,
			strings.Repeat("submit accepted: wait\nwatch free: wait\n", 3*payout.TriesMax) +
				"submit unclear: wait\nsubmit accepted: wait\nwatch own: roll_back"},
		{"a skip that the chain will not have", signer(t).Skip(&intent, "no"), true,
			strings.Repeat("submit refused: wait\nwatch free: wait\n", payout.TriesMax-1) +
				"submit refused: wait\nwatch free: pause"},
		{"a skip that the chain had, and has no more", signer(t).Skip(&intent, "no"), true,
			"submit accepted: wait\nwatch free: wait\n" +
				strings.Repeat("submit refused: wait\nwatch free: wait\n", payout.TriesMax-2) +
				"submit refused: wait\nwatch free: pause"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var w payout.Window
			w.Add(test.intent, test.fresh)
			now := start
			for line := range strings.Lines(test.script) {
				converse(t, &w, test.intent, strings.TrimSpace(line), now)
				now = now.Add(time.Minute)
			}
		})
	}
}

// converse puts the next question and holds it and the decision against a line.
func converse(t *testing.T, w *payout.Window, i payout.Intent, line string, now time.Time) {
	t.Helper()
	asked, want, _ := strings.Cut(line, ": ")
	ask, said, _ := strings.Cut(asked, " ")
	q, _, ok := w.Next(now)
	if !ok || q.Ask.String() != ask {
		t.Fatalf("%s: the question is %v %t", line, q.Ask, ok)
	}
	answers := map[string]payout.Answer{
		"unclear": {Verdict: payout.Unclear, Reason: "time-out"}, "accepted": {Verdict: payout.Accepted},
		"refused": {Verdict: payout.Refused, Reason: "sanctioned"}, "nonce_used": {Verdict: payout.NonceUsed},
		"known": {Verdict: payout.Known}, "unknown": {Verdict: payout.Unknown}, "free": {Verdict: payout.Free},
		"own": {Verdict: payout.Taken, Tx: i.Hash}, "rival": {Verdict: payout.Taken, Tx: i.Rival},
		"other": {Verdict: payout.Taken, Tx: disbursement.Hash{1}},
	}
	answer, known := answers[said]
	if !known {
		t.Fatalf("%s: no such answer", line)
	}
	d := w.Answer(q, answer, now, 0.5)
	if d.Do.String() != want {
		t.Fatalf("%s: decided %s (%s)", line, d.Do, d.Reason)
	}
	if (d.Do == payout.RollBack || d.Do == payout.Pause || d.Do == payout.GiveUp) && d.Reason == "" {
		t.Errorf("%s: no reason", line)
	}
}

func three(t *testing.T) *payout.Window {
	var w payout.Window
	for _, nonce := range []uint64{3, 1, 2} {
		w.Add(pay(t, nonce), true)
	}
	return &w
}

func next(t *testing.T, w *payout.Window, now time.Time) payout.Question {
	t.Helper()
	q, _, ok := w.Next(now)
	if !ok {
		t.Fatal("there is no question")
	}
	return q
}

func TestANonceIsSentWhenThoseBelowItAreTaken(t *testing.T) {
	w := three(t)
	for nonce := uint64(1); nonce <= 3; nonce++ {
		q := next(t, w, start)
		if q.Intent.Nonce != nonce {
			t.Fatalf("nonce %d, want %d", q.Intent.Nonce, nonce)
		}
		w.Answer(q, payout.Answer{Verdict: payout.Accepted}, start, 0.5) // the log has not heard of it yet
	}
	if _, wait, ok := w.Next(start); ok || wait != 0 || w.Len() != 3 {
		t.Errorf("%d intents, wait %s, a question: %t", w.Len(), wait, ok)
	}
	w.Remove(2)
	if w.Len() != 2 {
		t.Errorf("%d intents, want 2", w.Len())
	}
}

func TestAFreeNonceHoldsBackThoseAboveItUntilItIsFilled(t *testing.T) {
	w := three(t)
	q := next(t, w, start)
	if d := w.Answer(q, payout.Answer{Verdict: payout.Refused}, start, 0.5); d.Do != payout.RollBack {
		t.Fatalf("decided %s", d.Do)
	}
	if q, _, ok := w.Next(start); ok {
		t.Fatalf("nonce %d is sent while nonce 1 is free", q.Intent.Nonce)
	}
	fill := signer(t).Fill(1, 1)
	w.Add(fill, true)
	if q := next(t, w, start); q.Intent.Hash != fill.Hash {
		t.Fatalf("the next is nonce %d, %s", q.Intent.Nonce, q.Intent.Kind)
	}
}

func TestASkipThatWaitsToBeConfirmedHoldsNobodyBack(t *testing.T) {
	w := three(t)
	first := pay(t, 1)
	skip := signer(t).Skip(&first, "no")
	w.Add(skip, true)
	q := next(t, w, start)
	w.Answer(q, payout.Answer{Verdict: payout.Accepted}, start, 0.5)
	q = next(t, w, start)
	if q.Ask != payout.Watch {
		t.Fatalf("the question is %s", q.Ask)
	}
	w.Answer(q, payout.Answer{Verdict: payout.Free}, start, 0.5)
	for nonce := uint64(2); nonce <= 3; nonce++ {
		q := next(t, w, start)
		if q.Intent.Nonce != nonce {
			t.Fatalf("nonce %d, want %d", q.Intent.Nonce, nonce)
		}
		w.Answer(q, payout.Answer{Verdict: payout.Accepted}, start, 0.5)
	}
	if _, wait, ok := w.Next(start); ok || wait <= 0 || wait > time.Second {
		t.Errorf("the wait is %s, a question: %t", wait, ok)
	}
}

func TestAnOperatorDecidesAboutAPause(t *testing.T) {
	failing := func() *payout.Window {
		w := three(t)
		now := start
		for range payout.TriesMax {
			w.Answer(next(t, w, now), payout.Answer{Verdict: payout.Unclear, Reason: "time-out"}, now, 0.5)
			now = now.Add(time.Minute)
		}
		i, reason, ok := w.Paused()
		if !ok || i.Nonce != 1 || reason != "time-out" {
			t.Fatalf("paused at %d because of %q: %t", i.Nonce, reason, ok)
		}
		if _, wait, ok := w.Next(now.Add(time.Hour)); ok || wait != 0 {
			t.Fatalf("a paused window asks, or will in %s", wait)
		}
		return w
	}
	w := failing()
	w.Retry()
	if q := next(t, w, start); q.Intent.Nonce != 1 || q.Ask != payout.Submit {
		t.Errorf("after the retry: %s %d", q.Ask, q.Intent.Nonce)
	}
	w = failing()
	d, ok := w.GiveUp("enough")
	if !ok || d.Do != payout.GiveUp || d.Intent.Nonce != 1 || d.Reason != "enough" {
		t.Errorf("decided %+v %t", d, ok)
	}
	if _, again := w.GiveUp("enough"); again {
		t.Error("given up twice")
	}
	if _, _, paused := w.Paused(); paused {
		t.Error("it has paused still")
	}
	if q, _, ok := w.Next(start.Add(time.Hour)); ok {
		t.Errorf("it asks about nonce %d before the log has the decision", q.Intent.Nonce)
	}
	if _, ok := three(t).GiveUp("enough"); ok {
		t.Error("given up without a pause")
	}
}

func TestAnswersToNobodyChangeNothing(t *testing.T) {
	w := three(t)
	q := next(t, w, start)
	strangers := []struct {
		name string
		q    payout.Question
		a    payout.Answer
	}{
		{"a nonce that is gone", payout.Question{Ask: payout.Submit, Intent: pay(t, 9)}, payout.Answer{Verdict: payout.Accepted}},
		{"another question", payout.Question{Ask: payout.Watch, Intent: q.Intent}, payout.Answer{Verdict: payout.Free}},
		{"another transaction", payout.Question{Ask: payout.Submit, Intent: signer(t).Fill(1, 1)}, payout.Answer{Verdict: payout.Accepted}},
		{"no verdict", q, payout.Answer{}},
		{"a verdict on something else", q, payout.Answer{Verdict: payout.Free}},
	}
	for _, s := range strangers {
		if d := w.Answer(s.q, s.a, start, 0.5); d.Do != payout.Wait {
			t.Errorf("%s: decided %s", s.name, d.Do)
		}
	}
	if again := next(t, w, start); again.Intent.Nonce != q.Intent.Nonce || again.Ask != q.Ask {
		t.Errorf("the question is %s %d now", again.Ask, again.Intent.Nonce)
	}
}

func TestTriesAreSpreadOut(t *testing.T) {
	for _, chance := range []float64{0, 0.5, 0.999} {
		w := three(t)
		now, before := start, time.Duration(0)
		for try := range payout.TriesMax - 1 {
			w.Answer(next(t, w, now), payout.Answer{Verdict: payout.Unclear}, now, chance)
			_, wait, ok := w.Next(now)
			if ok || wait < 50*time.Millisecond || wait > 45*time.Second || wait < before {
				t.Fatalf("chance %v: after try %d the wait is %s, after %s", chance, try+1, wait, before)
			}
			now, before = now.Add(wait), wait
		}
	}
}
