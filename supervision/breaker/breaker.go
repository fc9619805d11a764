package breaker

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Token is the admission of one call. Report it once, with Success, Failure or
// Cancel, to the breaker that gave it. The zero Token stands for a call that no
// breaker was asked about; it counts in a breaker's first period only.
type Token struct{ word uint64 } // generation<<8 | number of the probe, 0 for none

func (t Token) generation() uint64 { return t.word >> 8 }

// probe is the index of the probe t holds, or -1.
func (t Token) probe() int { return int(t.word&0xff) - 1 }

// The answers that admission finds in a breaker's word, beside its generation.
const (
	pass   uint64 = iota // admit without asking further
	reject               // refuse without asking further
	ask                  // a probe may be free: ask under the lock
)

// probe is one of the calls a half-open breaker lets pass.
type probe struct {
	state    probeState
	deadline time.Duration // since origin; 0 until a tick has seen the probe
}

type probeState uint8

const (
	probeFree probeState = iota
	probeInFlight
	probeSucceeded
)

// halfOpenRetry is what a caller is told to wait while all probes are out: their
// outcome, not a clock, ends that state.
const halfOpenRetry = time.Second

// Breaker guards one thing. All methods may be called from any goroutine. A nil
// Breaker admits every call and forgets every outcome: it stands for a child
// that has not failed.
type Breaker struct {
	// word is what admission reads: generation<<8 | pass, reject or ask. It and the
	// window change under mu. The padding keeps both off the cache line that outcomes
	// write.
	word   atomic.Uint64
	window atomic.Pointer[window] // of the last closed period

	path   string
	scope  Scope
	cfg    *Config
	width  time.Duration // of a bucket
	origin time.Time     // all durations below are measured from here
	_      [24]byte

	mu         sync.Mutex
	state      State
	generation uint64
	since      time.Duration // begin of the current period
	until      time.Duration // end of the open state
	probes     []probe       // SuccessThreshold of them, made when first half-open
	trips      uint64
	cause      Reason // of the last move to Open or to a forced state
	// What the window held when the breaker last left Closed.
	failures, successes uint64
}

// New returns a closed breaker with an empty window that begins at now. The path
// names it in events.
func New(path string, cfg Config, now time.Time) (*Breaker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("breaker %s: %w", path, err)
	}
	return newBreaker(path, Own, &cfg, now), nil
}

func newBreaker(path string, scope Scope, cfg *Config, now time.Time) *Breaker {
	b := &Breaker{
		path:   path,
		scope:  scope,
		cfg:    cfg,
		width:  cfg.Window / buckets,
		origin: now,
		state:  Closed,
	}
	b.openWindow(0)
	return b
}

// Path returns the path given to New.
func (b *Breaker) Path() string { return b.path }

// Scope tells what the breaker guards.
func (b *Breaker) Scope() Scope { return b.scope }

// Admit reports whether a call may pass, and gives the token to report its
// outcome with. While closed or open it reads one atomic word: no lock, no clock,
// no allocation. While half-open it takes one of the free probes.
func (b *Breaker) Admit() (Token, bool) {
	if b == nil {
		return Token{}, true
	}
	word := b.word.Load()
	switch word & 0xff {
	case pass:
		return Token{word}, true // pass is 0: no probe
	case reject:
		return Token{}, false
	}
	return b.admitProbe()
}

// Passes reports whether Admit would admit a call now, without taking a probe:
// the question to ask before a message is queued.
func (b *Breaker) Passes() bool { return b == nil || b.word.Load()&0xff != reject }

// Current returns a token of the current period that holds no probe, for an
// outcome that belongs to no admitted call, such as a panic while starting.
func (b *Breaker) Current() Token {
	if b == nil {
		return Token{}
	}
	return Token{b.word.Load() &^ 0xff}
}

// Holds reports whether tok was given in the current period: a call that waited
// in a queue after Admit may still be made, and its outcome will count.
func (b *Breaker) Holds(tok Token) bool {
	return b == nil || b.word.Load()>>8 == tok.generation()
}

// Success reports that the call admitted with tok ended well, or was answered
// with a rejection, at now. It returns the transition this caused, or nil.
func (b *Breaker) Success(tok Token, now time.Time) *Event {
	if b == nil {
		return nil
	}
	at := now.Sub(b.origin)
	w := b.window.Load()
	if w.generation == tok.generation() && w.add(at) {
		return nil
	}
	return b.success(tok, at)
}

