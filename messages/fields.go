package messages

import (
	"slices"
	"strconv"

	"github.com/the-block/bursar/messages/internal/pack"
)

// message is a struct of the wire. Its one method names each of its fields, in the
// order in which they are written; decoding, appending and describing are three ways of
// going through it. So a field of the wire is one line of code:
//
//	func (p *VoteParams) fields(f *fields) {
//		f.must().uint("id", (*uint64)(&p.ID), "The disbursement's id.")
//		f.must().text("voter", &p.Voter, "Who votes.").identity()
//	}
type message interface{ fields(f *fields) }

// mode is what is done with the fields that a message names.
type mode byte

const (
	decoding mode = iota
	appending
	describing
)

// need says when a field is there.
type need byte

const (
	always   need = iota // written, whatever it holds
	required             // written always; a call without it is refused
	nonzero              // written unless it is zero, which is the same as absent
	never                // not written
)

// fields goes through the fields of one message. What must, may and only say holds for
// the next field; what max, oneOf and their like say, for the one before.
type fields struct {
	mode mode
	need need
	// judge holds values against their bounds: those of params, not of results.
	judge bool
	// strict refuses what is unknown or given twice.
	strict bool
	// got says that the field before has just been decoded.
	got bool
	// measure is what has just been decoded: a number, or the bytes of a text (long).
	measure uint64
	long    bool
	b       []byte // appending: what is written
	n       int    // appending: the entries of the map
	in      *input
	out     *outline
}

// input is what is being decoded.
type input struct {
	pack.Decoder
	level
}

// level is where decoding stands in one map. Fields are looked for in their order, so
// that a map in that order takes one pass.
type level struct {
	key   []byte // of the entry in hand; nil where there is none
	more  bool   // there is an entry in hand
	taken bool   // its value has been read
	found bool   // this pass has found a field
	// Bits by the number of the field: the next one's, those that are required, those
	// that came, and those that came with a value.
	bit, required, seen, given uint64
}

// outline is what is being described.
type outline struct {
	list     []Field
	deflt    string
	optional bool
}

// must says that a call is refused without the next field.
func (f *fields) must() *fields {
	f.need = required
	return f
}

// may says that the next field may be absent, what that means, and that it is not
// written where it is zero.
func (f *fields) may(deflt string) *fields {
	f.need = nonzero
	if f.mode == describing {
		f.out.deflt, f.out.optional = deflt, true
	}
	return f
}

// defaults says what it means that the next field, which is always written, is absent.
func (f *fields) defaults(deflt string) *fields {
	if f.mode == describing {
		f.out.deflt, f.out.optional = deflt, true
	}
	return f
}

// only says that the next field is written where the condition holds.
func (f *fields) only(when bool) *fields {
	if !when {
		f.need = never
	}
	if f.mode == describing {
		f.out.optional = true
	}
	return f
}

// uint is an unsigned integer.
func (f *fields) uint(name string, v *uint64, text string) *fields {
	switch f.mode {
	case decoding:
		if f.here(name) {
			*v = f.in.Uint()
			f.measure, f.long = *v, false
		}
	case appending:
		if f.writes(name, *v == 0) {
			f.b = pack.AppendUint(f.b, *v)
		}
	case describing:
		f.describe(name, "integer", text)
	}
	return f
}

// int is a signed integer.
func (f *fields) int(name string, v *int64, text string) *fields {
	switch f.mode {
	case decoding:
		if f.here(name) {
			*v = f.in.Int()
		}
	case appending:
		if f.writes(name, *v == 0) {
			f.b = pack.AppendInt(f.b, *v)
		}
	case describing:
		f.describe(name, "integer", text).Signed = true
	}
	return f
}

// clamped is an unsigned integer with a default for 0 and absent, and a bound for which
// more is taken.
func (f *fields) clamped(name string, v *uint64, deflt, most uint64, text string) *fields {
	f.may("")
	f.uint(name, v, text)
	switch f.mode {
	case decoding:
		if *v == 0 {
			*v = deflt
		}
		*v = min(*v, most)
	case describing:
		last := f.last()
		last.Default, last.Clamp = strconv.FormatUint(deflt, 10), most
	case appending:
	}
	return f
}

// text is a string.
func (f *fields) text(name string, v *string, text string) *fields {
	switch f.mode {
	case decoding:
		if f.here(name) {
			*v = f.in.Text()
			f.measure, f.long = uint64(len(*v)), true
		}
	case appending:
		if f.writes(name, *v == "") {
			f.b = pack.AppendString(f.b, *v)
		}
	case describing:
		f.describe(name, "string", text)
	}
	return f
}

