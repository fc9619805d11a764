package actors

import (
	"math/bits"
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

func (h *histogram) read() Durations {
	var d Durations
	for i := range h.counts {
		d.Counts[i] = h.counts[i].Load()
		d.Count += d.Counts[i]
	}
	d.Sum = time.Duration(h.sum.Load())
	return d
}
