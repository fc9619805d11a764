package metrics_test

import (
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/monitoring/metrics"
)

type colour int

func (c colour) String() string { return [...]string{"red", "blue"}[c] }

type row struct {
	Colour colour `label:"colour"`
	Shape  string `label:"shape"`
	Count  uint64 `metric:"drawn_total{by=hand}" help:"Shapes drawn."`
	Other  uint64 `metric:"drawn_total{by=machine}"`
	Age    *int   `metric:"age" help:"Of a shape."`
}

type live struct {
	Asked  atomic.Uint64 `metric:"asked_total" help:"Questions."`
	Open   atomic.Int64  `metric:"open" help:"Not answered."`
	Up     bool          `metric:"up" help:"1 if it is."`
	Took   time.Duration `metric:"took_seconds" help:"Time."`
	Since  time.Time     `metric:"since_timestamp_seconds" help:"Since when."`
	Never  time.Time     `metric:"never_timestamp_seconds" help:"Zero, and so left out."`
	secret atomic.Uint64 //nolint:unused // shows that fields without tags are ignored
	Rows   []row         `max:"3" prefix:"page_"`
	Absent *row          `prefix:"absent_"`
}

func lines(s metrics.Source) []string {
	var out []string
	s.Collect(func(sample metrics.Sample) {
		var labels []string
		for i, name := range sample.Family.Labels {
			labels = append(labels, name+"="+sample.Labels[i])
		}
		out = append(out, fmt.Sprintf("%s{%s} %v", sample.Family.Name, strings.Join(labels, ","), sample.Value))
	})
	return out
}

func TestTagsSayWhatIsExported(t *testing.T) {
	age := 7
	l := &live{Up: true, Took: 1500 * time.Millisecond, Since: time.UnixMilli(2500), Rows: []row{
		{Colour: 1, Shape: "a\xff", Count: 1, Other: 5, Age: &age}, {Shape: "b", Count: 2}, {Shape: "c", Count: 4},
		{Shape: "d", Count: 8, Age: &age}, {Shape: "b", Count: 16},
	}}
	l.Asked.Add(3)
	l.Open.Add(-1)
	source := metrics.From(func() *live { return l })
	want := []string{
		"asked_total{} 3", "open{} -1", "up{} 1", "took_seconds{} 1.5", "since_timestamp_seconds{} 2.5",
		"page_drawn_total{colour=blue,shape=a_,by=hand} 1", "page_drawn_total{colour=blue,shape=a_,by=machine} 5",
		"page_age{colour=blue,shape=a_} 7",
		"page_drawn_total{colour=red,shape=b,by=hand} 18", "page_drawn_total{colour=red,shape=b,by=machine} 0",
		// Beyond the third row they are one.
		"page_drawn_total{colour=other,shape=other,by=hand} 12", "page_drawn_total{colour=other,shape=other,by=machine} 0",
		"page_age{colour=other,shape=other} 7",
	}
	if diff := cmp.Diff(want, lines(source)); diff != "" {
		t.Error(diff)
	}
	ceilings := make(map[string]int)
	for _, f := range metrics.Families([]metrics.Source{source}) {
		ceilings[f.Name] = f.SeriesMax
	}
	if ceilings["page_drawn_total"] != 6 || ceilings["page_age"] != 3 || ceilings["absent_drawn_total"] != 2 || ceilings["up"] != 1 {
		t.Errorf("ceilings: %v", ceilings)
	}
	if got := lines(metrics.From(func() *live { return nil })); len(got) != 0 {
		t.Errorf("a source with nothing to tell told %v", got)
	}
}

