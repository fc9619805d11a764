package executor

import (
	"cmp"
	"context"
	"time"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision/breaker"
)

// confirming finds out what the chain has confirmed of what it took, the oldest nonce
// first. The log holds how far that has come: what is above can still be lost, so it is
// kept to be sent again, and its disbursements are not finalized.
type confirming struct {
	confirmed uint64 // the newest nonce that is known to be final, with all below it
	newest    uint64 // the newest that the chain has taken
	// sent is what comes behind confirmed, oldest first, as far as it has been read.
	sent []payout.Sent
	due  time.Time // ask not before
	wait time.Duration
	// lost is a nonce that the chain took and does not have any more; 0 if it has all.
	lost uint64
	call *call // nil while the chain is not asked
	busy bool  // progress is on its way through the log
}

// Bounds of the wait between two questions about what is not final yet: it doubles from
// one to the other. Shorter finalizes sooner, longer spares the chain node.
const (
	confirmWaitMin = 250 * time.Millisecond
	confirmWaitMax = 15 * time.Second
)

// fill begins anew from the Store. intents are those in flight, by nonce. Nonces that no
// intent and nothing sent speaks of are from before it was kept what was sent.
func (c *confirming) fill(store *persistence.Store, intents []payout.Intent, newest uint64) error {
	confirmed, err := store.Counter(rows.CounterConfirmed)
	if err != nil {
		return err
	}
	*c = confirming{confirmed: uint64(confirmed), newest: newest}
	oldest := newest + 1
	if len(intents) > 0 {
		oldest = intents[0].Nonce
	}
	sent, err := readSent(store, c.confirmed+1, 1)
	if err != nil {
		return err
	}
	if len(sent) > 0 {
		oldest = min(oldest, sent[0].Nonce)
	}
	c.confirmed = max(c.confirmed, oldest-1)
	return nil
}

// readSent reads up to limit of what was sent, from a nonce on.
func readSent(store *persistence.Store, from uint64, limit int) (sent []payout.Sent, err error) {
	scanErr := store.Scan(rows.SentKey(from), persistence.TableEnd(rows.TableSent), false, limit,
		func(key persistence.Key, v persistence.Value) bool {
			nonce, _ := key.Number()
			var s payout.Sent
			if s, err = payout.DecodeSent(nonce, v.Data); err != nil {
				return false
			}
			sent = append(sent, s)
			return true
		})
	return sent, cmp.Or(scanErr, err)
}

// taken notes that the chain has taken a nonce.
func (c *confirming) taken(nonce uint64, now time.Time) {
	if c.confirmed == c.newest { // nothing was open
		c.due, c.wait = now.Add(confirmWaitMin), confirmWaitMin
	}
	c.newest = max(c.newest, nonce)
}

// left is how long until there is something to ask; 0 if only a payment brings that about.
func (c *confirming) left(now time.Time) time.Duration {
	if c.busy || c.call != nil || c.confirmed == c.newest {
		return 0
	}
	return max(c.due.Sub(now), time.Nanosecond)
}

// next gives the questions to put now, up to RoundMax, about nonces without a gap. An
// intent that is still in flight is one: what is above it waits.
func (c *confirming) next(store *persistence.Store, now time.Time) ([]payout.Question, error) {
	if c.busy || c.call != nil || c.confirmed == c.newest || now.Before(c.due) {
		return nil, nil
	}
	if len(c.sent) < payout.RoundMax {
		from := c.confirmed + uint64(len(c.sent)) + 1
		more, err := readSent(store, from, payout.RoundMax-len(c.sent))
		if err != nil {
			return nil, err
		}
		for i := range more {
			if more[i].Nonce != from+uint64(i) {
				break
			}
			c.sent = append(c.sent, more[i])
		}
	}
	questions := make([]payout.Question, len(c.sent))
	for i := range c.sent {
		questions[i] = c.sent[i].Question()
	}
	if len(questions) == 0 {
		c.retry(now)
	}
	return questions, nil
}

func (c *confirming) retry(now time.Time) {
	c.due = now.Add(c.wait)
	c.wait = min(max(2*c.wait, confirmWaitMin), confirmWaitMax)
}

// askConfirmed begins a call that asks what is final, if it is time. Only a closed breaker
// lets it through, and it decides nothing about it: a node that answers questions may still
// take no payments.
func (s *outside) askConfirmed(x *executor, ctx durable.Context, now time.Time) error {
	if state := x.breaker.State(); state != breaker.Closed && state != breaker.ForcedClosed {
		s.confirming.due = now.Add(holdMax)
		return nil
	}
	questions, err := s.confirming.next(x.Store, now)
	if len(questions) == 0 || err != nil {
		return err
	}
	s.confirming.call = &call{questions: questions}
	s.begin(ctx, s.confirming.call)
	return nil
}

// confirm carries out what the answers about finality say.
func (s *outside) confirm(x *executor, ctx durable.Context, answers []payout.Answer, now time.Time) error {
	c := &s.confirming
	c.call = nil
	final, lost := payout.Settled(c.sent, answers)
	switch {
	case lost == nil:
		c.lost = 0
	case c.lost != lost.Nonce:
		c.lost = lost.Nonce
		x.log.ErrorContext(context.Background(), "the chain has lost a transaction that it had taken; "+
			"what follows it cannot be final: send it again with gov.treasury.resend",
			"component", "executor", "nonce", lost.Nonce, "disbursement", lost.ID)
	}
	if final == 0 {
		c.retry(now)
		return nil
	}
	c.wait, c.due = confirmWaitMin, now
	return s.proposeConfirmed(x, ctx, c.sent[final-1].Nonce)
}

// proposeConfirmed records how far the chain has come, and drops what was kept for long
// enough.
func (s *outside) proposeConfirmed(x *executor, ctx durable.Context, nonce uint64) error {
	logged, err := x.Store.Counter(rows.CounterConfirmed)
	if err != nil {
		return err
	}
	txn := &persistence.Txn{
		Fences:     []persistence.ShardFence{x.Held()},
		Conditions: []persistence.Condition{s.condition()},
		Adds: []persistence.Add{{
			Counter: rows.CounterConfirmed, Delta: int64(nonce) - logged, Min: int64(nonce), Max: int64(nonce),
		}},
	}
	for old := max(logged-payout.SentKept, 0); old <= int64(nonce)-payout.SentKept && len(txn.Deletes) < payout.RoundMax; old++ {
		if old > 0 {
			txn.Deletes = append(txn.Deletes, rows.SentKey(uint64(old)))
		}
	}
	if err := x.Propose(persistence.Proposal{Txn: txn}, &confirmedWork{nonce}); err != nil {
		s.confirming.retry(x.Steady())
		x.rest.BackOff(ctx, x.Chance())
		return nil
	}
	s.confirming.busy = true
	s.recording++
	return nil
}

// confirmedWork is progress of the chain on its way through the log.
type confirmedWork struct{ nonce uint64 }

func (*confirmedWork) fail(*executor) {}

func (w *confirmedWork) conclude(x *executor, ctx durable.Context, o persistence.Outcome) error {
	s := x.outside
	s.recording--
	c := &s.confirming
	c.busy = false
	switch {
	case o.Err != nil || o.Result.Status != persistence.Committed:
		x.broken = true
		x.rest.BackOff(ctx, x.Chance())
	case s.drawn && w.nonce > c.confirmed:
		c.sent = c.sent[min(uint64(len(c.sent)), w.nonce-c.confirmed):]
		c.confirmed = w.nonce
	}
	return nil
}
