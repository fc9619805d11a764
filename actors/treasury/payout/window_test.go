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
	resend := intent
	resend.Kind = payout.Resend
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

		{"skipped", signer(t).Skip(&intent, "no"), true, "submit accepted: wait\nwatch own: wait\nconfirm final: roll_back"},
		{"skipped, and not deep enough", signer(t).Skip(&intent, "no"), true,
			"submit accepted: wait\n" + strings.Repeat("watch own: wait\nconfirm known: wait\n", 2*payout.TriesMax) +
				"watch own: wait\nconfirm final: roll_back"},
		{"skipped, and a fork brings the payment", signer(t).Skip(&intent, "no"), true,
			"submit accepted: wait\nwatch own: wait\nconfirm unknown: wait\nwatch rival: execute"},
		{"skipped by another transaction still", signer(t).Skip(&intent, "no"), true,
			"submit nonce_used: wait\nwatch other: roll_back"},
		{"skipped too late", signer(t).Skip(&intent, "no"), true, "submit refused: wait\nwatch rival: execute"},
		{"skipped, and long not confirmed", signer(t).Skip(&intent, "no"), true,
			strings.Repeat("submit accepted: wait\nwatch free: wait\n", 3*payout.TriesMax) +
				"submit unclear: wait\nsubmit accepted: wait\nwatch own: wait\nconfirm final: roll_back"},
		{"a skip that the chain will not have", signer(t).Skip(&intent, "no"), true,
			strings.Repeat("submit refused: wait\nwatch free: wait\n", payout.TriesMax-1) +
				"submit refused: wait\nwatch free: pause"},
		{"sent again", resend, false, "submit accepted: forget"},
		{"sent again, and known", resend, false, "submit refused: wait\ninquire known: forget"},
		{"sent again, and confirmed", resend, false, "submit nonce_used: forget"},
		{"sent again, and refused", resend, false,
			strings.Repeat("submit refused: wait\ninquire unknown: wait\n", payout.TriesMax-1) +
				"submit refused: wait\ninquire unknown: pause\n"},
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
	q, _, ok := alone(w, now)
	if !ok || q.Ask.String() != ask {
		t.Fatalf("%s: the question is %v %t", line, q.Ask, ok)
	}
	answers := map[string]payout.Answer{
		"unclear": {Verdict: payout.Unclear, Reason: "time-out"}, "accepted": {Verdict: payout.Accepted},
		"refused": {Verdict: payout.Refused, Reason: "sanctioned"}, "nonce_used": {Verdict: payout.NonceUsed},
		"known": {Verdict: payout.Known}, "unknown": {Verdict: payout.Unknown}, "free": {Verdict: payout.Free},
		"final": {Verdict: payout.Final},
		"own":   {Verdict: payout.Taken, Tx: i.Hash}, "rival": {Verdict: payout.Taken, Tx: i.Rival},
		"other": {Verdict: payout.Taken, Tx: disbursement.Hash{1}},
	}
	answer, known := answers[said]
	if !known {
		t.Fatalf("%s: no such answer", line)
	}
	d := say(w, q, answer, now)
	if d.Do.String() != want {
		t.Fatalf("%s: decided %s (%s)", line, d.Do, d.Reason)
	}
	if (d.Do == payout.RollBack || d.Do == payout.Pause || d.Do == payout.GiveUp) && d.Reason == "" {
		t.Errorf("%s: no reason", line)
	}
}

// alone gives the first question alone.
func alone(w *payout.Window, now time.Time) (q payout.Question, wait time.Duration, ok bool) {
	questions, wait := w.Next(now, 1)
	if len(questions) == 0 {
		return payout.Question{}, wait, false
	}
	return questions[0], wait, true
}

