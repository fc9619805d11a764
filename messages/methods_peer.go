package messages

// The names of the methods between nodes.
const (
	MethodNodeHello     = "node.hello"
	MethodNodePing      = "node.ping"
	MethodNodePropose   = "node.propose"
	MethodNodeReadIndex = "node.read_index"
	MethodNodeCall      = "node.call"
	MethodNodeForm      = "node.form"
	MethodNodeTell      = "node.tell"
)

// PeerTable holds the methods between nodes, which no caller sees. Roles do not apply:
// who may speak is settled when a connection begins.
func PeerTable() *Table { return peerMethods }

var peerMethods = register([]Method{
	{
		Name:    MethodNodeHello,
		Summary: "Who speaks, and in which protocol: the first call of a connection, answered with the same.",
		Params:  helloFields(true), Result: helloFields(false),
		newParams: func() Params { return new(HelloParams) },
		newResult: func() Result { return new(Hello) },
	},
	{
		Name:    MethodNodePing,
		Summary: "How the answering node is.",
		Result: []Field{
			out("unix_ms", "integer", "Its wall clock, in milliseconds."),
			out("boot", "integer", "Its start's number."),
			out("life", "string", "Its directory's id."),
			out("voting", "boolean", "Whether it votes."),
			out("applied_index", "integer", "Index of the log that it has applied."),
			out("last_index", "integer", "Last index of its log."),
			out("leader", "string", "The leader it follows; empty while there is none."),
			out("term", "integer", "Raft's term.")},
		newParams: func() Params { return new(NoParams) },
		newResult: func() Result { return new(NodePingResult) },
	},
	{
		Name: MethodNodePropose, Mutates: true,
		Summary:   "Has the leader append an entry to the log; answers when it is applied.",
		Params:    []Field{must("entry", "binary", "The entry; at most 8 MiB.")},
		Result:    []Field{out("index", "integer", "Where it stands in the log."), out("results", "binary", "What applying it gave.")},
		newParams: func() Params { return new(NodeProposeParams) },
		newResult: func() Result { return new(NodeProposeResult) },
	},
	{
		Name:      MethodNodeReadIndex,
		Summary:   "An index, confirmed by a majority now, that no finished call is beyond.",
		Result:    []Field{out("index", "integer", "The index.")},
		newParams: func() Params { return new(NoParams) },
		newResult: func() Result { return new(NodeReadIndexResult) },
	},
	{
		Name: MethodNodeCall, Mutates: true,
		Summary: "A caller's call on its way to the owner; it was judged where it arrived.",
		Params: []Field{
			must("method", "string", "One of the methods for callers."),
			must("params", "binary", "Its parameters, a map, without request_id and deadline_ms."),
			may("stamped", "boolean", "false", "The request_id was made up where the call arrived."),
			may("roles", "integer", "0", "What the caller may do: 1 reader, 2 submitter, 4 voter, 8 operator, added up."),
			may("addr", "string", "", "The caller's address, host:port.")},
		Result:    []Field{out("result", "binary", "The method's result.")},
		newParams: func() Params { return new(NodeCallParams) },
		newResult: func() Result { return new(NodeCallResult) },
	},
	{
		Name: MethodNodeForm, Mutates: true,
		Summary: "Asks for the promise, given once and for good, to be a voter of a new cluster.",
		Params: []Field{
			must("cluster", "string", "The new cluster's id."),
			must("initiator", "string", "Who forms it."),
			{Name: "voters", Type: "list of object", Required: true, Text: "All of them; at most 64.", Fields: []Field{
				must("node", "string", "A voter's name."), must("addr", "string", "Its Raft address, host:port.")}}},
		Result:    []Field{out("life", "string", "The id of the directory that holds the promise.")},
		newParams: func() Params { return new(NodeFormParams) },
		newResult: func() Result { return new(NodeFormResult) },
	},
	{
		Name:      MethodNodeTell,
		Summary:   "Messages to actors; a notification.",
		Params:    []Field{must("batch", "binary", "The messages, as package actors writes them.")},
		newParams: func() Params { return new(NodeTellParams) },
		newResult: func() Result { return new(NoResult) },
	},
})

// helloFields describes what both sides of a hello say.
func helloFields(required bool) []Field {
	fields := []Field{
		out("cluster", "string", "The cluster's id; empty before there is one."),
		out("node", "string", "The node's name."),
		out("boot", "integer", "Its start's number."),
		out("protocol", "integer", "The newest protocol it speaks."),
		out("protocol_min", "integer", "The oldest one."),
		out("version", "string", "Its program's version."),
	}
	for i := range fields {
		fields[i].Required = required
	}
	return fields
}
