package cluster

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/the-block/bursar/cluster/internal/raftlog"
	"github.com/the-block/bursar/messages"
)

// Timing names a set of Raft timeouts.
type Timing string

// The sets of Raft timeouts: heartbeat, election and lease.
const (
	// TimingDefault is 500, 500 and 250 ms: any network, and machines that stall.
	TimingDefault Timing = "default"
	// TimingLAN is 200, 200 and 150 ms: wired networks only. Failover is three
	// times as fast; a stall of 200 ms costs an election, never safety.
	TimingLAN Timing = "lan"
)

// timeouts are what a Timing stands for.
type timeouts struct {
	heartbeat, election, lease time.Duration
	// stall is how long a node's disk or state may stand still before the node stops leading
	// and answering, unheard how long a leader's entries may reach nobody: as long as one of
	// EntryBytesMax takes on a slow network.
	stall, unheard time.Duration
}

var timings = map[Timing]timeouts{
	TimingDefault: {
		heartbeat: 500 * time.Millisecond, election: 500 * time.Millisecond, lease: 250 * time.Millisecond,
		stall: 1500 * time.Millisecond, unheard: 2 * time.Second,
	},
	TimingLAN: {
		heartbeat: 200 * time.Millisecond, election: 200 * time.Millisecond, lease: 150 * time.Millisecond,
		stall: 500 * time.Millisecond, unheard: time.Second,
	},
}

// Config says who this node is in the Raft group and how the group behaves.
type Config struct {
	// Node is the node's name. It is recorded in Dir, which is refused under any
	// other name afterwards.
	Node messages.NodeID
	// Dir holds the log, the Raft snapshots, the high-water mark and the identity.
	Dir string
	// RaftAddr is where other voters reach this node, host:port. Port 0 takes any
	// free port and suits a lone voter only.
	RaftAddr string
	// AdvertiseAddr is where other voters reach this node if that is not the address it
	// listens on, host:port; "" if it is.
	AdvertiseAddr string
	// BootstrapExpect is how many voters form a new cluster. 1 forms a cluster of
	// this node alone when Dir is new; 0 waits to be added to one.
	BootstrapExpect int
	// Timing picks the Raft timeouts.
	Timing Timing
	// SnapshotBytes is how much log is written between two Raft snapshots. Raised:
	// fewer snapshots, a longer replay at boot (about 1 s for each 100 MB).
	SnapshotBytes int64
	// SnapshotEntries is how many entries are applied between two Raft snapshots, however
	// small they are: each takes its time when it is replayed, about 5 s for 20,000. A large
	// state, which takes long to write, is given more of them.
	SnapshotEntries uint64
	// TrailingLogs is how many entries are kept behind a Raft snapshot for voters
	// that lag. With entries of up to 1 MiB it bounds that part of the disk to
	// TrailingLogs MiB. Lowered: a voter that was away longer gets a whole snapshot.
	TrailingLogs uint64
	// SnapshotRetain is how many Raft snapshots stay on disk, 2 or more, so that
	// one is whole while the next is written.
	SnapshotRetain int
	// SegmentBytes is the size of one file of the log.
	SegmentBytes int
	// LeaderWait is how long after a leader was lost proposals and reads wait for the next
	// one; later they end as unavailable at once. Raised above the longest election: fewer
	// callers see one. Lowered: they hear sooner that there is no quorum.
	LeaderWait time.Duration
	// ApplyTimeout is how long a proposal waits to be taken up by the leader.
	ApplyTimeout time.Duration
	// HangMax is how long this node's disk may stand still before the process ends. From
	// one and a half seconds on, or half of one with TimingLAN, the node neither leads nor
	// answers, unless it is the only voter; below HangMax it goes on by itself when the disk
	// does.
	HangMax time.Duration
	// MarkInterval is the longest time between two syncs of the high-water mark. Lowered:
	// damage to fewer of the newest entries can hide behind a power loss.
	MarkInterval time.Duration
	// VotersMax is the most nodes that vote; more follow without a vote.
	VotersMax int
	// CaughtUpEntries is how far behind the leader a node may be to be caught up.
	CaughtUpEntries uint64
	// PromoteAfter is how long a node has been caught up before it votes.
	PromoteAfter time.Duration
	// HandOverAfter is how long a node of a better rank has been caught up before it is
	// made the leader. Lowered: it leads sooner, and again after each of its failures.
	HandOverAfter time.Duration
	// Check reports whether every node can apply an entry; nil takes all. The leader asks
	// it before it appends what another node has handed to it.
	Check func(entry []byte) error
	// Skip is an entry that no node can apply and that all are to pass over.
	Skip Skip

	// disk holds log and Raft snapshots; nil is the disk of the machine.
	disk raftlog.Disk
	// ungated lets a node vote that has lost its disk: tests show what that loses.
	ungated bool
}

