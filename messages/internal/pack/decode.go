package pack

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Fault says what is wrong with a value and where.
type Fault struct {
	// Path leads to the value: "params.items[3].payload".
	Path string
	// Text says what is wrong: "want a string, got an array".
	Text string
	// Judged: the value has the right type and is out of range; else it is of another
	// type than wanted, or malformed.
	Judged bool
}

// Error gives path and text.
func (f *Fault) Error() string { return f.Path + ": " + f.Text }

// levelMax is the deepest nesting of a typed message: containers deeper than
// that are only ever skipped.
const levelMax = 20

// A Decoder reads one MessagePack value from memory. Its methods never fail by
// themselves: the first fault ends every loop, makes every later answer zero, and
// is told by Fault. It checks every length itself, so a message that was not
// scanned cannot harm it either.
//
// A map is read as
//
//	d.Map()
//	for d.Next() {
//		switch string(d.Key()) {
//		case "id":
//			id = d.Uint()
//		default:
//			d.Skip()
//		}
//	}
//
// and a list the same way with List and without keys. Next passes over entries of
// a map whose value is nil, which is the same as absent, unless KeepNil was called.
//
// Clients are not all alike: text may come as binary, a whole number as a float, an
// empty map as an empty list.
type Decoder struct {
	buf   []byte
	pos   int
	root  string
	fault *Fault
	// decimals admits integers written as decimal strings, and binary written in hex.
	decimals bool
	keepNil  bool
	levels   [levelMax]level
	depth    int
}

type level struct {
	key   []byte
	left  int
	index int // of the current element; -1 in a map
}

// Reset makes d read buf. Paths start with root. With decimals, as JSON needs it, an
// integer may be written as a decimal string, and binary as a string in hex.
func (d *Decoder) Reset(buf []byte, root string, decimals bool) {
	d.buf, d.pos, d.root, d.decimals, d.fault, d.depth = buf, 0, root, decimals, nil, 0
	d.keepNil = false
}

// KeepNil has Next stop at entries whose value is nil too. Nil tells them.
func (d *Decoder) KeepNil() { d.keepNil = true }

// Nil passes over the value to come if it is nil, and reports whether it was.
func (d *Decoder) Nil() bool {
	if d.pos < len(d.buf) && d.buf[d.pos] == codeNil {
		d.pos++
		return true
	}
	return false
}

// Fault returns the first fault, or nil.
func (d *Decoder) Fault() *Fault { return d.fault }

// Rest returns the bytes not read yet.
func (d *Decoder) Rest() []byte { return d.buf[d.pos:] }

// Refuse records a fault of the value just read: right type, wrong value.
func (d *Decoder) Refuse(format string, args ...any) { d.stop(true, fmt.Sprintf(format, args...)) }

// Reject records that the value just read is of no use where it stands.
func (d *Decoder) Reject(format string, args ...any) { d.stop(false, fmt.Sprintf(format, args...)) }

func (d *Decoder) stop(judged bool, text string) {
	if d.fault == nil {
		d.fault = &Fault{Path: d.Path(), Text: text, Judged: judged}
	}
	d.pos = len(d.buf)
}

// Mark is a place to come back to, in the container that was the innermost one there.
type Mark struct{ pos, depth int }

// Mark notes where d stands.
func (d *Decoder) Mark() Mark { return Mark{d.pos, d.depth} }

// Back takes d back to a mark, and forgets what was wrong behind it.
func (d *Decoder) Back(m Mark) { d.pos, d.depth, d.fault = m.pos, m.depth, nil }

// Missing records that the map just left, or being read, lacks an entry.
func (d *Decoder) Missing(name string) {
	d.Reject("")
	d.fault.Path, d.fault.Text = d.fault.Path+"."+name, "missing"
}

