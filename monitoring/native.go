package monitoring

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// nativeSchema makes each bucket of a native histogram twice as wide as the one below:
// so are those of the runtime.
const nativeSchema = 0

// doubleHistogram is a classic histogram with a native one beside it: the buckets of
// both are in one metric, and whoever scrapes takes those it knows.
type doubleHistogram struct{ classic, native prometheus.Metric }

// Desc implements prometheus.Metric.
func (d doubleHistogram) Desc() *prometheus.Desc { return d.classic.Desc() }

// Write implements prometheus.Metric.
func (d doubleHistogram) Write(to *dto.Metric) error {
	if err := d.classic.Write(to); err != nil {
		return err
	}
	var native dto.Metric
	if err := d.native.Write(&native); err != nil {
		return err
	}
	h := native.GetHistogram()
	to.Histogram.Schema, to.Histogram.ZeroThreshold, to.Histogram.ZeroCount = h.Schema, h.ZeroThreshold, h.ZeroCount
	to.Histogram.PositiveSpan, to.Histogram.PositiveDelta = h.PositiveSpan, h.PositiveDelta
	return nil
}

// withNative puts a native histogram of h beside the classic one. A native bucket ends
// at a power of two, in seconds; each bucket of h is taken for the one that ends nearest
// to it: for bounds of 2^n microseconds 2^(n-20) s, which is 4.6 % less.
func withNative(classic prometheus.Metric, h Histogram, started time.Time, labels []string) prometheus.Metric {
	buckets := make(map[int]int64)
	var total uint64
	for i, n := range h.Counts {
		total += n
		if n > 0 {
			buckets[nativeBucket(h.Bounds, i)] += int64(n)
		}
	}
	native := prometheus.MustNewConstNativeHistogram(classic.Desc(), total, h.Sum, buckets, nil, 0,
		nativeSchema, prometheus.DefNativeHistogramZeroThreshold, started, labels...)
	return doubleHistogram{classic, native}
}

// nativeBucket is the number of the native bucket for bucket i: bucket k ends at 2^k. What
// lies above the last bound is in the next one.
func nativeBucket(bounds []float64, i int) int {
	if i == len(bounds) {
		return nativeBucket(bounds, i-1) + 1
	}
	return int(math.Round(math.Log2(bounds[i])))
}
