package node

import (
	"context"
	"sync"
	"time"

	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// workersMax bounds the goroutines that answer reads and wait for indexes; a burst
// beyond it is answered overloaded.
const workersMax = 2048

// retryBusy is the advice, in milliseconds, that goes with that answer.
const retryBusy = 50

// service takes calls off the wire and sees to it that each is answered: requests
// that create something go straight to the shards, all else is done by a worker
// that first waits for an index no caller can be ahead of.
type service struct {
	node    *Node
	answers map[string]answer
	workers chan struct{}
	running sync.WaitGroup
	// open is closed once this node's actors own their shards for the first time.
	open     chan struct{}
	openOnce sync.Once
}

// answer does one call. It runs on a worker, after the index was reached.
type answer struct {
	do func(*wire.Call)
	// heavy calls walk the graph and get a worker of their own.
	heavy bool
	// anyState calls do not need an index.
	anyState bool
}

func newService(n *Node) *service {
	s := &service{node: n, workers: make(chan struct{}, workersMax), open: make(chan struct{})}
	s.answers = s.table()
	return s
}

// opened lets the calls through that came before the node was ready for them.
func (s *service) opened() { s.openOnce.Do(func() { close(s.open) }) }

// Serve implements wire.Handler.
func (s *service) Serve(calls []*wire.Call) {
	if !s.node.serving.Load() {
		s.later(calls)
		return
	}
	s.serve(calls)
}

// later holds calls back while the node is starting, until their deadline.
func (s *service) later(calls []*wire.Call) {
	s.work(calls, func() {
		var ready, rest []*wire.Call
		for _, c := range calls {
			if s.answers[c.Method.Name].anyState || isLocal(c) {
				rest = append(rest, c)
			} else {
				ready = append(ready, c)
			}
		}
		s.answerAll(rest)
		if len(ready) == 0 {
			return
		}
		ctx, cancel := context.WithDeadline(context.Background(), latest(ready))
		defer cancel()
		select {
		case <-s.open:
			s.serve(ready)
		case <-ctx.Done():
			failAll(ready, s.node.unavailable())
		}
	})
}

// serve sorts a burst by what it takes to answer.
func (s *service) serve(calls []*wire.Call) {
	var burst []treasury.Appendable
	var quick []*wire.Call
	for _, c := range calls {
		if r := appendable(c); r != nil {
			burst = append(burst, r)
			continue
		}
		if s.answers[c.Method.Name].heavy {
			s.work([]*wire.Call{c}, func() { s.answerAll([]*wire.Call{c}) })
			continue
		}
		quick = append(quick, c)
	}
	if len(burst) > 0 {
		s.node.treasury.Append(burst)
	}
	if len(quick) > 0 {
		s.work(quick, func() { s.answerAll(quick) })
	}
}

// work runs do on a worker, if one is free.
func (s *service) work(calls []*wire.Call, do func()) {
	select {
	case s.workers <- struct{}{}:
	default:
		failAll(calls, messages.Errorf(messages.CodeOverloaded, "%d calls are being answered; try again", workersMax).
			With("retry_after_ms", retryBusy))
		return
	}
	s.running.Go(func() {
		defer func() { <-s.workers }()
		do()
	})
}

// answerAll answers calls, after one wait for all those that need an index.
func (s *service) answerAll(calls []*wire.Call) {
	var linearizable []*wire.Call
	for _, c := range calls {
		if s.answers[c.Method.Name].anyState || isLocal(c) {
			s.answer(c)
		} else {
			linearizable = append(linearizable, c)
		}
	}
	if len(linearizable) == 0 {
		return
	}
	ctx, cancel := context.WithDeadline(context.Background(), latest(linearizable))
	defer cancel()
	if err := s.reach(ctx); err != nil {
		failAll(linearizable, s.node.unavailable())
		return
	}
	for _, c := range linearizable {
		s.answer(c)
	}
}

func (s *service) answer(c *wire.Call) { s.answers[c.Method.Name].do(c) }

// reach waits until Store and read model have applied an index that was confirmed
// after the calls arrived.
func (s *service) reach(ctx context.Context) error {
	index, err := s.node.consensus.ReadIndex(ctx)
	if err != nil {
		return err
	}
	if err := s.node.store.Wait(ctx, index); err != nil {
		return err
	}
	return s.node.treasury.Model().Wait(ctx, index)
}

// drain waits for the workers.
func (s *service) drain(ctx context.Context) error {
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func isLocal(c *wire.Call) bool {
	return !c.Method.Mutates && c.Params.Shared().Consistency == messages.Local
}

// latest is the latest deadline of calls.
func latest(calls []*wire.Call) (t time.Time) {
	for _, c := range calls {
		if c.Deadline.After(t) {
			t = c.Deadline
		}
	}
	return t
}

func failAll(calls []*wire.Call, err *messages.Error) {
	for _, c := range calls {
		c.Fail(err)
	}
}

// respond answers with a result or a refusal.
func respond[R any](c *wire.Call, result R, refusal *messages.Error) {
	if refusal != nil {
		c.Fail(refusal)
		return
	}
	c.Reply(result)
}

// requestOf is the identity of a call that changes something.
func requestOf(c *wire.Call) treasury.Request {
	return treasury.Request{
		To: replier{c}, ID: c.RequestID, Stamped: c.Stamped,
		Hash: c.Method.PayloadHash(c.Params), Deadline: c.Deadline,
	}
}

// replier shows a call to the treasury.
type replier struct{ *wire.Call }

// Reply implements treasury.Replier.
func (r replier) Reply(result any) { r.Call.Reply(result) }

// appendable turns a call that creates something into the treasury's request.
func appendable(c *wire.Call) treasury.Appendable {
	switch p := c.Params.(type) {
	case *messages.SubmitDisbursementParams:
		return &treasury.Submission{Request: requestOf(c), Payload: p.Payload}
	case *messages.AccrueParams:
		return &treasury.Accrual{Request: requestOf(c), Amount: p.Amount, Source: p.Source}
	case *messages.PlanParams:
		if c.Method.Mutates {
			return &treasury.Plan{Request: requestOf(c), Items: p.Items}
		}
	}
	return nil
}

// table binds every method that is not appendable.
func (s *service) table() map[string]answer {
	t := s.node.treasury
	return map[string]answer{
		messages.MethodVote: {do: func(c *wire.Call) {
			p := c.Params.(*messages.VoteParams)
			t.Command(&treasury.Vote{Request: requestOf(c), ID: p.ID, Vote: disbursement.Vote{
				House: p.House, Voter: p.Voter, WeightPPM: p.WeightPPM, Approve: p.Approve,
			}})
		}},
		messages.MethodQueueDisbursement: {do: func(c *wire.Call) {
			t.Command(&treasury.Queue{Request: requestOf(c), ID: c.Params.(*messages.IDParams).ID})
		}},
		messages.MethodExecuteDisbursement: {do: func(c *wire.Call) {
			t.Execute(&treasury.Execute{Request: requestOf(c), ID: c.Params.(*messages.IDParams).ID})
		}},
		messages.MethodRollbackDisbursement: {do: func(c *wire.Call) {
			p := c.Params.(*messages.RollbackParams)
			t.Command(&treasury.Rollback{Request: requestOf(c), ID: p.ID,
				Reversal: disbursement.Reversal{Reason: p.Reason, ReversingTx: p.ReversingTx}})
		}},
		messages.MethodSkipIntent: {do: func(c *wire.Call) {
			c.Fail(messages.Errorf(messages.CodeInvalidTransition,
				"the executor has not paused: the ledger settles every intent at once"))
		}},
		messages.MethodEpochAdvance: {anyState: true, do: func(c *wire.Call) {
			t.Advance(&treasury.Advance{Request: requestOf(c)})
		}},
		messages.MethodEpochGet: {do: func(c *wire.Call) {
			result, refusal := t.Epoch()
			respond(c, result, refusal)
		}},
		messages.MethodCheckPlan: {anyState: true, heavy: true, do: func(c *wire.Call) {
			result, refusal := treasury.CheckPlan(c.Params.(*messages.PlanParams).Items)
			respond(c, result, refusal)
		}},
		messages.MethodGetDisbursement: {do: func(c *wire.Call) {
			result, refusal := t.Get(c.Params.(*messages.IDParams).ID)
			respond(c, result, refusal)
		}},
		messages.MethodStatement: {do: func(c *wire.Call) {
			result, refusal := t.Statement(c.Params.(*messages.IDParams).ID)
			respond(c, result, refusal)
		}},
		messages.MethodDisbursements: {heavy: true, do: func(c *wire.Call) {
			result, refusal := t.List(c.Params.(*messages.DisbursementsParams))
			respond(c, result, refusal)
		}},
		messages.MethodBalance: {do: func(c *wire.Call) {
			result, refusal := t.Balance()
			respond(c, result, refusal)
		}},
		messages.MethodBalanceHistory: {do: func(c *wire.Call) {
			result, refusal := t.History(c.Params.(*messages.PageParams).Page)
			respond(c, result, refusal)
		}},
		messages.MethodAccount: {do: func(c *wire.Call) {
			result, refusal := t.Account(c.Params.(*messages.AccountParams).Account)
			respond(c, result, refusal)
		}},
		messages.MethodExecutor: {do: func(c *wire.Call) {
			result, refusal := t.Executor()
			respond(c, result, refusal)
		}},
		messages.MethodDependents: {heavy: true, do: func(c *wire.Call) {
			p := c.Params.(*messages.DependentsParams)
			result, refusal := t.Dependents(p.ID, p.Transitive, p.Page)
			respond(c, result, refusal)
		}},
		messages.MethodReady: {do: func(c *wire.Call) {
			c.Reply(t.Ready(c.Params.(*messages.PageParams).Page))
		}},
		messages.MethodHasPending: {do: func(c *wire.Call) {
			result, refusal := t.HasPending(c.Params.(*messages.HasPendingParams).ID)
			respond(c, result, refusal)
		}},
		messages.MethodOrder: {heavy: true, do: func(c *wire.Call) {
			p := c.Params.(*messages.SubsetParams)
			result, refusal := t.Order(p.IDs, p.Page)
			respond(c, result, refusal)
		}},
		messages.MethodWaves: {heavy: true, do: func(c *wire.Call) {
			p := c.Params.(*messages.SubsetParams)
			result, refusal := t.Waves(p.IDs, p.Page)
			respond(c, result, refusal)
		}},
		messages.MethodCriticalPath: {heavy: true, do: func(c *wire.Call) {
			p := c.Params.(*messages.SubsetParams)
			result, refusal := t.CriticalPath(p.IDs, p.Page)
			respond(c, result, refusal)
		}},
		messages.MethodImpact: {heavy: true, do: func(c *wire.Call) {
			p := c.Params.(*messages.DependentsParams)
			result, refusal := t.Impact(p.ID, p.Page)
			respond(c, result, refusal)
		}},
		messages.MethodGraph:               {do: func(c *wire.Call) { c.Reply(t.Graph()) }},
		messages.MethodClusterStatus:       {anyState: true, do: func(c *wire.Call) { c.Reply(s.node.status()) }},
		messages.MethodClusterMembers:      {anyState: true, do: func(c *wire.Call) { c.Reply(s.node.members()) }},
		messages.MethodSupervisionBreakers: {anyState: true, do: s.node.breakers},
		messages.MethodActorsTree:          {anyState: true, do: s.node.tree},
		messages.MethodDiscover:            {anyState: true, do: func(c *wire.Call) { c.Reply(messages.Document()) }},
	}
}