// Path names the value being read.
func (d *Decoder) Path() string {
	var b strings.Builder
	b.WriteString(d.root)
	for _, l := range d.levels[:d.depth] {
		if l.index >= 0 {
			b.WriteString("[" + strconv.Itoa(l.index) + "]")
		} else if len(l.key) > 0 {
			b.WriteString("." + printable(l.key))
		}
	}
	return b.String()
}

// printable keeps a key that a stranger chose short and harmless in an error.
func printable(key []byte) string {
	const longest = 40
	if len(key) > longest {
		key = key[:longest]
	}
	q := strconv.Quote(string(key))
	return q[1 : len(q)-1]
}

// Map enters a map and returns the number of its entries.
func (d *Decoder) Map() int { return d.enter("a map", 2, -1) }

// List enters a list and returns its length, which is at most the number of bytes
// left.
func (d *Decoder) List() int { return d.enter("a list", 1, -2) }

func (d *Decoder) enter(want string, width, index int) int {
	if d.fault != nil {
		return 0
	}
	head, children, ok := d.form()
	if !ok {
		return 0
	}
	c := d.buf[d.pos]
	isMap := c&0xf0 == 0x80 || c == codeMap16 || c == codeMap32
	isList := c&0xf0 == 0x90 || c == codeArray16 || c == codeArray32
	if width == 2 && !isMap && (!isList || children > 0) || width == 1 && !isList {
		d.mismatch(want)
		return 0
	}
	if children > len(d.buf)-d.pos-head {
		d.Reject("declares more elements than it has bytes")
		return 0
	}
	if d.depth == levelMax {
		d.Reject("nested too deeply")
		return 0
	}
	d.pos += head
	d.levels[d.depth] = level{left: children / width, index: index}
	d.depth++
	return children / width
}

// Next moves to the next entry of the innermost map or list. It leaves the
// container and returns false after the last.
func (d *Decoder) Next() bool {
	for d.fault == nil {
		l := &d.levels[d.depth-1]
		if l.left == 0 {
			d.depth--
			return false
		}
		l.left--
		if l.index != -1 {
			l.index = max(l.index+1, 0)
			return true
		}
		l.key = nil
		key := d.Bytes()
		if d.fault != nil {
			return false
		}
		l.key = key
		if d.keepNil || d.pos >= len(d.buf) || d.buf[d.pos] != codeNil {
			return true
		}
		d.pos++
	}
	return false
}

// Key returns the name of the current entry. It is valid until the next Next.
func (d *Decoder) Key() []byte { return d.levels[d.depth-1].key }

// form looks at the value to come.
func (d *Decoder) form() (size, children int, ok bool) {
	size, children, v := form(d.buf[d.pos:])
	if v != Complete || size > len(d.buf)-d.pos {
		d.Reject("%s", max(v, Incomplete))
		return 0, 0, false
	}
	return size, children, true
}

// Uint reads an unsigned integer.
func (d *Decoder) Uint() uint64 {
	if d.fault != nil {
		return 0
	}
	if d.pos < len(d.buf) {
		if c := d.buf[d.pos]; c < 0x80 {
			d.pos++
			return uint64(c)
		}
	}
	size, _, ok := d.form()
	if !ok {
		return 0
	}
	b := d.buf[d.pos : d.pos+size]
	switch c := b[0]; {
	case c >= codeUint8 && c <= codeUint64:
		d.pos += size
		return bigEndian(b[1:])
	case c >= codeInt8 && c <= codeInt64 || c >= 0xe0:
		v := signed(b)
		if v < 0 {
			d.Refuse("%d is negative", v)
			return 0
		}
		d.pos += size
		return uint64(v)
	case c == codeFloat32 || c == codeFloat64:
		d.pos += size
		return d.whole(float(b))
	case d.decimals && isString(c):
		return d.decimal()
	default:
		d.mismatch("an unsigned integer")
		return 0
	}
}

// exactMax is where whole numbers written as floats stop being exact.
const exactMax = 1 << 53

