package metrics

import (
	"math"
	"sync/atomic"
	"time"
)

// Histogram counts values in buckets that grow by a fourth root of two: those of a native
// histogram of schema 2. It holds 2^-20 to 2^20, that is a microsecond to 12 days, or
// numbers to a million. Classic buckets are made of it at the scrape: le:"-15..3" has the
// bounds 2^-15, 2^-14 ... 2^3; le:"-6..4,4..17/4" those to 2^4, from there to 2^17 four an
// octave. The zero Histogram is empty; it may be used from any goroutine.
type Histogram struct {
	counts [bucketsMax]atomic.Uint64
	sum    atomic.Uint64 // bits of a float64
}

const (
	// schema is that of the native histogram: an octave has 2^schema buckets.
	schema    = 2
	perOctave = 1 << schema

	octaveMin = -20
	octaveMax = 20
	// bucketsMax has one for each bound from 2^octaveMin to 2^octaveMax and one for what
	// is above.
	bucketsMax = (octaveMax-octaveMin)*perOctave + 2
)

// Observe counts one value.
func (h *Histogram) Observe(v float64) {
	h.counts[bucketOf(v)].Add(1)
	for {
		old := h.sum.Load()
		if h.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

// ObserveTime counts a duration, in seconds.
func (h *Histogram) ObserveTime(d time.Duration) { h.Observe(d.Seconds()) }

// bucketOf is the bucket whose bound is the smallest that v does not pass.
func bucketOf(v float64) int {
	switch {
	case !(v > 0):
		return 0
	case v > 1<<octaveMax:
		return bucketsMax - 1
	}
	fraction, octave := math.Frexp(v) // v = fraction * 2^octave, fraction at least a half
	index := perOctave * (octave - 1)
	for _, step := range [perOctave]float64{0.5, 0.5 * fourthRoot, 0.5 * math.Sqrt2, 0.5 * math.Sqrt2 * fourthRoot} {
		if fraction > step {
			index++
		}
	}
	return max(index-octaveMin*perOctave, 0)
}

// fourthRoot of two.
const fourthRoot = 1.18920711500272106671749997056047591529297209246381741301900222

// bound is the upper bound of a bucket that is given as a native histogram counts them:
// from the one that ends at 1, four an octave.
func bound(index int) float64 { return math.Exp2(float64(index) / perOctave) }

// Sum is the sum of all values.
func (h *Histogram) Sum() float64 { return math.Float64frombits(h.sum.Load()) }

// Snapshot is a histogram at a moment.
type Snapshot struct {
	counts [bucketsMax]uint64
	Count  uint64
	Sum    float64
}

// Snapshot reads the histogram.
func (h *Histogram) Snapshot() Snapshot {
	var s Snapshot
	for i := range h.counts {
		s.counts[i] = h.counts[i].Load()
		s.Count += s.counts[i]
	}
	s.Sum = h.Sum()
	return s
}

// Native gives the buckets of a native histogram of schema 2 that are not empty, by index.
func (s *Snapshot) Native() (schemaUsed int32, buckets map[int]int64) {
	buckets = make(map[int]int64)
	for i, n := range s.counts {
		if n > 0 {
			buckets[i+octaveMin*perOctave] = int64(n)
		}
	}
	return schema, buckets
}

// Classic gives the count of all values up to each of the bounds, which are those of a
// family.
func (s *Snapshot) Classic(bounds []int) map[float64]uint64 {
	buckets := make(map[float64]uint64, len(bounds))
	var total uint64
	next := 0
	for _, index := range bounds {
		for ; next < bucketsMax-1 && next <= index-octaveMin*perOctave; next++ {
			total += s.counts[next]
		}
		buckets[bound(index)] = total
	}
	return buckets
}

// UpTo is how many values were at most v, or a little more: those in its bucket count.
func (s *Snapshot) UpTo(v float64) (total uint64) {
	for _, n := range s.counts[:bucketOf(v)+1] {
		total += n
	}
	return total
}

func (s *Snapshot) add(other *Snapshot) {
	for i, n := range other.counts {
		s.counts[i] += n
	}
	s.Count += other.Count
	s.Sum += other.Sum
}
