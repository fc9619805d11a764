package persistence

import (
	"sync/atomic"
	"time"
)

// StoreStats counts what the FSM did since the process began.
type StoreStats struct {
	verdicts    [Refused + 1]atomic.Uint64
	Entries     atomic.Uint64
	Rows        atomic.Int64 // rows in the Store after the newest entry
	FileBytes   atomic.Int64 // size of the projection file at the newest snapshot
	Snapshots   atomic.Uint64
	Compactions atomic.Uint64
	Restores    atomic.Uint64
}

// Verdicts is how many Txns got the given verdict. Fenced ones are writes of an owner
// that was replaced.
func (s *StoreStats) Verdicts(status Status) uint64 {
	if int(status) >= len(s.verdicts) {
		return 0
	}
	return s.verdicts[status].Load()
}

// JournalStats counts what the journal did.
type JournalStats struct {
	Queued      atomic.Int64 // proposals waiting
	QueuedBytes atomic.Int64
	InFlight    atomic.Int64 // entries
	Lagging     atomic.Int64 // proposals with a verdict that this node's Store does not show yet
	Overloaded  atomic.Uint64
	Unavailable atomic.Uint64 // proposals certainly not proposed
	Unknown     atomic.Uint64 // proposals with an unknown outcome
	// Batch is the number of Txns per entry; Commit the time from handing an entry to
	// the log until its results, in microseconds.
	Batch  Histogram
	Commit Histogram
}

// Histogram counts values in buckets of doubling width: bucket i holds values of at
// most 2^i, the last all others. It is written by one goroutine and read by any.
type Histogram struct {
	buckets [HistogramBuckets]atomic.Uint64
	sum     atomic.Uint64
}

// HistogramBuckets is enough for 2^30 us, or 18 minutes.
const HistogramBuckets = 31

// Buckets gives the count of each bucket (not cumulative) and the sum of all values.
func (h *Histogram) Buckets() (counts [HistogramBuckets]uint64, sum uint64) {
	for i := range h.buckets {
		counts[i] = h.buckets[i].Load()
	}
	return counts, h.sum.Load()
}

func (h *Histogram) observe(v uint64) {
	i := 0
	for i < HistogramBuckets-1 && v > 1<<i {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(v)
}

func (h *Histogram) observeTime(d time.Duration) { h.observe(uint64(max(d.Microseconds(), 0))) }