// whole takes a float for the integer that it is.
func (d *Decoder) whole(v float64) uint64 {
	switch {
	case v < 0 && v > -exactMax && v == math.Trunc(v):
		d.Refuse("%.0f is negative", v)
	case v >= 0 && v < exactMax && v == math.Trunc(v):
		return uint64(v)
	case d.decimals && math.Abs(v) >= 1<<63:
		d.Refuse("the number does not fit in 64 bits") // JSON was too long for an integer
	case math.Abs(v) >= exactMax:
		d.Reject("want an unsigned integer, got the float %g, which is exact below 2^53 only; write it as an integer", v)
	default:
		d.Reject("want an unsigned integer, got the fraction %g; write a whole number", v)
	}
	return 0
}

func float(b []byte) float64 {
	if b[0] == codeFloat32 {
		return float64(math.Float32frombits(uint32(bigEndian(b[1:]))))
	}
	return math.Float64frombits(bigEndian(b[1:]))
}

// decimal reads an unsigned integer written as a decimal string.
func (d *Decoder) decimal() uint64 {
	s := d.Bytes()
	v, err := strconv.ParseUint(string(s), 10, 64)
	switch {
	case d.fault != nil:
		return 0
	case err != nil && len(s) > 1 && s[0] == '-' && digits(s[1:]):
		d.Refuse("%s is negative", printable(s))
	case err != nil && len(s) > 0 && digits(s):
		d.Refuse("%s does not fit in 64 bits", printable(s))
	case err != nil:
		d.Reject("want an unsigned integer, got the string \"%s\"; write digits only", printable(s))
	}
	return v
}

func digits(s []byte) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// Int reads a signed integer.
func (d *Decoder) Int() int64 {
	if d.fault == nil && d.pos < len(d.buf) {
		if c := d.buf[d.pos]; c >= codeInt8 && c <= codeInt64 || c >= 0xe0 {
			size, _, ok := d.form()
			if !ok {
				return 0
			}
			v := signed(d.buf[d.pos : d.pos+size])
			d.pos += size
			return v
		}
	}
	v := d.Uint()
	if v > 1<<63-1 {
		d.Refuse("%d does not fit in 64 signed bits", v)
		return 0
	}
	return int64(v)
}

// Bool reads a boolean.
func (d *Decoder) Bool() bool {
	if d.fault != nil {
		return false
	}
	if _, _, ok := d.form(); !ok {
		return false
	}
	c := d.buf[d.pos]
	if c != codeTrue && c != codeFalse {
		d.mismatch("a boolean")
		return false
	}
	d.pos++
	return c == codeTrue
}

// Bytes reads a string, or binary in its place, without copying it and without asking
// whether it is UTF-8.
func (d *Decoder) Bytes() []byte {
	if d.fault != nil {
		return nil
	}
	if rest := d.buf[d.pos:]; len(rest) > 0 && rest[0]&0xe0 == 0xa0 { // the usual case
		if size := 1 + int(rest[0]&0x1f); size <= len(rest) {
			d.pos += size
			return rest[1:size]
		}
	}
	size, _, ok := d.form()
	if !ok {
		return nil
	}
	b := d.buf[d.pos : d.pos+size]
	if !isString(b[0]) && !isBinary(b[0]) {
		d.mismatch("a string")
		return nil
	}
	d.pos += size
	return b[headLen(b[0]):]
}

// Text reads a string, which must be valid UTF-8.
func (d *Decoder) Text() string {
	b := d.Bytes()
	if !utf8.Valid(b) {
		d.Reject("the string is not valid UTF-8; send text as UTF-8")
		return ""
	}
	return string(b)
}

// Binary reads binary and copies it, or hex in its place.
func (d *Decoder) Binary() []byte {
	if d.fault != nil {
		return nil
	}
	size, _, ok := d.form()
	if !ok {
		return nil
	}
	b := d.buf[d.pos : d.pos+size]
	if isString(b[0]) {
		return d.hex()
	}
	if !isBinary(b[0]) {
		d.mismatch("binary")
		return nil
	}
	d.pos += size
	return append([]byte(nil), b[headLen(b[0]):]...)
}

