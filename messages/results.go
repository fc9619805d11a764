package messages

import "github.com/the-block/bursar/messages/internal/pack"

// Result is a method's answer: a pointer to one of this package's ...Result structs,
// or Raw.
type Result any

// Raw is a result that is already encoded: one MessagePack value.
type Raw []byte

// AppendResult appends a result's bytes on the wire.
func AppendResult(b []byte, r Result) ([]byte, error) {
	switch r := r.(type) {
	case *SubmitDisbursementResult:
		return r.AppendMsgpack(b), nil
	case Raw:
		return append(b, r...), nil
	case message:
		return appendMessage(b, r), nil
	default:
		return b, Errorf(CodeInternal, "%T is no result", r)
	}
}

// DecodeResult reads a result into the struct r points to. It trusts no declared
// length: what it builds is bounded by the bytes of b. Fields that it does not know are
// ignored.
func DecodeResult(b []byte, r Result) error {
	m, ok := r.(message)
	if !ok {
		return Errorf(CodeInternal, "%T is no result", r)
	}
	if f := decodeWhole(b, "result", m, false); f != nil {
		return f
	}
	return nil
}

// decodeWhole reads a message that stands alone; judge holds it against its bounds.
func decodeWhole(b []byte, root string, m message, judge bool) *pack.Fault {
	d := new(Decoder)
	d.in.Reset(b, root, false)
	d.f = fields{mode: decoding, in: &d.in, judge: judge}
	d.in.Map()
	d.f.entries(m, nil)
	return d.in.Fault()
}
