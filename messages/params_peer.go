package messages

import "github.com/the-block/bursar/messages/internal/pack"

// FormVotersMax is the most voters that node.form may name.
const FormVotersMax = 64

// Hello is what both sides of a connection between nodes say first.
type Hello struct {
	// Cluster is the cluster's id; empty before there is one.
	Cluster string `msgpack:"cluster"`
	Node    NodeID `msgpack:"node"`
	// Boot tells one start of the node from the next.
	Boot uint64 `msgpack:"boot"`
	// Protocol and ProtocolMin are the newest and the oldest protocol it speaks.
	Protocol    uint64 `msgpack:"protocol"`
	ProtocolMin uint64 `msgpack:"protocol_min"`
	// Version is the program's, for people.
	Version string `msgpack:"version"`
}

func (h *Hello) decodeField(d *pack.Decoder, name []byte) bool {
	switch string(name) {
	case "cluster":
		h.Cluster = d.Text()
	case "node":
		h.Node = NodeID(d.Text())
	case "boot":
		h.Boot = d.Uint()
	case "protocol":
		h.Protocol = d.Uint()
	case "protocol_min":
		h.ProtocolMin = d.Uint()
	case "version":
		h.Version = d.Text()
	default:
		return false
	}
	return true
}

func (h *Hello) appendFields(obj *object) {
	obj.text("cluster", h.Cluster)
	obj.text("node", string(h.Node))
	obj.uint("boot", h.Boot)
	obj.uint("protocol", h.Protocol)
	obj.uint("protocol_min", h.ProtocolMin)
	obj.text("version", h.Version)
}

// HelloParams are the parameters of node.hello.
type HelloParams struct {
	Options
	Hello
}

func (p *HelloParams) decodeField(d *pack.Decoder, name []byte) bool {
	return p.Hello.decodeField(d, name)
}
func (p *HelloParams) appendFields(obj *object) { p.Hello.appendFields(obj) }

// NodeProposeParams are the parameters of node.propose.
type NodeProposeParams struct {
	Options
	Entry []byte
}

func (p *NodeProposeParams) decodeField(d *pack.Decoder, name []byte) bool {
	return decodeBinaryField(d, name, "entry", &p.Entry)
}
func (p *NodeProposeParams) appendFields(obj *object) { obj.binary("entry", p.Entry) }

// NodeTellParams are the parameters of node.tell.
type NodeTellParams struct {
	Options
	Batch []byte
}

func (p *NodeTellParams) decodeField(d *pack.Decoder, name []byte) bool {
	return decodeBinaryField(d, name, "batch", &p.Batch)
}
func (p *NodeTellParams) appendFields(obj *object) { obj.binary("batch", p.Batch) }

func decodeBinaryField(d *pack.Decoder, name []byte, want string, to *[]byte) bool {
	if string(name) != want {
		return false
	}
	*to = d.Binary()
	return true
}

// NodeCallParams are the parameters of node.call. The caller's request id and what is
// left of its deadline are the Options.
type NodeCallParams struct {
	Options
	// Method is the name of a method in PublicTable, Params its parameters as a map.
	Method string
	Params []byte
	// Stamped says that the request id was made up where the call arrived.
	Stamped bool
	// Roles are what the caller may do, Addr is where it is, host:port.
	Roles Role
	Addr  string
}

func (p *NodeCallParams) decodeField(d *pack.Decoder, name []byte) bool {
	switch string(name) {
	case "method":
		p.Method = d.Text()
	case "params":
		p.Params = d.Binary()
	case "stamped":
		p.Stamped = d.Bool()
	case "roles":
		p.Roles = decodeRoles(d)
	case "addr":
		p.Addr = d.Text()
	default:
		return false
	}
	return true
}

func decodeRoles(d *pack.Decoder) Role {
	v := d.Uint()
	if v > uint64(RolesAll) {
		d.Refuse("%d names no roles", v)
		return 0
	}
	return Role(v)
}

func (p *NodeCallParams) appendFields(obj *object) {
	obj.text("method", p.Method)
	obj.binary("params", p.Params)
	obj.optBool("stamped", p.Stamped)
	obj.optUint("roles", uint64(p.Roles))
	obj.optText("addr", p.Addr)
}

// changes reports whether the call that is carried changes something; one that is not
// in the table may.
func (p *NodeCallParams) changes() bool {
	m := methods.ByName(p.Method)
	return m == nil || m.Mutates
}

// FormVoter is a voter of a cluster to be formed.
type FormVoter struct {
	Node NodeID
	// Addr is its Raft address, host:port.
	Addr string
}

// NodeFormParams are the parameters of node.form.
type NodeFormParams struct {
	Options
	// Cluster is the new cluster's id, Initiator who forms it.
	Cluster   string
	Initiator NodeID
	// Voters are all of them, at most FormVotersMax.
	Voters []FormVoter
}

func (p *NodeFormParams) decodeField(d *pack.Decoder, name []byte) bool {
	switch string(name) {
	case "cluster":
		p.Cluster = d.Text()
	case "initiator":
		p.Initiator = NodeID(d.Text())
	case "voters":
		p.Voters = decodeVoters(d)
	default:
		return false
	}
	return true
}

func decodeVoters(d *pack.Decoder) []FormVoter {
	n := d.List()
	if n > FormVotersMax {
		d.Refuse("%d voters are more than %d", n, FormVotersMax)
		return nil
	}
	voters := make([]FormVoter, 0, n)
	for d.Next() {
		voters = append(voters, decodeVoter(d))
	}
	return voters
}

func decodeVoter(d *pack.Decoder) (v FormVoter) {
	d.Map()
	for d.Next() {
		switch string(d.Key()) {
		case "node":
			v.Node = NodeID(d.Text())
		case "addr":
			v.Addr = d.Text()
		default:
			d.Skip()
		}
	}
	return v
}

func (p *NodeFormParams) appendFields(obj *object) {
	obj.text("cluster", p.Cluster)
	obj.text("initiator", string(p.Initiator))
	obj.key("voters")
	obj.b = pack.AppendArray(obj.b, len(p.Voters))
	for _, v := range p.Voters {
		voter := openObject(obj.b)
		voter.text("node", string(v.Node))
		voter.text("addr", v.Addr)
		obj.b = voter.close()
	}
}