// hex reads binary written as a string.
func (d *Decoder) hex() []byte {
	s := d.Bytes()
	v, err := hex.AppendDecode(nil, s)
	if err != nil {
		d.Reject("want binary in hex, got the string \"%s\"; write two digits a byte", printable(s))
		return nil
	}
	return v
}

// Skip passes over one value, whatever it is, without recursion.
func (d *Decoder) Skip() {
	for todo := 1; todo > 0 && d.fault == nil; todo-- {
		size, children, ok := d.form()
		if !ok {
			return
		}
		d.pos += size
		if todo += children; todo-1 > len(d.buf)-d.pos {
			d.Reject("declares more elements than it has bytes")
		}
	}
}

// Raw passes over one value and returns its bytes.
func (d *Decoder) Raw() []byte {
	start := d.pos
	d.Skip()
	if d.fault != nil {
		return nil
	}
	return d.buf[start:d.pos]
}

// Kind tells what the value to come is, in words: "a string".
func (d *Decoder) Kind() string {
	if d.pos >= len(d.buf) {
		return "nothing"
	}
	return kind(d.buf[d.pos])
}

func (d *Decoder) mismatch(want string) {
	d.Reject("want %s, got %s; %s", want, d.Kind(), cure(want, d.Kind()))
}

// cure says how to write what is wanted.
func cure(want, got string) string {
	switch {
	case got == "nil":
		return "leave it out"
	case want == "an unsigned integer" && got == "a string":
		return "write it as a number, without quotes"
	case want == "an unsigned integer":
		return "write a whole number"
	case want == "a string":
		return "write it as text, in quotes"
	case want == "a boolean":
		return "write true or false"
	case want == "a map":
		return "write it as {name: value}"
	case want == "a list":
		return "write it as [value, ...]"
	default:
		return "write it as MessagePack's bin"
	}
}

func kind(c byte) string {
	switch {
	case c < 0x80 || c >= 0xe0 || c >= codeUint8 && c <= codeInt64:
		return "an integer"
	case c < 0x90 || c == codeMap16 || c == codeMap32:
		return "a map"
	case c < 0xa0 || c == codeArray16 || c == codeArray32:
		return "a list"
	case isString(c):
		return "a string"
	case c == codeNil:
		return "nil"
	case c == codeTrue || c == codeFalse:
		return "a boolean"
	case c == codeFloat32 || c == codeFloat64:
		return "a float"
	case isBinary(c):
		return "binary"
	default:
		return "an extension"
	}
}

func isBinary(c byte) bool { return c >= codeBin8 && c <= codeBin32 }

func isString(c byte) bool { return c&0xe0 == 0xa0 || c >= codeStr8 && c <= codeStr32 }

// headLen is the number of bytes before a string's or a binary's content.
func headLen(c byte) int {
	if c < 0xc0 {
		return 1
	}
	return 1 + int(heads[c-0xc0].length)
}

func bigEndian(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	default:
		return binary.BigEndian.Uint64(b)
	}
}

func signed(b []byte) int64 {
	if len(b) == 1 {
		return int64(int8(b[0]))
	}
	shift := 64 - 8*(len(b)-1)
	return int64(bigEndian(b[1:])<<shift) >> shift
}

// Negative reports whether the value to come is a negative integer.
func (d *Decoder) Negative() bool {
	if d.fault != nil || d.pos >= len(d.buf) {
		return false
	}
	c := d.buf[d.pos]
	size, _, v := form(d.buf[d.pos:])
	if v != Complete || size > len(d.buf)-d.pos {
		return false
	}
	return (c >= codeInt8 && c <= codeInt64 || c >= 0xe0) && signed(d.buf[d.pos:d.pos+size]) < 0
}
