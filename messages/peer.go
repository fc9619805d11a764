package messages

// The names of the methods between nodes.
const (
	MethodNodeHello     = "node.hello"
	MethodNodePing      = "node.ping"
	MethodNodePropose   = "node.propose"
	MethodNodeReadIndex = "node.read_index"
	MethodNodeCall      = "node.call"
	MethodNodeForm      = "node.form"
)

// MethodActorsSend is carried by node.call like a caller's method; no caller can make it.
const MethodActorsSend = "actors.send"

// PeerTable holds the methods between nodes, which no caller sees. Roles do not apply:
// who may speak is settled when a connection begins. Fields that a node does not know
// are ignored: the other one may be newer.
func PeerTable() *Table { return peerMethods }

var peerMethods = register([]*Method{
	method[HelloParams, Hello](MethodNodeHello,
		"Who speaks, and in which protocol: the first call of a connection, answered with the same."),
	method[NoParams, NodePingResult](MethodNodePing, "How the answering node is."),
	changing(method[NodeProposeParams, NodeProposeResult](MethodNodePropose,
		"Has the leader append an entry to the log; answers when it is applied.")),
	method[NoParams, NodeReadIndexResult](MethodNodeReadIndex,
		"An index, confirmed by a majority now, that no finished call is beyond."),
	changing(method[NodeCallParams, NodeCallResult](MethodNodeCall,
		"A caller's call on its way to the owner; it was judged where it arrived.")),
	changing(method[NodeFormParams, NodeFormResult](MethodNodeForm,
		"Asks for the promise, given once and for good, to be a voter of a new cluster.")),
})

// CarriedTable holds what node.call carries: the methods of callers, each at its Index,
// and after them those that only nodes make.
func CarriedTable() *Table { return carried }

var carried = register(methods.list, []*Method{
	changing(method[SendParams, SendResult](MethodActorsSend,
		"A message to an actor of a kind that the nodes' program has brought along.")),
})

func changing(m *Method) *Method {
	m.Mutates = true
	return m
}

// FormVotersMax is the most voters that node.form may name.
const FormVotersMax = 64

// Hello is what both sides of a connection between nodes say first.
type Hello struct {
	// Cluster is the cluster's id; empty before there is one.
	Cluster string
	Node    NodeID
	// Boot tells one start of the node from the next.
	Boot uint64
	// Protocol and ProtocolMin are the newest and the oldest protocol it speaks.
	Protocol    uint64
	ProtocolMin uint64
	// Version is the program's, for people.
	Version string
}

func (h *Hello) fields(f *fields) {
	f.must().text("cluster", &h.Cluster, "The cluster's id; empty before there is one.")
	f.must().text("node", (*string)(&h.Node), "The node's name.")
	f.must().uint("boot", &h.Boot, "Its start's number.")
	f.must().uint("protocol", &h.Protocol, "The newest protocol it speaks.")
	f.must().uint("protocol_min", &h.ProtocolMin, "The oldest one.")
	f.must().text("version", &h.Version, "Its program's version.")
}

// HelloParams are the parameters of node.hello.
type HelloParams struct {
	Options
	Hello
}

func (p *HelloParams) fields(f *fields) { p.Hello.fields(f) }

// NodePingResult answers node.ping.
type NodePingResult struct {
	// UnixMS is the wall clock in milliseconds.
	UnixMS uint64
	// Boot tells one start of the node from the next, Life one directory from another.
	Boot   uint64
	Life   string
	Voting bool
	// Misbound says that it is configured to pay otherwise than the treasury is bound to.
	Misbound bool
	// AppliedIndex is what it has applied, LastIndex where its log ends.
	AppliedIndex uint64
	LastIndex    uint64
	// Leader is whom it follows, empty while there is none, Term is Raft's.
	Leader NodeID
	Term   uint64
	// Sums are checksums of its state, persistence's Checkpoints.
	Sums []byte
}

func (r *NodePingResult) fields(f *fields) {
	f.uint("unix_ms", &r.UnixMS, "Its wall clock, in milliseconds.")
	f.uint("boot", &r.Boot, "Its start's number.")
	f.text("life", &r.Life, "Its directory's id.")
	f.bool("voting", &r.Voting, "Whether it votes.")
	f.bool("misbound", &r.Misbound, "Whether it is configured to pay otherwise than the treasury is bound to.")
	f.uint("applied_index", &r.AppliedIndex, "Index of the log that it has applied.")
	f.uint("last_index", &r.LastIndex, "Last index of its log.")
	f.text("leader", (*string)(&r.Leader), "The leader it follows; empty while there is none.")
	f.uint("term", &r.Term, "Raft's term.")
	f.binary("sums", &r.Sums, "Checksums of its state: index 8 and sum 8 of each, the newest first.")
}

