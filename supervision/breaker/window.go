package breaker

import "time"

// buckets is how many parts a window is kept in.
const buckets = 30

// window counts outcomes of the last buckets*width. Its time only moves forward:
// an outcome that comes late counts in the newest bucket.
type window struct {
	failures, successes uint64 // sums over ring
	newest              int64  // number of the newest bucket: time since origin / width
	end                 time.Duration
	ring                [buckets]bucket
}

type bucket struct{ failures, successes uint64 }

// clear empties the window, which then begins at the given time since origin.
func (w *window) clear(at, width time.Duration) {
	*w = window{newest: int64(at / width)}
	w.end = time.Duration(w.newest+1) * width
}

// advance drops what has left the window by the given time.
func (w *window) advance(at, width time.Duration) {
	if at < w.end {
		return
	}
	target := int64(at / width)
	if target-w.newest >= buckets {
		w.clear(at, width)
		return
	}
	for w.newest < target {
		w.newest++
		old := &w.ring[w.newest%buckets]
		w.failures -= old.failures
		w.successes -= old.successes
		*old = bucket{}
	}
	w.end = time.Duration(w.newest+1) * width
}

func (w *window) success() {
	w.successes++
	w.ring[w.newest%buckets].successes++
}

func (w *window) failure() {
	w.failures++
	w.ring[w.newest%buckets].failures++
}

// run remembers the times of the latest failures without a success between them,
// as many as its capacity: a ring.
type run struct {
	times []time.Duration
	count int // failures since the last success, at most len(times)
	next  int
}

// failure notes one more and reports whether the run is full and began less than
// span ago, so that no failure older than span counts.
func (r *run) failure(at, span time.Duration) bool {
	r.times[r.next] = at
	r.next = (r.next + 1) % len(r.times)
	r.count = min(r.count+1, len(r.times))
	return r.count == len(r.times) && at-r.times[r.next] < span
}

// within counts the failures of the run that are younger than span.
func (r *run) within(at, span time.Duration) int {
	young := 0
	for i := 1; i <= r.count; i++ {
		if at-r.times[(r.next-i+len(r.times))%len(r.times)] < span {
			young++
		}
	}
	return young
}
