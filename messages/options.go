package messages

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

var consistencies = []string{Linearizable: "linearizable", Local: "local"}

// String gives the wire's word.
func (c Consistency) String() string {
	if c == Local {
		return consistencies[Local]
	}
	return consistencies[Linearizable]
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

func (o *Options) fields(f *fields) {
	f.may("stamped at the ingress").text("request_id", &o.RequestID, "Makes a repeat harmless; not empty. Callers without a name have theirs apart from all others.").max(RequestIDMax)
	if f.got && f.judge && f.mode == decoding && o.RequestID == "" {
		f.in.Refuse("empty; leave it out, or choose an id that no other request has")
	}
	f.clamped("deadline_ms", &o.DeadlineMS, DefaultDeadlineMS, DeadlineMSMax, "How long the caller waits, in milliseconds; 0 is the default.")
	word(f.may("linearizable"), "consistency", &o.Consistency, consistencies, "`local` may lag, and answers without quorum.")
}

// AllParams lists the method's own parameters and the options that go with it.
func (m *Method) AllParams() []Field {
	var list []Field
	for _, f := range describe(new(Options)) {
		if f.Name != "request_id" && !m.Mutates || f.Name != "consistency" && m.Mutates {
			list = append(list, f)
		}
	}
	return append(append([]Field(nil), m.Params...), list...)
}

// Params are the decoded parameters of one call: a pointer to one of this
// package's ...Params structs, as the method's entry in the table says.
type Params interface {
	// Shared returns the options, which every params struct embeds.
	Shared() *Options
	// fields names the parameters without the options: equal parameters are equal
	// bytes.
	message
}

// AppendParams appends p as a MessagePack map.
func AppendParams(b []byte, p Params) []byte { return AppendParamsWith(b, p, *p.Shared()) }

// AppendParamsWith appends p with these options in place of its own.
func AppendParamsWith(b []byte, p Params, opts Options) []byte {
	f := fields{mode: appending, b: b}
	start, outer := f.open()
	opts.fields(&f)
	p.fields(&f)
	f.close(start, outer)
	return f.b
}

// NoParams is for methods that take nothing but the options.
type NoParams struct{ Options }

func (*NoParams) fields(*fields) {}

// Cursor says where a page of a list begins: the next_cursor of the page before.
// 0 is the first page, and as next_cursor (nil on the wire) that there is none.
type Cursor uint64

// Page is the part of a list that a call asks for. The decoder has filled in
// Limit's default and bound.
type Page struct {
	Cursor Cursor
	Limit  uint64
}

func (p *Page) fields(f *fields) {
	p.cursor(f)
	f.clamped("limit", &p.Limit, DefaultLimit, LimitMax, "Rows on the page.")
}

// idFields is fields for a list of bare ids.
func (p *Page) idFields(f *fields) {
	p.cursor(f)
	f.clamped("limit", &p.Limit, IDsPerReply, IDsPerReply, "Ids on the page.")
}

func (p *Page) cursor(f *fields) {
	f.may("first page").uint("cursor", (*uint64)(&p.Cursor), "The `next_cursor` of the page before.")
}

// PageParams is for lists without a filter, such as balance_history.
type PageParams struct {
	Options
	Page
}

func (p *PageParams) fields(f *fields) { p.Page.fields(f) }
