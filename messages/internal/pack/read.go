package pack

import "math"

// Kind is what a Value is.
type Kind byte

// The kinds of values.
const (
	KindNil Kind = iota // also extensions, which nobody here speaks
	KindBool
	KindUint
	KindInt // negative
	KindFloat
	KindString
	KindBinary
	KindList
	KindMap
)

// Value is one value of a message, of a container its header only.
type Value struct {
	Kind Kind
	// Uint is an integer, a boolean (0 or 1), the bits of a negative integer or those
	// of a 64-bit float.
	Uint uint64
	// Bytes are a string's or a binary's content.
	Bytes []byte
	// Len is the number of a list's elements or a map's pairs, which follow.
	Len int
}

// A Reader reads values of any type one after the other. After a fault it gives nils.
type Reader struct{ d Decoder }

// NewReader reads b.
func NewReader(b []byte) Reader {
	var r Reader
	r.d.Reset(b, "message", false)
	return r
}

// Err returns the first fault, or nil.
func (r *Reader) Err() error {
	if f := r.d.fault; f != nil {
		return f
	}
	return nil
}

// Next reads one value.
func (r *Reader) Next() Value {
	d := &r.d
	if d.fault != nil {
		return Value{}
	}
	size, children, ok := d.form()
	if !ok {
		return Value{}
	}
	if children > len(d.buf)-d.pos-size {
		d.Reject("declares more elements than it has bytes")
		return Value{}
	}
	b := d.buf[d.pos : d.pos+size]
	d.pos += size
	return value(b, children)
}

func value(b []byte, children int) Value {
	switch c := b[0]; {
	case c < 0x80:
		return Value{Kind: KindUint, Uint: uint64(c)}
	case c < 0x90 || c == codeMap16 || c == codeMap32:
		return Value{Kind: KindMap, Len: children / 2}
	case c < 0xa0 || c == codeArray16 || c == codeArray32:
		return Value{Kind: KindList, Len: children}
	case isString(c):
		return Value{Kind: KindString, Bytes: b[headLen(c):]}
	case c >= codeBin8 && c <= codeBin32:
		return Value{Kind: KindBinary, Bytes: b[headLen(c):]}
	case c == codeFalse || c == codeTrue:
		return Value{Kind: KindBool, Uint: uint64(c & 1)}
	case c == codeFloat32:
		f := math.Float32frombits(uint32(bigEndian(b[1:])))
		return Value{Kind: KindFloat, Uint: math.Float64bits(float64(f))}
	case c == codeFloat64:
		return Value{Kind: KindFloat, Uint: bigEndian(b[1:])}
	case c >= codeUint8 && c <= codeUint64:
		return Value{Kind: KindUint, Uint: bigEndian(b[1:])}
	case c >= codeInt8 && c <= codeInt64 || c >= 0xe0:
		if v := signed(b); v < 0 {
			return Value{Kind: KindInt, Uint: uint64(v)}
		}
		return Value{Kind: KindUint, Uint: uint64(signed(b))}
	default:
		return Value{}
	}
}
