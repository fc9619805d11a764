package node

import (
	"context"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/membership"
	"github.com/the-block/bursar/cluster/ownership"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/supervision/breaker"
)

// readyBehindMax is how many entries a node may be behind the leader and be ready: its
// linearizable reads wait for them.
const readyBehindMax = 256

// behind is how many entries this node has to go, 0 where that is not worth a word.
func (n *Node) behind(state cluster.State) uint64 {
	leader, known := n.peers.Status(state.Leader)
	applied := n.store.Applied()
	if !known || state.Leading || leader.Applied <= applied {
		return 0
	}
	if behind := leader.Applied - applied; behind > readyBehindMax || applied == 0 {
		return behind
	}
	return 0
}

// follow waits until Store and read models have applied index.
func (n *Node) follow(ctx context.Context, index uint64) error {
	if err := n.store.Wait(ctx, index); err != nil {
		return err
	}
	if err := n.treasury.Model().Wait(ctx, index); err != nil {
		return err
	}
	return n.energy.Wait(ctx, index)
}

// unavailable tells a caller that nothing was done, in the words of Ready.
func (n *Node) unavailable() *messages.Error {
	if err := n.ready(0); err != nil {
		return messages.Errorf(messages.CodeUnavailable, "not done: %v", err)
	}
	return messages.Errorf(messages.CodeUnavailable, "not done: the deadline passed first")
}

// status answers cluster.status.
func (n *Node) status() *messages.ClusterStatusResult {
	state, voters := n.consensus.State(), n.voters()
	result := &messages.ClusterStatusResult{
		Cluster: n.consensus.ClusterID(), Node: string(n.cfg.Name), Leader: string(state.Leader), Term: state.Term,
		AppliedIndex: n.store.Applied(), CommitIndex: n.consensus.CommitIndex(), Quorum: state.Ready,
		Voters: voters.all, VotersUp: voters.up, MayFail: voters.mayFail(), Epoch: n.treasury.Model().Epoch(),
		FeatureLevel: uint64(n.store.Level()), Ready: true, Version: Version, Exposed: n.exposed(),
	}
	if err := n.Ready(); err != nil {
		result.Ready, result.Reason = false, err.Error()
	}
	return result
}

// voters counts those whose majority decides.
type voters struct{ all, up uint64 }

// mayFail is how many of those that are there may fail before there is no majority.
func (v voters) mayFail() uint64 {
	needed := v.all/2 + 1
	return max(v.up, needed) - needed
}

func (n *Node) voters() (v voters) {
	for _, m := range n.consensus.Configuration() {
		if !m.Voter {
			continue
		}
		v.all++
		if s, known := n.peers.Status(m.Node); m.Node == n.cfg.Name || known && s.Up {
			v.up++
		}
	}
	return v
}

// members answers cluster.members.
func (n *Node) members() (*messages.ClusterMembersResult, *messages.Error) {
	state, err := n.ownership()
	if err != nil {
		return nil, messages.Errorf(messages.CodeInternal, "%v", err)
	}
	leader, _ := n.consensus.Leader()
	voters := make(map[messages.NodeID]bool)
	for _, m := range n.consensus.Configuration() {
		voters[m.Node] = m.Voter
	}
	result := new(messages.ClusterMembersResult)
	for _, m := range n.membership.Members() {
		if _, member := voters[m.Name]; !member && !n.proven(m.Name) {
			continue
		}
		result.Members = append(result.Members, messages.Member{
			Name: string(m.Name), Role: m.Role.String(), State: n.stateOf(m, state), Address: m.Host,
			RPC: m.RPCAddr(), HTTP: m.HTTPAddr(), Voter: voters[m.Name], Leader: m.Name == leader,
			Shards: uint64(state.Count(m.Name)), Version: m.Version,
		})
	}
	for _, m := range n.consensus.Configuration() { // gossip has forgotten it, the group has not
		known := slices.ContainsFunc(result.Members, func(have messages.Member) bool { return have.Name == string(m.Node) })
		if !known {
			host, _, _ := net.SplitHostPort(m.Addr)
			result.Members = append(result.Members, messages.Member{
				Name: string(m.Node), State: membership.Dead.String(), Address: host, Voter: m.Voter, Shards: uint64(state.Count(m.Node)),
			})
		}
	}
	slices.SortFunc(result.Members, func(a, b messages.Member) int { return strings.Compare(a.Name, b.Name) })
	return result, nil
}

