package payout

import "time"

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
