package messages

import (
	"bytes"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/the-block/bursar/messages/internal/pack"
)

// AppendResult appends a result's bytes on the wire.
func AppendResult(b []byte, r Result) ([]byte, error) {
	if r, ok := r.(appender); ok {
		return r.AppendMsgpack(b), nil
	}
	w := bytes.NewBuffer(b)
	enc := msgpack.NewEncoder(w)
	enc.UseCompactInts(true)
	if err := enc.Encode(r); err != nil {
		return b, err
	}
	return w.Bytes(), nil
}

// DecodeResult reads a result into the struct r points to. It trusts no declared
// length: what it builds is bounded by the bytes of b and the wire's limits.
func DecodeResult(b []byte, r Result) error {
	own, ok := r.(interface{ decode(d *pack.Decoder) })
	if !ok {
		return decodeByTags(b, r)
	}
	var d pack.Decoder
	d.Reset(b, "result", false)
	own.decode(&d)
	if f := d.Fault(); f != nil {
		return f
	}
	return nil
}

// decodeByTags scans before it lets the reflecting decoder allocate what the bytes
// declare.
func decodeByTags(b []byte, r Result) error {
	var s pack.Scanner
	if n, v := s.Scan(b, WireLimits); v != pack.Complete || n != len(b) {
		return Errorf(CodeParse, "result: %s", v)
	}
	return msgpack.Unmarshal(b, r)
}
