package monitoring

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/the-block/bursar/monitoring/metrics"
)

// collector exports figures: at each scrape it asks every source once.
type collector struct {
	sources []metrics.Source
	descs   map[string]*prometheus.Desc // by family
	started time.Time
}

func newCollector(sources []metrics.Source, started time.Time) collector {
	c := collector{sources: sources, descs: make(map[string]*prometheus.Desc), started: started}
	for _, f := range metrics.Families(sources) {
		c.descs[f.Name] = prometheus.NewDesc(f.Name, f.Help, f.Labels, nil)
	}
	return c
}

// Describe sends every family's descriptor.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range c.descs {
		ch <- desc
	}
}

// Collect sends the figures of the moment.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	for _, source := range c.sources {
		source.Collect(func(s metrics.Sample) { ch <- c.metric(s) })
	}
}

func (c collector) metric(s metrics.Sample) prometheus.Metric {
	desc := c.descs[s.Family.Name]
	switch s.Family.Type {
	case metrics.TypeHistogram:
		return c.histogram(desc, s)
	case metrics.TypeCounter:
		return prometheus.MustNewConstMetric(desc, prometheus.CounterValue, s.Value, s.Labels...)
	default:
		return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, s.Value, s.Labels...)
	}
}

func (c collector) histogram(desc *prometheus.Desc, s metrics.Sample) prometheus.Metric {
	h := s.Histogram
	schema, buckets := h.Native()
	return histogram{
		classic: prometheus.MustNewConstHistogram(desc, h.Count, h.Sum, h.Classic(s.Family.Bounds), s.Labels...),
		native: prometheus.MustNewConstNativeHistogram(desc, h.Count, h.Sum, buckets, nil, 0, schema,
			prometheus.DefNativeHistogramZeroThreshold, c.started, s.Labels...),
	}
}

// histogram is a classic histogram with a native one beside it: the buckets of both are in
// one metric, and whoever scrapes takes those it knows.
type histogram struct{ classic, native prometheus.Metric }

// Desc implements prometheus.Metric.
func (h histogram) Desc() *prometheus.Desc { return h.classic.Desc() }

// Write implements prometheus.Metric.
func (h histogram) Write(to *dto.Metric) error {
	if err := h.classic.Write(to); err != nil {
		return err
	}
	var native dto.Metric
	if err := h.native.Write(&native); err != nil {
		return err
	}
	n := native.GetHistogram()
	to.Histogram.Schema, to.Histogram.ZeroThreshold, to.Histogram.ZeroCount = n.Schema, n.ZeroThreshold, n.ZeroCount
	to.Histogram.PositiveSpan, to.Histogram.PositiveDelta = n.PositiveSpan, n.PositiveDelta
	return nil
}
