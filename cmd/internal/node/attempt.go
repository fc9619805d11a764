package node

import (
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// The pauses between attempts at a call whose shard is changing its owner, or for
// which there is no leader.
const (
	retryFirst = 2 * time.Millisecond
	retryMost  = 100 * time.Millisecond
)

// attempt is one call on its way to who carries it out, on this node or another, as
// often as it takes until its deadline. It implements durable.Replier: a refusal that
// says "not done, not here" is not the caller's to see while there is time left, nor is
// "not known" while the same request id may be asked again.
type attempt struct {
	call    *wire.Call
	service *service
	// confirmed says that the Store has applied all that the caller can know of.
	confirmed bool
	// routed says that another node sent the call here: that node tries again.
	routed bool
	pause  time.Duration
	// unknown says that an earlier try may have been carried out, so that no later
	// refusal can be believed.
	unknown bool
	// asked numbers the questions to other nodes and their ends: an answer that comes
	// when the question has ended is nobody's.
	asked atomic.Uint32
}

func (s *service) attempt(c *wire.Call) *attempt { return &attempt{call: c, service: s} }

// request is the treasury's view of the attempt.
func (a *attempt) request() durable.Request {
	c := a.call
	who, reason := c.Peer.By(c.Peer.Addr), messages.ReasonOf(c.Params)
	right := a.service.node.authority.Right(c.Peer.Signed, c.Method.Name, c.RequestID, reason)
	if c.Peer.Signed == nil && c.Method.Who >= messages.Operator {
		right = a.service.node.authority.Note(who, c.Method.Name, c.RequestID, reason)
	}
	return durable.Request{
		To: a, Who: who, By: c.Peer.Caller, ID: c.RequestID, Stamped: c.Stamped,
		Right: right,
		Hash:  c.Method.PayloadHash(c.Params), Confirmed: a.confirmed, Deadline: c.Deadline,
	}
}

// Reply implements durable.Replier.
func (a *attempt) Reply(result any) { a.call.Reply(result) }

// Fail implements durable.Replier.
func (a *attempt) Fail(err *messages.Error) {
	if a.routed || !a.goesOn(err) {
		a.call.Fail(a.verdict(err))
		return
	}
	a.again()
}

// goesOn reports whether a refusal leaves something to try.
func (a *attempt) goesOn(err *messages.Error) bool {
	if err.Code == messages.CodeOutcomeUnknown {
		a.unknown = true
		return !a.call.Stamped
	}
	return err.Code == messages.CodeUnavailable || err.Code == messages.CodeOverloaded && a.unknown
}

// verdict is what the caller is told where a try was refused: after one whose outcome
// is not known, that nothing is known.
func (a *attempt) verdict(err *messages.Error) *messages.Error {
	if a.unknown && err.Code != messages.CodeRequestIDConflict {
		return durable.OutcomeUnknown()
	}
	return err
}

// again waits a moment and tries once more, unless the time is up or the node stops.
func (a *attempt) again() {
	left := time.Until(a.call.Deadline)
	if left <= 0 || a.service.node.stopping.Load() || !a.service.enter() {
		a.call.Fail(a.verdict(a.service.node.unavailable()))
		return
	}
	a.pause = min(max(2*a.pause, retryFirst), retryMost, left)
	time.AfterFunc(a.pause, func() {
		defer a.service.running.Done()
		a.service.send([]*attempt{a})
	})
}

// answerGrace is how long after a call's deadline another node's answer is waited for:
// the node answers at the deadline itself.
const answerGrace = 200 * time.Millisecond

// ask sends the call to the node that is to carry it out.
func (a *attempt) ask(owner messages.NodeID) {
	question := a.asked.Add(1)
	ends := func() bool { return a.asked.CompareAndSwap(question, question+1) }
	late := time.AfterFunc(time.Until(a.call.Deadline)+answerGrace, func() {
		if ends() {
			a.unknown = a.call.Method.Mutates
			a.call.Fail(a.verdict(a.service.node.unavailable()))
		}
	})
	a.service.node.peers.Call(owner, a.call, func(result []byte, err *messages.Error) {
		switch {
		case !ends():
		case err != nil:
			late.Stop()
			a.Fail(err)
		default:
			late.Stop()
			a.call.ReplyRaw(result)
		}
	})
}
