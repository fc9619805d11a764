package messages

import (
	"crypto/sha256"

	"github.com/the-block/bursar/messages/internal/pack"
)

// Method is one entry of a method table.
type Method struct {
	Name    string
	Summary string
	// Who may call it. Of a Submitter's methods, those that submit a payment
	// without a proposal need an Operator.
	Who Role
	// Mutates says that it changes something, and so, where callers make it, takes a
	// request_id.
	Mutates bool
	Params  []Field
	Result  []Field
	// Errors are the codes it may answer with beside the general ones (CommonErrors).
	Errors []Code

	newParams func() Params
	newResult func() Result
	index     int
}

// Index is the method's place in its Table, for counters.
func (m *Method) Index() int { return m.index }

// NewParams returns empty parameters of the method's type.
func (m *Method) NewParams() Params { return m.newParams() }

// NewResult returns an empty result of the method's type.
func (m *Method) NewResult() Result { return m.newResult() }

// Changes reports whether a call with these parameters changes something: a call that
// carries another does what that one does.
func (m *Method) Changes(p Params) bool {
	if carrier, ok := p.(interface{ changes() bool }); ok {
		return carrier.changes()
	}
	return m.Mutates
}

// Form says which wire parameters came by.
type Form byte

// The two forms. JSON allows unsigned integers as decimal strings.
const (
	Msgpack Form = iota
	JSON
)

// Decode reads the method's parameters from a MessagePack map. Unknown fields are
// ignored. The error is invalid_params for what is missing or of the wrong type,
// validation_failed for what is out of range; its message names the
// path.
func (m *Method) Decode(b []byte, form Form) (Params, *Error) {
	return m.DecodeWith(new(pack.Decoder), b, form)
}

// DecodeWith is Decode with a decoder of the caller's, for those that decode a lot.
func (m *Method) DecodeWith(d *pack.Decoder, b []byte, form Form) (Params, *Error) {
	p := m.newParams()
	opts := p.Shared()
	d.Reset(b, "params", form == JSON)
	missing := m.required()
	d.Map()
	for d.Next() {
		name := d.Key()
		if opts.field(d, name) {
			continue
		}
		if !p.decodeField(d, name) {
			d.Skip()
			continue
		}
		missing &^= m.bit(name)
	}
	if f := d.Fault(); f != nil {
		return nil, faultError(f)
	}
	if missing != 0 {
		return nil, m.missing(missing)
	}
	opts.settle()
	if paged, ok := p.(interface{ settlePage() }); ok {
		paged.settlePage()
	}
	return p, nil
}

// required has a bit for each required parameter.
func (m *Method) required() (bits uint32) {
	for i := range m.Params {
		if m.Params[i].Required {
			bits |= 1 << i
		}
	}
	return bits
}

func (m *Method) bit(name []byte) uint32 {
	for i := range m.Params {
		if m.Params[i].Name == string(name) {
			return 1 << i
		}
	}
	return 0
}

func (m *Method) missing(bits uint32) *Error {
	for i := range m.Params {
		if bits&(1<<i) != 0 {
			return Errorf(CodeInvalidParams, "params.%s: missing", m.Params[i].Name)
		}
	}
	return nil
}

// faultError turns what a decoder found into what a caller sees.
func faultError(f *pack.Fault) *Error {
	if f.Judged {
		return Errorf(CodeValidationFailed, "%s", f.Error())
	}
	return Errorf(CodeInvalidParams, "%s", f.Error())
}

// PayloadHash identifies what a call asks for: the first half of SHA-256 over the
// method's name and the canonical encoding of its decoded parameters, options left
// out. Both wires agree on it, whatever the order and form of the fields.
func (m *Method) PayloadHash(p Params) [16]byte {
	var scratch [512]byte
	b := pack.AppendString(scratch[:0], m.Name)
	if submit, ok := p.(*SubmitDisbursementParams); ok {
		b = AppendPayload(b, &submit.Payload) // by far the most calls: without an allocation
	} else {
		b = appendOwn(b, p)
	}
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

// appendOwn appends p without its options. The copy keeps PayloadHash's scratch on the
// stack.
func appendOwn(b []byte, p Params) []byte {
	obj := openObject(append([]byte(nil), b...))
	p.appendFields(&obj)
	return obj.close()
}
