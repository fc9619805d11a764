package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
)

const (
	askMax     = 60 * time.Millisecond // without an answer, it is unclear
	confirmMax = 80 * time.Millisecond
)

// chain is an outside chain: it confirms transactions in the order of their nonces,
// keeps what it has accepted, and is otherwise as unhelpful as it may be.
type chain struct {
	w         *world
	signer    *payout.Signer
	confirmed []transfer // nonce 1 first
	pending   map[uint64]transfer
	byHash    map[disbursement.Hash]bool
	down      bool
	frozen    bool // refuses for a while what it takes later
	replaces  bool // what waits makes room for another on its nonce
	gapless   bool // refuses what does not follow on what it has
	healed    bool // does all of a round, and answers it
	// returned are transfers by which payees gave back what they were paid.
	returned map[string]payout.Transfer
}

type transfer struct {
	payout.Transaction
	hash disbursement.Hash
}

// never marks payees that the chain never pays.
const never = "tb1never"

// How often what happens to a round of questions, until the chain is healed.
const (
	partChance      = 0.1  // those at the end are not put
	brokenChance    = 0.05 // those from one on are put and not done, by a restart of the chain's node
	backwardsChance = 0.1  // they are done in the opposite order
	silentChance    = 0.05 // a done one has no answer
)

// hear is a round of questions that has arrived. nil is no answer to any of them.
func (c *chain) hear(questions []payout.Question) []payout.Answer {
	n := len(questions)
	if c.w.chance(partChance) {
		n = 1 + c.w.IntN(n)
	}
	done, broken, backwards := n, !c.healed && c.w.chance(brokenChance), c.w.chance(backwardsChance)
	if broken {
		done = c.w.IntN(n)
	}
	answers := make([]payout.Answer, n)
	for i := range done {
		if backwards {
			i = done - 1 - i
		}
		if answers[i] = c.ask(questions[i]); !c.healed && c.w.chance(silentChance) {
			answers[i] = payout.Answer{Verdict: payout.Unclear, Reason: "no answer to this one"}
		}
	}
	if broken {
		return nil
	}
	return answers
}

// ask is a question that has arrived.
func (c *chain) ask(q payout.Question) payout.Answer {
	if c.down {
		return payout.Answer{Verdict: payout.Unclear, Reason: "503"}
	}
	switch q.Ask {
	case payout.Submit:
		return c.submit(q.Intent.Raw)
	case payout.Inquire:
		if c.byHash[q.Intent.Hash] {
			return payout.Answer{Verdict: payout.Known}
		}
		return payout.Answer{Verdict: payout.Unknown}
	case payout.Confirm:
		switch n := q.Intent.Nonce; {
		case !c.byHash[q.Intent.Hash]:
			return payout.Answer{Verdict: payout.Unknown}
		case n <= uint64(len(c.confirmed)) && c.confirmed[n-1].hash == q.Intent.Hash:
			return payout.Answer{Verdict: payout.Final}
		}
		return payout.Answer{Verdict: payout.Known}
	case payout.Watch:
		if n := q.Intent.Nonce; n <= uint64(len(c.confirmed)) {
			return payout.Answer{Verdict: payout.Taken, Tx: c.confirmed[n-1].hash}
		}
		return payout.Answer{Verdict: payout.Free}
	}
	return payout.Answer{Verdict: payout.Unclear, Reason: "what?"}
}

func (c *chain) submit(raw []byte) payout.Answer {
	tx, hash, err := payout.ParseTransaction(raw)
	if err != nil {
		c.w.fail("the chain is sent bytes that are no transaction: %w", err)
	}
	if c.byHash[hash] {
		return payout.Answer{Verdict: payout.Accepted}
	}
	other, waits := c.pending[tx.Nonce]
	_, follows := c.pending[tx.Nonce-1]
	switch {
	case tx.Nonce <= uint64(len(c.confirmed)):
		return payout.Answer{Verdict: payout.NonceUsed}
	case c.gapless && !follows && tx.Nonce != uint64(len(c.confirmed))+1:
		return payout.Answer{Verdict: payout.Refused, Reason: "a nonce below is free"}
	case tx.Destination == never:
		return payout.Answer{Verdict: payout.Refused, Reason: "unknown payee"}
	case c.frozen && !tx.Null():
		return payout.Answer{Verdict: payout.Refused, Reason: "the account is frozen"}
	case waits && !c.replaces:
		return payout.Answer{Verdict: payout.Refused, Reason: "another transaction waits"}
	case waits:
		delete(c.byHash, other.hash)
	}
	c.w.note("chain", "takes nonce %d for disbursement %d (%d BLOCK)", tx.Nonce, tx.ID, tx.Amount)
	c.pending[tx.Nonce], c.byHash[hash] = transfer{tx, hash}, true
	c.w.after(c.w.between(0, confirmMax), c.confirm)
	return payout.Answer{Verdict: payout.Accepted}
}

