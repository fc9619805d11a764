package treasury

import (
	"math/rand/v2"
	"time"
)

// restMin and restMax bound how long an actor rests after the log did not take what
// it proposed: twice as long each time in a row, and half of it at random.
const (
	restMin = 100 * time.Millisecond
	restMax = time.Second
)

// backoff counts how often the log failed an actor in a row.
type backoff struct{ failures int }

// next gives the length of the next rest.
func (b *backoff) next() time.Duration {
	limit := min(restMin<<min(b.failures, 10), restMax)
	b.failures++
	return limit/2 + rand.N(limit/2+1)
}

// reset notes that the log gave a verdict.
func (b *backoff) reset() { b.failures = 0 }
