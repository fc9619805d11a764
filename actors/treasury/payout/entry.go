package payout

import (
	"encoding/hex"
	"fmt"
	"time"
)

// entry is an intent and how far it has come.
type entry struct {
	Intent
	// doubtful says that an earlier try of these bytes may have reached the chain.
	doubtful bool
	// accepted says that the nonce is taken, by this transaction or its rival.
	accepted bool
	ask      Ask
	due      time.Time // ask not before
	paused   bool
	reason   string // of the pause, or of a refusal that is being looked into
	// recording is the decision that is on its way through the log.
	recording Do
}

// answer decides. The verdict is one that answers e.ask.
func (e *entry) answer(a Answer, now time.Time, chance float64) Decision {
	if a.Verdict == Unclear {
		e.doubt(a)
		return e.again(a.Reason, now, chance)
	}
	switch e.Kind {
	case Pay:
		return e.answerPay(a, now, chance)
	case Fill:
		return e.answerFill(a, now, chance)
	case Skip:
		return e.answerSkip(a, now, chance)
	case Resend:
		return e.answerResend(a, now, chance)
	}
	panic("payout: an intent of " + e.Kind.String())
}

// doubt notes that bytes were sent and what became of them is unclear.
func (e *entry) doubt(a Answer) {
	e.doubtful = e.doubtful || a.Verdict == Unclear && e.ask == Submit
}

// answerPay: accepted is executed; refused is rolled back if the chain cannot have
// the transaction, and given up if it can.
func (e *entry) answerPay(a Answer, now time.Time, chance float64) Decision {
	switch a.Verdict {
	case Accepted, Known:
		return Decision{Do: Execute}
	case Refused:
		if !e.doubtful {
			return Decision{Do: RollBack, Reason: a.Reason}
		}
		e.reason = a.Reason
		return e.next(Inquire)
	case Unknown:
		return Decision{Do: GiveUp, Reason: e.reason}
	case NonceUsed:
		return e.next(Watch)
	case Taken:
		if a.Tx == e.Hash {
			return Decision{Do: Execute}
		}
		return Decision{Do: Pause, Reason: fmt.Sprintf(
			"nonce %d is taken by another transaction, %s", e.Nonce, hex.EncodeToString(a.Tx[:]))}
	case Free:
		e.ask = Submit
		return e.again(fmt.Sprintf("the chain says that nonce %d is used, and that it is free", e.Nonce), now, chance)
	case Final, Unclear:
	}
	panic("payout: " + a.Verdict.String() + " to a payment")
}

// answerFill: whatever takes the nonce will do.
func (e *entry) answerFill(a Answer, now time.Time, chance float64) Decision {
	switch a.Verdict {
	case Accepted, Known, NonceUsed:
		return Decision{Do: Drop}
	case Refused:
		e.reason = a.Reason
		return e.next(Inquire)
	case Unknown:
		e.ask = Submit
		return e.again("the null transaction is refused: "+e.reason, now, chance)
	case Taken, Free, Final, Unclear:
	}
	panic("payout: " + a.Verdict.String() + " to a null transaction")
}

// answerSkip: only what is confirmed on the nonce decides. Until then the null
// transaction is sent again from time to time, lest the chain has lost it.
func (e *entry) answerSkip(a Answer, now time.Time, chance float64) Decision {
	switch a.Verdict {
	case Accepted:
		if !e.accepted {
			noted := e.Tries > 0
			e.accepted, e.Tries = true, 0
			e.ask = Watch
			return Decision{Note: noted}
		}
		return e.next(Watch)
	case Refused:
		e.accepted = false
		e.reason = "the null transaction is refused: " + a.Reason
		return e.next(Watch)
	case NonceUsed:
		e.reason = fmt.Sprintf("the chain says that nonce %d is used, and that it is free", e.Nonce)
		return e.next(Watch)
	case Taken:
		switch a.Tx {
		case e.Rival:
			return Decision{Do: Execute}
		case e.Hash:
			e.accepted = true
			return e.next(Confirm) // a fork could still bring the payment back
		}
		return Decision{Do: RollBack, Reason: e.Reason}
	case Final:
		return Decision{Do: RollBack, Reason: e.Reason}
	case Known, Unknown:
		e.ask, e.accepted = Watch, a.Verdict == Known
		return e.again("the null transaction is confirmed, and not yet as deep as it must be", now, chance)
	case Free:
		e.ask = Submit
		return e.again(e.reason, now, chance)
	case Unclear:
	}
	panic("payout: " + a.Verdict.String() + " to a skip")
}

// answerResend judges an answer about bytes that are sent again. Nothing is decided about
// their disbursement: whether the chain has them in the end is found out by Confirm.
func (e *entry) answerResend(a Answer, now time.Time, chance float64) Decision {
	switch a.Verdict {
	case Accepted, Known, NonceUsed:
		return Decision{Do: Forget}
	case Refused:
		e.reason = a.Reason
		return e.next(Inquire)
	case Unknown:
		e.ask = Submit
		return e.again(fmt.Sprintf("the chain refuses what it had taken on nonce %d: %s", e.Nonce, e.reason), now, chance)
	case Taken, Free, Final, Unclear:
	}
	panic("payout: " + a.Verdict.String() + " to bytes sent again")
}

// next asks another question at once.
func (e *entry) next(ask Ask) Decision {
	e.ask = ask
	return Decision{}
}

// again asks after a while, or pauses. Where the nonce is taken already there is
// nothing to pause for: the chain confirms it when it does.
func (e *entry) again(reason string, now time.Time, chance float64) Decision {
	e.Tries++
	note := !e.accepted && e.Kind != Resend // which the log does not hold
	if e.Tries >= TriesMax && !e.accepted {
		return Decision{Do: Pause, Reason: reason, Note: note}
	}
	e.due = now.Add(backoff(e.Tries, chance))
	return Decision{Note: note}
}

const (
	// TriesMax is how often an intent is tried without a clear answer before the
	// executor pauses at it.
	TriesMax = 20

	// retryMin and retryMax bound the wait between two tries: it doubles from one to
	// the other. Shorter finds out sooner that the chain is back, longer spares it.
	retryMin = 100 * time.Millisecond
	retryMax = 30 * time.Second
)

// backoff is the wait after a number of tries, between half of it and one and a half
// times it by chance, which is in [0, 1).
func backoff(tries int, chance float64) time.Duration {
	wait := retryMax
	if shift := tries - 1; shift < 16 {
		wait = min(retryMax, retryMin<<max(shift, 0))
	}
	return time.Duration((0.5 + chance) * float64(wait))
}
