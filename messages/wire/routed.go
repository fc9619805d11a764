package wire

import (
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/internal/pack"
)

// Forward makes parameters of node.call that carry c to another node, with what is
// left of its deadline at now, at least a millisecond.
func (c *Call) Forward(now time.Time) *messages.NodeCallParams {
	rest := messages.Options{Consistency: c.Params.Shared().Consistency}
	return &messages.NodeCallParams{
		Options: messages.Options{
			RequestID:  c.RequestID,
			DeadlineMS: uint64(max(c.Deadline.Sub(now).Milliseconds(), 1)),
		},
		Method: c.Method.Name, Params: messages.AppendParamsWith(nil, c.Params, rest),
		Stamped: c.Stamped, Roles: c.Peer.Roles, Addr: c.Peer.Addr, Name: c.Peer.Name, Signed: c.Peer.Signed,
	}
}

// ReplyRaw answers with a result that is already encoded, under the rules of Reply. The
// bytes are not kept. What is not one MessagePack value within the wire's limits is
// answered internal.
func (c *Call) ReplyRaw(result []byte) {
	var s pack.Scanner
	if n, verdict := s.Scan(result, limits); verdict != pack.Complete || n != len(result) {
		c.Fail(messages.Errorf(messages.CodeInternal, "another node's result cannot be passed on: %s", verdict))
		return
	}
	c.Reply(messages.Raw(result))
}

// Inner makes the call that p carries, received at the given time. Its answer goes to
// done, once: the encoded result, which is done's to keep, or an error. What it may do was
// judged where it arrived; trusted says that whoever sent it here is known to be a node,
// and else the caller is taken for a stranger. The error is method_not_found, unauthorized,
// or what Decode finds.
func Inner(p *messages.NodeCallParams, received time.Time, trusted bool, done func(result []byte, err *messages.Error)) (*Call, *messages.Error) {
	m := messages.CarriedTable().ByName(p.Method)
	if m == nil {
		return nil, unknown(messages.PublicTable(), []byte(p.Method))
	}
	params, err := m.Decode(p.Params, messages.Relayed)
	if err != nil {
		return nil, err
	}
	caller := messages.Caller{Roles: p.Roles, Name: p.Name, Signed: p.Signed}
	if !trusted {
		caller = messages.Caller{Roles: p.Roles & stranger}
	}
	if err := messages.Allowed(m, params, caller); err != nil {
		if !trusted {
			err.Message += "; between nodes without TLS nobody's word for it is taken: ask at the node that carries it out, from its own machine"
		}
		return nil, err
	}
	opts := params.Shared()
	opts.RequestID, opts.DeadlineMS = p.RequestID, p.DeadlineMS
	c := &Call{
		Method: m, Params: params, RequestID: p.RequestID, Stamped: p.Stamped,
		Received: received, Deadline: received.Add(time.Duration(p.DeadlineMS) * time.Millisecond),
		Peer: Peer{Addr: p.Addr, Caller: caller}, to: encoded(done),
	}
	if m.Mutates && c.RequestID == "" && !c.Stamped { // else nobody asks for it
		c.RequestID, c.Stamped = stamp(), true
	}
	return c, nil
}

// Own makes a call of this node's own, which nobody can repeat. Its answer goes to done,
// once: a result of the method's type, or an error. Any goroutine may call done.
func Own(m *messages.Method, params messages.Params, deadline time.Time, done func(messages.Result, *messages.Error)) *Call {
	return &Call{Method: m, Params: params, Stamped: true, Received: time.Now(), Deadline: deadline,
		Peer: Peer{Caller: messages.Caller{Roles: messages.RolesAll}}, to: own(done)}
}

// OwnAs is Own for a call in somebody's name, who can repeat it by its request id.
func OwnAs(as messages.Caller, requestID string, m *messages.Method, params messages.Params, deadline time.Time, done func(messages.Result, *messages.Error)) *Call {
	c := Own(m, params, deadline, done)
	c.RequestID, c.Stamped, c.Peer.Caller = requestID, false, as
	return c
}

// own takes answers as results; one that another node gave is decoded first.
type own func(messages.Result, *messages.Error)

// answer implements replier.
func (done own) answer(c *Call, result messages.Result, err *messages.Error) {
	raw, encoded := result.(messages.Raw)
	if err != nil || !encoded {
		done(result, err)
		return
	}
	result = c.Method.NewResult()
	if fault := messages.DecodeResult(raw, result); fault != nil {
		done(nil, messages.Errorf(messages.CodeOutcomeUnknown, "another node's answer cannot be read: %v", fault))
		return
	}
	done(result, nil)
}

// Unwrap makes the call that outer, a node.call, carries, and answers outer with its
// answer. trusted is as for Inner.
func Unwrap(outer *Call, trusted bool) (*Call, *messages.Error) {
	p, ok := outer.Params.(*messages.NodeCallParams)
	if !ok {
		return nil, messages.Errorf(messages.CodeInternal, "%s carries no call", outer.Method.Name)
	}
	return Inner(p, outer.Received, trusted, func(result []byte, err *messages.Error) {
		if err != nil {
			outer.Fail(err)
			return
		}
		outer.Reply(&messages.NodeCallResult{Result: result})
	})
}

// encoded takes answers as bytes.
type encoded func(result []byte, err *messages.Error)

// answer implements replier.
func (done encoded) answer(_ *Call, result messages.Result, err *messages.Error) {
	if err != nil {
		done(nil, err)
		return
	}
	b, encErr := messages.AppendResult(nil, result)
	switch {
	case encErr != nil:
		done(nil, messages.Errorf(messages.CodeInternal, "encode the result: %v", encErr))
	case len(b) > limits.Bytes:
		done(nil, messages.Errorf(messages.CodeInternal, "a result of %d bytes is more than %d", len(b), limits.Bytes))
	default:
		done(b, nil)
	}
}