// bool is a boolean.
func (f *fields) bool(name string, v *bool, text string) *fields {
	switch f.mode {
	case decoding:
		if f.here(name) {
			*v = f.in.Bool()
		}
	case appending:
		if f.writes(name, !*v) {
			f.b = pack.AppendBool(f.b, *v)
		}
	case describing:
		f.describe(name, "boolean", text)
	}
	return f
}

// binary is raw bytes; over JSON they are written in hex.
func (f *fields) binary(name string, v *[]byte, text string) *fields {
	return f.octets(name, v, text, func(in *input) []byte { return in.Binary() })
}

// bytesOrText is binary, or text that stands for its bytes.
func (f *fields) bytesOrText(name string, v *[]byte, text string) *fields {
	return f.octets(name, v, text, func(in *input) []byte { return slices.Clone(in.Bytes()) })
}

func (f *fields) octets(name string, v *[]byte, text string, read func(*input) []byte) *fields {
	switch f.mode {
	case decoding:
		if f.here(name) {
			*v = read(f.in)
			f.measure, f.long = uint64(len(*v)), true
		}
	case appending:
		if f.writes(name, len(*v) == 0) {
			f.b = pack.AppendBinary(f.b, *v)
		}
	case describing:
		f.describe(name, "binary", text)
	}
	return f
}

// verbatim is one value as it came.
func (f *fields) verbatim(name string, v *[]byte, text string) *fields {
	switch f.mode {
	case decoding:
		if f.here(name) {
			*v = slices.Clone(f.in.Raw())
		}
	case appending:
		if f.writes(name, len(*v) == 0) {
			f.b = append(f.b, *v...)
		}
	case describing:
		f.describe(name, "object", text)
	}
	return f
}

// ids is a list of at most so many ids; 0 is as many as a message holds.
func (f *fields) ids(name string, v *[]DisbursementID, most int, text string) *fields {
	return listOf(f, name, v, most, "integer", text, f.bareID)
}

// texts is a list of strings.
func (f *fields) texts(name string, v *[]string, most int, text string) *fields {
	return listOf(f, name, v, most, "string", text, func(s *string) {
		if f.mode == decoding {
			*s = f.in.Text()
		} else {
			f.b = pack.AppendString(f.b, *s)
		}
	})
}

// binaries is a list of raw bytes, such as hashes.
func (f *fields) binaries(name string, v *[][]byte, text string) *fields {
	return listOf(f, name, v, 0, "binary", text, func(b *[]byte) {
		if f.mode == decoding {
			*b = f.in.Binary()
		} else {
			f.b = pack.AppendBinary(f.b, *b)
		}
	})
}

// nextCursor is where the next page begins, nil on the wire where there is none.
func (f *fields) nextCursor(c *Cursor) {
	if f.mode == appending && *c == 0 {
		f.writes("next_cursor", false)
		f.b = pack.AppendNil(f.b)
		return
	}
	f.uint("next_cursor", (*uint64)(c), "Cursor of the next page; nil after the last.").nullable()
}

// applied is the index of the log that an answer is true for.
func (f *fields) applied(index *uint64) {
	f.uint("applied_index", index, "Index of the log that the answer is true for.")
}

// duplicate tells of a repeat.
func (f *fields) duplicate(v *bool) {
	f.bool("duplicate", v, "True for a repeat, which changed nothing.")
}

// small is an integer of fewer bits.
func small[T ~byte | ~uint16](f *fields, name string, v *T, text string) *fields {
	wide := uint64(*v)
	f.uint(name, &wide, text).max(uint64(^T(0)))
	*v = T(wide)
	return f
}

// word is one of the words, each at the place of its value; an empty one is none.
func word[E ~byte](f *fields, name string, v *E, words []string, text string) *fields {
	switch f.mode {
	case decoding:
		if f.here(name) {
			*v = readWord[E](f, words)
		}
	case appending:
		if f.writes(name, *v == 0) {
			w := ""
			if int(*v) < len(words) {
				w = words[*v]
			}
			f.b = pack.AppendString(f.b, w)
		}
	case describing:
		f.describe(name, "string", text)
		f.oneOf(words)
	}
	return f
}

func readWord[E ~byte](f *fields, words []string) E {
	b := f.in.Bytes()
	for i, w := range words {
		if w != "" && w == string(b) {
			return E(i)
		}
	}
	f.in.Refuse("want %s", choice(words))
	return 0
}