// DefaultConfig returns the configuration of a lone voter on loopback. Node and
// Dir are left to the caller.
func DefaultConfig() Config {
	return Config{
		RaftAddr:        "127.0.0.1:9002",
		BootstrapExpect: 1,
		Timing:          TimingDefault,
		SnapshotBytes:   64 << 20,
		SnapshotEntries: 20_000,
		TrailingLogs:    512,
		SnapshotRetain:  2,
		SegmentBytes:    64 << 20,
		LeaderWait:      2 * time.Second,
		ApplyTimeout:    5 * time.Second,
		HangMax:         10 * time.Second,
		MarkInterval:    time.Second,
		VotersMax:       5,
		CaughtUpEntries: 1_000,
		PromoteAfter:    2 * time.Second,
		HandOverAfter:   30 * time.Second,
	}
}

// OnDisk keeps log and Raft snapshots on a disk other than the machine's. Package
// clustertest has one that crashes, fails and forgets.
func (c Config) OnDisk(disk raftlog.Disk) Config {
	c.disk = disk
	return c
}

// validate reports every rule the configuration breaks.
func (c Config) validate() error {
	var errs []error
	rule := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	_, _, addrErr := net.SplitHostPort(c.RaftAddr)
	_, _, advertiseErr := net.SplitHostPort(c.AdvertiseAddr)
	_, timingKnown := timings[c.Timing]
	rule(c.Node != "", "node: a name is needed")
	rule(c.Dir != "", "dir: a directory is needed")
	rule(addrErr == nil, "raft_addr: %q is not host:port", c.RaftAddr)
	rule(c.BootstrapExpect >= 0, "bootstrap_expect: %d is negative", c.BootstrapExpect)
	rule(timingKnown, "timing: %q is neither default nor lan", c.Timing)
	rule(c.SnapshotBytes >= 64<<10, "snapshot_bytes: %d is under 64 KiB", c.SnapshotBytes)
	rule(c.SnapshotEntries >= 1, "snapshot_entries: %d is under 1", c.SnapshotEntries)
	rule(c.SnapshotRetain >= 2, "snapshot_retain: %d is under 2", c.SnapshotRetain)
	rule(c.SegmentBytes >= 64<<10 && c.SegmentBytes <= 1<<30, "segment_bytes: %d is outside 64 KiB..1 GiB", c.SegmentBytes)
	rule(c.ApplyTimeout > 0, "apply_timeout: %s is not positive", c.ApplyTimeout)
	rule(!timingKnown || c.HangMax > timings[c.Timing].unheard, "hang_max: %s is too short to tell a disk that hangs from a slow one", c.HangMax)
	rule(c.MarkInterval > 0, "mark_interval: %s is not positive", c.MarkInterval)
	rule(c.AdvertiseAddr == "" || advertiseErr == nil, "advertise_addr: %q is not host:port", c.AdvertiseAddr)
	rule(c.LeaderWait >= 0, "leader_wait: %s is negative", c.LeaderWait)
	rule(c.VotersMax >= 1, "voters_max: %d is under 1", c.VotersMax)
	rule(c.PromoteAfter >= 0, "promote_after: %s is negative", c.PromoteAfter)
	rule(c.HandOverAfter >= 0, "hand_over_after: %s is negative", c.HandOverAfter)
	return errors.Join(errs...)
}
