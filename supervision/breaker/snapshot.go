package breaker

import "time"

// Snapshot is a breaker as the console, the metrics and supervision.breakers show
// it at one moment.
type Snapshot struct {
	Path       string
	Scope      Scope
	State      State
	Since      time.Time // begin of the state
	Generation uint64
	// Failures and Successes are those in the window; while the breaker is not closed,
	// those that were in it when it last was.
	Failures, Successes uint64
	InRow               int           // failures since the last success, at most FailureThreshold; while closed
	InFlight            int           // probes out, while half-open
	Succeeded           int           // probes that came back well, while half-open
	RetryAfter          time.Duration // until half-open; 0 unless open
	Trips               uint64        // times it opened by itself
	Cause               Reason        // of the last move to Open or to a forced state; 0 before the first
}

// Troubled reports whether the breaker has trouble to tell of: a state that is not
// closed, or a failure in its window.
func (s *Snapshot) Troubled() bool { return s.State != Closed || s.Failures > 0 }

// Snapshot describes the breaker at now.
func (b *Breaker) Snapshot(now time.Time) Snapshot {
	at := now.Sub(b.origin)
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Snapshot{
		Path:       b.path,
		Scope:      b.scope,
		State:      b.state,
		Since:      b.origin.Add(b.since),
		Generation: b.generation,
		Trips:      b.trips,
		Cause:      b.cause,
		Failures:   b.failures,
		Successes:  b.successes,
	}
	switch b.state {
	case Closed:
		w := b.window.Load()
		s.Failures, s.Successes = w.count(at)
		s.InRow = w.run.since(w.inRow.Load(), at, b.cfg.Window)
	case Open:
		s.RetryAfter = max(b.until-at, 0)
	case HalfOpen:
		for _, p := range b.probes {
			switch p.state {
			case probeInFlight:
				s.InFlight++
			case probeSucceeded:
				s.Succeeded++
			case probeFree:
			}
		}
	case ForcedOpen, ForcedClosed:
	}
	return s
}

// State returns the breaker's state; nil is closed.
func (b *Breaker) State() State {
	if b == nil {
		return Closed
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}
