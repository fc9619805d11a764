package breaker

import "time"

// HalfOpen turns an open breaker half-open once its timeout has passed. It is for
// the timer of whoever owns the breaker; called early, late or twice it does no
// harm. It returns the transition, or nil.
func (b *Breaker) HalfOpen(now time.Time) *Event {
	at := now.Sub(b.origin)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != Open || at < b.until {
		return nil
	}
	return b.move(HalfOpen, TimeoutPassed, at)
}

// ExpireProbes opens a half-open breaker again if a probe has been in flight for
// ProbeTimeout since ExpireProbes first saw it: what does not answer is not well,
// and a lost probe must not keep the breaker half-open for good. It returns the
// transition, or nil.
func (b *Breaker) ExpireProbes(now time.Time) *Event {
	at := now.Sub(b.origin)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != HalfOpen {
		return nil
	}
	for i := range b.probes {
		p := &b.probes[i]
		switch {
		case p.state != probeInFlight:
		case p.deadline == 0:
			p.deadline = at + b.cfg.ProbeTimeout
		case at >= p.deadline:
			return b.move(Open, ProbeExpired, at)
		}
	}
	return nil
}

// Tick does what is due at now: HalfOpen in the open state, ExpireProbes in the
// half-open one. It returns the transition, or nil.
func (b *Breaker) Tick(now time.Time) *Event {
	if event := b.HalfOpen(now); event != nil {
		return event
	}
	return b.ExpireProbes(now)
}

// Next returns when Tick wants to be called: at the end of the open state, and
// every ProbeTimeout in the half-open one. It reports false in the other states,
// which no timer ends. Ask again after every transition and every Tick.
func (b *Breaker) Next(now time.Time) (time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state {
	case Open:
		return b.origin.Add(b.until), true
	case HalfOpen:
		return now.Add(b.cfg.ProbeTimeout), true
	case Closed, ForcedOpen, ForcedClosed:
	}
	return time.Time{}, false
}

// admitProbe takes a free probe. The state may have changed since the caller read
// the word.
func (b *Breaker) admitProbe() (Token, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state {
	case Closed, ForcedClosed:
		return Token{b.generation << 8}, true
	case Open, ForcedOpen:
		return Token{}, false
	case HalfOpen:
	}
	free := b.freeProbe()
	if free < 0 {
		return Token{}, false
	}
	b.probes[free] = probe{state: probeInFlight}
	b.publish()
	return Token{b.generation<<8 | uint64(free+1)}, true
}

// probeSucceeded notes the success of tok's probe and closes the breaker if it
// was the last one. A token without a probe in flight decides nothing.
func (b *Breaker) probeSucceeded(tok Token, at time.Duration) *Event {
	if !b.inFlight(tok) {
		return nil
	}
	b.probes[tok.probe()].state = probeSucceeded
	for _, p := range b.probes {
		if p.state != probeSucceeded {
			return nil
		}
	}
	return b.move(Closed, ProbesSucceeded, at)
}

// inFlight reports whether tok holds a probe of this period that is not done.
func (b *Breaker) inFlight(tok Token) bool {
	return b.state == HalfOpen && tok.generation() == b.generation &&
		tok.probe() >= 0 && b.probes[tok.probe()].state == probeInFlight
}

// freeProbe returns the index of a free probe, or -1. A probe that succeeded is
// not free again: a half-open period makes no more than SuccessThreshold calls.
func (b *Breaker) freeProbe() int {
	for i, p := range b.probes {
		if p.state == probeFree {
			return i
		}
	}
	return -1
}

func (b *Breaker) freeProbes() {
	if b.probes == nil {
		b.probes = make([]probe, b.cfg.SuccessThreshold)
	}
	clear(b.probes)
}

// forget ends the breaker of a child that nothing was heard of for a window, and
// reports whether it may go: not while it is open, forced, or a probe is out. Who
// still holds it finds it closed.
func (b *Breaker) forget(now time.Time) (*Event, bool) {
	at := now.Sub(b.origin)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state {
	case Closed:
		return nil, true
	case Open, ForcedOpen, ForcedClosed:
		return nil, false
	case HalfOpen:
	}
	for _, p := range b.probes {
		if p.state == probeInFlight {
			return nil, false
		}
	}
	return b.move(Closed, Forgotten, at), true
}
