package messages

import "github.com/the-block/bursar/messages/internal/pack"

// Raw is a result that is already encoded: one MessagePack value.
type Raw []byte

// AppendMsgpack appends it as it is.
func (r Raw) AppendMsgpack(b []byte) []byte { return append(b, r...) }

// AppendMsgpack appends the answer to node.hello.
func (h *Hello) AppendMsgpack(b []byte) []byte {
	obj := openObject(b)
	h.appendFields(&obj)
	return obj.close()
}

func (h *Hello) decode(d *pack.Decoder) {
	d.Map()
	for d.Next() {
		if !h.decodeField(d, d.Key()) {
			d.Skip()
		}
	}
}

// NodePingResult answers node.ping.
type NodePingResult struct {
	// UnixMS is the wall clock in milliseconds.
	UnixMS uint64 `msgpack:"unix_ms"`
	// Boot tells one start of the node from the next, Life one directory from another.
	Boot   uint64 `msgpack:"boot"`
	Life   string `msgpack:"life"`
	Voting bool   `msgpack:"voting"`
	// AppliedIndex is what it has applied, LastIndex where its log ends.
	AppliedIndex uint64 `msgpack:"applied_index"`
	LastIndex    uint64 `msgpack:"last_index"`
	// Leader is whom it follows, empty while there is none, Term is Raft's.
	Leader NodeID `msgpack:"leader"`
	Term   uint64 `msgpack:"term"`
}

// AppendMsgpack appends the answer to node.ping.
func (r *NodePingResult) AppendMsgpack(b []byte) []byte {
	obj := openObject(b)
	obj.uint("unix_ms", r.UnixMS)
	obj.uint("boot", r.Boot)
	obj.text("life", r.Life)
	obj.bool("voting", r.Voting)
	obj.uint("applied_index", r.AppliedIndex)
	obj.uint("last_index", r.LastIndex)
	obj.text("leader", string(r.Leader))
	obj.uint("term", r.Term)
	return obj.close()
}

func (r *NodePingResult) decode(d *pack.Decoder) {
	d.Map()
	for d.Next() {
		switch string(d.Key()) {
		case "unix_ms":
			r.UnixMS = d.Uint()
		case "boot":
			r.Boot = d.Uint()
		case "life":
			r.Life = d.Text()
		case "voting":
			r.Voting = d.Bool()
		case "applied_index":
			r.AppliedIndex = d.Uint()
		case "last_index":
			r.LastIndex = d.Uint()
		case "leader":
			r.Leader = NodeID(d.Text())
		case "term":
			r.Term = d.Uint()
		default:
			d.Skip()
		}
	}
}

// NodeProposeResult answers node.propose.
type NodeProposeResult struct {
	Index   uint64 `msgpack:"index"`
	Results []byte `msgpack:"results"`
}

// AppendMsgpack appends the answer to node.propose.
func (r *NodeProposeResult) AppendMsgpack(b []byte) []byte {
	obj := openObject(b)
	obj.uint("index", r.Index)
	obj.binary("results", r.Results)
	return obj.close()
}

func (r *NodeProposeResult) decode(d *pack.Decoder) {
	d.Map()
	for d.Next() {
		switch string(d.Key()) {
		case "index":
			r.Index = d.Uint()
		case "results":
			r.Results = d.Binary()
		default:
			d.Skip()
		}
	}
}

// NodeReadIndexResult answers node.read_index.
type NodeReadIndexResult struct {
	Index uint64 `msgpack:"index"`
}

// AppendMsgpack appends the answer to node.read_index.
func (r *NodeReadIndexResult) AppendMsgpack(b []byte) []byte {
	obj := openObject(b)
	obj.uint("index", r.Index)
	return obj.close()
}

func (r *NodeReadIndexResult) decode(d *pack.Decoder) {
	decodeOne(d, "index", (*pack.Decoder).Uint, &r.Index)
}

// NodeCallResult answers node.call.
type NodeCallResult struct {
	// Result is the encoded result of the call that was carried.
	Result []byte `msgpack:"result"`
}

// AppendMsgpack appends the answer to node.call.
func (r *NodeCallResult) AppendMsgpack(b []byte) []byte {
	obj := openObject(b)
	obj.binary("result", r.Result)
	return obj.close()
}

func (r *NodeCallResult) decode(d *pack.Decoder) {
	decodeOne(d, "result", (*pack.Decoder).Binary, &r.Result)
}

// NodeFormResult answers node.form.
type NodeFormResult struct {
	// Life is the id of the directory that holds the promise.
	Life string `msgpack:"life"`
}

// AppendMsgpack appends the answer to node.form.
func (r *NodeFormResult) AppendMsgpack(b []byte) []byte {
	obj := openObject(b)
	obj.text("life", r.Life)
	return obj.close()
}

func (r *NodeFormResult) decode(d *pack.Decoder) { decodeOne(d, "life", (*pack.Decoder).Text, &r.Life) }

// decodeOne reads a map of one known entry.
func decodeOne[T any](d *pack.Decoder, name string, read func(*pack.Decoder) T, to *T) {
	d.Map()
	for d.Next() {
		if string(d.Key()) == name {
			*to = read(d)
		} else {
			d.Skip()
		}
	}
}

// NoResult is what a notification is answered with: nobody is told.
type NoResult struct{}

// AppendMsgpack appends an empty map.
func (*NoResult) AppendMsgpack(b []byte) []byte { return pack.AppendMap(b, 0) }
