package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/executor"
	"github.com/the-block/bursar/messages"
)

const (
	clientsMax = 3
	callMax    = 600 * time.Millisecond // without an answer, the outcome is unknown
	// deadlineMin is the least that a caller gives the actors.
	deadlineMin = 100 * time.Millisecond
	thinkMin    = 10 * time.Millisecond
	thinkMax    = 140 * time.Millisecond
	retryMin    = 20 * time.Millisecond
	retryMax    = 120 * time.Millisecond
)

// kind is what a client wants.
type kind byte

const (
	submit kind = iota + 1
	plan
	accrue
	vote
	queue
	execute
	rollback
	advance
	decide // about the intent at which the executor has paused
)

var kindNames = [...]string{
	submit: "submit", plan: "plan", accrue: "accrue", vote: "vote", queue: "queue", execute: "execute",
	rollback: "rollback", advance: "advance", decide: "decide",
}

// call is one thing that a client wants, with all that it was told about it.
type call struct {
	number int
	kind   kind
	// id makes repeats harmless. Without one the client asks once.
	id     string
	named  bool
	about  messages.DisbursementID // whom it is about
	items  int                     // of a plan
	amount messages.Amount
	make   func() (item any)

	attempt int
	over    bool
	unknown bool            // an attempt may have come true
	refusal *messages.Error // the last word, if it was a no
	result  any             // the answer, if it was a yes
}

func (c *call) String() string {
	return fmt.Sprintf("%s %q", kindNames[c.kind], c.id)
}

// clients are those who ask, and what they know.
type clients struct {
	calls   []*call
	known   []messages.DisbursementID // that were acknowledged
	stopped bool
	waiting int
}

// client asks one thing after the other.
func (w *world) client() {
	w.after(w.between(thinkMin, thinkMax), func() {
		if !w.clients.stopped {
			w.begin(w.draw(), w.client)
		}
	})
}

// begin makes a call, again and again until its outcome is known, and then goes on.
func (w *world) begin(c *call, then func()) {
	w.clients.calls = append(w.clients.calls, c)
	w.clients.waiting++
	w.try(c, func() {
		w.clients.waiting--
		then()
	})
}

// try makes one attempt, by any node.
func (w *world) try(c *call, then func()) {
	c.attempt++
	attempt := c.attempt
	r := &reply{w: w, c: c, attempt: attempt, then: then}
	w.note("client", "%s, attempt %d", c, attempt)
	hash := [16]byte{byte(c.number), byte(c.number >> 8), byte(c.kind)}
	request := durable.Request{
		To: r, ID: c.id, Stamped: !c.named, Hash: hash,
		Deadline: origin.Add(w.now + w.between(deadlineMin, callMax)),
	}
	item := c.make()
	w.send(outside, w.IntN(len(w.nodes)), false, func(n *node) { n.route(item, request, 0) })
	w.after(callMax, func() { r.timeout() })
}

// reply takes the answer to one attempt, wherever it comes from.
type reply struct {
	w       *world
	c       *call
	attempt int
	then    func()
}

// Reply implements durable.Replier.
func (r *reply) Reply(result any) {
	r.w.sendOut(func() { r.done(result, nil) })
}

// Fail implements durable.Replier.
func (r *reply) Fail(err *messages.Error) {
	r.w.sendOut(func() { r.done(nil, err) })
}

func (r *reply) timeout() {
	if r.c.attempt == r.attempt && !r.c.over {
		r.done(nil, messages.Errorf(messages.CodeOutcomeUnknown, "no answer"))
	}
}

// done is an answer that has arrived. A late one to an earlier attempt is as good as
// any if it is a yes; a no says nothing about the others.
func (r *reply) done(result any, err *messages.Error) {
	c := r.c
	switch {
	case c.over || err != nil && c.attempt != r.attempt:
		return
	case err == nil:
		c.over, c.result = true, result
		r.w.note("client", "%s is done: %+v", c, result)
		r.w.learn(c)
	default:
		c.refusal = err
		if err.Code == messages.CodeOutcomeUnknown {
			c.unknown = true
		}
		r.w.note("client", "%s is told: %v", c, err)
		if c.named && transient(err) {
			c.attempt++ // an answer to the old attempt comes too late now
			r.w.after(r.w.between(retryMin, retryMax), func() {
				if !c.over {
					r.w.try(c, r.then)
				}
			})
			return
		}
		c.over = true
	}
	r.then()
}

