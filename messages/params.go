package messages

import "github.com/the-block/bursar/messages/internal/pack"

// Consistency says how fresh a read's answer must be.
type Consistency byte

// The two consistencies. The zero value is the default.
const (
	// Linearizable: whatever answers has applied an index confirmed with the leader
	// after the call arrived.
	Linearizable Consistency = iota
	// Local: the node's own state, which may lag; answers without quorum too.
	Local
)

// String gives the wire's word.
func (c Consistency) String() string {
	if c == Local {
		return "local"
	}
	return "linearizable"
}

// Options are the parameters that every method takes.
type Options struct {
	// RequestID makes a repeat harmless; at most RequestIDMax bytes.
	RequestID string
	// DeadlineMS is how long the caller waits. A decoder fills in the default and
	// the bound; an encoder leaves out 0.
	DeadlineMS uint64
	// Consistency is for reads.
	Consistency Consistency
}

// Shared gives access to the options embedded in any Params.
func (o *Options) Shared() *Options { return o }

// field decodes the option with the given name, or reports false.
func (o *Options) field(d *pack.Decoder, name []byte) bool {
	switch string(name) {
	case "request_id":
		if o.RequestID = d.Text(); len(o.RequestID) > RequestIDMax {
			d.Refuse("%d bytes are more than %d", len(o.RequestID), RequestIDMax)
		}
	case "deadline_ms":
		o.DeadlineMS = d.Uint()
	case "consistency":
		o.Consistency = decodeConsistency(d)
	default:
		return false
	}
	return true
}

func decodeConsistency(d *pack.Decoder) Consistency {
	switch word := d.Text(); word {
	case Linearizable.String():
		return Linearizable
	case Local.String():
		return Local
	default:
		d.Refuse("want \"linearizable\" or \"local\"")
		return Linearizable
	}
}

// settle fills in the deadline's default and bound.
func (o *Options) settle() {
	if o.DeadlineMS == 0 {
		o.DeadlineMS = DefaultDeadlineMS
	}
	o.DeadlineMS = min(o.DeadlineMS, DeadlineMSMax)
}

func (o *Options) append(obj *object) {
	obj.optText("request_id", o.RequestID)
	obj.optUint("deadline_ms", o.DeadlineMS)
	if o.Consistency == Local {
		obj.text("consistency", Local.String())
	}
}

// Params are the decoded parameters of one call: a pointer to one of this
// package's ...Params structs, as the method's entry in the table says.
type Params interface {
	// Shared returns the options, which every params struct embeds.
	Shared() *Options
	// decodeField decodes the value of the named parameter, or reports false and
	// leaves it unread.
	decodeField(d *pack.Decoder, name []byte) bool
	// appendFields writes the parameters without the options, always in the same
	// order and form: equal parameters are equal bytes.
	appendFields(obj *object)
}

// AppendParams appends p as a MessagePack map.
func AppendParams(b []byte, p Params) []byte { return AppendParamsWith(b, p, *p.Shared()) }

// AppendParamsWith appends p with these options in place of its own.
func AppendParamsWith(b []byte, p Params, opts Options) []byte {
	obj := openObject(b)
	opts.append(&obj)
	p.appendFields(&obj)
	return obj.close()
}

// NoParams is for methods that take nothing but the options.
type NoParams struct{ Options }

func (*NoParams) decodeField(*pack.Decoder, []byte) bool { return false }
func (*NoParams) appendFields(*object)                   {}

// IDParams is for methods about one disbursement: get_disbursement, statement,
// queue_disbursement, execute_disbursement.
type IDParams struct {
	Options
	ID DisbursementID
}

func (p *IDParams) decodeField(d *pack.Decoder, name []byte) bool {
	if string(name) != "id" {
		return false
	}
	p.ID = DisbursementID(d.Uint())
	return true
}

func (p *IDParams) appendFields(obj *object) { obj.uint("id", uint64(p.ID)) }

// Cursor says where a page of a list begins: the next_cursor of the page before.
// 0 is the first page, and as next_cursor (nil on the wire) that there is none.
type Cursor uint64

// Page is the part of a list that a call asks for. The decoder has filled in
// Limit's default and bound.
type Page struct {
	Cursor Cursor
	Limit  uint64
}

func (p *Page) decodeField(d *pack.Decoder, name []byte) bool {
	switch string(name) {
	case "cursor":
		p.Cursor = Cursor(d.Uint())
	case "limit":
		p.Limit = d.Uint()
	default:
		return false
	}
	return true
}

func (p *Page) appendFields(obj *object) {
	obj.optUint("cursor", uint64(p.Cursor))
	obj.optUint("limit", p.Limit)
}

// settlePage fills in the default and the bound.
func (p *Page) settlePage() {
	if p.Limit == 0 {
		p.Limit = DefaultLimit
	}
	p.Limit = min(p.Limit, LimitMax)
}

// settleIDs is settlePage for a list of bare ids.
func (p *Page) settleIDs() {
	if p.Limit == 0 {
		p.Limit = IDsPerReply
	}
	p.Limit = min(p.Limit, IDsPerReply)
}

// PageParams is for lists without a filter, such as balance_history.
type PageParams struct {
	Options
	Page
}

func (p *PageParams) decodeField(d *pack.Decoder, name []byte) bool {
	return p.Page.decodeField(d, name)
}
func (p *PageParams) appendFields(obj *object) { p.Page.appendFields(obj) }

// ReadyParams are the parameters of ready.
type ReadyParams struct{ PageParams }

func (p *ReadyParams) settlePage() { p.settleIDs() }

// decodeIDs reads a list of ids, as many as a message can hold.
func decodeIDs(d *pack.Decoder) (ids []DisbursementID) {
	if n := d.List(); n > 0 {
		ids = make([]DisbursementID, 0, n)
	}
	for d.Next() {
		ids = append(ids, DisbursementID(d.Uint()))
	}
	return ids
}
