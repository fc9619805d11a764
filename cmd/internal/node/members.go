package node

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/membership"
	"github.com/the-block/bursar/cluster/ownership"
	"github.com/the-block/bursar/cluster/peers"
	"github.com/the-block/bursar/cluster/placement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
	"github.com/the-block/bursar/persistence"
)

const (
	// clockOffsetMax is how far a node's clock may be off the right time before it owns
	// nothing that needs the right time.
	clockOffsetMax = 2 * time.Second
	// formRetry is the pause between two looks at whether a cluster can be formed.
	formRetry = 200 * time.Millisecond
	// candidatesSettle is how long more nodes than are to form a cluster must be the same ones
	// before the first of them begins: a node that is just starting may come before it by
	// name, and what was promised is promised for good.
	candidatesSettle = 2 * time.Second
	// formTimeout bounds one attempt to form a cluster.
	formTimeout = 5 * time.Second
	// admitRetry is how often a node that does not vote looks whether it was let in.
	admitRetry = 100 * time.Millisecond
)

// openMembership begins to gossip.
func (n *Node) openMembership(context.Context) error {
	cfg := membership.DefaultConfig()
	cfg.Listen, cfg.Seeds = n.cfg.Listen, n.cfg.others()
	cfg.PeersFile = filepath.Join(n.cfg.DataDir, "peers")
	if n.identity != nil {
		cfg.KeyFile = n.identity.GossipKeyFile()
	}
	role, err := membership.ParseRole(string(n.cfg.Role))
	if err != nil {
		return err
	}
	n.membership, err = membership.Open(cfg, membership.Meta{
		Name: n.cfg.Name, Role: role, Host: n.cfg.Listen, BasePort: uint16(n.cfg.BasePort), Boot: n.boot,
		Version: Version, ProtocolMin: peers.ProtocolMin, ProtocolMax: peers.Protocol,
		Cluster: n.consensus.ClusterID(), Level: persistence.LevelMax, BootstrapExpect: uint16(n.cfg.BootstrapExpect), Fresh: !n.consensus.Formed(), WantsVote: n.cfg.Vote,
	}, n.gossip, n.nameTaken, n.log)
	if err != nil {
		return err
	}
	n.parts.onStop("gossip", func(context.Context) error { return n.membership.Close() })
	return nil
}

// nameTaken ends this node because another that is up for longer goes by its name, unless
// this one votes and serves: nothing that gossip hears may end such a node, and whoever has
// its name is kept out by the proof of its disk.
func (n *Node) nameTaken(err error) {
	if n.consensus.Voting() && n.served.Load() {
		n.log.Error("another node goes by this node's name, and this one goes on: it votes and serves", "component", "membership", "err", err)
		return
	}
	n.parts.fail(err)
}