// NodeProposeParams are the parameters of node.propose.
type NodeProposeParams struct {
	Options
	Entry []byte
}

func (p *NodeProposeParams) fields(f *fields) {
	f.must().binary("entry", &p.Entry, "The entry; at most 8 MiB.")
}

// NodeProposeResult answers node.propose.
type NodeProposeResult struct {
	Index   uint64
	Results []byte
}

func (r *NodeProposeResult) fields(f *fields) {
	f.uint("index", &r.Index, "Where it stands in the log.")
	f.binary("results", &r.Results, "What applying it gave.")
}

// NodeReadIndexResult answers node.read_index.
type NodeReadIndexResult struct {
	Index uint64
}

func (r *NodeReadIndexResult) fields(f *fields) { f.uint("index", &r.Index, "The index.") }

// NodeCallParams are the parameters of node.call. The caller's request id and what is
// left of its deadline are the Options.
type NodeCallParams struct {
	Options
	// Method is the name of a method in CarriedTable, Params its parameters as a map.
	Method string
	Params []byte
	// Stamped says that the request id was made up where the call arrived.
	Stamped bool
	// Roles are what the caller may do, Addr is where it is, host:port, Name is the one in
	// its certificate.
	Roles Role
	Addr  string
	Name  string
	// Signed is the operator's signature, nil where there is none.
	Signed *Signed
}

func (p *NodeCallParams) fields(f *fields) {
	f.must().text("method", &p.Method, "One of the methods for callers.")
	f.must().binary("params", &p.Params, "Its parameters, a map, without request_id and deadline_ms.")
	f.may("false").bool("stamped", &p.Stamped, "The request_id was made up where the call arrived.")
	roles := uint64(p.Roles)
	f.may("0").uint("roles", &roles, "What the caller may do: 1 reader, 2 submitter, 4 voter, 8 operator, 16 admin, added up.").max(uint64(RolesAll))
	p.Roles = Role(roles)
	f.may("").text("addr", &p.Addr, "The caller's address, host:port.")
	f.may("").text("name", &p.Name, "The name in the caller's certificate.")
	optional(f.may("none"), "signed", &p.Signed, func() *Signed { return new(Signed) }, "The operator's signature under the call.")
}

// changes reports whether the call that is carried changes something; one that is not
// in the table may.
func (p *NodeCallParams) changes() bool {
	m := carried.ByName(p.Method)
	return m == nil || m.Mutates
}

// NodeCallResult answers node.call.
type NodeCallResult struct {
	// Result is the encoded result of the call that was carried.
	Result []byte
}

func (r *NodeCallResult) fields(f *fields) { f.binary("result", &r.Result, "The method's result.") }

// FormVoter is a voter of a cluster to be formed.
type FormVoter struct {
	Node NodeID
	// Addr is its Raft address, host:port.
	Addr string
}

func (v *FormVoter) fields(f *fields) {
	f.text("node", (*string)(&v.Node), "A voter's name.")
	f.text("addr", &v.Addr, "Its Raft address, host:port.")
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

func (p *NodeFormParams) fields(f *fields) {
	f.must().text("cluster", &p.Cluster, "The new cluster's id.")
	f.must().text("initiator", (*string)(&p.Initiator), "Who forms it.")
	objects(f.must(), "voters", &p.Voters, FormVotersMax, "All of them.")
}

// NodeFormResult answers node.form.
type NodeFormResult struct {
	// Life is the id of the directory that holds the promise.
	Life string
}

func (r *NodeFormResult) fields(f *fields) {
	f.text("life", &r.Life, "The id of the directory that holds the promise.")
}

// SendParams are the parameters of actors.send.
type SendParams struct {
	Options
	Kind    string
	Key     string
	Tell    bool
	Message []byte
}

func (p *SendParams) fields(f *fields) {
	f.must().text("kind", &p.Kind, "The actor's kind.")
	f.must().text("key", &p.Key, "Which of them.")
	f.may("false").bool("tell", &p.Tell, "Answer once the actor's mailbox has the message; otherwise the actor answers.")
	f.must().binary("message", &p.Message, "The message, as the kind's codec writes it.")
}

// SendResult answers actors.send.
type SendResult struct {
	Reply []byte
}

func (r *SendResult) fields(f *fields) {
	f.binary("reply", &r.Reply, "The actor's answer, as the kind's codec writes it; empty to a tell.")
}