// transient reports whether a client asks again.
func transient(err *messages.Error) bool {
	return err.Code == messages.CodeUnavailable || err.Code == messages.CodeOverloaded ||
		err.Code == messages.CodeOutcomeUnknown || err.Code == messages.CodeCircuitOpen
}

// learn notes the ids that a client was told.
func (w *world) learn(c *call) {
	switch result := c.result.(type) {
	case *messages.SubmitDisbursementResult:
		w.clients.known = append(w.clients.known, result.ID)
	case *messages.SubmitPlanResult:
		for _, p := range result.IDs {
			w.clients.known = append(w.clients.known, p.ID)
		}
	}
}

// hopsMax bounds how often a call is passed on.
const hopsMax = 3

// route takes a call and passes it to whom it concerns.
func (n *node) route(item any, request durable.Request, hops int) {
	h := n.treasury
	var shard messages.ShardID
	switch item := item.(type) {
	case treasury.Submission, treasury.Plan, treasury.Accrual:
		shard = h.IngressShard(request.ID)
	case treasury.Vote:
		shard = h.ShardOf(item.ID)
	case treasury.Rollback:
		shard = h.ShardOf(item.ID)
	case treasury.Queue:
		shard = h.QueueShard(item.ID)
	case executor.Execute, executor.SkipIntent:
		shard = h.ExecutorShard()
	case treasury.Advance:
		shard = h.ClockShard()
	}
	if !h.Owns(shard) && hops < hopsMax {
		owner := n.fsm.Store().Owner(shard).Owner
		for i, other := range n.w.nodes {
			if other.name == owner && i != n.id {
				n.w.send(n.id, i, false, func(n *node) { n.route(item, request, hops+1) })
				return
			}
		}
	}
	n.accept(item, request)
}

// accept gives a call to the actor that it is for.
func (n *node) accept(item any, request durable.Request) {
	t := n.treasury
	switch item := item.(type) {
	case treasury.Submission:
		item.Request = request
		t.Append([]treasury.Appendable{&item})
	case treasury.Plan:
		item.Request = request
		t.Append([]treasury.Appendable{&item})
	case treasury.Accrual:
		item.Request = request
		t.Append([]treasury.Appendable{&item})
	case treasury.Vote:
		item.Request = request
		t.Command(&item)
	case treasury.Rollback:
		item.Request = request
		if refusal := t.VerifyReversal(context.Background(), &item); refusal != nil {
			item.Fail(refusal)
			return
		}
		t.Command(&item)
	case treasury.Queue:
		item.Request = request
		t.Command(&item)
	case executor.Execute:
		item.Request = request
		t.Execute(&item)
	case executor.SkipIntent:
		item.Request = request
		t.SkipIntent(&item)
	case treasury.Advance:
		item.Request = request
		t.Advance(&item)
	}
}

// draw makes up what a client wants next.
func (w *world) draw() *call {
	weights := [...]struct {
		kind kind
		of   int
	}{{submit, 34}, {plan, 6}, {accrue, 8}, {vote, 20}, {queue, 9}, {execute, 7}, {rollback, 10}, {advance, 3}, {decide, 3}}
	pick := w.IntN(100)
	for _, choice := range weights {
		if pick -= choice.of; pick < 0 {
			return w.compose(choice.kind)
		}
	}
	return w.compose(submit)
}

