package wire

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/internal/pack"
)

// checkJSON makes sure that the functions below may trust b to be one JSON value, in
// UTF-8 and nested within the wire's limit.
func checkJSON(b []byte) *messages.Error {
	switch {
	case !utf8.Valid(b):
		return messages.Errorf(messages.CodeParse, "not valid UTF-8")
	case jsonDepth(b) > limits.Depth:
		return messages.Errorf(messages.CodeParse, "%s", pack.TooDeep)
	case !json.Valid(b):
		return messages.Errorf(messages.CodeParse, "not valid JSON")
	}
	return nil
}

// jsonDepth is the deepest nesting of b.
func jsonDepth(b []byte) int {
	depth, deepest := 0, 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = stringEnd(b, i) - 1
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest
}

// stringEnd returns the index after the string that begins at i, or len(b).
func stringEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// scalarEnd returns the index after the number or word that begins at i.
func scalarEnd(b []byte, i int) int {
	for ; i < len(b); i++ {
		switch b[i] {
		case ',', ':', ']', '}', ' ', '\t', '\r', '\n':
			return i
		}
	}
	return i
}

// packer writes JSON that was checked as MessagePack. Containers are written with
// the widest header, whose count is filled in at the end.
type packer struct {
	out   []byte
	stack []container
}

type container struct {
	head  int // where the header begins
	count int // values so far, keys included
	isMap bool
}

// packJSON turns one JSON value, which was checked, into MessagePack within the wire's
// limits. Integers that fit 64 bits stay integers; other numbers become floats, which
// no parameter takes.
func packJSON(b []byte) ([]byte, *messages.Error) {
	p := packer{out: make([]byte, 0, len(b)+16)}
	p.pack(b)
	var s pack.Scanner
	bounds := limits
	bounds.Bytes = len(p.out) // as JSON it was measured before
	if _, verdict := s.Scan(p.out, bounds); verdict != pack.Complete {
		return nil, messages.Errorf(messages.CodeParse, "%s", verdict)
	}
	return p.out, nil
}

func (p *packer) pack(b []byte) {
	for i := 0; i < len(b); {
		switch c := b[i]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
			i++
		case '{', '[':
			p.open(c == '{')
			i++
		case '}', ']':
			p.close()
			i++
		case '"':
			end := stringEnd(b, i)
			p.text(b[i:end])
			i = end
		default:
			end := scalarEnd(b, i)
			p.scalar(b[i:end])
			i = end
		}
	}
}

// counted notes one more value in the innermost container.
func (p *packer) counted() {
	if n := len(p.stack); n > 0 {
		p.stack[n-1].count++
	}
}

func (p *packer) open(isMap bool) {
	p.counted()
	p.stack = append(p.stack, container{head: len(p.out), isMap: isMap})
	p.out = append(p.out, 0, 0, 0, 0, 0)
}

func (p *packer) close() {
	c := p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	p.out[c.head] = 0xdd
	if c.isMap {
		p.out[c.head] = 0xdf
		c.count /= 2
	}
	binary.BigEndian.PutUint32(p.out[c.head+1:], uint32(c.count))
}

func (p *packer) text(quoted []byte) {
	p.counted()
	raw := quoted[1 : len(quoted)-1]
	for _, c := range raw {
		if c == '\\' {
			var s string
			_ = json.Unmarshal(quoted, &s) // it was checked; lone surrogates become U+FFFD
			p.out = pack.AppendString(p.out, s)
			return
		}
	}
	p.out = pack.AppendString(p.out, raw)
}

func (p *packer) scalar(word []byte) {
	p.counted()
	switch word[0] {
	case 'n':
		p.out = pack.AppendNil(p.out)
	case 't', 'f':
		p.out = pack.AppendBool(p.out, word[0] == 't')
	default:
		p.number(string(word))
	}
}

func (p *packer) number(word string) {
	if v, err := strconv.ParseUint(word, 10, 64); err == nil {
		p.out = pack.AppendUint(p.out, v)
	} else if v, err := strconv.ParseInt(word, 10, 64); err == nil {
		p.out = pack.AppendInt(p.out, v)
	} else {
		f, _ := strconv.ParseFloat(word, 64) // too large is infinite: a fraction too
		p.out = pack.AppendFloat(p.out, math.Float64bits(f))
	}
}

// appendJSON appends one scanned MessagePack value as JSON. Integers are written in
// full, binary as hex; what JSON cannot say is null.
func appendJSON(b, packed []byte) ([]byte, error) {
	r := pack.NewReader(packed)
	b = unpack(b, &r)
	return b, r.Err()
}

func unpack(b []byte, r *pack.Reader) []byte {
	switch v := r.Next(); v.Kind {
	case pack.KindMap:
		b = append(b, '{')
		for i := range v.Len {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSONKey(b, r)
			b = append(b, ':')
			b = unpack(b, r)
		}
		return append(b, '}')
	case pack.KindList:
		b = append(b, '[')
		for i := range v.Len {
			if i > 0 {
				b = append(b, ',')
			}
			b = unpack(b, r)
		}
		return append(b, ']')
	case pack.KindString:
		return appendQuoted(b, v.Bytes)
	case pack.KindBinary:
		b = append(b, '"')
		b = hex.AppendEncode(b, v.Bytes)
		return append(b, '"')
	case pack.KindUint:
		return strconv.AppendUint(b, v.Uint, 10)
	case pack.KindInt:
		return strconv.AppendInt(b, int64(v.Uint), 10)
	case pack.KindBool:
		return strconv.AppendBool(b, v.Uint == 1)
	case pack.KindFloat:
		f := math.Float64frombits(v.Uint)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return append(b, "null"...)
		}
		return strconv.AppendFloat(b, f, 'g', -1, 64)
	default:
		return append(b, "null"...)
	}
}

// appendJSONKey writes a map's key, whatever it is, as a string.
func appendJSONKey(b []byte, r *pack.Reader) []byte {
	start := len(b)
	b = unpack(b, r)
	if b[start] == '"' {
		return b
	}
	return appendQuoted(b[:start], append([]byte(nil), b[start:]...))
}

// appendQuoted writes a JSON string. Bytes that are no UTF-8 become U+FFFD.
func appendQuoted(b, s []byte) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			if r, size = utf8.DecodeRune(s[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		b = append(b, s[start:i]...)
		b = appendEscape(b, c)
		i += size
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

func appendEscape(b []byte, c byte) []byte {
	const digits = "0123456789abcdef"
	switch {
	case c == '"' || c == '\\':
		return append(b, '\\', c)
	case c == '\n':
		return append(b, '\\', 'n')
	case c == '\t':
		return append(b, '\\', 't')
	case c >= utf8.RuneSelf:
		return append(b, "\uFFFD"...)
	default:
		return append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
	}
}

// PackJSON writes one JSON value as MessagePack, as a node reads parameters that come as
// JSON. The error is a parse error.
func PackJSON(text []byte) ([]byte, error) {
	if err := checkJSON(text); err != nil {
		return nil, err
	}
	packed, fault := packJSON(text)
	if fault != nil {
		return nil, fault
	}
	return packed, nil
}
