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
	Failures   uint64        // in the window; 0 unless closed
	Successes  uint64        // in the window, or probes that succeeded while half-open
	InRow      int           // failures since the last success, at most FailureThreshold
	InFlight   int           // probes out, while half-open
	RetryAfter time.Duration // until half-open; 0 unless open
	Trips      uint64        // times it opened by itself
}

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
	}
	switch b.state {
	case Closed:
		w := b.window.Load()
		w.advance(at)
		s.Failures, s.Successes = w.failures, w.total()
		s.InRow = w.run.since(w.inRow.Load(), at, b.cfg.Window)
	case Open:
		s.RetryAfter = max(b.until-at, 0)
	case HalfOpen:
		for _, p := range b.probes {
			switch p.state {
			case probeInFlight:
				s.InFlight++
			case probeSucceeded:
				s.Successes++
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
