package messages

// The methods about the epoch, the nodes and what each of them does.
const (
	MethodEpochGet         = "epoch.get"
	MethodEpochAdvance     = "epoch.advance"
	MethodDiscover         = "rpc.discover"
	MethodClusterStatus    = "cluster.status"
	MethodClusterMembers   = "cluster.members"
	MethodClusterPlacement = "cluster.placement"
	MethodClusterDrain     = "cluster.drain"
	MethodTransferLeader   = "cluster.transfer_leader"
)

var clusterMethods = []*Method{
	reads[NoParams, EpochResult](MethodEpochGet, "The treasury's epoch."),
	changes[NoParams, EpochResult](Operator, MethodEpochAdvance, "Adds one epoch at once and restarts the interval."),
	reads[NoParams, DiscoverResult](MethodDiscover, "This table, as an OpenRPC document."),
	reads[NoParams, ClusterStatusResult](MethodClusterStatus,
		"The cluster as the answering node sees it; answers without quorum."),
	reads[NoParams, ClusterMembersResult](MethodClusterMembers, "The cluster's nodes."),
	reads[NoParams, PlacementResult](MethodClusterPlacement, "Which node owns which shard."),
	changes[DrainParams, DrainResult](Operator, MethodClusterDrain, "Hands a node's shards and its leadership to others, "+
		"until `off` or the node's next start. It still votes and takes calls.", CodeNotFound),
	changes[TransferParams, TransferResult](Operator, MethodTransferLeader, "Hands leadership to another voter. "+
		"The cluster gives it back to a node it prefers once that has been caught up for 30 s.", CodeNotFound, CodeInvalidTransition),
}

// EpochResult answers epoch.get and epoch.advance.
type EpochResult struct {
	Epoch        Epoch
	AppliedIndex uint64
	Duplicate    bool // of epoch.advance
}

func (r *EpochResult) fields(f *fields) {
	f.uint("epoch", (*uint64)(&r.Epoch), "The epoch: after epoch.advance the new one.")
	f.applied(&r.AppliedIndex)
	f.duplicate(&r.Duplicate)
}

// ClusterStatusResult answers cluster.status, as the answering node sees it.
type ClusterStatusResult struct {
	Cluster      string
	Node         string
	Leader       string // a node's name; empty while there is none
	Term         uint64
	AppliedIndex uint64
	CommitIndex  uint64
	Quorum       bool
	Voters       uint64
	VotersUp     uint64
	MayFail      uint64
	Epoch        Epoch
	FeatureLevel uint64
	// Ready says whether the node serves linearizable reads and writes, Reason in
	// the words of /readyz why not.
	Ready   bool
	Reason  string
	Version string
	// Exposed says that strangers reach the node's ports, and nothing keeps them out.
	Exposed bool
}

func (r *ClusterStatusResult) fields(f *fields) {
	f.text("cluster", &r.Cluster, "The cluster's id; empty before there is one.")
	f.text("node", &r.Node, "The answering node.")
	f.text("leader", &r.Leader, "The leader's name; empty while there is none.")
	f.uint("term", &r.Term, "Raft's term.")
	f.applied(&r.AppliedIndex)
	f.uint("commit_index", &r.CommitIndex, "Index known to be committed.")
	f.bool("quorum", &r.Quorum, "Whether a majority is known to be there.")
	f.uint("voters", &r.Voters, "Voting nodes.")
	f.uint("voters_up", &r.VotersUp, "Those of them that are there, as far as the answering node can call them.")
	f.uint("may_fail", &r.MayFail, "How many of those may still fail before no majority is left.")
	f.uint("epoch", (*uint64)(&r.Epoch), "The treasury's epoch.")
	f.uint("feature_level", &r.FeatureLevel, "What all nodes understand.")
	f.bool("ready", &r.Ready, "Whether the node serves linearizable reads and writes.")
	f.may("").text("reason", &r.Reason, "Why not, in the words of /readyz.")
	f.text("version", &r.Version, "The program's version.")
	f.may("false").bool("exposed", &r.Exposed, "Whether the node listens beyond loopback without TLS.")
}

