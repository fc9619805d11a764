package node

import (
	"context"
	"slices"
	"time"

	"github.com/the-block/bursar/actors/authority"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// openAuthority makes the part that knows who may do what.
func (n *Node) openAuthority() {
	n.authority = authority.New(authority.Config{
		Node: n.cfg.Name, Cluster: n.consensus.ClusterID, Wall: time.Now, Open: wire.Open, Call: n.callAs, Executed: n.executed,
	}, n.store, n.journal)
}

// executed tells what a disbursement has paid, if it is executed.
func (n *Node) executed(id messages.DisbursementID) (messages.Amount, bool) {
	r, ok, err := rows.Load(n.store, id)
	if err != nil || !ok || r.Record.State != messages.Executed {
		return 0, false
	}
	return r.Record.Payload.Disbursement.Amount, true
}

// callAs makes a call in somebody's name.
func (n *Node) callAs(ctx context.Context, m *messages.Method, p messages.Params, requestID string, as messages.Caller) ([]byte, *messages.Error) {
	type answer struct {
		result []byte
		err    *messages.Error
	}
	answered := make(chan answer, 1)
	deadline, _ := ctx.Deadline()
	call := wire.OwnAs(as, requestID, m, p, deadline, func(result messages.Result, err *messages.Error) {
		if err != nil {
			answered <- answer{nil, err}
			return
		}
		b, fault := messages.AppendResult(nil, result)
		if fault != nil {
			answered <- answer{nil, messages.Errorf(messages.CodeInternal, "encode the result: %v", fault)}
			return
		}
		answered <- answer{b, nil}
	})
	n.service.take([]*wire.Call{call}, false)
	a := <-answered // by its deadline at the latest
	return a.result, a.err
}

// pausesEvery is how often the leader looks whether a pause's time has passed.
const pausesEvery = time.Second

// endPauses ends the pauses whose time has passed.
func (n *Node) endPauses(ctx context.Context) error {
	tick := time.NewTicker(pausesEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			ctx, cancel := context.WithTimeout(ctx, pausesEvery)
			if err := n.authority.Tend(ctx); err != nil && ctx.Err() == nil {
				n.log.Warn("a pause whose time has passed cannot be ended yet", "component", "authority", "err", err)
			}
			cancel()
		case <-ctx.Done():
			return nil
		}
	}
}

// entitled lets those of a burst go on that may: it refuses what needs a signature and has
// none, or is paused, and sends what is signed to be judged.
func (s *service) entitled(calls []*wire.Call) (rest []*wire.Call) {
	if !slices.ContainsFunc(calls, func(c *wire.Call) bool { return c.Method.Mutates }) {
		return calls
	}
	guard, err := s.node.authority.Guard()
	var signed []*wire.Call
	rest = slices.DeleteFunc(calls, func(c *wire.Call) bool {
		switch {
		case !c.Method.Mutates:
			return false
		case err != nil:
			c.Fail(err)
		case c.Peer.Signed != nil && c.Peer.Signed.Version == 0:
			signed = append(signed, c)
		default:
			refusal := guard.Admit(c.Method, c.Params, c.Peer.Caller)
			if refusal == nil {
				return false
			}
			c.Fail(refusal)
		}
		return true
	})
	work(s, signed, s.judge)
	return rest
}

// judge lets signed calls go on whose signature is good, whose operator has the role, and
// that need no more approvals.
func (s *service) judge(calls []*wire.Call) {
	var good, held []*wire.Call
	for _, c := range inTime(s, calls, s.reach) {
		caller, refusal := s.node.authority.Verify(c.Peer.Signed)
		if refusal == nil {
			c.Peer.Caller = caller
			refusal = messages.Allowed(c.Method, c.Params, caller)
		}
		switch {
		case refusal != nil:
			c.Fail(refusal)
		case s.node.authority.Holds(c.Method, c.Params, c.RequestID):
			held = append(held, c)
		default:
			good = append(good, c)
		}
	}
	if len(good) > 0 {
		s.take(good, false)
	}
	for _, c := range held {
		work(s, []*wire.Call{c}, s.hold)
	}
}

// hold keeps a signed call that needs more approvals.
func (s *service) hold(calls []*wire.Call) {
	c := calls[0]
	ctx, cancel := context.WithDeadline(context.Background(), c.Deadline)
	defer cancel()
	result, held, refusal := s.node.authority.Hold(ctx, s.attempt(c).request(), c.Method, c.Params)
	switch {
	case refusal != nil:
		c.Fail(refusal)
	case held:
		c.Reply(result)
	default:
		s.take(calls, false)
	}
}
