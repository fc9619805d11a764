package pack

import "encoding/binary"

// Limits bound what a Scanner accepts.
type Limits struct {
	// Bytes is the longest message.
	Bytes int
	// Depth is the deepest nesting: a flat array has depth 1. At most DepthMax.
	Depth int
	// Elements is the number of values in a message, containers and map keys
	// included: it bounds what a decoder may build from one message.
	Elements int
}

// DepthMax is the deepest nesting any Limits may allow.
const DepthMax = 64

// Verdict says what a Scanner found.
type Verdict byte

// The verdicts of a scan.
const (
	// Incomplete: so far well formed, more bytes are needed.
	Incomplete Verdict = iota + 1
	// Complete: one whole value.
	Complete
	// TooLarge: more bytes than allowed, held or declared.
	TooLarge
	// TooDeep: nested deeper than allowed.
	TooDeep
	// TooMany: more elements than allowed, held or declared.
	TooMany
	// Garbage: a byte that begins no MessagePack value.
	Garbage
)

// String names the verdict as error messages quote it.
func (v Verdict) String() string {
	switch v {
	case Incomplete:
		return "the message is cut off"
	case Complete:
		return "complete"
	case TooLarge:
		return "the message is too large"
	case TooDeep:
		return "the message is nested too deeply"
	case TooMany:
		return "the message has too many elements"
	case Garbage:
		return "not MessagePack"
	default:
		return "unknown verdict"
	}
}

// A Scanner finds the end of one MessagePack value in a growing buffer. It keeps
// its place between calls, so each byte is looked at once however slowly a
// message arrives, and allocates nothing. The zero Scanner is ready.
type Scanner struct {
	pos      int
	elements int
	// left counts, per open container, the values still to come.
	left  [DepthMax]int
	depth int
}

// Reset prepares the Scanner for the next value.
func (s *Scanner) Reset() { s.pos, s.elements, s.depth = 0, 0, 0 }

// Scan continues in buf, which begins with the value's first byte and has only
// grown since the last call. It returns the value's length when Complete. After
// any verdict but Incomplete the Scanner must be Reset.
func (s *Scanner) Scan(buf []byte, lim Limits) (int, Verdict) {
	for {
		size, children, v := form(buf[min(s.pos, len(buf)):])
		if v == Incomplete && s.pos < lim.Bytes {
			return 0, Incomplete
		}
		if v != Complete {
			return 0, max(v, TooLarge)
		}
		if size > lim.Bytes-s.pos || children > lim.Bytes-s.pos-size {
			return 0, TooLarge // a child takes a byte at least
		}
		if s.elements++; children > lim.Elements-s.elements {
			return 0, TooMany
		}
		if s.pos+size > len(buf) {
			s.elements-- // the value is looked at again when its bytes are here
			return 0, Incomplete
		}
		if s.depth >= lim.Depth && isContainer(buf[s.pos]) {
			return 0, TooDeep // an empty one too
		}
		s.pos += size
		if children > 0 {
			s.left[s.depth] = children
			s.depth++
			continue
		}
		if s.close() {
			return s.pos, Complete
		}
	}
}

func isContainer(c byte) bool {
	return c >= 0x80 && c < 0xa0 || c >= codeArray16 && c <= codeMap32
}

// close counts one finished value and reports whether it finished the message.
func (s *Scanner) close() bool {
	for s.depth > 0 {
		s.left[s.depth-1]--
		if s.left[s.depth-1] > 0 {
			return false
		}
		s.depth--
	}
	return true
}

// form reads the head of one value: its size in bytes (of a container: its
// header's) and the number of values it contains.
func form(b []byte) (size, children int, v Verdict) {
	if len(b) == 0 {
		return 0, 0, Incomplete
	}
	switch c := b[0]; {
	case c < 0x80 || c >= 0xe0:
		return 1, 0, Complete
	case c < 0x90:
		return 1, 2 * int(c&0x0f), Complete
	case c < 0xa0:
		return 1, int(c & 0x0f), Complete
	case c < 0xc0:
		return 1 + int(c&0x1f), 0, Complete
	default:
		return longForm(c, b)
	}
}

// heads holds, for the forms 0xc0 to 0xdf, the width of the length field in
// bytes and the bytes beside it and what it counts.
var heads = [32]struct {
	length byte // width of the length field: 0, 1, 2 or 4
	fixed  byte // bytes of the value besides the counted ones; 0 is invalid
	counts byte // what the length counts: 0 bytes, 1 elements, 2 pairs
}{
	codeNil - 0xc0:         {0, 1, 0},
	codeFalse - 0xc0:       {0, 1, 0},
	codeTrue - 0xc0:        {0, 1, 0},
	codeBin8 - 0xc0:        {1, 2, 0},
	codeBin16 - 0xc0:       {2, 3, 0},
	codeBin32 - 0xc0:       {4, 5, 0},
	codeExt8 - 0xc0:        {1, 3, 0},
	codeExt16 - 0xc0:       {2, 4, 0},
	codeExt32 - 0xc0:       {4, 6, 0},
	codeFloat32 - 0xc0:     {0, 5, 0},
	codeFloat64 - 0xc0:     {0, 9, 0},
	codeUint8 - 0xc0:       {0, 2, 0},
	codeUint16 - 0xc0:      {0, 3, 0},
	codeUint32 - 0xc0:      {0, 5, 0},
	codeUint64 - 0xc0:      {0, 9, 0},
	codeInt8 - 0xc0:        {0, 2, 0},
	codeInt16 - 0xc0:       {0, 3, 0},
	codeInt32 - 0xc0:       {0, 5, 0},
	codeInt64 - 0xc0:       {0, 9, 0},
	codeFixExt1 - 0xc0:     {0, 3, 0},
	codeFixExt1 + 1 - 0xc0: {0, 4, 0},
	codeFixExt1 + 2 - 0xc0: {0, 6, 0},
	codeFixExt1 + 3 - 0xc0: {0, 10, 0},
	codeFixExtM - 0xc0:     {0, 18, 0},
	codeStr8 - 0xc0:        {1, 2, 0},
	codeStr16 - 0xc0:       {2, 3, 0},
	codeStr32 - 0xc0:       {4, 5, 0},
	codeArray16 - 0xc0:     {2, 3, 1},
	codeArray32 - 0xc0:     {4, 5, 1},
	codeMap16 - 0xc0:       {2, 3, 2},
	codeMap32 - 0xc0:       {4, 5, 2},
}

func longForm(c byte, b []byte) (size, children int, v Verdict) {
	h := heads[c-0xc0]
	if h.fixed == 0 {
		return 0, 0, Garbage
	}
	if len(b) < 1+int(h.length) {
		return 0, 0, Incomplete
	}
	n := 0
	switch h.length {
	case 1:
		n = int(b[1])
	case 2:
		n = int(binary.BigEndian.Uint16(b[1:]))
	case 4:
		n = int(binary.BigEndian.Uint32(b[1:]))
	}
	if h.counts == 0 {
		return int(h.fixed) + n, 0, Complete
	}
	return int(h.fixed), n * int(h.counts), Complete
}