// Member is one node of the cluster.
type Member struct {
	Name    string
	Role    string
	State   string
	Address string
	RPC     string // host:port of this wire
	HTTP    string // host:port of console and metrics
	Voter   bool
	Leader  bool
	Shards  uint64 // owned
	Version string
}

var (
	nodeRoles  = []string{"primary", "replica", "observer"}
	nodeStates = []string{"alive", "suspect", "dead", "draining", "left"}
)

func (m *Member) fields(f *fields) {
	f.text("name", &m.Name, "The node's name.")
	f.text("role", &m.Role, "").oneOf(nodeRoles)
	f.text("state", &m.State, "").oneOf(nodeStates)
	f.text("address", &m.Address, "Its host.")
	f.text("rpc", &m.RPC, "host:port of the MessagePack wire.")
	f.text("http", &m.HTTP, "host:port of console and metrics.")
	f.bool("voter", &m.Voter, "Whether it votes.")
	f.bool("leader", &m.Leader, "Whether it leads.")
	f.uint("shards", &m.Shards, "Shards it owns.")
	f.text("version", &m.Version, "Its program's version.")
}

// ClusterMembersResult answers cluster.members.
type ClusterMembersResult struct {
	Members []Member
}

func (r *ClusterMembersResult) fields(f *fields) {
	objects(f, "members", &r.Members, 0, "By name.")
}

// ShardInfo is one shard and who owns it.
type ShardInfo struct {
	Shard ShardID
	Part  string
	Owner string
	Fence Fence
	// Active says whether the answering node does the shard's work.
	Active bool
}

var shardParts = []string{"graph", "energy", "executor", "clock", "market"}

func (s *ShardInfo) fields(f *fields) {
	small(f, "shard", &s.Shard, "Graph shards first, then those of energy, then the executor, the clock and the market.")
	f.text("part", &s.Part, "").oneOf(shardParts)
	f.text("owner", &s.Owner, "A node's name; empty before the first owner.")
	f.uint("fence", (*uint64)(&s.Fence), "Grows with every change of the owner.")
	f.bool("active", &s.Active, "Whether the answering node does the shard's work.")
}

// PlacementResult answers cluster.placement.
type PlacementResult struct {
	Shards       []ShardInfo
	AppliedIndex uint64
}

func (r *PlacementResult) fields(f *fields) {
	objects(f, "shards", &r.Shards, 0, "By number.")
	f.applied(&r.AppliedIndex)
}

// DrainParams are the parameters of cluster.drain.
type DrainParams struct {
	Options
	// Node is the name of the node that hands over what it has.
	Node string
	// Off ends it.
	Off bool
}

func (p *DrainParams) fields(f *fields) {
	f.must().text("node", &p.Node, "The node's name.")
	f.may("false").bool("off", &p.Off, "Ends it: the node takes its share again.")
}

// DrainResult answers cluster.drain.
type DrainResult struct {
	Node      string
	Draining  bool
	Shards    uint64 // still owned at the answer
	Duplicate bool
}

func (r *DrainResult) fields(f *fields) {
	f.text("node", &r.Node, "The node's name.")
	f.bool("draining", &r.Draining, "Whether it is drained from now on.")
	f.uint("shards", &r.Shards, "Shards it still owns at the answer.")
	f.duplicate(&r.Duplicate)
}

// TransferParams are the parameters of cluster.transfer_leader.
type TransferParams struct {
	Options
	// Node is who is to lead; empty for whoever is fit.
	Node string
}

func (p *TransferParams) fields(f *fields) {
	f.may("any").text("node", &p.Node, "Who is to lead.")
}

// TransferResult answers cluster.transfer_leader.
type TransferResult struct {
	Leader    string
	Term      uint64
	Duplicate bool
}

func (r *TransferResult) fields(f *fields) {
	f.text("leader", &r.Leader, "Who leads now.")
	f.uint("term", &r.Term, "Raft's term.")
	f.duplicate(&r.Duplicate)
}
