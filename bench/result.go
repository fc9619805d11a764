package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/the-block/bursar/messages"
)

// Result is what a run measured.
type Result struct {
	Answered  uint64        // calls with a result
	Took      time.Duration // the measured part
	PerSecond float64
	// Latency of the calls with a result.
	Min, P50, P90, P99, P999, Max time.Duration
	// Refused counts the answers that were refusals.
	Refused map[messages.Code]uint64
}

func (e *engine) result(took time.Duration) *Result {
	at := func(q float64) time.Duration {
		return time.Duration(e.latencies.ValueAtQuantile(q)) * time.Microsecond
	}
	r := &Result{
		Answered: uint64(e.latencies.TotalCount()),
		Took:     took,
		Min:      time.Duration(e.latencies.Min()) * time.Microsecond,
		P50:      at(50), P90: at(90), P99: at(99), P999: at(99.9),
		Max:     time.Duration(e.latencies.Max()) * time.Microsecond,
		Refused: maps.Clone(e.refused),
	}
	if took > 0 {
		r.PerSecond = float64(r.Answered) / took.Seconds()
	}
	return r
}

// Print writes the result for people.
func (r *Result) Print(w io.Writer) {
	fmt.Fprintf(w, "%.0f/s  (%d in %s)\n", r.PerSecond, r.Answered, r.Took.Round(time.Millisecond))
	fmt.Fprintf(w, "latency  min %s  p50 %s  p90 %s  p99 %s  p99.9 %s  max %s\n",
		r.Min, r.P50, r.P90, r.P99, r.P999, r.Max)
	for _, code := range slices.Sorted(maps.Keys(r.Refused)) {
		fmt.Fprintf(w, "refused  %s %d\n", code, r.Refused[code])
	}
}