// proven reports whether a node has shown, where there is TLS, that its certificate is of
// this cluster: the key of gossip alone makes nobody a member.
func (n *Node) proven(node messages.NodeID) bool {
	s, known := n.peers.Status(node)
	return n.identity == nil || node == n.cfg.Name || known && s.Links > 0
}

// stateOf is how a member is: gossip's word, unless our own link or the log knows more.
func (n *Node) stateOf(m membership.Member, state *ownership.State) string {
	switch s, known := n.peers.Status(m.Name); {
	case m.State == membership.Dead && known && s.Up: // its gossip alone is not heard
	case m.State != membership.Alive:
		return m.State.String()
	case m.Name != n.cfg.Name && known && !s.Up:
		return "suspect"
	case m.Draining || state.Nodes[m.Name].Drained:
		return "draining"
	}
	return membership.Alive.String()
}

// breakers answers supervision.breakers: what has memory, by path, closed or not.
func (n *Node) breakers(p *messages.BreakersParams) (*messages.BreakersResult, *messages.Error) {
	found, more := n.system.Breakers(actors.BreakerPage{
		Path: p.Path, NotClosed: p.NotClosed, First: int(min(p.Cursor, breakersMax)), Limit: int(p.Limit),
	})
	result := &messages.BreakersResult{Node: string(n.cfg.Name), NextCursor: messages.Cursor(more)}
	for i := range found {
		result.Breakers = append(result.Breakers, breakerInfo(&found[i]))
	}
	return result, nil
}

// breakersMax is more than there are breakers with something to tell.
const breakersMax = 1 << 30

func breakerInfo(s *breaker.Snapshot) messages.BreakerInfo {
	info := messages.BreakerInfo{
		Path: s.Path, Kind: s.Scope.String(), State: s.State.String(), Failures: s.Failures, Successes: s.Successes,
		Trips: s.Trips, RetryAfterMS: uint64(s.RetryAfter.Milliseconds()),
	}
	if s.State.Forced() {
		info.Forced = s.State.String()
	}
	if s.Cause != 0 {
		info.Cause = s.Cause.String()
	}
	return info
}

// treeLevelsMax is deeper than any tree here.
const treeLevelsMax = 16

// treeChildrenMax bounds the children of one actor in one answer.
const treeChildrenMax = 1000

// tree answers actors.tree.
func (n *Node) tree(p *messages.TreeParams) (*messages.ActorsTreeResult, *messages.Error) {
	levels := int(min(p.Depth, treeLevelsMax))
	if levels == 0 {
		levels = treeLevelsMax
	}
	root, err := n.system.Tree(actors.Page{Path: p.Path, Levels: levels, Limit: treeChildrenMax})
	if err != nil {
		return nil, messages.Errorf(messages.CodeNotFound, "there is no actor %q", p.Path)
	}
	result := &messages.ActorsTreeResult{Node: string(n.cfg.Name)}
	result.Actors, result.NextCursor = pageOf(n.flatten(&root), p.Page)
	return result, nil
}

// flatten lists an actor and those below it, parents first, with what they are stuck in.
func (n *Node) flatten(root *actors.Node) []messages.ActorInfo {
	now, stalled := time.Now(), make(map[string]uint64)
	for _, s := range n.system.Stalled() {
		stalled[s.Path] = uint64(now.Sub(s.Since).Milliseconds())
	}
	var list []messages.ActorInfo
	var add func(node *actors.Node)
	add = func(node *actors.Node) {
		list = append(list, messages.ActorInfo{
			Path: node.Path, Kind: node.Kind, State: node.State.String(), Children: uint64(node.Population),
			MailboxDepth: uint64(node.Depth), Messages: node.Processed, Restarts: uint64(node.Restarts),
			OldestMS: uint64(node.OldestAge.Milliseconds()), Breaker: node.Breaker.String(), StalledMS: stalled[node.Path],
		})
		for i := range node.Children {
			add(&node.Children[i])
		}
	}
	add(root)
	return list
}

// pageOf cuts a page out of a list that is made anew for each call; its cursor is a
// place in the list.
func pageOf[T any](all []T, p messages.Page) ([]T, messages.Cursor) {
	from := min(uint64(p.Cursor), uint64(len(all)))
	to := min(from+p.Limit, uint64(len(all)))
	if to == uint64(len(all)) {
		return all[from:to], 0
	}
	return all[from:to], messages.Cursor(to)
}