// confirm confirms what waits, up to the first gap.
func (c *chain) confirm() {
	for {
		next := uint64(len(c.confirmed)) + 1
		t, ok := c.pending[next]
		if !ok {
			return
		}
		delete(c.pending, next)
		c.confirmed = append(c.confirmed, t)
	}
}

// paid counts the transfers to each payee, those that wait among them: they are kept.
func (c *chain) paid() map[messages.DisbursementID][]transfer {
	paid := make(map[messages.DisbursementID][]transfer)
	for _, t := range c.confirmed {
		if !t.Null() {
			paid[t.ID] = append(paid[t.ID], t)
		}
	}
	for nonce := uint64(len(c.confirmed)) + 1; len(c.pending) > 0 && nonce < uint64(len(c.confirmed))+1000; nonce++ {
		if t, ok := c.pending[nonce]; ok && !t.Null() {
			paid[t.ID] = append(paid[t.ID], t)
		}
	}
	return paid
}

// giveBack has the payee of a disbursement return what it was paid, and names the transfer;
// "" if the chain has confirmed no payment.
func (c *chain) giveBack(id messages.DisbursementID) string {
	for _, t := range c.confirmed {
		if !t.Null() && t.ID == id {
			hash := sha256.Sum256(fmt.Appendf(nil, "return %d", id))
			name := hex.EncodeToString(hash[:])
			c.returned[name] = payout.Transfer{Confirmed: true, Sender: t.Destination, Destination: c.signer.Account(),
				Amount: t.Amount, Block: uint64(len(c.confirmed)) + 1}
			return name
		}
	}
	return ""
}

// Transfer implements executor.Chain. A payment's block has its nonce.
func (c *chain) Transfer(_ context.Context, hash disbursement.Hash) (payout.Transfer, error) {
	for i, t := range c.confirmed {
		if t.hash == hash {
			return payout.Transfer{Confirmed: true, Sender: c.signer.Account(), Destination: t.Destination,
				Amount: t.Amount, Block: uint64(i) + 1}, nil
		}
	}
	return c.returned[hex.EncodeToString(hash[:])], nil
}

// NextNonce implements executor.Chain.
func (c *chain) NextNonce(context.Context) (uint64, error) { return uint64(len(c.confirmed)) + 1, nil }

// Ask implements executor.Chain; nodes of the model ask by Start.
func (c *chain) Ask(_ context.Context, questions []payout.Question) []payout.Answer {
	return c.hear(questions)
}

// ask puts questions of the node's executor to the chain.
func (n *node) ask(ctx context.Context, questions []payout.Question, answer func([]payout.Answer)) {
	w, boot := n.w, n.boot
	for _, q := range questions {
		n.note("asks the chain to %s nonce %d", q.Ask, q.Intent.Nonce)
	}
	answered := false
	arrive := func(answers []payout.Answer) {
		n.deliver(func(n *node) {
			if n.boot != boot || answered {
				return
			}
			answered = true
			if ctx.Err() == nil {
				for i, a := range answers {
					n.note("hears of nonce %d: %s %s", questions[i].Intent.Nonce, a.Verdict, a.Reason)
				}
			}
			answer(answers)
		})
	}
	w.sendOut(func() {
		if answers := w.chain.hear(questions); answers != nil {
			w.sendOut(func() { arrive(answers) })
		}
	})
	w.after(askMax, func() {
		unclear := make([]payout.Answer, len(questions))
		for i := range unclear {
			unclear[i] = payout.Answer{Verdict: payout.Unclear, Reason: "no answer"}
		}
		arrive(unclear)
	})
}
