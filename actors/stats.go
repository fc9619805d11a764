package actors

import (
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// kind is what the actors of one kind count together.
type kind struct {
	name     string
	active   atomic.Int64
	messages atomic.Uint64
	refused  atomic.Uint64
	failures atomic.Uint64
	restarts atomic.Uint64
	dead     atomic.Uint64
	trips    atomic.Uint64
	waits    histogram
	turns    histogram
}

// kinds is the register of kinds.
type kinds struct {
	mu   sync.Mutex
	all  map[string]*kind
	list []*kind
}

// named returns the kind of that name; beyond kindsMax it is "other".
func (k *kinds) named(name string) *kind {
	k.mu.Lock()
	defer k.mu.Unlock()
	if known := k.all[name]; known != nil {
		return known
	}
	if len(k.list) >= kindsMax-1 {
		name = "other"
		if known := k.all[name]; known != nil {
			return known
		}
	}
	if k.all == nil {
		k.all = make(map[string]*kind)
	}
	added := &kind{name: name}
	k.all[name] = added
	k.list = append(k.list, added)
	return added
}

// Kinds lists the kinds that actors have had so far, sorted.
func (s *System) Kinds() []string {
	s.kinds.mu.Lock()
	defer s.kinds.mu.Unlock()
	names := make([]string, len(s.kinds.list))
	for i, k := range s.kinds.list {
		names[i] = k.name
	}
	slices.Sort(names)
	return names
}

// KindStats is what the actors of one kind have done together.
type KindStats struct {
	Kind     string
	Active   int64  // actors there are
	Messages uint64 // handled, those it failed on and those of the internal lane too
	Refused  uint64 // refused at the door or turned away by a breaker
	Failures uint64
	Restarts uint64
	// Trips is how often a breaker kept by an actor of this kind opened by itself: its
	// own, or the cell of one of its children.
	Trips uint64
	// DeadLetters are those meant for an actor of this kind. Those whose actor is not
	// known are in Stats.DeadLetters only.
	DeadLetters uint64
	// Wait is from acceptance to a user message's turn, Turn the turn of any. One in 64
	// of each actor is timed.
	Wait, Turn Durations
}

// Stats is what a system has done since it was built.
type Stats struct {
	Actors      int64 // there are now, the root included
	Kinds       []KindStats
	DeadLetters map[string]uint64 // by reason
	Stalled     int               // actors stuck in a message now
	Workers     int               // goroutines of the pool, stand-ins included
	Ready       int               // actors waiting for a worker
	Breakers    []BreakerCount    // all there are, in no order
	Trips       uint64            // times a breaker opened by itself
}

// Stats reads all counters.
func (s *System) Stats() Stats {
	out := Stats{
		Actors:      s.live.Load(),
		DeadLetters: s.dead.total(),
		Stalled:     len(s.Stalled()),
		Breakers:    s.countBreakers(),
	}
	s.pool.mu.Lock()
	out.Workers, out.Ready = len(s.pool.workers), s.pool.queue.size
	s.pool.mu.Unlock()
	s.events.mu.Lock()
	out.Trips = s.events.trips
	s.events.mu.Unlock()
	s.kinds.mu.Lock()
	defer s.kinds.mu.Unlock()
	for _, k := range s.kinds.list {
		out.Kinds = append(out.Kinds, KindStats{
			Kind: k.name, Active: k.active.Load(), Messages: k.messages.Load(), Refused: k.refused.Load(),
			Failures: k.failures.Load(), Restarts: k.restarts.Load(), DeadLetters: k.dead.Load(),
			Trips: k.trips.Load(), Wait: k.waits.read(), Turn: k.turns.read(),
		})
	}
	return out
}

// DeadLetters returns the newest dead letters, at most 256, newest first.
func (s *System) DeadLetters() []DeadLetter { return s.dead.list() }

// histogramBuckets is enough for durations from 1 us to over an hour.
const histogramBuckets = 34

// histogram counts durations in buckets that double: bucket i holds those below
// 2^i microseconds and not below half of that; the last holds all above.
type histogram struct {
	counts [histogramBuckets]atomic.Uint64
	sum    atomic.Int64
}

func (h *histogram) observe(d time.Duration) {
	i := min(bits.Len64(uint64(max(d.Microseconds(), 0))), histogramBuckets-1)
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// Durations is a histogram of sampled durations: one message in 64 is timed.
type Durations struct {
	// Counts[i] is how many took less than 2^i microseconds and at least half of
	// that; the last counts all longer ones too.
	Counts [histogramBuckets]uint64
	Count  uint64
	Sum    time.Duration
}

// Estimate is how long all messages took together, judged by those that were timed.
func (d Durations) Estimate() time.Duration { return sampleEvery * d.Sum }

func (h *histogram) read() Durations {
	var d Durations
	for i := range h.counts {
		d.Counts[i] = h.counts[i].Load()
		d.Count += d.Counts[i]
	}
	d.Sum = time.Duration(h.sum.Load())
	return d
}