// object is a struct of its own.
func object[T any, P interface {
	*T
	message
}](f *fields, name string, v P, text string) *fields {
	switch f.mode {
	case decoding:
		if f.here(name) {
			*v = *new(T)
			f.in.Map()
			f.entries(v, nil)
		}
	case appending:
		if f.writes(name, false) {
			f.append(v)
		}
	case describing:
		f.describe(name, "object", text)
		f.inner(v)
	}
	return f
}

// optional is a struct that there may be none of: nil, or no entry where the field may
// be absent. An empty map is none.
func optional[T any, P interface {
	*T
	message
}](f *fields, name string, v *P, fresh func() P, text string) *fields {
	switch f.mode {
	case decoding:
		if f.here(name) {
			if *v = nil; f.in.Map() == 0 {
				f.in.Next()
				return f
			}
			*v = fresh()
			f.entries(*v, nil)
		}
	case appending:
		switch {
		case !f.writes(name, *v == nil):
		case *v == nil:
			f.b = pack.AppendNil(f.b)
		default:
			f.append(*v)
		}
	case describing:
		f.describe(name, "object", text).Nullable = true
		f.inner(fresh())
	}
	return f
}

// objects is a list of at most so many structs; 0 is as many as a message holds.
func objects[T any, P interface {
	*T
	message
}](f *fields, name string, v *[]T, most int, text string) *fields {
	listOf(f, name, v, most, "object", text, func(one *T) {
		if f.mode == decoding {
			f.in.Map()
			f.entries(P(one), nil)
		} else {
			f.append(P(one))
		}
	})
	if f.mode == describing {
		f.inner(P(new(T)))
	}
	return f
}

// pointers is a list of structs that are held by pointers.
func pointers[T any, P interface {
	*T
	message
}](f *fields, name string, v *[]P, text string) {
	listOf(f, name, v, 0, "object", text, func(one *P) {
		if f.mode == decoding {
			*one = new(T)
			f.in.Map()
			f.entries(*one, nil)
		} else {
			f.append(*one)
		}
	})
	if f.mode == describing {
		f.inner(P(new(T)))
	}
}

// bareIDs reads or writes one list of ids.
func (f *fields) bareIDs(ids *[]DisbursementID) {
	if f.mode == decoding {
		*ids = readList(f, 0, f.bareID)
		return
	}
	f.b = pack.AppendArray(f.b, len(*ids))
	for i := range *ids {
		f.bareID(&(*ids)[i])
	}
}

func (f *fields) bareID(id *DisbursementID) {
	if f.mode == decoding {
		*id = DisbursementID(f.in.Uint())
	} else {
		f.b = pack.AppendUint(f.b, uint64(*id))
	}
}

// optionalID is an id or nil.
func (f *fields) optionalID(name string, v **DisbursementID, text string) {
	id := new(DisbursementID)
	if *v != nil {
		id = *v
	}
	if f.mode == appending && *v == nil {
		f.writes(name, false)
		f.b = pack.AppendNil(f.b)
		return
	}
	f.uint(name, (*uint64)(id), text).nullable()
	if f.got {
		*v = id
	}
}

// listOf is a list whose elements are read or written by each.
func listOf[T any](f *fields, name string, v *[]T, most int, kind, text string, each func(*T)) *fields {
	switch f.mode {
	case decoding:
		if f.here(name) {
			*v = readList(f, most, each)
		}
	case appending:
		if f.writes(name, len(*v) == 0) {
			f.b = pack.AppendArray(f.b, len(*v))
			for i := range *v {
				each(&(*v)[i])
			}
		}
	case describing:
		f.describe(name, "list of "+kind, text).Max = uint64(most)
	}
	return f
}

// growMax is the most elements that room is made for before they are there.
const growMax = 1_024

// readList reads a list. The elements of a result are never nil, of params none are.
func readList[T any](f *fields, most int, each func(*T)) []T {
	n := f.in.List()
	if f.judge && most > 0 && n > most {
		f.in.Refuse("%d are more than %d", n, most)
		return nil
	}
	if n == 0 && f.judge {
		f.in.Next()
		return nil
	}
	list := make([]T, 0, min(n, growMax))
	for f.in.Next() {
		var zero T
		list = append(list, zero)
		each(&list[len(list)-1])
	}
	return list
}

