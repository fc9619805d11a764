package messages

import (
	"math/bits"
	"strconv"
	"strings"
)

// Field describes one parameter or one part of a result.
type Field struct {
	Name string
	// Type is "integer" (unsigned unless Signed), "string", "boolean", "binary",
	// "object" or "map", or "list of" and one of those.
	Type     string
	Signed   bool
	Required bool   // of parameters: the call is refused without it
	Optional bool   // of results: it may be absent
	Nullable bool   // it may be nil
	Default  string // what an absent parameter means
	Text     string
	Enum     []string // the texts there are
	// Max is the largest integer, the most bytes of a text, the most elements of a list;
	// 0 where only the wire bounds it. Clamp is the integer for which more is taken.
	Max, Clamp uint64
	Fields     []Field // of an object, or of a list's objects
}

// describe lists a message's fields.
func describe(parts ...message) []Field {
	f := fields{mode: describing, out: new(outline)}
	for _, m := range parts {
		m.fields(&f)
	}
	return f.out.list
}

// describe lists one field. It is called in describing only.
func (f *fields) describe(name, kind, text string) *Field {
	f.out.list = append(f.out.list, Field{
		Name: name, Type: kind, Text: text,
		Required: f.need == required, Default: f.out.deflt, Optional: f.out.optional,
	})
	f.need, f.out.deflt, f.out.optional = always, "", false
	return f.last()
}

func (f *fields) last() *Field { return &f.out.list[len(f.out.list)-1] }

// inner gives the last field the fields of a message.
func (f *fields) inner(m message) {
	outer := f.out
	f.out = new(outline)
	m.fields(f)
	outer.list[len(outer.list)-1].Fields = f.out.list
	f.out = outer
}

// Says is the field's text with its words and bounds, as people read it.
func (f *Field) Says() string {
	parts := []string{f.Text}
	if f.Text == "" {
		parts = nil
	}
	if len(f.Enum) > 0 {
		parts = append(parts, "One of `"+strings.Join(f.Enum, "`, `")+"`.")
	}
	switch {
	case f.Clamp > 0:
		parts = append(parts, "At most "+grouped(f.Clamp)+"; more is taken for that.")
	case f.Max == uint64(AmountMax):
		parts = append(parts, "At most 2^63-1.")
	case f.Max > 0 && (f.Type == "string" || f.Type == "binary"):
		parts = append(parts, "At most "+grouped(f.Max)+" bytes.")
	case f.Max > 0:
		parts = append(parts, "At most "+grouped(f.Max)+".")
	}
	return strings.Join(parts, " ")
}

// grouped writes a number with a comma between thousands.
func grouped(v uint64) string {
	s := strconv.FormatUint(v, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// fieldNames lists what the fields of a message are called, the options first.
func fieldNames(m message, opts *Options) []string {
	var list []Field
	if opts != nil {
		list = describe(opts)
	}
	var out []string
	for _, f := range append(list, describe(m)...) {
		out = append(out, f.Name)
	}
	return out
}

func trailing(set uint64) int { return bits.TrailingZeros64(set) }

// choice lists words for somebody who is to choose one.
func choice(words []string) string {
	var b strings.Builder
	left := 0
	for _, w := range words {
		if w != "" {
			left++
		}
	}
	for _, w := range words {
		if w == "" {
			continue
		}
		b.WriteString(strconv.Quote(w))
		switch left--; left {
		case 0:
		case 1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
	}
	return b.String()
}

// advice names what may have been meant by a name that is not known.
func advice(name string, known []string) string {
	if near, ok := Nearest(name, known); ok {
		return "did you mean " + strconv.Quote(near) + "?"
	}
	if len(known) == 0 {
		return "there are none"
	}
	return "want " + choice(known)
}

// Nearest finds the word most like a name: the least letters to change, at most a third
// of them.
func Nearest(name string, known []string) (near string, ok bool) {
	const longest = 64
	if len(name) > longest {
		return "", false
	}
	least, lower := longest, strings.ToLower(name)
	for _, w := range known {
		// What one is longer by are changes too: most words need no closer look.
		apart := max(len(lower)-len(w), len(w)-len(lower))
		if len(w) > longest || apart >= least || 3*apart > max(len(name), len(w)) {
			continue
		}
		if d := distance(lower, strings.ToLower(w)); d < least {
			least, near = d, w
		}
	}
	return near, near != "" && 3*least <= max(len(name), len(near))
}

// distance counts the bytes to insert, remove, replace or swap with their neighbour
// until a is b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