func TestWrongTagsAreFoundAtOnce(t *testing.T) {
	type hidden struct {
		count uint64 `metric:"hidden_total" help:"Not exported."` //nolint:unused // that is the fault
	}
	type silent struct {
		Count uint64 `metric:"silent_total"`
	}
	type twice struct {
		Count uint64 `metric:"twice_total" help:"One thing."`
		Other uint64 `metric:"twice_total{by=hand}"`
	}
	type endless struct {
		Rows []row `max:"many"`
	}
	type unbound struct {
		Took metrics.Histogram `metric:"took_seconds" help:"Without bounds."`
	}
	for want, declare := range map[string]func(){
		"hidden.count":     func() { metrics.From(func() *hidden { return nil }) },
		"silent_total":     func() { metrics.From(func() *silent { return nil }) },
		"twice_total":      func() { metrics.From(func() *twice { return nil }) },
		`max:"many"`:       func() { metrics.From(func() *endless { return nil }) },
		"is not like -15.": func() { metrics.From(func() *unbound { return nil }) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("told %q, want %q in it", got, want)
				}
			}()
			declare()
		}()
	}
}

type timed struct {
	Took metrics.Histogram `metric:"took_seconds" help:"Time." le:"-6..4,4..17/4"`
}

func TestHistogramsCountUpToTheirBounds(t *testing.T) {
	h := new(timed)
	source := metrics.From(func() *timed { return h })
	for _, v := range []float64{-1, 0, 1e-9, 1.0 / 64, 1.0 / 63, 1, 2, 3, 3600, 1 << 17, 1 << 30, math.Inf(1)} {
		h.Took.Observe(v)
	}
	var sample metrics.Sample
	source.Collect(func(s metrics.Sample) { sample = s })
	buckets := sample.Histogram.Classic(sample.Family.Bounds)
	if len(buckets) != 63 || sample.Family.SeriesMax != 67 || sample.Histogram.Count != 12 {
		t.Errorf("%d bounds, %d series at most, %d values", len(buckets), sample.Family.SeriesMax, sample.Histogram.Count)
	}
	for bound, want := range map[float64]uint64{
		1.0 / 64: 4, 1.0 / 32: 5, 1: 6, 2: 7, 4: 8, math.Exp2(11.75): 8, 4096: 9, 1 << 17: 10,
	} {
		if got, there := buckets[bound]; !there || got != want {
			t.Errorf("up to %v: %d (%v), want %d", bound, got, there, want)
		}
	}
	schema, native := sample.Histogram.Native()
	if schema != 2 || native[0] != 1 || native[4] != 1 || native[7] != 1 || native[48] != 1 {
		t.Errorf("native buckets of schema %d: %v", schema, native)
	}
}

// Each value is in the bucket whose bound is the next at or above it.
func TestBucketsAreThoseOfNativeHistograms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := math.Exp2(rapid.Float64Range(-19, 19).Draw(t, "exponent"))
		var h metrics.Histogram
		h.Observe(v)
		s := h.Snapshot()
		_, native := s.Native()
		for index := range native {
			upper, lower := math.Exp2(float64(index)/4), math.Exp2(float64(index-1)/4)
			if v > upper*(1+1e-12) || v <= lower*(1-1e-12) {
				t.Fatalf("%v is in the bucket from %v to %v", v, lower, upper)
			}
		}
		if s.Count != 1 || s.Sum != v {
			t.Fatalf("count %d, sum %v", s.Count, s.Sum)
		}
	})
}

// Whatever rows there are, there are never more than declared, and their sum is theirs.
func TestRowsStayBelowTheirCeilingAndAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := new(live)
		var want float64
		for _, n := range rapid.SliceOfN(rapid.Uint64Range(0, 1<<40), 0, 20).Draw(t, "rows") {
			l.Rows = append(l.Rows, row{Shape: rapid.StringN(0, 2, 4).Draw(t, "shape"), Count: n})
			want += float64(n)
		}
		var got float64
		series := make(map[string]int)
		metrics.From(func() *live { return l }).Collect(func(s metrics.Sample) {
			if s.Family.Name != "page_drawn_total" {
				return
			}
			got += s.Value
			series[strings.Join(s.Labels, "\xff")]++
		})
		for _, n := range series {
			if n != 1 {
				t.Fatal("a series came twice")
			}
		}
		if got != want || len(series) > 6 {
			t.Fatalf("%d series with the sum %v, want %v", len(series), got, want)
		}
	})
}
