package messages

// EpochResult answers epoch.get and epoch.advance.
type EpochResult struct {
	Epoch        Epoch  `msgpack:"epoch"`
	AppliedIndex uint64 `msgpack:"applied_index"`
	Duplicate    bool   `msgpack:"duplicate"` // of epoch.advance
}

// ClusterStatusResult answers cluster.status, as the answering node sees it.
type ClusterStatusResult struct {
	Node         string `msgpack:"node"`
	Leader       string `msgpack:"leader"` // a node's name; empty while there is none
	Term         uint64 `msgpack:"term"`
	AppliedIndex uint64 `msgpack:"applied_index"`
	CommitIndex  uint64 `msgpack:"commit_index"`
	Quorum       bool   `msgpack:"quorum"`
	Voters       uint64 `msgpack:"voters"`
	Epoch        Epoch  `msgpack:"epoch"`
	FeatureLevel uint64 `msgpack:"feature_level"`
	// Ready says whether the node serves linearizable reads and writes, Reason in
	// the words of /readyz why not.
	Ready   bool   `msgpack:"ready"`
	Reason  string `msgpack:"reason,omitempty"`
	Version string `msgpack:"version"`
}

// Member is one node of the cluster.
type Member struct {
	Name    string `msgpack:"name"`
	Role    string `msgpack:"role"`  // primary, replica or observer
	State   string `msgpack:"state"` // alive, suspect, dead, draining or left
	Address string `msgpack:"address"`
	RPC     string `msgpack:"rpc"`  // host:port of this wire
	HTTP    string `msgpack:"http"` // host:port of console and metrics
	Voter   bool   `msgpack:"voter"`
	Leader  bool   `msgpack:"leader"`
	Shards  uint64 `msgpack:"shards"` // owned
	Version string `msgpack:"version"`
}

// ClusterMembersResult answers cluster.members.
type ClusterMembersResult struct {
	Members List[Member] `msgpack:"members"`
}

// BreakerInfo is one breaker.
type BreakerInfo struct {
	Path         string `msgpack:"path"`
	Kind         string `msgpack:"kind"`  // own or cell
	State        string `msgpack:"state"` // closed, open, half_open, forced_open or forced_closed
	Forced       string `msgpack:"forced,omitempty"`
	Failures     uint64 `msgpack:"failures"` // within the window
	Successes    uint64 `msgpack:"successes"`
	Trips        uint64 `msgpack:"trips"`
	RetryAfterMS uint64 `msgpack:"retry_after_ms,omitempty"`
	Cause        string `msgpack:"cause,omitempty"` // of the last trip
}

// BreakersResult answers supervision.breakers for the answering node.
type BreakersResult struct {
	Breakers   List[BreakerInfo] `msgpack:"breakers"`
	NextCursor Cursor            `msgpack:"next_cursor"`
	Node       string            `msgpack:"node"`
}

// ActorInfo is one actor of the tree. Parents come before their children; the path
// tells who belongs to whom.
type ActorInfo struct {
	Path         string `msgpack:"path"`
	Kind         string `msgpack:"kind"`
	State        string `msgpack:"state"`
	Children     uint64 `msgpack:"children"`
	MailboxDepth uint64 `msgpack:"mailbox_depth"`
	Messages     uint64 `msgpack:"messages"` // processed so far
	Restarts     uint64 `msgpack:"restarts"`
	Failures     uint64 `msgpack:"failures"`
	// OldestMS is the age of the oldest waiting message in milliseconds.
	OldestMS uint64 `msgpack:"oldest_ms,omitempty"`
	Breaker  string `msgpack:"breaker,omitempty"`
}

// ActorsTreeResult answers actors.tree for the answering node.
type ActorsTreeResult struct {
	Actors     List[ActorInfo] `msgpack:"actors"`
	NextCursor Cursor          `msgpack:"next_cursor"`
	Node       string          `msgpack:"node"`
}

// ShardInfo is one shard and who owns it.
type ShardInfo struct {
	Shard ShardID `msgpack:"shard"`
	Part  string  `msgpack:"part"` // graph, energy, executor, clock or market
	Owner string  `msgpack:"owner"`
	Fence Fence   `msgpack:"fence"`
	// Active says whether the answering node does the shard's work.
	Active bool `msgpack:"active"`
}

// PlacementResult answers cluster.placement.
type PlacementResult struct {
	Shards       List[ShardInfo] `msgpack:"shards"`
	AppliedIndex uint64          `msgpack:"applied_index"`
}

// DrainResult answers cluster.drain.
type DrainResult struct {
	Node      string `msgpack:"node"`
	Draining  bool   `msgpack:"draining"`
	Shards    uint64 `msgpack:"shards"` // still owned at the answer
	Duplicate bool   `msgpack:"duplicate"`
}

// TransferResult answers cluster.transfer_leader.
type TransferResult struct {
	Leader    string `msgpack:"leader"`
	Term      uint64 `msgpack:"term"`
	Duplicate bool   `msgpack:"duplicate"`
}
