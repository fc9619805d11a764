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
	// Params and Result are described by the structs themselves.
	Params []Field
	Result []Field
	// Errors are the codes it may answer with beside the general ones (CommonErrors).
	Errors []Code

	newParams func() Params
	newResult func() Result
	index     int
	records   bool // a call is about one record
}

// CommonErrors are the codes that any method may answer with.
func CommonErrors() []Code {
	return []Code{CodeParse, CodeInvalidRequest, CodeMethodNotFound, CodeInvalidParams, CodeInternal,
		CodeValidationFailed, CodeUnauthorized, CodeOverloaded, CodeUnavailable, CodeCircuitOpen}
}

// changeErrors are those that whatever changes something adds.
var changeErrors = []Code{CodeRequestIDConflict, CodeOutcomeUnknown}

// method is an entry for a method with these parameters and this result.
func method[P, R any, PP interface {
	*P
	Params
}, PR interface {
	*R
	message
}](name, summary string) *Method {
	return &Method{
		Name: name, Summary: summary,
		Params: describe(PP(new(P))), Result: describe(PR(new(R))),
		newParams: func() Params { return PP(new(P)) },
		newResult: func() Result { return PR(new(R)) },
	}
}

// reads is a method that changes nothing.
func reads[P, R any, PP interface {
	*P
	Params
}, PR interface {
	*R
	message
}](name, summary string, errors ...Code) *Method {
	m := method[P, R, PP, PR](name, summary)
	m.Who, m.Errors = Reader, errors
	return m
}

// changes is a method that changes something.
func changes[P, R any, PP interface {
	*P
	Params
}, PR interface {
	*R
	message
}](who Role, name, summary string, errors ...Code) *Method {
	m := method[P, R, PP, PR](name, summary)
	m.Who, m.Mutates, m.Errors = who, true, append(errors, changeErrors...)
	_, m.records = m.newParams().(recorded)
	return m
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

// Form says which way parameters came.
type Form byte

// The forms. JSON allows unsigned integers as decimal strings, and binary in hex.
// Relayed is MessagePack from a node that has judged the call: it may be newer, and
// fields that this one does not know are ignored.
const (
	Msgpack Form = iota
	JSON
	Relayed
)

// Decoder is what decoding needs; it may be used again.
type Decoder struct {
	in input
	f  fields
}

// Pack reads bytes that are not described here.
func (d *Decoder) Pack() *pack.Decoder { return &d.in.Decoder }

// Decode reads the method's parameters from a MessagePack map. Unknown fields are
// ignored where the method reads and refused where it changes something. The error is
// invalid_params for what is missing, unknown, there twice or of the wrong type,
// validation_failed for what is out of range; its message names the path.
func (m *Method) Decode(b []byte, form Form) (Params, *Error) {
	return m.DecodeWith(new(Decoder), b, form)
}

// DecodeWith is Decode with a decoder of the caller's, for those that decode a lot.
func (m *Method) DecodeWith(d *Decoder, b []byte, form Form) (Params, *Error) {
	return m.decode(d, b, form, m.Mutates && m.Who != 0 && form != Relayed)
}

// Ignored tells the first field that a method which only reads passes over without a word;
// nil if there is none.
func (m *Method) Ignored(b []byte, form Form) *Error {
	_, err := m.decode(new(Decoder), b, form, true)
	return err
}

func (m *Method) decode(d *Decoder, b []byte, form Form, strict bool) (Params, *Error) {
	p := m.newParams()
	d.in.Reset(b, "params", form == JSON)
	d.f = fields{mode: decoding, in: &d.in, judge: true, strict: strict}
	if d.f.strict {
		d.in.KeepNil()
	}
	d.in.Map()
	d.f.entries(p, p.Shared())
	if f := d.in.Fault(); f != nil {
		return nil, faultError(f)
	}
	return p, nil
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
		// The copy keeps scratch on the stack.
		b = appendMessage(append([]byte(nil), b...), p)
	}
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

// Record names what a change is about, among everything that changes.
type Record struct {
	kind string
	id   uint64
	name string
}

// recorded are the parameters of changes that are about one record.
type recorded interface{ record() Record }

// Record is what a call is about, if it changes something that is there. Changes of one
// record that one connection makes are decided in the order in which they came.
func (m *Method) Record(p Params) (r Record, ok bool) {
	if !m.records {
		return Record{}, false
	}
	return p.(recorded).record(), true
}

func (p *IDParams) record() Record         { return disbursementRecord(p.ID) }
func (p *VoteParams) record() Record       { return disbursementRecord(p.ID) }
func (p *RollbackParams) record() Record   { return disbursementRecord(p.ID) }
func (p *SkipIntentParams) record() Record { return disbursementRecord(p.ID) }
func (p *PathParams) record() Record       { return Record{kind: "actor", name: p.Path} }
func (p *DrainParams) record() Record      { return Record{kind: "node", name: p.Node} }

func disbursementRecord(id DisbursementID) Record {
	return Record{kind: "disbursement", id: uint64(id)}
}
