package node

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence/backup"
)

// Role says what a node is for. It weighs in placement; every role votes.
type Role string

// The roles of a node.
const (
	RolePrimary  Role = "primary"  // owns shards; preferred for leader and executor
	RoleReplica  Role = "replica"  // owns shards
	RoleObserver Role = "observer" // votes; owns no shards unless it must
)

// Offsets of a node's ports from its base port.
const (
	PortRPC = iota
	PortGossip
	PortRaft
	PortHTTP
	PortActors
	portCount
)

// Config is everything a node is told at its start.
type Config struct {
	// Name identifies the node in the cluster and in its data directory: letters,
	// digits, dots, underscores and dashes, at most 64.
	Name messages.NodeID
	// Role weighs in placement.
	Role Role
	// Listen is the address all listeners bind to. Without TLS it must be a
	// loopback address, unless Insecure says otherwise.
	Listen string
	// BasePort is the first of five consecutive ports: rpc, gossip, raft, http,
	// actors.
	BasePort int
	// Join lists gossip addresses of other nodes, host:port; this node's own is ignored.
	// They are asked for ever, as long as they are not members.
	Join []string
	// BootstrapExpect is how many nodes form a new cluster: 1 makes this node a complete
	// system, 3 waits for two others, 0 forms none and joins what is there. A node that
	// belongs to a cluster does not look at it.
	BootstrapExpect int
	// Vote has a node vote that joins a cluster in which as many vote already as formed it.
	// Without it such a node follows, and its loss costs nothing.
	Vote bool
	// DataDir holds the log and the snapshots. Its owner is one process.
	DataDir string
	// EpochInterval is the least time between two epochs. Shorter makes every
	// window shorter in wall time.
	EpochInterval time.Duration
	// Timing picks Raft's timeouts: "default" (500 ms) or "lan" (200 ms, wired
	// networks only).
	Timing string
	// Submitter is how payments leave the treasury: "ledger" books them in the cluster's
	// own accounts, "http" sends them to the node of an outside chain at SubmitterURL,
	// signed with the ed25519 key in the file SubmitterKey.
	Submitter    string
	SubmitterURL string
	SubmitterKey string
	// SubmitterConfirmations is how many blocks must confirm a payment before it is final.
	// More waits longer and stands against deeper forks.
	SubmitterConfirmations uint64
	// BackupTo is the URL of the target to which this node ships the log when it is its turn;
	// "" has it never be. BackupRecipient encrypts what is shipped, for the holder of that
	// age key alone.
	BackupTo        string
	BackupRecipient string
	// BackupInterval is how often what is new is shipped. Raised: fewer objects, and more to
	// lose with all nodes at once.
	BackupInterval time.Duration
	// BackupNoPrune leaves what is superfluous where it is, for targets that only grow.
	BackupNoPrune bool
	// TLSDir holds ca.crt, node.crt, node.key and gossip.key: with it every listener
	// uses TLS, nodes know each other by their certificates, and callers have the roles
	// of theirs.
	TLSDir string
	// Insecure lets a node without TLS listen beyond loopback, and ask a chain node
	// beyond it.
	Insecure bool
	// TrustLoopback gives callers from this machine every role where there is no TLS. Behind
	// a proxy on the same machine everybody comes from there.
	TrustLoopback bool
	// SkipEntry names one entry of the log that no node can apply, INDEX:CHECKSUM as the
	// halted nodes say it. All nodes are started with it, and pass it over.
	SkipEntry string
	// FaultInjection lets operators inject faults into this node's actors. Not for a
	// treasury that pays.
	FaultInjection bool
	// Severable lets CutOff pull the cable between this node and the others. It is for
	// bursar dev: no setting names it.
	Severable bool
	// Debug serves /debug/pprof.
	Debug bool
}

// exposed reports whether strangers reach this node's ports, and nothing keeps them out.
func (n *Node) exposed() bool {
	ip := net.ParseIP(n.cfg.Listen)
	return n.cfg.TLSDir == "" && (ip == nil || !ip.IsLoopback())
}

