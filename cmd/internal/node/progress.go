package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/messages"
)

const (
	// progressLook is how often a node looks whether it and the others follow the log.
	progressLook = 100 * time.Millisecond
	// standstillMax is how long a node may apply nothing while the log moves on before it
	// owns nothing; standstillMaxLAN is that with lan timing.
	standstillMax    = 1500 * time.Millisecond
	standstillMaxLAN = 600 * time.Millisecond
	// aloneMax is how long a leader may be linked to no majority of the voters before it
	// hands leadership over, and aloneRetry the pause before it does so again.
	aloneMax   = 2 * time.Second
	aloneRetry = 10 * time.Second
)

// standstill measures how long a node has applied nothing although others had. Time is an
// argument.
type standstill struct {
	applied uint64
	since   time.Time // it has applied nothing while there was something to apply
	ended   time.Time // the last one that lasted; zero for none
}

// note takes how far the node has come, and how far others have. Whoever is level with
// them, or moves, does not stand still.
func (s *standstill) note(applied, others uint64, most time.Duration, now time.Time) {
	if applied == s.applied && applied < others && !s.since.IsZero() {
		return
	}
	if s.lasts(now) >= most {
		s.ended = now
	}
	s.applied, s.since = applied, now
}

// lasts is for how long it stands still at now.
func (s *standstill) lasts(now time.Time) time.Duration {
	if s.since.IsZero() {
		return 0
	}
	return now.Sub(s.since)
}

// progress knows which nodes follow the log, this one among them.
type progress struct {
	mu      sync.Mutex
	nodes   map[messages.NodeID]*standstill
	still   bool   // this node owns nothing for it
	stalled string // why it answers no node; "" if it does
	alone   time.Time
}

// of gives what is known of a node. mu is held.
func (p *progress) of(node messages.NodeID) *standstill {
	if p.nodes == nil {
		p.nodes = make(map[messages.NodeID]*standstill)
	}
	if p.nodes[node] == nil {
		p.nodes[node] = new(standstill)
	}
	return p.nodes[node]
}

// standsFor is for how long a node has stood still.
func (p *progress) standsFor(node messages.NodeID, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of(node).lasts(now)
}

// follows reports whether a node follows the log, and since when it does so again.
func (p *progress) follows(node messages.NodeID, most time.Duration, now time.Time) (ok bool, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.of(node)
	return s.lasts(now) < most, s.ended
}

// standstillMax is how long a node may stand still and own something.
func (n *Node) standstillMax() time.Duration {
	if n.cfg.Timing == string(cluster.TimingLAN) {
		return standstillMaxLAN
	}
	return standstillMax
}

// watchProgress looks who follows the log, until ctx ends. This node steps back from its
// shards while it does not; where it leads, it takes them from those that do not.
func (n *Node) watchProgress(ctx context.Context) error {
	tick := time.NewTicker(progressLook)
	defer tick.Stop()
	for {
		n.lookAtProgress(time.Now())
		n.lookAtLinks(ctx, time.Now())
		select {
		case <-tick.C:
		case <-n.standing():
		case <-ctx.Done():
			return nil
		}
	}
}

// standing is closed when consensus is in another state.
func (n *Node) standing() <-chan struct{} {
	_, changed := n.consensus.Watch()
	return changed
}

func (n *Node) lookAtProgress(now time.Time) {
	own, most := n.store.Applied(), n.standstillMax()
	stalled := n.consensus.State().Stalled
	farthest, waited := own, false
	p := &n.progress
	p.mu.Lock()
	for _, s := range n.peers.Statuses() {
		if s.Up {
			before := p.of(s.Node).lasts(now) >= most
			p.of(s.Node).note(s.Applied, own, most, now)
			waited = waited || before != (p.of(s.Node).lasts(now) >= most)
			farthest = max(farthest, s.Applied)
		}
	}
	self := p.of(n.cfg.Name)
	self.note(own, farthest, most, now)
	still := stalled != "" || self.lasts(now) >= most
	stepped, answers := still != p.still, stalled != p.stalled
	p.still, p.stalled = still, stalled
	p.mu.Unlock()
	if waited {
		n.keeper.Poke()
	}
	if answers && !n.withdrawn.Load() {
		n.answerNodes(stalled)
	}
	if stepped {
		n.stepBack(still)
	}
}

// answerNodes has this node answer no other while its own disk, or its state, stands still.
func (n *Node) answerNodes(stalled string) {
	if stalled != "" {
		n.peers.Suspend(errors.New(stalled))
	} else {
		n.peers.Resume()
	}
}

// stepBack has this node own nothing while it stands still.
func (n *Node) stepBack(still bool) {
	if still {
		n.log.Warn("this node owns nothing until it follows the log again", "component", "progress", "err", n.ready(0))
	} else {
		n.log.Info("this node follows the log again", "component", "progress")
	}
	select {
	case n.reown <- struct{}{}:
	default:
	}
}

