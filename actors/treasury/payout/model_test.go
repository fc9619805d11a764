package payout_test

import (
	"crypto/ed25519"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
)

func signer(t interface{ Fatal(...any) }) *payout.Signer {
	s, err := payout.NewSigner(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// chain is a chain of one account that is as unhelpful as its contract allows: what
// it refuses and whether a pending transaction may be replaced changes all the time.
type chain struct {
	confirmed []payout.Intent // nonce 1 first
	pending   map[uint64]payout.Intent
	refuses   bool // payments, whatever it said of them before
	gapless   bool // refuses what does not follow on what it has
	replaces  bool
	final     int // how many of confirmed no fork takes away
	// kept are payments whose acceptance the treasury has recorded.
	kept map[uint64]disbursement.Hash
	// signed are all intents there ever were.
	signed map[disbursement.Hash]payout.Intent
}

func (c *chain) submit(i payout.Intent) payout.Answer {
	if held, ok := c.pending[i.Nonce]; ok && held.Hash == i.Hash {
		return payout.Answer{Verdict: payout.Accepted}
	}
	if i.Nonce <= uint64(len(c.confirmed)) {
		if c.confirmed[i.Nonce-1].Hash == i.Hash {
			return payout.Answer{Verdict: payout.Accepted}
		}
		return payout.Answer{Verdict: payout.NonceUsed}
	}
	if _, ok := c.pending[i.Nonce-1]; c.gapless && !ok && i.Nonce != uint64(len(c.confirmed))+1 {
		return payout.Answer{Verdict: payout.Refused, Reason: "a nonce below is free"}
	}
	if i.Kind == payout.Resend {
		i = c.signed[i.Hash]
	}
	if i.Kind == payout.Pay && c.refuses {
		return payout.Answer{Verdict: payout.Refused, Reason: "refused"}
	}
	if _, ok := c.pending[i.Nonce]; ok && !c.replaces {
		return payout.Answer{Verdict: payout.Refused, Reason: "another transaction waits for this nonce"}
	}
	c.pending[i.Nonce] = i
	return payout.Answer{Verdict: payout.Accepted}
}

func (c *chain) answer(q payout.Question) payout.Answer {
	i := q.Intent
	switch q.Ask {
	case payout.Submit:
		return c.submit(i)
	case payout.Inquire:
		known := i.Nonce <= uint64(len(c.confirmed)) && c.confirmed[i.Nonce-1].Hash == i.Hash
		if held, ok := c.pending[i.Nonce]; ok && held.Hash == i.Hash || known {
			return payout.Answer{Verdict: payout.Known}
		}
		return payout.Answer{Verdict: payout.Unknown}
	case payout.Confirm:
		if known := i.Nonce <= uint64(len(c.confirmed)) && c.confirmed[i.Nonce-1].Hash == i.Hash; !known {
			if held, ok := c.pending[i.Nonce]; ok && held.Hash == i.Hash {
				return payout.Answer{Verdict: payout.Known}
			}
			return payout.Answer{Verdict: payout.Unknown}
		}
		if i.Nonce <= uint64(c.final) {
			return payout.Answer{Verdict: payout.Final}
		}
		return payout.Answer{Verdict: payout.Known}
	case payout.Watch:
		if i.Nonce <= uint64(len(c.confirmed)) {
			return payout.Answer{Verdict: payout.Taken, Tx: c.confirmed[i.Nonce-1].Hash}
		}
		return payout.Answer{Verdict: payout.Free}
	}
	panic(q.Ask)
}

// fork takes away all from a nonce on that is not final.
func (c *chain) fork(nonce uint64) {
	for n := range c.kept {
		if n >= nonce {
			delete(c.kept, n)
		}
	}
	for n := range c.pending {
		if n >= nonce {
			delete(c.pending, n)
		}
	}
	c.confirmed = c.confirmed[:min(len(c.confirmed), int(nonce)-1)]
}

// confirm confirms what waits for the next nonce.
func (c *chain) confirm() {
	next := uint64(len(c.confirmed)) + 1
	if i, ok := c.pending[next]; ok {
		delete(c.pending, next)
		c.confirmed = append(c.confirmed, i)
	}
}

// treasury is the log and the executor that lives from it.
type treasury struct {
	*rapid.T
	signer  *payout.Signer
	chain   chain
	network []payout.Intent // sent, given up waiting for, and still to arrive
	now     time.Time

	records map[messages.DisbursementID]messages.State
	rows    map[uint64]payout.Intent
	nonce   uint64
	sent    map[uint64]payout.Sent
	settled uint64 // the newest nonce that is final, as the treasury knows

	window payout.Window
}

// undecided reports whether a null transaction competes with a payment.
func (t *treasury) undecided() bool {
	for _, i := range t.rows {
		if i.Kind == payout.Skip {
			return true
		}
	}
	return false
}

func (t *treasury) stage(nonce uint64) payout.Intent {
	id := messages.DisbursementID(len(t.records) + 1)
	t.records[id] = messages.Draft
	record := disbursement.New(messages.Payload{Disbursement: messages.Disbursement{
		Destination: fmt.Sprint("tb1", id), Amount: 1, ScheduledEpoch: 1,
	}}, nil, disbursement.Facts{})
	return t.signer.Pay(id, nonce, &record)
}

func (t *treasury) keep(i payout.Intent) {
	t.rows[i.Nonce] = i
	t.chain.signed[i.Hash] = i
	t.window.Add(i, true)
}

// crash forgets everything but the log.
func (t *treasury) crash() {
	t.window.Clear()
	for _, i := range t.rows {
		t.window.Add(i, false)
	}
}

// step puts the next questions, at most most of them, under a fault, and records what
// follows; at bounds what the fault spares or hits.
func (t *treasury) step(fault string, most, at int, fill bool) bool {
	questions, _ := t.window.Next(t.now, most)
	if len(questions) == 0 {
		return false
	}
	t.inOrder(questions)
	decisions := t.window.Answer(questions, t.put(questions, fault, at), t.now, 0.5)
	if fault == "crash before the commit" {
		t.crash()
		return true
	}
	for i, d := range decisions {
		if fault == "crash between commits" && i >= at {
			t.crash()
			return true
		}
		t.record(d, fill)
	}
	if fault == "crash after the commit" {
		t.crash()
	}
	return true
}

// inOrder holds that nothing is sent past a nonce that is not taken, or sent before it.
func (t *treasury) inOrder(questions []payout.Question) {
	sent := make(map[uint64]bool)
	for _, q := range questions {
		if q.Ask != payout.Submit {
			continue
		}
		for nonce := uint64(1); nonce < q.Intent.Nonce; nonce++ {
			if _, taken := t.sent[nonce]; taken {
				continue // or was, before a fork
			}
			if _, waits := t.chain.pending[nonce]; !sent[nonce] && !waits && nonce > uint64(len(t.chain.confirmed)) {
				t.Fatalf("nonce %d is sent, and %d is free", q.Intent.Nonce, nonce)
			}
		}
		sent[q.Intent.Nonce] = true
	}
}

// put puts questions to the chain and gives what is heard of its answers.
func (t *treasury) put(questions []payout.Question, fault string, at int) []payout.Answer {
	answers := make([]payout.Answer, len(questions))
	for i := range answers {
		answers[i] = payout.Answer{Verdict: payout.Unclear, Reason: fault}
	}
	answer := func(i int) { answers[i] = t.chain.answer(questions[i]) }
	switch fault {
	case "lost":
	case "answer lost":
		for i := range questions {
			t.chain.answer(questions[i])
		}
	case "cut off": // in the middle, by a restart of the chain node
		for i := range questions[:min(at, len(questions))] {
			t.chain.answer(questions[i])
		}
	case "delayed":
		for _, q := range questions {
			if q.Ask == payout.Submit {
				t.network = append(t.network, q.Intent)
			}
		}
	case "one unanswered":
		for i, q := range questions {
			if i == at {
				t.chain.answer(q)
				continue
			}
			answer(i)
		}
	case "backwards":
		for i := len(questions) - 1; i >= 0; i-- {
			answer(i)
		}
	case "not all put":
		answers = answers[:min(at+1, len(answers))]
		for i := range answers {
			answer(i)
		}
	default:
		for i := range questions {
			answer(i)
		}
	}
	return answers
}

// record carries a decision out, all of it in one commit.
func (t *treasury) record(d payout.Decision, fill bool) {
	i := d.Intent
	switch d.Do {
	case payout.Wait, payout.Pause, payout.Forget:
	case payout.Execute:
		t.records[i.ID] = messages.Executed
		t.chain.kept[i.Nonce] = i.Hash
		if i.Kind == payout.Skip {
			t.chain.kept[i.Nonce] = i.Rival
		}
		t.keepSent(i, d.Do)
	case payout.RollBack:
		t.records[i.ID] = messages.RolledBack
		switch {
		case i.Kind == payout.Skip:
			t.keepSent(i, d.Do)
		case fill:
			t.keep(t.stage(i.Nonce))
		default:
			t.keep(t.signer.Fill(i.ID, i.Nonce))
		}
	case payout.Drop:
		t.keepSent(i, d.Do)
	case payout.GiveUp:
		t.keep(t.signer.Skip(&i, d.Reason))
	}
}

func (t *treasury) keepSent(i payout.Intent, do payout.Do) {
	t.sent[i.Nonce] = i.Sent(do)
	delete(t.rows, i.Nonce)
	t.window.Remove(i.Nonce)
}

// settle asks what has become final.
func (t *treasury) settle() (lost *payout.Sent) {
	var sent []payout.Sent
	for n := t.settled + 1; ; n++ {
		s, ok := t.sent[n]
		if !ok {
			break
		}
		sent = append(sent, s)
	}
	for range 2 { // a second time where the first leaves open what took a nonce
		var answers []payout.Answer
		for i := range sent {
			answer := t.chain.answer(sent[i].Question())
			if sent[i].Nonce > uint64(t.chain.final) && answer.Verdict == payout.Taken {
				answer.Verdict = payout.Known // not deep enough
			}
			answers = append(answers, answer)
		}
		var final int
		if final, lost = payout.Settled(sent, answers); lost != nil {
			return lost
		}
		t.settled += uint64(final)
		sent = sent[final:]
	}
	return nil
}

// resend sends again what may be lost.
func (t *treasury) resend(from uint64) {
	for n := from; n <= t.nonce; n++ {
		if s, ok := t.sent[n]; ok {
			t.window.Resend(t.chain.signed[s.Hash])
		} else if i, ok := t.rows[n]; ok {
			t.window.Resend(i)
		}
	}
}

// check holds what was recorded against what the chain did.
func (t *treasury) check() {
	paid := make(map[messages.DisbursementID]int)
	for _, i := range t.chain.confirmed {
		if i.Kind == payout.Pay {
			if paid[i.ID]++; paid[i.ID] > 1 {
				t.Fatalf("disbursement %d was paid twice", i.ID)
			}
			if t.records[i.ID] == messages.RolledBack {
				t.Fatalf("disbursement %d was rolled back and paid", i.ID)
			}
		}
	}
	for nonce, hash := range t.chain.kept {
		held, ok := t.chain.pending[nonce]
		if nonce <= uint64(len(t.chain.confirmed)) {
			held, ok = t.chain.confirmed[nonce-1], true
		}
		if !ok || held.Hash != hash {
			t.Fatalf("nonce %d was recorded as paid, and the chain lost it", nonce)
		}
	}
}

// heal ends all faults and lets everything come to its end.
func (t *treasury) heal() {
	t.chain.replaces, t.chain.refuses = true, false // it may mind gaps to the end
	for _, i := range t.network {
		t.chain.submit(i)
	}
	t.network = nil
	for range 10_000 {
		if len(t.rows) == 0 && len(t.chain.pending) == 0 && t.settled == t.nonce {
			break
		}
		t.now = t.now.Add(time.Minute)
		t.window.Retry()
		for t.step("", 3, 0, false) {
			t.check()
		}
		t.chain.confirm()
		t.chain.final = len(t.chain.confirmed)
		if lost := t.settle(); lost != nil {
			t.resend(lost.Nonce)
		}
		t.check()
	}
	t.settle()
	if t.settled != t.nonce {
		t.Fatalf("nonces to %d are final, those to %d are in use", t.settled, t.nonce)
	}
	if len(t.rows) > 0 || uint64(len(t.chain.confirmed)) != t.nonce {
		t.Fatalf("%d intents are left; nonces to %d are confirmed, those to %d are in use",
			len(t.rows), len(t.chain.confirmed), t.nonce)
	}
	paid := make(map[messages.DisbursementID]bool)
	for _, i := range t.chain.confirmed {
		if i.Kind == payout.Pay {
			paid[i.ID] = true
		}
	}
	for id, state := range t.records {
		if executed := state == messages.Executed; executed != paid[id] || !executed && state != messages.RolledBack {
			t.Fatalf("disbursement %d is %s; paid: %t", id, state, paid[id])
		}
	}
}

// TestNothingIsPaidTwiceOrPaidAndRolledBack lets a chain that may do anything its
// contract allows, a network that loses, delays and reorders, an operator who decides
// at random, and crashes at every step play against the window.
func TestNothingIsPaidTwiceOrPaidAndRolledBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &treasury{
			T: rt, signer: signer(rt), now: time.Unix(1_700_000_000, 0),
			records: make(map[messages.DisbursementID]messages.State),
			rows:    make(map[uint64]payout.Intent),
			sent:    make(map[uint64]payout.Sent),
			chain: chain{
				pending: make(map[uint64]payout.Intent), kept: make(map[uint64]disbursement.Hash),
				signed: make(map[disbursement.Hash]payout.Intent),
			},
		}
		faults := []string{
			"", "", "", "", "lost", "answer lost", "cut off", "delayed", "one unanswered", "backwards", "not all put",
			"crash before the commit", "crash between commits", "crash after the commit",
		}
		rt.Repeat(map[string]func(*rapid.T){
			"stage": func(*rapid.T) {
				if len(w.rows) < 8 {
					w.nonce++
					w.keep(w.stage(w.nonce))
				}
			},
			"step": func(rt *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(0, 60).Draw(rt, "seconds")) * time.Second)
				w.step(rapid.SampledFrom(faults).Draw(rt, "fault"), rapid.IntRange(1, 8).Draw(rt, "most"),
					rapid.IntRange(0, 7).Draw(rt, "at"), rapid.Bool().Draw(rt, "fill"))
			},
			"fail for long": func(*rapid.T) {
				for range payout.TriesMax {
					w.step("answer lost", 8, 0, false)
					w.now = w.now.Add(time.Minute)
				}
			},
			"be late, and refused meanwhile": func(rt *rapid.T) {
				w.step("delayed", 8, 0, false)
				for range rapid.IntRange(0, 2).Draw(rt, "accepted before") {
					w.now = w.now.Add(time.Minute)
					w.step("", 1, 0, false)
				}
				refuses := w.chain.refuses
				w.chain.refuses = true
				w.now = w.now.Add(time.Minute)
				w.step("", 1, 0, rapid.Bool().Draw(rt, "fill"))
				w.chain.refuses = refuses
			},
			"arrive": func(rt *rapid.T) {
				if n := len(w.network); n > 0 {
					at := rapid.IntRange(0, n-1).Draw(rt, "which")
					w.chain.submit(w.network[at])
					if rapid.Bool().Draw(rt, "once") {
						w.network = append(w.network[:at], w.network[at+1:]...)
					}
				}
			},
			"confirm": func(*rapid.T) { w.chain.confirm() },
			"deepen":  func(*rapid.T) { w.chain.final = len(w.chain.confirmed) },
			"settle":  func(*rapid.T) { w.settle() },
			"fork": func(rt *rapid.T) {
				if len(w.network) > 0 || w.undecided() {
					return // bytes that compete for a nonce: the chain may choose the other this time
				}
				last := len(w.chain.confirmed) + len(w.chain.pending)
				if last > w.chain.final {
					w.chain.fork(uint64(rapid.IntRange(w.chain.final+1, last).Draw(rt, "from")))
				}
			},
			"resend": func(rt *rapid.T) {
				if lost := w.settle(); lost != nil {
					w.resend(lost.Nonce)
				} else if w.nonce > 0 {
					w.resend(rapid.Uint64Range(1, w.nonce).Draw(rt, "from"))
				}
			},
			"crash":   func(*rapid.T) { w.crash() },
			"refuse":  func(*rapid.T) { w.chain.refuses = !w.chain.refuses },
			"gaps":    func(*rapid.T) { w.chain.gapless = !w.chain.gapless },
			"replace": func(*rapid.T) { w.chain.replaces = !w.chain.replaces },
			"operate": func(rt *rapid.T) {
				if _, _, paused := w.window.Paused(); !paused {
					return
				}
				if rapid.Bool().Draw(rt, "retry") {
					w.window.Retry()
				} else if d, ok := w.window.GiveUp("by an operator"); ok {
					w.record(d, false)
				}
			},
			"": func(*rapid.T) { w.check() },
		})
		w.heal()
	})
}
