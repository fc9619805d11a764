package membership

import (
	"maps"
	"sync"
	"time"
)

// Limits of what is said again and again.
const (
	sayEvery  = time.Minute
	saidMax   = 256 // different things that are remembered as said
	notesMax  = 256 // things that wait to be said or done
	claimsMax = 8
)

// limiter lets the same thing be said once per sayEvery.
type limiter struct {
	mu   sync.Mutex
	said map[string]time.Time
}

func newLimiter() *limiter { return &limiter{said: make(map[string]time.Time)} }

// allow reports whether what may be said now. With saidMax things remembered, new ones
// wait.
func (l *limiter) allow(what string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, said := l.said[what]; said && now.Sub(at) < sayEvery {
		return false
	}
	if len(l.said) >= saidMax {
		maps.DeleteFunc(l.said, func(_ string, at time.Time) bool { return now.Sub(at) >= sayEvery })
		if len(l.said) >= saidMax {
			return false
		}
	}
	l.said[what] = now
	return true
}
