package persistence

import (
	"math"
	"time"
)

// paceMemory is the busy time after which what was observed counts 1/e. Raised: one slow
// fsync weighs less; lowered: a change of the disk is seen sooner.
const paceMemory = 250 * time.Millisecond

// paceAssumed is the transactions a second of a log that has not had a backlog yet: what a
// common disk settles.
const paceAssumed = 100_000

// pace is how fast the log settles transactions while more wait than it takes. An entry
// that left nothing behind tells nothing: it was as small as what there was.
type pace struct {
	txns, seconds float64 // seen lately, both fading
	// since is when the backlog began, or when something of it was settled last.
	since time.Time
	// lateSince is when the first of those callers was received who have all been late since,
	// each received while others waited; zero if the last was not late. lateUntil is when the
	// last of them came.
	lateSince, lateUntil time.Time
}

// begins notes that the queue is empty no more.
func (p *pace) begins(now time.Time) { p.since = now }

// settled notes that an entry is. backlog: more was waiting when it was proposed.
func (p *pace) settled(txns int, backlog bool, now time.Time) {
	took := now.Sub(p.since)
	p.since = now
	if !backlog || took <= 0 {
		return
	}
	fade := math.Exp(-float64(took) / float64(paceMemory))
	p.txns = p.txns*fade + float64(txns)
	p.seconds = p.seconds*fade + took.Seconds()
}

// wait is how long the last of ahead waiting transactions will wait: what the rate says,
// and at least as long as nothing has been settled, for a disk that stands still goes on
// standing still.
func (p *pace) wait(ahead int, now time.Time) time.Duration {
	each := 1.0 / paceAssumed
	if p.seconds > 0 {
		each = p.seconds / max(p.txns, 1)
	}
	seconds := min(float64(ahead)*each, waitMax.Seconds())
	return max(now.Sub(p.since), time.Duration(seconds*float64(time.Second)))
}

// late notes whether a caller that was received then came later than it should, and tells
// whether all have who were received for more than a while: then it is not the machine that
// paused, but more than it can do. What counts is when they were received, for those of one
// burst are all as late as what keeps it; and once nobody waits it begins anew.
func (p *pace) late(late bool, received time.Time, while time.Duration, now time.Time) bool {
	if !late {
		p.lateSince = time.Time{}
		return false
	}
	if p.lateSince.IsZero() || received.After(p.lateUntil) {
		p.lateSince = received
	}
	p.lateUntil = now
	return received.Sub(p.lateSince) > while
}

// waitMax bounds what is said about waiting.
const waitMax = time.Hour

// retryAfter advises when to come again to a queue that takes wait, of at most delayMax:
// once it has come down to half of that.
func retryAfter(wait, delayMax time.Duration) time.Duration {
	return min(max(wait-delayMax/2, retryAfterMin), retryAfterMax)
}

// The least and most of that advice.
const (
	retryAfterMin = 20 * time.Millisecond
	retryAfterMax = 5 * time.Second
)