// DefaultConfig returns the configuration of a lone node on loopback.
func DefaultConfig() Config {
	return Config{
		Name:                   "n1",
		Role:                   RolePrimary,
		Listen:                 "127.0.0.1",
		BasePort:               9000,
		BootstrapExpect:        1,
		DataDir:                "data",
		EpochInterval:          10 * time.Second,
		Timing:                 "default",
		Submitter:              SubmitterLedger,
		SubmitterConfirmations: 1,
		TrustLoopback:          true,
		BackupInterval:         10 * time.Second,
	}
}

var nameRule = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Validate reports every rule the configuration breaks, each naming its key.
func (c Config) Validate() error {
	var errs []error
	rule := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	rule(nameRule.MatchString(string(c.Name)), "name: %q is not 1 to 64 letters, digits, dots, underscores or dashes", c.Name)
	rule(c.Role == RolePrimary || c.Role == RoleReplica || c.Role == RoleObserver,
		"role: %q is none of primary, replica, observer", c.Role)
	ip := net.ParseIP(c.Listen)
	rule(ip != nil, "listen: %q is not an IP address", c.Listen)
	rule(ip == nil || !ip.IsUnspecified(), "listen: %s is no address that others can call; name the one of your network", c.Listen)
	rule(ip == nil || ip.IsLoopback() || c.Insecure || c.TLSDir != "",
		"listen: %s is reachable from other machines and there is no TLS; use a loopback address, give --tls-dir or add --insecure", c.Listen)
	rule(c.BasePort >= 1 && c.BasePort+portCount-1 <= 65535, "base_port: %d is outside 1..%d", c.BasePort, 65535-portCount+1)
	rule(c.BootstrapExpect >= 0 && c.BootstrapExpect <= votersMax, "bootstrap_expect: %d is outside 0..%d", c.BootstrapExpect, votersMax)
	others := c.others()
	rule(c.BootstrapExpect != 1 || len(others) == 0,
		"bootstrap_expect: 1 forms a cluster of this node alone, and join names %s; "+
			"give --bootstrap-expect 3 to form one with two others, or 0 to join the one that is there", strings.Join(others, ", "))
	rule(c.BootstrapExpect == 1 || len(others) > 0,
		"join: with --bootstrap-expect %d other nodes are needed; name the gossip port of at least one, such as 192.168.1.10:9001", c.BootstrapExpect)
	for _, addr := range c.Join {
		_, port, err := net.SplitHostPort(addr)
		rule(err == nil && port != "", "join: %q is not host:port; the port is the other node's base port + 1", addr)
	}
	rule(!c.Vote || c.BootstrapExpect != 1, "vote: a node that forms a cluster of its own votes in any case")
	rule(c.DataDir != "", "data: a directory is needed")
	rule(c.EpochInterval >= 10*time.Millisecond, "epoch_interval: %s is shorter than 10ms", c.EpochInterval)
	rule(c.Timing == "default" || c.Timing == "lan", "timing: %q is neither default nor lan", c.Timing)
	_, err := cluster.ParseSkip(c.SkipEntry)
	rule(err == nil, "skip_entry: %v", err)
	if c.BackupTo != "" {
		_, err := backup.OpenTarget(c.BackupTo)
		rule(err == nil, "backup_to: %v", err)
	}
	rule(c.BackupRecipient == "" || new(backup.Keys).ParseRecipient(c.BackupRecipient) == nil,
		"backup_recipient: %q is not a public key of age-keygen, age1...", c.BackupRecipient)
	rule(c.BackupInterval >= time.Second, "backup_interval: %s is shorter than 1s", c.BackupInterval)
	return errors.Join(append(errs, c.checkSubmitter())...)
}

// votersMax is the most nodes that form a cluster, and the most that vote.
const votersMax = 5

// others is Join without this node's own address.
func (c Config) others() []string {
	return slices.DeleteFunc(slices.Clone(c.Join), c.isOwn)
}

// isOwn reports whether a gossip address is this node's, however it is spelled.
func (c Config) isOwn(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	number, portErr := strconv.Atoi(port)
	if err != nil || portErr != nil || number != c.BasePort+PortGossip {
		return false
	}
	own, ip := net.ParseIP(c.Listen), net.ParseIP(host)
	if own == nil {
		return host == c.Listen
	}
	return own.Equal(ip) || strings.EqualFold(host, "localhost") && own.IsLoopback()
}

// Address is where the listener with the given port offset binds.
func (c Config) Address(offset int) string {
	return net.JoinHostPort(c.Listen, strconv.Itoa(c.BasePort+offset))
}