// standsStill reports whether this node is to own nothing.
func (n *Node) standsStill() bool {
	n.progress.mu.Lock()
	defer n.progress.mu.Unlock()
	return n.progress.still
}

// lookAtLinks hands leadership over where this node leads and is linked to no majority of
// the voters: Raft may get through where calls do not.
func (n *Node) lookAtLinks(ctx context.Context, now time.Time) {
	p := &n.progress
	if !n.isolated() {
		p.alone = time.Time{}
		return
	}
	if p.alone.IsZero() {
		p.alone = now
	}
	if now.Sub(p.alone) < aloneMax {
		return
	}
	p.alone = now.Add(aloneRetry - aloneMax)
	n.log.Warn("no majority of the voters can be called; leadership is handed over", "component", "progress", "err", n.ready(0))
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := n.consensus.TransferLeadership(ctx); err != nil {
		n.log.Warn("leadership is not handed over", "component", "progress", "err", err)
	}
}

// isolated reports whether this node leads and can call no majority.
func (n *Node) isolated() bool {
	if !n.consensus.State().Leading {
		return false
	}
	v := n.voters()
	return v.up <= v.all/2
}

// readyGrace is how long a node stays ready while leadership or a shard passes from one
// node to another: calls wait for longer.
const readyGrace = time.Second

// Ready returns nil if the node serves linearizable reads and writes, else why not, in the
// words for an operator. What passes within a second of its beginning is not told: calls
// wait for it.
func (n *Node) Ready() error {
	err := n.ready(readyGrace)
	if err == nil {
		n.served.Store(true)
	}
	return err
}

// ready is Ready with another grace.
func (n *Node) ready(grace time.Duration) error {
	if !n.served.Load() {
		grace = 0
	}
	state, now := n.consensus.State(), time.Now()
	passing := !state.Ready && state.Stalled == "" && now.Sub(state.Since) < grace
	switch why := n.forming.Load(); {
	case n.stopping.Load():
		return errors.New("stopping")
	case state.Stalled != "":
		return errors.New(state.Describe(now))
	case n.standsStill():
		return n.lostLog(now)
	case !state.Ready && why != nil:
		return errors.New(*why)
	case !state.Ready && !passing:
		return n.lostLeader(state, now)
	}
	if behind := n.behind(state); behind > 0 {
		return fmt.Errorf("catching up with the log: %d entries to go", behind)
	}
	if err := n.unlinked(state, grace, now); err != nil {
		return err
	}
	return n.routes.err()
}

// lostLog says that the log moves on without this node.
func (n *Node) lostLog(now time.Time) error {
	since := int(n.progress.standsFor(n.cfg.Name, now).Seconds())
	leader := n.leaderElsewhere()
	if leader == "" {
		return fmt.Errorf("the log stands still here since %d s, and moves on elsewhere", since)
	}
	return fmt.Errorf("the log stands still here since %d s: no contact with the leader %s on P+2 (%s)", since, leader, n.raftAddr(leader))
}

// lostLeader says why there is no leader: for all, or for this node alone.
func (n *Node) lostLeader(state cluster.State, now time.Time) error {
	leader := n.leaderElsewhere()
	if leader == "" || leader == n.cfg.Name {
		return errors.New(state.Describe(now))
	}
	return fmt.Errorf("no contact with the leader %s on P+2 (%s) since %d s", leader, n.raftAddr(leader), int(now.Sub(state.Since).Seconds()))
}

// leaderElsewhere is the leader that most nodes follow, as they tell; "" for none.
func (n *Node) leaderElsewhere() (leader messages.NodeID) {
	votes := make(map[messages.NodeID]int)
	for _, s := range n.peers.Statuses() {
		if s.Up && s.Leader != "" {
			if votes[s.Leader]++; votes[s.Leader] > votes[leader] {
				leader = s.Leader
			}
		}
	}
	return leader
}

// raftAddr is where a node speaks Raft, as gossip tells.
func (n *Node) raftAddr(node messages.NodeID) string {
	for _, m := range n.membership.Members() {
		if m.Name == node {
			return m.RaftAddr()
		}
	}
	return "its address is not known"
}

// unlinked says which node that is needed cannot be called: the leader, or an owner of
// shards.
func (n *Node) unlinked(state cluster.State, grace time.Duration, now time.Time) error {
	down := func(node messages.NodeID) (why string, is bool) {
		if node == "" || node == n.cfg.Name {
			return "", false
		}
		s, known := n.peers.Status(node)
		switch {
		case !known:
			return "its address is not known", true
		case s.Up || now.Sub(s.Since) < grace:
			return "", false
		}
		return fmt.Sprintf("%s: %v", s.Addr, s.Err), true
	}
	if why, is := down(state.Leader); is && state.Ready {
		return fmt.Errorf("the leader %s cannot be called on P+4 (%s)", state.Leader, why)
	}
	for owner, shards := range n.routes.counts() {
		if why, is := down(owner); is {
			return fmt.Errorf("%s, which owns %d shards, cannot be called on P+4 (%s)", owner, shards, why)
		}
	}
	return nil
}
