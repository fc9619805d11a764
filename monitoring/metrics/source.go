package metrics

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Source gives figures when it is asked.
type Source struct {
	families []*Family
	shape    *shape
	read     func() reflect.Value // a pointer to the struct, or nil
}

// From makes a source of a function that returns the figures, or nil if there is nothing to
// tell now. It is called at each scrape, from any goroutine, and must not block for long.
// From panics when the tags of T are wrong.
func From[T any](read func() *T) Source {
	var d declaration
	s := d.shape(reflect.TypeFor[T](), place{rows: 1})
	for _, f := range d.families {
		if f.Help == "" {
			panic("metrics: no field of " + f.Name + " has the tag help")
		}
	}
	return Source{families: d.families, shape: s, read: func() reflect.Value { return reflect.ValueOf(read()) }}
}

// Families lists what sources declare, in their order.
func Families(sources []Source) []Family {
	var all []Family
	for _, s := range sources {
		for _, f := range s.families {
			all = append(all, *f)
		}
	}
	return all
}

// Sample is one figure at a moment.
type Sample struct {
	Family *Family
	Labels []string // values, in the order of the family's labels
	Value  float64
	// Histogram is there instead of Value if the family is one.
	Histogram *Snapshot
}

// Collect hands over the figures of the moment.
func (s Source) Collect(emit func(Sample)) {
	if v := s.read(); !v.IsNil() {
		s.shape.collect(v.Elem(), nil, emit)
	}
}

func (s *shape) collect(v reflect.Value, labels []string, emit func(Sample)) {
	labels = append(slices.Clone(labels), s.labelsOf(v)...)
	for _, sample := range s.samples(v, labels) {
		emit(sample)
	}
	for _, p := range s.parts {
		field := v.Field(p.index)
		switch {
		case p.rows > 0:
			p.collectRows(field, labels, emit)
		case field.Kind() != reflect.Pointer:
			p.shape.collect(field, labels, emit)
		case !field.IsNil():
			p.shape.collect(field.Elem(), labels, emit)
		}
	}
}

// labelsOf reads the label values of a struct, cleaned: bytes that are not UTF-8 would fail
// the whole scrape.
func (s *shape) labelsOf(v reflect.Value) []string {
	values := make([]string, len(s.labels))
	for i, l := range s.labels {
		field := v.Field(l.index)
		var text string
		if field.Kind() == reflect.String {
			text = field.String()
		} else {
			text = fmt.Sprint(field.Interface())
		}
		values[i] = strings.ToValidUTF8(text, "_")
	}
	return values
}

func (s *shape) samples(v reflect.Value, labels []string) []Sample {
	samples := make([]Sample, 0, len(s.figures))
	for _, f := range s.figures {
		sample := Sample{Family: f.family, Labels: labels}
		if len(f.constants) > 0 {
			sample.Labels = append(slices.Clone(labels), f.constants...)
		}
		var there bool
		if f.family.Type == TypeHistogram {
			sample.Histogram = snapshot(v.Field(f.index))
			there = sample.Histogram != nil
		} else {
			sample.Value, there = read(v.Field(f.index))
		}
		if there {
			samples = append(samples, sample)
		}
	}
	return samples
}

func snapshot(v reflect.Value) *Snapshot {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	switch at := v.Addr().Interface().(type) {
	case *Histogram:
		s := at.Snapshot()
		return &s
	case *Snapshot:
		s := *at
		return &s
	}
	return nil
}

// collectRows hands over the rows of a slice: equal labels once, and the labels of those
// beyond the most there may be as Other.
func (p *partField) collectRows(slice reflect.Value, labels []string, emit func(Sample)) {
	order := make([]string, 0, slice.Len())
	rows := make(map[string][]int, slice.Len())
	for i := range slice.Len() {
		key := strings.Join(p.shape.labelsOf(rowOf(slice, i)), "\xff")
		if _, known := rows[key]; !known {
			order = append(order, key)
		}
		rows[key] = append(rows[key], i)
	}
	kept := order
	if len(order) > p.rows {
		kept = order[:p.rows-1]
	}
	for _, key := range kept {
		p.collectSum(slice, rows[key], append(slices.Clone(labels), p.shape.labelsOf(rowOf(slice, rows[key][0]))...), emit)
	}
	var beyond []int
	for _, key := range order[len(kept):] {
		beyond = append(beyond, rows[key]...)
	}
	if len(beyond) > 0 {
		others := slices.Repeat([]string{Other}, len(p.shape.labels))
		p.collectSum(slice, beyond, append(slices.Clone(labels), others...), emit)
	}
}

func rowOf(slice reflect.Value, i int) reflect.Value {
	row := slice.Index(i)
	if row.Kind() == reflect.Pointer {
		row = row.Elem()
	}
	return row
}

// collectSum hands over several rows as one.
func (p *partField) collectSum(slice reflect.Value, rows []int, labels []string, emit func(Sample)) {
	sums := p.shape.samples(rowOf(slice, rows[0]), labels)
	for _, i := range rows[1:] {
		for _, sample := range p.shape.samples(rowOf(slice, i), labels) {
			sums = addTo(sums, sample)
		}
	}
	for _, sample := range sums {
		emit(sample)
	}
}

func addTo(sums []Sample, s Sample) []Sample {
	for i := range sums {
		if sums[i].Family != s.Family || !slices.Equal(sums[i].Labels, s.Labels) {
			continue
		}
		sums[i].Value += s.Value
		if s.Histogram != nil {
			sums[i].Histogram.add(s.Histogram)
		}
		return sums
	}
	return append(sums, s)
}