func (w *world) compose(k kind) *call {
	c := &call{number: len(w.clients.calls) + 1, kind: k, named: !w.chance(0.1)}
	c.id = fmt.Sprintf("call-%d", c.number)
	c.about = w.someID()
	switch k {
	case submit:
		p := w.payload(c, 0)
		c.make = func() any { return treasury.Submission{Payload: p} }
	case plan:
		c.items = 2 + w.IntN(2)
		items := make([]messages.PlanItem, c.items)
		for i := range items {
			items[i] = messages.PlanItem{Ref: fmt.Sprint(i), Payload: w.payload(c, i)}
			if i > 0 {
				items[i].After = []string{fmt.Sprint(w.IntN(i))}
			}
		}
		c.make = func() any { return treasury.Plan{Items: items} }
	case accrue:
		c.amount = messages.Amount(1_000*(1+w.IntN(3)))<<16 + messages.Amount(c.number)
		c.make = func() any { return treasury.Accrual{Amount: c.amount, Source: c.id} }
	case vote:
		v := disbursement.Vote{House: messages.Operators, Voter: c.id, WeightPPM: 300_000, Approve: !w.chance(0.1)}
		c.make = func() any { return treasury.Vote{ID: c.about, Vote: v} }
	case queue:
		c.make = func() any { return treasury.Queue{ID: c.about} }
	case execute:
		c.make = func() any { return executor.Execute{ID: c.about} }
	case rollback:
		reversal := disbursement.Reversal{Reason: c.id}
		if w.chain != nil && w.chance(0.8) {
			reversal.ReversingTx = w.chain.giveBack(c.about)
		}
		c.make = func() any { return treasury.Rollback{ID: c.about, Reversal: reversal} }
	case advance:
		c.make = func() any { return treasury.Advance{} }
	case decide:
		c.about = w.pausedAt(c.about)
		retry := w.chance(0.6)
		c.make = func() any { return executor.SkipIntent{ID: c.about, Retry: retry} }
	}
	return c
}

// pausedAt is the disbursement at which any executor has paused.
func (w *world) pausedAt(otherwise messages.DisbursementID) messages.DisbursementID {
	for _, n := range w.nodes {
		if n.up {
			if x, err := n.treasury.Executor(); err == nil && x.PausedID != nil {
				return *x.PausedID
			}
		}
	}
	return otherwise
}

// someID is mostly one that exists, the newest more than the old.
func (w *world) someID() messages.DisbursementID {
	known := w.clients.known
	if len(known) == 0 || w.chance(0.05) {
		return messages.DisbursementID(w.IntN(60))
	}
	back := min(w.IntN(len(known)), w.IntN(len(known)))
	return known[len(known)-1-back]
}

// marker names the disbursement that the item-th part of a call asks for.
func (c *call) marker(item int) string { return fmt.Sprintf("%s/%d", c.id, item) }

// payload makes up a disbursement. Its title or memo bears the call's marker.
func (w *world) payload(c *call, item int) messages.Payload {
	p := messages.Payload{Disbursement: messages.Disbursement{
		Destination:    fmt.Sprintf("tb1payee%d", w.IntN(4)),
		Amount:         messages.Amount(1 + w.IntN(60)),
		ScheduledEpoch: messages.Epoch(1 + w.IntN(8)),
		Memo:           c.marker(item),
	}}
	if w.chance(0.06) {
		p.Disbursement.Destination = never
	}
	if w.chance(0.04) {
		p.Disbursement.Amount = 1 << 40 // more than there will ever be
	}
	var deps []messages.DisbursementID
	for w.chance(0.35) && len(deps) < 3 && len(w.clients.known) > 0 {
		deps = append(deps, w.someID())
	}
	if w.chance(0.5) && len(deps) == 0 {
		return p
	}
	p.Proposal = &messages.Proposal{
		Title: c.marker(item), Summary: "simulated", Deps: deps,
		Quorum:           messages.Quorum{OperatorsPPM: messages.PPM(w.IntN(3) * 200_000)},
		VoteWindowEpochs: messages.Epoch(1 + w.IntN(3)), TimelockEpochs: messages.Epoch(1 + w.IntN(2)),
		RollbackWindowEpochs: messages.Epoch(1 + w.IntN(2)),
	}
	if p.Proposal.Quorum.OperatorsPPM == 0 {
		p.Proposal.Quorum.BuildersPPM = messages.PPM(1 + w.IntN(2)*999_999)
		if w.chance(0.7) {
			p.Proposal.Quorum = messages.Quorum{OperatorsPPM: 1}
		}
	}
	return p
}
