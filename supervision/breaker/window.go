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
// at most limit of them: a ring that grows with its first failures.
type run struct {
	limit int
	times []time.Duration
	count int // failures since the last success, at most limit
	next  int // where the next time goes
}

// failure notes one more and reports whether the run is full and began less than
// span ago, so that no failure older than span counts.
func (r *run) failure(at, span time.Duration) bool {
	if len(r.times) < r.limit && r.next == len(r.times) {
		r.times = append(r.times, at)
	}
	r.times[r.next] = at
	r.next = (r.next + 1) % r.limit
	r.count = min(r.count+1, r.limit)
	return r.count == r.limit && at-r.times[r.next] < span
}

// within counts the failures of the run that are younger than span.
func (r *run) within(at, span time.Duration) int {
	young := 0
	for i := 1; i <= r.count; i++ {
		if at-r.times[(r.next-i+r.limit)%r.limit] < span {
			young++
		}
	}
	return young
}

// success ends the run.
func (r *run) success() { r.count, r.next = 0, 0 }
