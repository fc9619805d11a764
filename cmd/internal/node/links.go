package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/peers"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
	"github.com/the-block/bursar/persistence"
)

// openPeers opens the port for the other nodes.
func (n *Node) openPeers(context.Context) error {
	cfg := peers.DefaultConfig()
	if n.cfg.Timing == string(cluster.TimingLAN) {
		cfg = peers.LANConfig()
	}
	self := peers.Self{
		Node: n.cfg.Name, Boot: n.boot, Version: Version, Cluster: n.consensus.ClusterID, Status: n.pong,
	}
	links, err := peers.New(cfg, self, n.network, n, n.log)
	if err != nil {
		return err
	}
	n.peers = links
	n.parts.onStop("port for other nodes", func(context.Context) error { return links.Close() })
	if err := links.Listen(n.cfg.Address(PortActors)); err != nil {
		return fmt.Errorf("listen for other nodes: %w", err)
	}
	n.consensus.Connect(toLeader{links})
	return nil
}

// pong tells other nodes how this one is.
func (n *Node) pong() peers.Pong {
	state := n.consensus.State()
	return peers.Pong{
		Life: n.consensus.Life(), Voting: n.consensus.Voting(), Misbound: n.misbound(),
		Applied: n.store.Applied(), LastIndex: n.consensus.LastIndex(),
		Leader: state.Leader, Term: state.Term,
		Sums: string(persistence.AppendCheckpoints(nil, n.store.Checkpoints())),
	}
}

// ServePeer implements peers.Handler.
func (n *Node) ServePeer(_ messages.NodeID, calls []*wire.Call) {
	var routed []*wire.Call
	for _, c := range calls {
		switch c.Method.Name {
		case messages.MethodNodeCall:
			inner, err := wire.Unwrap(c, n.identity != nil || c.Peer.Loopback && n.cfg.TrustLoopback)
			if err != nil {
				c.Fail(err)
				continue
			}
			routed = append(routed, inner)
		case messages.MethodNodePropose:
			n.servePropose(c, c.Params.(*messages.NodeProposeParams))
		case messages.MethodNodeForm:
			n.service.attend(c, n.servePromise)
		case messages.MethodNodeReadIndex:
			n.service.attend(c, n.serveReadIndex)
		default:
			c.Fail(messages.Errorf(messages.CodeMethodNotFound, "no such method: %s", c.Method.Name))
		}
	}
	if len(routed) > 0 {
		n.service.take(routed, true)
	}
}

// servePropose appends another node's entry to the log.
func (n *Node) servePropose(c *wire.Call, p *messages.NodeProposeParams) {
	n.consensus.ServePropose(p.Entry, func(index uint64, results []persistence.Result, err error) {
		if err != nil {
			c.Fail(logError(err))
			return
		}
		c.Reply(&messages.NodeProposeResult{Index: index, Results: persistence.AppendResults(nil, results)})
	})
}

// serveReadIndex confirms an index to another node.
func (n *Node) serveReadIndex(calls []*wire.Call) {
	c := calls[0]
	ctx, cancel := context.WithDeadline(context.Background(), c.Deadline)
	defer cancel()
	index, err := n.consensus.ServeReadIndex(ctx)
	if err != nil {
		c.Fail(logError(err))
		return
	}
	c.Reply(&messages.NodeReadIndexResult{Index: index})
}

// servePromise answers a node that forms a cluster.
func (n *Node) servePromise(calls []*wire.Call) {
	c := calls[0]
	p := c.Params.(*messages.NodeFormParams)
	request := cluster.FormRequest{Cluster: p.Cluster, Initiator: p.Initiator}
	for _, v := range p.Voters {
		request.Voters = append(request.Voters, cluster.Voter{Node: v.Node, Addr: v.Addr})
	}
	reply, err := n.consensus.Promise(request)
	if err == nil {
		err = n.tellPromise()
	}
	if err != nil {
		c.Fail(messages.Errorf(messages.CodeInvalidTransition, "%v", err))
		return
	}
	c.Reply(&messages.NodeFormResult{Life: reply.Life})
}

// logError tells another node what became of its entry, or its question.
func logError(err error) *messages.Error {
	if errors.Is(err, persistence.ErrUnavailable) {
		return messages.Errorf(messages.CodeUnavailable, "%v", err)
	}
	return messages.Errorf(messages.CodeOutcomeUnknown, "%v", err)
}

// toLeader carries entries and questions to the node that leads.
type toLeader struct{ links *peers.Peers }

// Propose implements cluster.Leader.
func (l toLeader) Propose(to messages.NodeID, entry []byte, done func(uint64, []persistence.Result, error)) {
	l.links.Go(to, messages.MethodNodePropose, &messages.NodeProposeParams{Entry: entry}, func(r wire.Reply) {
		var result messages.NodeProposeResult
		if err := r.Decode(&result); err != nil {
			done(0, nil, fromLeader(err))
			return
		}
		results, err := persistence.DecodeResults(result.Results)
		done(result.Index, results, err)
	})
}

// ReadIndex implements cluster.Leader.
func (l toLeader) ReadIndex(ctx context.Context, to messages.NodeID) (uint64, error) {
	type answer struct {
		index uint64
		err   error
	}
	answered := make(chan answer, 1)
	params := new(messages.NoParams)
	if deadline, ok := ctx.Deadline(); ok {
		params.DeadlineMS = uint64(max(time.Until(deadline).Milliseconds(), 1))
	}
	l.links.Go(to, messages.MethodNodeReadIndex, params, func(r wire.Reply) {
		var result messages.NodeReadIndexResult
		err := r.Decode(&result)
		answered <- answer{result.Index, fromLeader(err)}
	})
	select {
	case a := <-answered:
		return a.index, a.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// fromLeader is another node's refusal as the log's callers know it.
func fromLeader(err error) error {
	var refusal *messages.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &refusal):
		return fmt.Errorf("%w: %w", persistence.ErrUnknown, err)
	case refusal.Code == messages.CodeUnavailable, refusal.Code == messages.CodeOverloaded,
		refusal.Code == messages.CodeMethodNotFound, refusal.Code == messages.CodeInvalidParams:
		return fmt.Errorf("%w: %s", persistence.ErrUnavailable, refusal.Message)
	}
	return fmt.Errorf("%w: %s", persistence.ErrUnknown, refusal.Message)
}