// meet keeps links to all that gossip knows, and has the shards looked at when one comes
// or breaks, until ctx ends.
func (n *Node) meet(ctx context.Context) error {
	for {
		members, changed := n.membership.Watch()
		list := make([]peers.Peer, 0, len(members))
		for _, m := range members {
			list = append(list, peers.Peer{Node: m.Name, Addr: m.ActorsAddr(), Boot: m.Boot})
			n.consensus.Locate(m.Name, m.RaftAddr())
		}
		n.peers.Set(list)
		for outdated := false; !outdated; {
			links := n.peers.Watch()
			n.keeper.Poke()
			select {
			case <-changed:
				outdated = true
			case <-links:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// settle brings a node with an empty log into a cluster, and tells the others once it
// belongs to one. It ends with ctx.
func (n *Node) settle(ctx context.Context) error {
	tick := time.NewTicker(formRetry)
	defer tick.Stop()
	var seen founders
	for !n.consensus.Formed() {
		n.form(ctx, &seen)
		_, changed := n.membership.Watch()
		select {
		case <-tick.C:
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
	n.forming.Store(nil)
	if err := n.tellCluster(); err != nil {
		return err
	}
	tick.Reset(admitRetry)
	for !n.consensus.Voting() {
		if err := n.admit(); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	<-ctx.Done()
	return nil
}

// founders are the nodes that a node without a cluster sees.
type founders struct {
	names string
	since time.Time // they are the same
}

// settled notes who is seen now, and reports whether they have been the same for a while.
func (c *founders) settled(seen []cluster.Seen, now time.Time) bool {
	var names []string
	for _, s := range seen {
		names = append(names, string(s.Node))
	}
	slices.Sort(names)
	if all := strings.Join(names, " "); all != c.names || c.since.IsZero() {
		c.names, c.since = all, now
	}
	return now.Sub(c.since) >= candidatesSettle
}

// form takes the next step towards a cluster, if there is one to take.
func (n *Node) form(ctx context.Context, known *founders) {
	self := cluster.Seen{Node: n.cfg.Name, RaftAddr: n.consensus.RaftAddr(), Expect: n.cfg.BootstrapExpect}
	var promised *cluster.FormRequest
	if p, ok := n.consensus.Promised(); ok {
		promised = &p
	}
	var seen []cluster.Seen
	for _, m := range n.membership.Members() {
		if m.State == membership.Alive && m.Name != n.cfg.Name {
			seen = append(seen, cluster.Seen{Node: m.Name, RaftAddr: m.RaftAddr(), Expect: int(m.BootstrapExpect), Cluster: m.Cluster})
		}
	}
	next := cluster.DecideForming(self, promised, seen)
	n.forming.Store(&next.Why)
	settled := known.settled(seen, time.Now())
	if !next.Initiate || promised == nil && len(seen) >= self.Expect && !settled {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, formTimeout)
	defer cancel()
	if err := n.consensus.Form(ctx, next.Voters, n.askPromise); err != nil && ctx.Err() == nil {
		why := next.Why + ": " + err.Error()
		n.forming.Store(&why)
		n.log.Debug("no cluster was formed yet", "component", "forming", "err", err)
	}
}

// askPromise asks another node to be a voter of a new cluster.
func (n *Node) askPromise(ctx context.Context, node messages.NodeID, request cluster.FormRequest) (cluster.FormReply, error) {
	if err := n.tellPromise(); err != nil {
		return cluster.FormReply{}, err
	}
	params := &messages.NodeFormParams{Cluster: request.Cluster, Initiator: request.Initiator}
	for _, v := range request.Voters {
		params.Voters = append(params.Voters, messages.FormVoter{Node: v.Node, Addr: v.Addr})
	}
	type answer struct {
		reply cluster.FormReply
		err   error
	}
	answered := make(chan answer, 1)
	n.peers.Go(node, messages.MethodNodeForm, params, func(r wire.Reply) {
		var result messages.NodeFormResult
		err := r.Decode(&result)
		answered <- answer{cluster.FormReply{Life: result.Life}, err}
	})
	select {
	case a := <-answered:
		return a.reply, a.err
	case <-ctx.Done():
		return cluster.FormReply{}, ctx.Err()
	}
}

// tellPromise tells the others which cluster this node has promised to form, lest one
// that comes later begins another.
func (n *Node) tellPromise() error {
	return n.membership.Update(func(m *membership.Meta) { m.Cluster = n.consensus.ClusterID() })
}

// tellCluster tells the others which cluster this node belongs to.
func (n *Node) tellCluster() error {
	return n.membership.Update(func(m *membership.Meta) {
		m.Cluster, m.Fresh = n.consensus.ClusterID(), false
	})
}

// admit begins to vote once the log says that this node's disk may.
func (n *Node) admit() error {
	state, err := n.ownership()
	if err != nil || state.Nodes[n.cfg.Name].Life != n.consensus.Life() {
		return err
	}
	return n.consensus.Admit()
}

// behindMax is how many entries a node may be behind and own shards: one that has lost
// its disk takes none before it has caught up.
const behindMax = 4096

// live lists the nodes that live and follow the log, as this one sees it.
func (n *Node) live() []ownership.Live {
	list := []ownership.Live{{ID: n.cfg.Name, Boot: n.boot, Life: lifeOf(n.pong()), Role: placementRole(n.cfg.Role), Since: n.started}}
	group := make(map[messages.NodeID]bool)
	for _, m := range n.consensus.Configuration() {
		group[m.Node] = true
	}
	right, now := n.rightTime(), time.Now()
	list[0].Misbound = n.misbound()
	list[0].ClockOff = right.Abs() > clockOffsetMax
	applied := n.store.Applied()
	for _, m := range n.membership.Members() {
		s, known := n.peers.Status(m.Name)
		if m.Name == n.cfg.Name || !group[m.Name] || !known || !s.Up || s.Applied+behindMax < applied {
			continue
		}
		follows, since := n.progress.follows(m.Name, n.standstillMax(), now)
		if !follows {
			continue // its links answer, and it cannot act on anything
		}
		if since.Before(s.Since) {
			since = s.Since
		}
		list = append(list, ownership.Live{
			ID: m.Name, Boot: s.Boot, Life: lifeOf(s.Pong), Role: placementRole(Role(m.Role.String())),
			ClockOff: wrongTime(s, right), Misbound: s.Misbound, Since: since,
		})
	}
	return list
}

// lifeOf is the life of the disk that a node votes with, "" if it does not.
func lifeOf(p peers.Pong) string {
	if !p.Voting {
		return ""
	}
	return p.Life
}

// disksEvery is how often a node notes how far the disks of the others have come.
const disksEvery = 200 * time.Millisecond

// watchDisks keeps consensus informed of the disks of the others, as the log and their
// pings tell them: an old copy of one is told by it.
func (n *Node) watchDisks(ctx context.Context) error {
	tick := time.NewTicker(disksEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		state, err := n.ownership()
		if err != nil {
			return err
		}
		for node, record := range state.Nodes {
			s, _ := n.peers.Status(node)
			if err := n.consensus.NoteDisk(node, diskOf(record, state.Index, &s)); err != nil {
				return err
			}
		}
	}
}

// diskOf is what is known of a node's disk. Its pings tell how far the start has come that
// they come from, which the log may not know yet: as news of the start before they would
// condemn what this one said a moment ago.
func diskOf(record ownership.Record, at uint64, s *peers.Status) cluster.Disk {
	disk := cluster.Disk{Life: record.Life, Boot: record.Boot, At: at}
	if s.Life == record.Life && s.Boot == record.Boot {
		disk.Index, disk.Term = s.Applied, s.Term
	}
	return disk
}

// rightTime is how far the right time is from this node's clock, as most clocks have it:
// the one that leads may be the one that is wrong.
func (n *Node) rightTime() time.Duration {
	offsets := []time.Duration{0}
	for _, m := range n.membership.Members() {
		if s, known := n.peers.Status(m.Name); known && s.Up && s.RTT > 0 && m.Name != n.cfg.Name {
			offsets = append(offsets, s.ClockOffset)
		}
	}
	return middle(offsets)
}

// middle is the middle of the offsets of several clocks, of two middles the one closer to
// this node's.
func middle(offsets []time.Duration) time.Duration {
	slices.Sort(offsets)
	low, high := offsets[(len(offsets)-1)/2], offsets[len(offsets)/2]
	if low.Abs() < high.Abs() {
		return low
	}
	return high
}

// wrongTime reports whether a node's clock is off, by more than it takes to ask it; one
// that has not been asked yet is not.
func wrongTime(s peers.Status, right time.Duration) bool {
	return s.RTT > 0 && (s.ClockOffset-right).Abs()-s.RTT/2 > clockOffsetMax
}

func placementRole(r Role) placement.Role {
	switch r {
	case RoleReplica:
		return placement.Replica
	case RoleObserver:
		return placement.Observer
	case RolePrimary:
	}
	return placement.Primary
}

// keep looks after the group while this node leads.
func (n *Node) keep(ctx context.Context) error {
	return n.consensus.Keep(ctx, n.candidates, n.admitLife)
}

// candidates lists the nodes for the group.
func (n *Node) candidates() []cluster.Candidate {
	state, err := n.ownership()
	if err != nil {
		return nil // the Store's own goroutine reports it
	}
	right := n.rightTime()
	var list []cluster.Candidate
	for _, m := range n.membership.Members() {
		c := cluster.Candidate{
			Node: m.Name, RaftAddr: m.RaftAddr(), Rank: int(m.Role) - int(membership.Primary),
			RecordedLife: state.Nodes[m.Name].Life,
			WantsVote:    m.WantsVote, Expect: int(m.BootstrapExpect), Leaving: m.Draining,
		}
		if state.Nodes[m.Name].Drained {
			c.Rank = int(membership.Observer) // it is to lead only if nobody else can
		}
		if m.Name == n.cfg.Name {
			c.Live, c.Voting, c.Life, c.Applied = true, n.consensus.Voting(), n.consensus.Life(), n.store.Applied()
		} else if s, known := n.peers.Status(m.Name); known {
			c.Live, c.Voting, c.Life, c.Applied = s.Up, s.Voting, s.Life, s.Applied
			if wrongTime(s, right) {
				c.Rank = int(membership.Observer)
			}
		}
		list = append(list, c)
	}
	return list
}

// bootOf is the newest start of a node's disk as far as this node hears, 0 if it does not.
func (n *Node) bootOf(node messages.NodeID, life string) uint64 {
	if node == n.cfg.Name {
		return n.boot
	}
	if s, _ := n.peers.Status(node); s.Life == life {
		return s.Boot
	}
	return 0
}

// admitLife has the log say that a node may vote with the disk of that life.
func (n *Node) admitLife(ctx context.Context, node messages.NodeID, life string) error {
	state, err := n.ownership()
	if err != nil {
		return err
	}
	txn, ok := state.Admit(node, life, n.bootOf(node, life))
	if !ok {
		return nil
	}
	result, err := persistence.Commit(ctx, n.journal, persistence.Proposal{Txn: txn})
	if err == nil && result.Status != persistence.Committed {
		err = errors.New(result.Status.String())
	}
	return err
}