// max bounds the field before: the value of an integer, the bytes of a text.
func (f *fields) max(most uint64) *fields {
	switch f.mode {
	case decoding:
		switch {
		case !f.got || !f.judge || f.measure <= most:
		case f.long:
			f.in.Refuse("%d bytes are more than %d", f.measure, most)
		default:
			f.in.Refuse("%d is more than %d", f.measure, most)
		}
	case describing:
		f.last().Max = most
	case appending:
	}
	return f
}

// bound tells of a bound that whoever carries out the call judges.
func (f *fields) bound(most uint64) *fields {
	if f.mode == describing {
		f.last().Max = most
	}
	return f
}

// oneOf says which texts there are.
func (f *fields) oneOf(words []string) *fields {
	if f.mode == describing {
		f.last().Enum = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" })
	}
	return f
}

// chosen refuses a text that is none of the words.
func (f *fields) chosen(v string, words []string) *fields {
	if f.got && f.judge && !slices.Contains(words, v) {
		f.in.Refuse("want %s", choice(words))
	}
	return f.oneOf(words)
}

// nullable says that nil stands for none.
func (f *fields) nullable() *fields {
	if f.mode == describing {
		f.last().Nullable = true
	}
	return f
}

// writes begins an entry, unless it is to be left out. It is asked in appending only.
func (f *fields) writes(name string, zero bool) bool {
	need := f.need
	f.need = always
	if need == never || need == nonzero && zero {
		return false
	}
	f.b = pack.AppendString(f.b, name)
	f.n++
	return true
}

// append appends a message as a map. Its header takes one byte up to 15 entries and is
// widened at the end where there are more.
func (f *fields) append(m message) {
	start, outer := f.open()
	m.fields(f)
	f.close(start, outer)
}

func (f *fields) open() (start, outer int) {
	start, outer = len(f.b), f.n
	f.b, f.n = append(f.b, 0), 0
	return start, outer
}

func (f *fields) close(start, outer int) {
	if f.n < 1<<4 {
		f.b[start] = 0x80 | byte(f.n)
	} else {
		body := append([]byte(nil), f.b[start+1:]...)
		f.b = append(pack.AppendMap(f.b[:start], f.n), body...)
	}
	f.n = outer
}

// appendMessage appends a message that stands alone.
func appendMessage(b []byte, m message) []byte {
	f := fields{mode: appending, b: b}
	f.append(m)
	return f.b
}

// here reports whether the entry in hand is the field of this name, with a value that
// is to be read now. It is asked in decoding only.
func (f *fields) here(name string) bool {
	l := &f.in.level
	f.got = false
	if l.taken {
		l.step(&f.in.Decoder)
	}
	bit := l.bit
	l.bit <<= 1
	if f.need == required {
		l.required |= bit
	}
	f.need = always
	if string(l.key) != name {
		return false
	}
	l.taken, l.found = true, true
	return f.value(bit)
}

// value notes that a field is there, and reports whether it has a value.
func (f *fields) value(bit uint64) bool {
	l := &f.in.level
	if l.seen&bit != 0 && f.strict {
		f.in.Reject("is there twice; leave one out")
		return false
	}
	l.seen |= bit
	if f.in.Nil() {
		return false
	}
	l.given |= bit
	f.got = true
	return true
}

// step takes the next entry in hand.
func (l *level) step(d *pack.Decoder) {
	l.taken, l.key = false, nil
	if l.more = d.Next(); l.more {
		l.key = d.Key()
	}
}

// entries reads the entries of a map that has been entered into m, and into opts where
// there are any.
func (f *fields) entries(m message, opts *Options) {
	outer := f.in.level
	l := &f.in.level
	*l = level{}
	l.step(&f.in.Decoder)
	for {
		l.bit, l.found = 1, false
		if opts != nil {
			opts.fields(f)
		}
		m.fields(f)
		if l.taken {
			l.step(&f.in.Decoder)
		}
		if !l.more {
			break
		}
		if !l.found {
			f.unknown(m, opts)
			l.step(&f.in.Decoder)
		}
	}
	if lost := l.required &^ l.given; lost != 0 && f.judge && f.in.Fault() == nil {
		f.in.Missing(fieldNames(m, opts)[trailing(lost)])
	}
	f.got = true // the whole is the field before
	*l = outer
}

// unknown passes over a field that the message does not have, or refuses it.
func (f *fields) unknown(m message, opts *Options) {
	if !f.strict {
		f.in.Skip()
		return
	}
	f.in.Reject("no such field; %s", advice(string(f.in.key), fieldNames(m, opts)))
}
