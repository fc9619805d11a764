package treasury

import (
	"slices"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Execute asks the executor to pay a disbursement now.
type Execute struct {
	Request
	ID messages.DisbursementID
}

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

// take removes the callers of one payment and gives them.
func (c *callers) take(id messages.DisbursementID) []*Execute {
	list := c.byID[id]
	delete(c.byID, id)
	c.waiting -= len(list)
	return list
}

// remove forgets one caller, who has the answer.
func (c *callers) remove(call *Execute) {
	for _, other := range c.take(call.ID) {
		if other != call {
			c.add(other)
		}
	}
}

// fail refuses all who wait for one payment.
func (c *callers) fail(id messages.DisbursementID, err *messages.Error) {
	for _, call := range c.take(id) {
		call.Fail(err)
	}
}

// execute lets a caller wait for a payment, if it can be made now.
func (x *executor) execute(ctx *actors.Context, c *Execute) error {
	if x.fence == 0 {
		c.Fail(notOwner(x.cfg.ExecutorShard()))
		return nil
	}
	if c.expired(time.Now()) {
		c.Fail(expired())
		return nil
	}
	if answered, err := x.answerRepeat(&c.Request, c.ID); answered || err != nil {
		return err
	}
	if !x.under(c.ID) {
		refusal, err := x.refusal(c.ID)
		if err != nil {
			return err
		}
		if refusal != nil {
			c.Fail(refusal)
			return nil
		}
		x.model.PutPayable(Payable{c.ID, time.Now()})
	}
	if x.callers.waiting >= callersMax {
		c.Fail(messages.Errorf(messages.CodeOverloaded, "%d callers wait for the executor", callersMax).
			With("retry_after_ms", retryOverload.Milliseconds()))
		return nil
	}
	x.callers.add(c)
	x.watch(ctx)
	return x.pay(ctx)
}

// refusal says why a disbursement cannot be paid now, nil if it can.
func (x *executor) refusal(id messages.DisbursementID) (*messages.Error, error) {
	r, ok, err := load(x.store, id)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return notFound(id), nil
	}
	facts, err := x.funds()
	if err != nil {
		return nil, err
	}
	if facts.Unmet, err = x.unmet(r.record.Deps); err != nil {
		return nil, err
	}
	if refusal := disbursement.Executable(r.record, facts); refusal != nil {
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
		x.callers.fail(id, outcomeUnknown())
		return
	}
	x.callers.fail(id, messages.Errorf(messages.CodeUnavailable, "not done: the executor restarts"))
}

func executedResult(id messages.DisbursementID) *transitionResult {
	return &transitionResult{id, messages.Executed}
}

// answerCallers tells those who asked for a payment that it was made. The payment
// carried the request id of one of them; those of the others are remembered first.
func (x *executor) answerCallers(p *payment) {
	for _, c := range x.callers.take(p.ID) {
		result := executedResult(p.ID)
		if c.Stamped || c == p.call {
			c.Reply(result.answer(false))
			continue
		}
		// What it says is true whoever owns the executor's shard by now: no fence.
		txn := &persistence.Txn{Reply: result.remember()}
		c.identify(txn, persistence.KeepRecent)
		if err := x.propose(persistence.Proposal{Txn: txn, Deadline: c.Deadline}, &memory{c, result}); err != nil {
			c.Fail(errorOf(err))
		}
	}
}

// memory is the answer to a caller on its way to being remembered.
type memory struct {
	call   *Execute
	result *transitionResult
}

func (m *memory) abandon(*executor) { m.call.Fail(outcomeUnknown()) }

func (m *memory) finish(_ *executor, _ *actors.Context, o persistence.Outcome) error {
	if refusal := refusalOf(o); refusal != nil {
		m.call.Fail(refusal)
		return nil
	}
	m.call.Reply(m.result.answer(o.Result.Status == persistence.Duplicate))
	return nil
}

// asker gives whoever waits for the outcome of work itself, nil if nobody does.
func asker(work executorWork) *Request {
	switch work := work.(type) {
	case *memory:
		return &work.call.Request
	case *retrial:
		return &work.call.Request
	case *recording:
		if work.skip != nil {
			return &work.skip.Request
		}
	}
	return nil
}

// watch makes sure that deadlines are looked at while callers wait.
func (x *executor) watch(ctx *actors.Context) {
	if !x.expiring && (x.callers.waiting > 0 || len(x.open) > len(x.paying)) {
		x.expiring = true
		ctx.After(expireEvery, expire{})
	}
}

// expire answers the callers whose deadline has passed. A payment on its way goes on.
func (x *executor) expire(ctx *actors.Context) {
	x.expiring = false
	now := time.Now()
	for id, list := range x.callers.byID {
		answer := expired()
		if x.under(id) {
			answer = outcomeUnknown()
		}
		waiting := slices.DeleteFunc(list, func(c *Execute) bool {
			if !c.expired(now) {
				return false
			}
			c.Fail(answer)
			return true
		})
		x.callers.waiting -= len(list) - len(waiting)
		x.callers.byID[id] = waiting
		if len(waiting) == 0 {
			delete(x.callers.byID, id)
		}
	}
	for _, work := range x.open {
		if r := asker(work); r != nil && r.expired(now) {
			r.Fail(outcomeUnknown())
		}
	}
	x.watch(ctx)
}
