package metrics

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Family is one metric family.
type Family struct {
	Name   string   `json:"name"`
	Help   string   `json:"help"`
	Type   string   `json:"type"` // counter, gauge or histogram
	Labels []string `json:"labels"`
	// SeriesMax is the most series the family can have on one node. A histogram's buckets,
	// sum and count are series, and so is the native histogram beside them.
	SeriesMax int `json:"series_max"`

	// Bounds are those of a histogram's classic buckets, for Snapshot.Classic.
	Bounds []int `json:"-"`
}

// Largest is the bound of a histogram's largest classic bucket: no quantile told from them is
// above it.
func (f *Family) Largest() float64 { return bound(f.Bounds[len(f.Bounds)-1]) }

// The types of families.
const (
	TypeCounter   = "counter"
	TypeGauge     = "gauge"
	TypeHistogram = "histogram"
)

// Other stands for every label value beyond a slice's max.
const Other = "other"

// shape is what the tags of a struct declare.
type shape struct {
	labels  []labelField
	figures []figureField
	parts   []partField
}

type labelField struct {
	index int
	name  string
}

type figureField struct {
	index     int
	family    *Family
	constants []string
}

// partField is a struct in a struct, or a slice of rows.
type partField struct {
	index int
	shape *shape
	rows  int // the most, 0 for a part that is no slice
}

// declaration reads the tags of a struct and of all it holds.
type declaration struct {
	families []*Family
}

// place is where in the whole a struct stands.
type place struct {
	prefix string
	labels []string
	rows   int // how often its figures come at most
	limit  int // the most rows of a slice inside, if not 0
}

func (d *declaration) shape(t reflect.Type, at place) *shape {
	s := new(shape)
	for i := range t.NumField() {
		if name, ok := t.Field(i).Tag.Lookup("label"); ok {
			s.labels = append(s.labels, labelField{i, name})
			at.labels = append(slices.Clone(at.labels), name)
		}
	}
	for i := range t.NumField() {
		field := t.Field(i)
		name, isFigure := field.Tag.Lookup("metric")
		_, isLabel := field.Tag.Lookup("label")
		if (isFigure || isLabel) && !field.IsExported() {
			panic(fmt.Sprintf("metrics: %s.%s has tags and is not exported", t, field.Name))
		}
		switch {
		case isFigure:
			s.figures = append(s.figures, d.figure(t, i, name, at))
		case !isLabel && field.IsExported():
			s.part(d, field, i, at)
		}
	}
	return s
}

// part takes a field that may hold figures further down.
func (s *shape) part(d *declaration, field reflect.StructField, index int, at place) {
	inner, rows := field.Type, 0
	if most, ok := field.Tag.Lookup("max"); ok {
		rows = number(field, most)
		if at.limit > 0 {
			rows = min(rows, at.limit)
		}
		at.rows *= rows
		inner = inner.Elem()
	} else if most, ok := field.Tag.Lookup("rows"); ok {
		at.limit = number(field, most)
	}
	if inner.Kind() == reflect.Pointer {
		inner = inner.Elem()
	}
	if inner.Kind() != reflect.Struct || inner.PkgPath() == "sync/atomic" || inner == reflect.TypeFor[time.Time]() {
		return
	}
	at.prefix += field.Tag.Get("prefix")
	if below := d.shape(inner, at); len(below.figures)+len(below.parts) > 0 {
		if rows > 0 && len(below.parts) > 0 {
			panic(fmt.Sprintf("metrics: the rows of %s hold parts", field.Name))
		}
		s.parts = append(s.parts, partField{index, below, rows})
	}
}

func number(field reflect.StructField, text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		panic(fmt.Sprintf("metrics: max:%q of %s is no positive number", text, field.Name))
	}
	return n
}

// figure declares the family of a field, or adds the field to it.
func (d *declaration) figure(t reflect.Type, index int, tag string, at place) figureField {
	field := t.Field(index)
	name, rest, _ := strings.Cut(tag, "{")
	f := &Family{
		Name: at.prefix + name, Help: field.Tag.Get("help"), Type: TypeGauge, Labels: slices.Clone(at.labels), SeriesMax: at.rows,
	}
	var constants []string
	for pair := range strings.SplitSeq(strings.TrimSuffix(rest, "}"), ",") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			f.Labels, constants = append(f.Labels, key), append(constants, value)
		}
	}
	switch {
	case isHistogram(field.Type):
		f.Type, f.Bounds = TypeHistogram, boundsOf(field)
		f.SeriesMax *= len(f.Bounds) + 4 // +Inf, sum, count, and the native one
	case strings.HasSuffix(name, "_total"):
		f.Type = TypeCounter
	}
	return figureField{index, d.declare(f), constants}
}

// declare adds a family, or what another field says of it.
func (d *declaration) declare(f *Family) *Family {
	for _, known := range d.families {
		if known.Name != f.Name {
			continue
		}
		if known.Type != f.Type || !slices.Equal(known.Labels, f.Labels) || known.Help != "" && f.Help != "" {
			panic(fmt.Sprintf("metrics: %s is declared twice, and not alike", f.Name))
		}
		known.Help = cmp.Or(known.Help, f.Help)
		known.SeriesMax += f.SeriesMax
		return known
	}
	d.families = append(d.families, f)
	return f
}

func isHistogram(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t == reflect.TypeFor[Histogram]() || t == reflect.TypeFor[Snapshot]()
}

// boundsOf reads le:"-6..4,4..17/4".
func boundsOf(field reflect.StructField) []int {
	var bounds []int
	for part := range strings.SplitSeq(field.Tag.Get("le"), ",") {
		octaves, fine, isFine := strings.Cut(part, "/")
		var from, to int
		if _, err := fmt.Sscanf(octaves, "%d..%d", &from, &to); err != nil || from < octaveMin || to > octaveMax {
			panic(fmt.Sprintf("metrics: le:%q of %s is not like -15..3", field.Tag.Get("le"), field.Name))
		}
		step := perOctave
		if isFine {
			step /= number(field, fine)
		}
		for index := from * perOctave; index <= to*perOctave; index += step {
			bounds = append(bounds, index)
		}
	}
	slices.Sort(bounds)
	return slices.Compact(bounds)
}

// read gives a figure's number; false for one that is not there.
func read(v reflect.Value) (float64, bool) {
	switch at := v.Addr().Interface().(type) {
	case *atomic.Uint64:
		return float64(at.Load()), true
	case *atomic.Int64:
		return float64(at.Load()), true
	case *atomic.Bool:
		return boolean(at.Load()), true
	case *time.Duration:
		return at.Seconds(), true
	case *time.Time:
		return float64(at.UnixMicro()) / 1e6, !at.IsZero()
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return 0, false
		}
		return read(v.Elem())
	case reflect.Bool:
		return boolean(v.Bool()), true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return float64(v.Int()), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return float64(v.Uint()), true
	case reflect.Float32, reflect.Float64:
		return v.Float(), true
	default:
		panic(fmt.Sprintf("metrics: a %s is no figure", v.Type()))
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
