package messages

import "github.com/the-block/bursar/messages/internal/pack"

// object appends a map whose entries are counted as they are written. Its header
// takes one byte up to 15 entries and is widened at the end where there are more.
type object struct {
	b     []byte
	start int
	n     int
}

func openObject(b []byte) object { return object{b: append(b, 0), start: len(b)} }

func (o *object) key(name string) {
	o.b = pack.AppendString(o.b, name)
	o.n++
}

func (o *object) uint(name string, v uint64) {
	o.key(name)
	o.b = pack.AppendUint(o.b, v)
}

func (o *object) text(name, v string) {
	o.key(name)
	o.b = pack.AppendString(o.b, v)
}

func (o *object) binary(name string, v []byte) {
	o.key(name)
	o.b = pack.AppendBinary(o.b, v)
}

func (o *object) bool(name string, v bool) {
	o.key(name)
	o.b = pack.AppendBool(o.b, v)
}

// optUint, optText and optBool leave out a zero value: absent means the same.
func (o *object) optUint(name string, v uint64) {
	if v != 0 {
		o.uint(name, v)
	}
}

func (o *object) optText(name, v string) {
	if v != "" {
		o.text(name, v)
	}
}

func (o *object) optBool(name string, v bool) {
	if v {
		o.bool(name, v)
	}
}

func (o *object) ids(name string, ids []DisbursementID) {
	o.key(name)
	o.b = appendIDs(o.b, ids)
}

// close writes the header and returns the bytes.
func (o *object) close() []byte {
	if o.n < 1<<4 {
		o.b[o.start] = 0x80 | byte(o.n)
		return o.b
	}
	body := append([]byte(nil), o.b[o.start+1:]...)
	return append(pack.AppendMap(o.b[:o.start], o.n), body...)
}

func appendIDs(b []byte, ids []DisbursementID) []byte {
	b = pack.AppendArray(b, len(ids))
	for _, id := range ids {
		b = pack.AppendUint(b, uint64(id))
	}
	return b
}
