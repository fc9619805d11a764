package node

import (
	"fmt"
	"maps"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// answer is how one method is answered: exactly one of do, order, appends and deliver is set.
type answer struct {
	// takes reports whether these are the parameters it is written for.
	takes func(messages.Params) bool
	// do answers a call that reads, wherever it came in.
	do func(*wire.Call)
	// order carries out an attempt at a call, or hands it to who does.
	order func(*attempt)
	// appends makes an attempt at a call that creates something the treasury's request.
	appends func(*attempt) treasury.Appendable
	// deliver hands a message to an actor, and does not wait.
	deliver func(*attempt)
	// shard is the shard whose owner carries out the call; nil where any node does.
	shard func(*wire.Call) messages.ShardID
	// byLeader says that the leader carries it out.
	byLeader bool
	needs    need
	// walks says that it takes long: it walks the graph or searches the Store.
	walks bool
}

// need is what must be so before a call is answered.
type need byte

const (
	index   need = iota // Store and model have applied all that callers know of
	nothing             // it is about this node, or about the call alone
)

// bind gives each method its answer, in the order of the methods.
func bind(n *Node) ([]answer, error) {
	byName := n.answers()
	maps.Copy(byName, n.operators())
	methods := messages.CarriedTable().Methods()
	list := make([]answer, len(methods))
	for _, m := range methods {
		a, ok := byName[m.Name]
		switch {
		case !ok:
			return nil, fmt.Errorf("method %s has no answer", m.Name)
		case !a.takes(m.NewParams()):
			return nil, fmt.Errorf("method %s has other parameters than its answer takes", m.Name)
		}
		list[m.Index()] = a
	}
	return list, nil
}

// answers says for each method who answers.
func (n *Node) answers() map[string]answer {
	t := n.treasury
	return map[string]answer{
		messages.MethodSubmitDisbursement: appends(t, func(r durable.Request, p *messages.SubmitDisbursementParams) treasury.Appendable {
			return &treasury.Submission{Request: r, Payload: p.Payload}
		}),
		messages.MethodSubmitPlan: appends(t, func(r durable.Request, p *messages.PlanParams) treasury.Appendable {
			return &treasury.Plan{Request: r, Items: p.Items}
		}),
		messages.MethodAccrue: appends(t, func(r durable.Request, p *messages.AccrueParams) treasury.Appendable {
			return &treasury.Accrual{Request: r, Amount: p.Amount, Source: p.Source}
		}),

		messages.MethodVote: command(func(p *messages.VoteParams) messages.ShardID { return t.ShardOf(p.ID) }, func(r durable.Request, p *messages.VoteParams) {
			t.Command(&treasury.Vote{Request: r, ID: p.ID, Vote: disbursement.Vote{
				House: p.House, Voter: p.Voter, WeightPPM: p.WeightPPM, Approve: p.Approve,
			}})
		}),
		messages.MethodQueueDisbursement: command(func(p *messages.IDParams) messages.ShardID { return t.QueueShard(p.ID) }, func(r durable.Request, p *messages.IDParams) {
			t.Command(&treasury.Queue{Request: r, ID: p.ID})
		}),
		messages.MethodExecuteDisbursement: command(func(*messages.IDParams) messages.ShardID { return t.ExecutorShard() }, func(r durable.Request, p *messages.IDParams) {
			t.Execute(&treasury.Execute{Request: r, ID: p.ID})
		}),
		messages.MethodRollbackDisbursement: {
			takes: takes[*messages.RollbackParams], order: n.rollBack,
			shard: func(c *wire.Call) messages.ShardID { return t.ShardOf(c.Params.(*messages.RollbackParams).ID) },
		},
		messages.MethodEpochAdvance: command(func(*messages.NoParams) messages.ShardID { return t.ClockShard() }, func(r durable.Request, _ *messages.NoParams) {
			t.Advance(&treasury.Advance{Request: r})
		}),
		messages.MethodSkipIntent: command(func(*messages.SkipIntentParams) messages.ShardID { return t.ExecutorShard() }, func(r durable.Request, p *messages.SkipIntentParams) {
			t.SkipIntent(&treasury.SkipIntent{Request: r, ID: p.ID, Retry: p.Retry})
		}),

		messages.MethodGetDisbursement: query(func(p *messages.IDParams) (*messages.GetDisbursementResult, *messages.Error) {
			return t.Get(p.ID)
		}),
		messages.MethodStatement: query(func(p *messages.IDParams) (*messages.StatementResult, *messages.Error) {
			return t.Statement(p.ID)
		}),
		messages.MethodDisbursements: walk(t.List),
		messages.MethodBalance: by(t.ExecutorShard(), query(func(*messages.NoParams) (*messages.BalanceResult, *messages.Error) {
			return t.Balance()
		})),
		messages.MethodBalanceHistory: query(func(p *messages.PageParams) (*messages.BalanceHistoryResult, *messages.Error) {
			return t.History(p.Page)
		}),
		messages.MethodAccount: query(func(p *messages.AccountParams) (*messages.AccountResult, *messages.Error) {
			return t.Account(p.Account)
		}),
		messages.MethodExecutor: by(t.ExecutorShard(), query(func(*messages.NoParams) (*messages.ExecutorResult, *messages.Error) {
			return t.Executor()
		})),
		messages.MethodEpochGet: query(func(*messages.NoParams) (*messages.EpochResult, *messages.Error) {
			return t.Epoch()
		}),

		messages.MethodDependents: walk(func(p *messages.DependentsParams) (*messages.IDsResult, *messages.Error) {
			return t.Dependents(p.ID, p.Transitive, p.Page)
		}),
		messages.MethodImpact: walk(func(p *messages.ImpactParams) (*messages.ImpactResult, *messages.Error) {
			return t.Impact(p.ID, p.Page)
		}),
		messages.MethodOrder: walk(func(p *messages.SubsetParams) (*messages.IDsResult, *messages.Error) {
			return t.Order(p.IDs, p.Page)
		}),
		messages.MethodWaves: walk(func(p *messages.SubsetParams) (*messages.WavesResult, *messages.Error) {
			return t.Waves(p.IDs, p.Page)
		}),
		messages.MethodCriticalPath: walk(func(p *messages.SubsetParams) (*messages.CriticalPathResult, *messages.Error) {
			return t.CriticalPath(p.IDs, p.Page)
		}),
		messages.MethodReady: query(func(p *messages.ReadyParams) (*messages.IDsResult, *messages.Error) {
			return t.Ready(p.Page), nil
		}),
		messages.MethodHasPending: query(func(p *messages.HasPendingParams) (*messages.HasPendingResult, *messages.Error) {
			return t.HasPending(p.ID)
		}),
		messages.MethodGraph: query(func(*messages.NoParams) (*messages.GraphResult, *messages.Error) {
			return t.Graph(), nil
		}),
		messages.MethodCheckPlan: walk(func(p *messages.PlanParams) (*messages.CheckPlanResult, *messages.Error) {
			return t.CheckPlan(p.Items)
		}),

		messages.MethodActorsSend: {
			takes: takes[*messages.SendParams], deliver: n.deliver,
			shard: func(c *wire.Call) messages.ShardID { return n.kinds.Shard(c.Params.(*messages.SendParams)) },
		},
		messages.MethodClusterStatus: about(func(*messages.NoParams) (*messages.ClusterStatusResult, *messages.Error) {
			return n.status(), nil
		}),
		messages.MethodClusterMembers: about(func(*messages.NoParams) (*messages.ClusterMembersResult, *messages.Error) {
			return n.members()
		}),
		messages.MethodClusterPlacement: query(func(*messages.NoParams) (*messages.PlacementResult, *messages.Error) {
			return n.placementOf()
		}),
		messages.MethodSupervisionBreakers: about(n.breakers),
		messages.MethodActorsTree:          about(n.tree),
		messages.MethodActorsTop:           about(n.top),
		messages.MethodActorsGet:           about(n.actor),
		messages.MethodDiscover: about(func(*messages.NoParams) (*messages.DiscoverResult, *messages.Error) {
			return messages.Document(), nil
		}),
	}
}

// takes reports whether params are a P.
func takes[P messages.Params](params messages.Params) bool {
	_, ok := params.(P)
	return ok
}

// appends is the answer of a method that creates something.
func appends[P messages.Params](t *treasury.Treasury, make func(durable.Request, P) treasury.Appendable) answer {
	return answer{
		takes:   takes[P],
		appends: func(a *attempt) treasury.Appendable { return make(a.request(), a.call.Params.(P)) },
		shard:   func(c *wire.Call) messages.ShardID { return t.IngressShard(c.RequestID) },
	}
}

// command is the answer of a method that changes something that is there.
func command[P messages.Params](shard func(P) messages.ShardID, do func(durable.Request, P)) answer {
	return answer{
		takes: takes[P],
		order: func(a *attempt) { do(a.request(), a.call.Params.(P)) },
		shard: func(c *wire.Call) messages.ShardID { return shard(c.Params.(P)) },
	}
}

// query is the answer of a method that reads.
func query[P messages.Params, R any](read func(P) (R, *messages.Error)) answer {
	return answer{takes: takes[P], do: func(c *wire.Call) {
		result, refusal := read(c.Params.(P))
		if refusal != nil {
			c.Fail(refusal)
			return
		}
		c.Reply(result)
	}}
}

// by has a read answered by the owner of a shard, who alone knows all of it.
func by(shard messages.ShardID, a answer) answer {
	a.shard = func(*wire.Call) messages.ShardID { return shard }
	return a
}

// walk is the answer of a method that reads a lot.
func walk[P messages.Params, R any](read func(P) (R, *messages.Error)) answer {
	a := query(read)
	a.walks = true
	return a
}

// about is the answer of a method that tells of this node, whatever its state.
func about[P messages.Params, R any](read func(P) (R, *messages.Error)) answer {
	a := query(read)
	a.needs = nothing
	return a
}