func (b *Breaker) success(tok Token, at time.Duration) *Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	if tok.generation() != b.generation {
		return nil
	}
	switch b.state {
	case Closed:
		b.window.Load().success(at)
	case HalfOpen:
		return b.probeSucceeded(tok, at)
	case Open, ForcedOpen, ForcedClosed:
	}
	return nil
}

// Failure reports that the call admitted with tok failed at now. It returns the
// transition this caused, or nil.
func (b *Breaker) Failure(tok Token, now time.Time) *Event {
	if b == nil {
		return nil
	}
	at := now.Sub(b.origin)
	b.mu.Lock()
	defer b.mu.Unlock()
	if tok.generation() != b.generation {
		return nil
	}
	switch b.state {
	case Closed:
		if reason := b.window.Load().failure(at, b.cfg.Window); reason != 0 {
			return b.move(Open, reason, at)
		}
	case HalfOpen:
		return b.move(Open, ProbeFailed, at)
	case Open, ForcedOpen, ForcedClosed:
	}
	return nil
}

// Cancel reports that the call admitted with tok was never made. It decides
// nothing and makes the probe free that tok may hold.
func (b *Breaker) Cancel(tok Token) {
	if b == nil || tok.probe() < 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inFlight(tok) {
		b.probes[tok.probe()] = probe{}
		b.publish()
	}
}

// Trip opens a closed or half-open breaker for a reason only its owner can see.
// It returns the transition, or nil where the breaker was open or forced.
func (b *Breaker) Trip(reason Reason, now time.Time) *Event {
	at := now.Sub(b.origin)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != Closed && b.state != HalfOpen {
		return nil
	}
	return b.move(Open, reason, at)
}

// Force puts the breaker under an operator's force until Reset: ForcedOpen refuses
// every call, ForcedClosed admits every call whatever its outcome. It returns the
// transition, or nil where to is no forced state or in force already.
func (b *Breaker) Force(to State, now time.Time) *Event {
	at := now.Sub(b.origin)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !to.Forced() || b.state == to {
		return nil
	}
	return b.move(to, ByOperator, at)
}

// Reset removes a force, forgets every outcome and closes the breaker. Calls in
// flight decide nothing. It always returns its event, so that each reset is on
// record.
func (b *Breaker) Reset(now time.Time) *Event {
	at := now.Sub(b.origin)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.move(Closed, ResetByOperator, at)
}

// RetryAfter tells a refused caller how long to wait: until the breaker turns
// half-open, at least a millisecond; a second while all probes are out; Timeout
// while forced open, which only an operator ends; 0 where a call would pass.
func (b *Breaker) RetryAfter(now time.Time) time.Duration {
	if b.Passes() {
		return 0
	}
	at := now.Sub(b.origin)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state {
	case Open:
		return max(b.until-at, time.Millisecond)
	case HalfOpen:
		return halfOpenRetry
	case ForcedOpen:
		return b.cfg.Timeout
	case Closed, ForcedClosed:
	}
	return 0
}

// move begins a new period. It runs under mu.
func (b *Breaker) move(to State, reason Reason, at time.Duration) *Event {
	event := Event{Path: b.path, Scope: b.scope, From: b.state, To: to, Reason: reason, At: b.origin.Add(at)}
	if b.state == Closed {
		b.failures, b.successes = b.window.Load().count(at)
	}
	if to != Closed && to != HalfOpen {
		b.cause = reason
	}
	b.state = to
	b.generation++
	b.since = at
	switch to {
	case Open:
		b.until = at + b.cfg.Timeout
		b.trips++
		event.RetryAt = b.origin.Add(b.until)
	case HalfOpen:
		b.freeProbes()
	case Closed:
		b.openWindow(at)
	case ForcedOpen, ForcedClosed:
	}
	b.publish()
	event.Generation = b.generation
	event.Trips = b.trips
	return &event
}

// openWindow gives the closed period that begins a window of its own. It comes
// before publish, so that whoever holds a token of the period finds it.
func (b *Breaker) openWindow(at time.Duration) {
	b.window.Store(newWindow(b.generation, at, b.width, b.cfg.FailureThreshold))
}

// publish lets admission see the period and what it answers. It runs under mu.
func (b *Breaker) publish() {
	answer := pass
	switch b.state {
	case Closed, ForcedClosed:
	case Open, ForcedOpen:
		answer = reject
	case HalfOpen:
		answer = reject
		if b.freeProbe() >= 0 {
			answer = ask
		}
	}
	b.word.Store(b.generation<<8 | answer)
}
