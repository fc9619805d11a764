package breaker

import (
	"sync/atomic"
	"time"
)

// buckets is how many parts a window is kept in.
const buckets = 30

// window counts the outcomes of one closed period over the last buckets*width,
// and the failures in a row. Its time only moves forward: an outcome that comes
// late counts in the newest bucket.
//
// A success that has no run to end and no bucket to begin is one atomic addition;
// everything else happens under the breaker's mutex. Because each closed period
// has a window of its own, a success that is late for its period counts nowhere.
type window struct {
	generation uint64        // of the period
	end        atomic.Int64  // end of the newest bucket, in ns since origin
	inRow      atomic.Int64  // failures since the last success, at most the run's limit
	fresh      atomic.Uint64 // successes of the newest bucket

	width     time.Duration
	newest    int64  // number of the newest bucket: time since origin / width
	failures  uint64 // in all buckets
	successes uint64 // in all buckets but the newest
	ring      [buckets]bucket
	run       run
}

type bucket struct{ failures, successes uint64 }

// newWindow returns an empty window that begins at the given time since origin.
func newWindow(generation uint64, at, width time.Duration, runLimit int) *window {
	w := &window{generation: generation, width: width, run: run{limit: runLimit}}
	w.begin(int64(at / width))
	return w
}

// begin makes the bucket with the given number the newest one.
func (w *window) begin(number int64) {
	w.newest = number
	w.end.Store((number + 1) * int64(w.width))
}

// add counts a success without the mutex, and reports whether that was enough.
func (w *window) add(at time.Duration) bool {
	if w.inRow.Load() != 0 || int64(at) >= w.end.Load() {
		return false
	}
	w.fresh.Add(1)
	return true
}

// advance drops what has left the window by the given time.
func (w *window) advance(at time.Duration) {
	if int64(at) < w.end.Load() {
		return
	}
	target := int64(at / w.width)
	fresh := w.fresh.Swap(0)
	w.successes += fresh
	w.ring[w.newest%buckets].successes = fresh
	for number := max(w.newest+1, target-buckets+1); number <= target; number++ {
		old := &w.ring[number%buckets]
		w.failures -= old.failures
		w.successes -= old.successes
		*old = bucket{}
	}
	w.begin(target)
}

// success counts one and ends the run of failures.
func (w *window) success(at time.Duration) {
	w.advance(at)
	w.fresh.Add(1)
	w.inRow.Store(0)
}

// failure counts one and returns why the breaker must open now, or 0.
func (w *window) failure(at, span time.Duration) Reason {
	w.advance(at)
	w.failures++
	w.ring[w.newest%buckets].failures++
	w.run.add(at)
	limit := int64(w.run.limit)
	inRow := min(w.inRow.Load()+1, limit)
	w.inRow.Store(inRow)
	switch {
	case inRow == limit && at-w.run.oldest() < span:
		return FailuresInRow
	case w.failures >= 2*uint64(limit) && w.failures >= w.total():
		return FailureRate
	}
	return 0
}

// count gives the failures and the successes of the window that ends at the given time.
func (w *window) count(at time.Duration) (failures, successes uint64) {
	w.advance(at)
	return w.failures, w.total()
}

// total is the number of successes in all buckets.
func (w *window) total() uint64 { return w.successes + w.fresh.Load() }

// run remembers the times of the latest failures, at most limit of them: a ring
// that grows with its first ones.
type run struct {
	limit int
	times []time.Duration
	next  int // where the next time goes
}

func (r *run) add(at time.Duration) {
	if r.next == len(r.times) {
		r.times = append(r.times, at)
	}
	r.times[r.next] = at
	r.next = (r.next + 1) % r.limit
}

// oldest is the time of the failure limit-1 before the latest. There must have
// been limit of them.
func (r *run) oldest() time.Duration { return r.times[r.next] }

// since counts the latest n failures that are younger than span.
func (r *run) since(n int64, at, span time.Duration) int {
	young := 0
	for i := 1; i <= int(n); i++ {
		if at-r.times[(r.next-i+r.limit)%r.limit] < span {
			young++
		}
	}
	return young
}