// say answers a question that was put alone, and gives what is decided.
func say(w *payout.Window, q payout.Question, a payout.Answer, now time.Time) payout.Decision {
	for _, d := range w.Answer([]payout.Question{q}, []payout.Answer{a}, now, 0.5) {
		return d
	}
	return payout.Decision{}
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
	q, _, ok := alone(w, now)
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
		say(w, q, payout.Answer{Verdict: payout.Accepted}, start) // the log has not heard of it yet
	}
	if _, wait, ok := alone(w, start); ok || wait != 0 || w.Len() != 3 {
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
	if d := say(w, q, payout.Answer{Verdict: payout.Refused}, start); d.Do != payout.RollBack {
		t.Fatalf("decided %s", d.Do)
	}
	if q, _, ok := alone(w, start); ok {
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
	say(w, q, payout.Answer{Verdict: payout.Accepted}, start)
	q = next(t, w, start)
	if q.Ask != payout.Watch {
		t.Fatalf("the question is %s", q.Ask)
	}
	say(w, q, payout.Answer{Verdict: payout.Free}, start)
	for nonce := uint64(2); nonce <= 3; nonce++ {
		q := next(t, w, start)
		if q.Intent.Nonce != nonce {
			t.Fatalf("nonce %d, want %d", q.Intent.Nonce, nonce)
		}
		say(w, q, payout.Answer{Verdict: payout.Accepted}, start)
	}
	if _, wait, ok := alone(w, start); ok || wait <= 0 || wait > time.Second {
		t.Errorf("the wait is %s, a question: %t", wait, ok)
	}
}

func TestAnOperatorDecidesAboutAPause(t *testing.T) {
	failing := func() *payout.Window {
		w := three(t)
		now := start
		for range payout.TriesMax {
			say(w, next(t, w, now), payout.Answer{Verdict: payout.Unclear, Reason: "time-out"}, now)
			now = now.Add(time.Minute)
		}
		i, reason, ok := w.Paused()
		if !ok || i.Nonce != 1 || reason != "time-out" {
			t.Fatalf("paused at %d because of %q: %t", i.Nonce, reason, ok)
		}
		if _, wait, ok := alone(w, now.Add(time.Hour)); ok || wait != 0 {
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
	if q, _, ok := alone(w, start.Add(time.Hour)); ok {
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
		if d := say(w, s.q, s.a, start); d.Do != payout.Wait {
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
			w.Answer([]payout.Question{next(t, w, now)}, []payout.Answer{{Verdict: payout.Unclear}}, now, chance)
			_, wait, ok := alone(w, now)
			if ok || wait < 50*time.Millisecond || wait > 45*time.Second || wait < before {
				t.Fatalf("chance %v: after try %d the wait is %s, after %s", chance, try+1, wait, before)
			}
			now, before = now.Add(wait), wait
		}
	}
}

// TestWhatTheAnswersToARoundMean tells rounds as "answers: decisions", a word for each of
// three intents; "-" is an intent that is asked nothing about, "none" an answer that there
// is not. Then come the questions of the next round, a minute later.
func TestWhatTheAnswersToARoundMean(t *testing.T) {
	for _, test := range []struct{ name, answers, decisions, then string }{
		{"all accepted", "accepted accepted accepted", "execute execute execute", "- - -"},
		{"the first is refused, and so are those behind it", "refused refused refused", "roll_back wait wait", "- - -"},
		{"the first is refused, those behind it wait for it", "refused accepted accepted", "roll_back execute execute", "- - -"},
		{"one in the middle is refused", "accepted refused refused", "execute wait wait", "- submit submit"},
		{"one in the middle is refused, and the one behind it is not", "accepted refused accepted",
			"execute wait execute", "- submit -"},
		{"no answer at all", "unclear unclear unclear", "wait wait wait", "submit submit submit"},
		{"only the first has none", "unclear accepted accepted", "wait execute execute", "submit - -"},
		{"a refusal behind an unclear one", "unclear refused refused", "wait wait wait", "submit submit submit"},
		{"only the first was put", "accepted none none", "execute wait wait", "- submit submit"},
		{"the nonces are used", "nonce_used nonce_used nonce_used", "wait wait wait", "watch watch watch"},
		{"one nonce is used", "nonce_used unclear unclear", "wait wait wait", "watch - -"},
		{"a nonce behind a refused one is used", "refused nonce_used unclear", "roll_back wait wait", "- - -"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := three(t)
			questions, _ := w.Next(start, 3)
			var answers []payout.Answer
			for _, word := range strings.Fields(test.answers) {
				if word != "none" {
					answers = append(answers, said(t, word))
				}
			}
			decided := map[uint64]string{1: "wait", 2: "wait", 3: "wait"}
			for _, d := range w.Answer(questions, answers, start, 0.5) {
				decided[d.Intent.Nonce] = d.Do.String()
			}
			if got := decided[1] + " " + decided[2] + " " + decided[3]; got != test.decisions {
				t.Errorf("decided %s, want %s", got, test.decisions)
			}
			asked := []string{"-", "-", "-"}
			questions, _ = w.Next(start.Add(time.Minute), 3)
			for _, q := range questions {
				asked[q.Intent.Nonce-1] = q.Ask.String()
			}
			if got := strings.Join(asked, " "); got != test.then {
				t.Errorf("then asks %s, want %s", got, test.then)
			}
		})
	}
}

func said(t *testing.T, word string) payout.Answer {
	t.Helper()
	for v := payout.Unclear; v <= payout.Final; v++ {
		if v.String() == word {
			return payout.Answer{Verdict: v, Reason: "why"}
		}
	}
	t.Fatalf("there is no verdict %s", word)
	return payout.Answer{}
}

// TestARefusalBehindOthersIsJudgedWhenItIsTheFirst: it was no answer to the bytes, so it
// leaves no doubt about them; but the lack of one does.
func TestARefusalBehindOthersIsJudgedWhenItIsTheFirst(t *testing.T) {
	for before, want := range map[string]string{"refused": "roll_back", "unclear": "wait"} {
		w := three(t)
		questions, _ := w.Next(start, 2)
		w.Answer(questions, []payout.Answer{said(t, "accepted"), said(t, before)}, start, 0.5)
		q := next(t, w, start)
		if q.Intent.Nonce != 2 || q.Intent.Tries != 0 {
			t.Fatalf("the next is nonce %d after %d tries", q.Intent.Nonce, q.Intent.Tries)
		}
		if d := say(w, q, said(t, "refused"), start); d.Do.String() != want {
			t.Errorf("%s before: decided %s, want %s", before, d.Do, want)
		}
	}
}

func TestARoundHasNoMoreQuestionsThanItMayHave(t *testing.T) {
	w := three(t)
	for most := 1; most <= 4; most++ {
		questions, _ := w.Next(start, most)
		if len(questions) != min(most, 3) {
			t.Errorf("%d questions, at most %d", len(questions), most)
		}
		for i, q := range questions {
			if q.Intent.Nonce != uint64(i+1) || q.Ask != payout.Submit {
				t.Errorf("question %d is to %s nonce %d", i, q.Ask, q.Intent.Nonce)
			}
		}
	}
}

// TestOnlyTheFirstCountsItsTries: what becomes of those behind it says nothing of them.
func TestOnlyTheFirstCountsItsTries(t *testing.T) {
	w := three(t)
	now := start
	for try := 1; try <= payout.TriesMax; try++ {
		questions, _ := w.Next(now, 3)
		decisions := w.Answer(questions, []payout.Answer{said(t, "unclear"), said(t, "unclear"), said(t, "unclear")}, now, 0.5)
		if len(decisions) != 1 || !decisions[0].Note || decisions[0].Intent.Tries != try || decisions[0].Intent.Nonce != 1 {
			t.Fatalf("try %d: decided %+v", try, decisions)
		}
		now = now.Add(time.Minute)
	}
	if i, _, ok := w.Paused(); !ok || i.Nonce != 1 {
		t.Errorf("paused at %d: %t", i.Nonce, ok)
	}
	w.Retry()
	if questions, _ := w.Next(now, 3); len(questions) != 3 || questions[1].Intent.Tries != 0 {
		t.Errorf("then asks %+v", questions)
	}
}
