package messages

import (
	"slices"

	"github.com/the-block/bursar/messages/internal/pack"
)

// AppendMsgpack appends the error as {code, name, message, data?}.
func (e *Error) AppendMsgpack(b []byte) []byte { return appendMessage(b, e) }

func (e *Error) fields(f *fields) {
	code, name := int64(e.Code), e.Code.String()
	f.int("code", &code, "")
	f.text("name", &name, "")
	f.text("message", &e.Message, "")
	e.Code = Code(code)
	switch {
	case f.mode == decoding && f.here("data"):
		e.Data = decodeData(&f.in.Decoder)
	case f.mode == appending && len(e.Data) > 0:
		f.writes("data", false)
		f.b = appendData(f.b, e.Data)
	}
}

// appendData writes the facts in the order of their names.
func appendData(b []byte, data map[string]any) []byte {
	keys := make([]string, 0, len(data))
	for k := range data {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	b = pack.AppendMap(b, len(keys))
	for _, k := range keys {
		b = pack.AppendString(b, k)
		b = appendFact(b, data[k])
	}
	return b
}

// appendFact writes one of the kinds that Error.Data documents; any other is nil.
func appendFact(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return pack.AppendString(b, v)
	case bool:
		return pack.AppendBool(b, v)
	case int:
		return pack.AppendInt(b, int64(v))
	case int64:
		return pack.AppendInt(b, v)
	case uint64:
		return pack.AppendUint(b, v)
	case DisbursementID:
		return pack.AppendUint(b, uint64(v))
	case Epoch:
		return pack.AppendUint(b, uint64(v))
	case Amount:
		return pack.AppendUint(b, uint64(v))
	case []string:
		return appendFacts(b, v)
	case []uint64:
		return appendFacts(b, v)
	case []DisbursementID:
		return appendFacts(b, v)
	case []any:
		return appendFacts(b, v)
	default:
		return pack.AppendNil(b)
	}
}

func appendFacts[T any](b []byte, list []T) []byte {
	b = pack.AppendArray(b, len(list))
	for _, v := range list {
		b = appendFact(b, v)
	}
	return b
}

// factsMax bounds what a client takes from an error's data.
const factsMax = 1_000

// DecodeError reads what AppendMsgpack wrote. A list of facts comes back as []any
// with strings, uint64, int64 and booleans.
func DecodeError(b []byte) (*Error, error) {
	e := &Error{}
	if f := decodeWhole(b, "error", e, false); f != nil {
		return nil, f
	}
	return e, nil
}

func decodeData(d *pack.Decoder) map[string]any {
	if d.Map() > factsMax {
		d.Reject("too many facts")
	}
	data := make(map[string]any)
	for d.Next() {
		key := string(d.Key())
		data[key] = decodeFact(d, true)
	}
	return data
}

// decodeFact reads one fact; a list within a list is passed over.
func decodeFact(d *pack.Decoder, lists bool) any {
	switch d.Kind() {
	case "a string":
		return d.Text()
	case "a boolean":
		return d.Bool()
	case "an integer":
		return decodeNumber(d)
	case "a list":
		if lists {
			return decodeFacts(d)
		}
	}
	d.Skip()
	return nil
}

func decodeFacts(d *pack.Decoder) []any {
	if d.List() > factsMax {
		d.Reject("too many facts")
	}
	var list []any
	for d.Next() {
		list = append(list, decodeFact(d, false))
	}
	return list
}

func decodeNumber(d *pack.Decoder) any {
	if d.Negative() {
		return d.Int()
	}
	return d.Uint()
}
