package executor

import (
	"maps"
	"slices"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/readmodel"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Execute asks the executor to pay a disbursement now.
type Execute struct {
	durable.Request
	ID messages.DisbursementID
}

// Recall implements durable.Command.
func (c *Execute) Recall(reply []byte) (any, bool) { return rows.RecallTransition(c.ID, reply) }

// callersMax bounds the callers that wait for a payment.
const callersMax = 4096

// callers wait for payments that they asked for.
type callers struct {
	byID    map[messages.DisbursementID][]*Execute
	waiting int
}

func newCallers() callers { return callers{byID: make(map[messages.DisbursementID][]*Execute)} }

func (c *callers) add(call *Execute) {
	c.byID[call.ID] = append(c.byID[call.ID], call)
	c.waiting++
}

// full reports whether no more may wait. Those whose deadline has passed make room first.
func (c *callers) full() bool {
	if c.waiting < callersMax {
		return false
	}
	c.waiting = 0
	for id, list := range c.byID {
		list = slices.DeleteFunc(list, func(call *Execute) bool { return call.Answered() })
		if c.byID[id] = list; len(list) == 0 {
			delete(c.byID, id)
		}
		c.waiting += len(list)
	}
	return c.waiting >= callersMax
}

// ids lists the payments that somebody waits for.
func (c *callers) ids() []messages.DisbursementID { return slices.Sorted(maps.Keys(c.byID)) }

// first gives the caller whose request id a payment shall carry: nil if there is none
// with an id of its own.
func (c *callers) first(id messages.DisbursementID) *Execute {
	for _, call := range c.byID[id] {
		if !call.Stamped {
			return call
		}
	}
	return nil
}

// remove takes out the callers of one payment and gives them.
func (c *callers) remove(id messages.DisbursementID) []*Execute {
	list := c.byID[id]
	delete(c.byID, id)
	c.waiting -= len(list)
	return list
}

// removeOne takes out one caller, who has the answer.
func (c *callers) removeOne(call *Execute) {
	for _, other := range c.remove(call.ID) {
		if other != call {
			c.add(other)
		}
	}
}

// fail refuses all who wait for one payment.
func (c *callers) fail(id messages.DisbursementID, err *messages.Error) {
	for _, call := range c.remove(id) {
		call.Fail(err)
	}
}

// proposed notes that the payment is on its way: at their deadline nobody knows what
// becomes of it.
func (c *callers) proposed(id messages.DisbursementID) {
	for _, call := range c.byID[id] {
		call.Propose()
	}
}

// requeued notes that the payment was certainly not made, and is decided about anew.
func (c *callers) requeued(id messages.DisbursementID) {
	for _, call := range c.byID[id] {
		call.Requeue()
	}
}

// execute lets a caller wait for a payment, if it can be made now.
func (x *executor) execute(ctx durable.Context, c *Execute) error {
	c.Right = c.Right.Noted() // a payment that is due needs nobody's right
	if !x.Active() {
		c.Fail(durable.NotOwner(x.Shard))
		return nil
	}
	if c.Expired(x.Steady()) {
		c.Fail(durable.Expired())
		return nil
	}
	if answered, err := x.AnswerRepeat(c); answered || err != nil {
		return err
	}
	if x.binding.mismatch != "" {
		c.Fail(x.mismatched())
		return nil
	}
	under := x.under(c.ID)
	made, err := x.made(c.ID)
	if err != nil {
		return err
	}
	if !under || made {
		refusal, err := x.refusal(c.ID)
		if err != nil {
			return err
		}
		if refusal != nil {
			c.Fail(refusal)
			return nil
		}
		x.model.PutPayable(readmodel.Payable{ID: c.ID, Since: x.Steady()})
	}
	if x.callers.full() {
		c.Fail(messages.Errorf(messages.CodeOverloaded, "%d callers wait for the executor", callersMax).
			With("retry_after_ms", durable.RetryOverload.Milliseconds()))
		return nil
	}
	x.callers.add(c)
	if under {
		c.Propose()
	}
	return x.pay(ctx)
}

// made reports whether a payment is committed. The executor may hear of it later than others.
func (x *executor) made(id messages.DisbursementID) (bool, error) {
	r, ok, err := rows.Load(x.Store, id)
	return ok && !r.Record.Staged && !r.Record.AwaitsExecution(), err
}

// refusal says why a disbursement cannot be paid now, nil if it can.
func (x *executor) refusal(id messages.DisbursementID) (*messages.Error, error) {
	r, ok, err := rows.Load(x.Store, id)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return rows.NotFound(id), nil
	}
	facts, err := x.funds()
	if err != nil {
		return nil, err
	}
	if facts.Unmet, err = rows.Unmet(x.Store, r.Record.Deps); err != nil {
		return nil, err
	}
	if refusal := disbursement.Executable(r.Record, facts); refusal != nil {
		return refusal, nil
	}
	if !x.breaker.Passes() {
		return x.circuitOpen(), nil
	}
	return nil, nil
}

// failWaiting answers the callers of a payment when the executor cannot go on: what is
// in flight may commit, what is not was not done.
func (x *executor) failWaiting(id messages.DisbursementID) {
	if x.under(id) {
		x.callers.fail(id, durable.OutcomeUnknown())
		return
	}
	x.callers.fail(id, messages.Errorf(messages.CodeUnavailable, "not done: the executor restarts"))
}

func executedResult(id messages.DisbursementID) *messages.TransitionResult {
	return &messages.TransitionResult{ID: id, State: messages.Executed}
}

// answerCallers tells those who asked for a payment that it was made. The payment
// carried the request id of one of them; those of the others are remembered first.
func (x *executor) answerCallers(p *payment) {
	for _, c := range x.callers.remove(p.ID) {
		result := executedResult(p.ID)
		if c.Stamped || c == p.call {
			c.Reply(result)
			continue
		}
		// What it says is true whoever owns the executor's shard by now: no fence.
		txn := &persistence.Txn{}
		c.Remember(txn, rows.TransitionReply.Encode(result))
		x.ProposeFor(&c.Request, persistence.Proposal{Txn: txn}, &memory{c, result})
	}
}

// memory is the answer to a caller on its way to being remembered.
type memory struct {
	call   *Execute
	result *messages.TransitionResult
}

func (m *memory) fail(*executor) { m.call.Fail(durable.OutcomeUnknown()) }

func (m *memory) conclude(_ *executor, _ durable.Context, o persistence.Outcome) error {
	if refusal := durable.RefusalOf(o); refusal != nil {
		m.call.Fail(refusal)
		return nil
	}
	m.result.Duplicate = o.Result.Status == persistence.Duplicate
	m.call.Reply(m.result)
	return nil
}
