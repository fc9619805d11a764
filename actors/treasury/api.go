package treasury

import (
	"context"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/executor"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
)

// API binds each method of the treasury to what carries it out.
func (t *Treasury) API() []durable.Binding {
	pays := t.ExecutorShard()
	return []durable.Binding{
		durable.Creates(messages.MethodSubmitDisbursement, t, t.IngressShard, func(r durable.Request, p *messages.SubmitDisbursementParams) durable.Creation {
			return &Submission{Request: r, Payload: p.Payload}
		}),
		durable.Creates(messages.MethodSubmitPlan, t, t.IngressShard, func(r durable.Request, p *messages.PlanParams) durable.Creation {
			return &Plan{Request: r, Items: p.Items}
		}),
		durable.Creates(messages.MethodAccrue, t, t.IngressShard, func(r durable.Request, p *messages.AccrueParams) durable.Creation {
			return &Accrual{Request: r, Amount: p.Amount, Source: p.Source}
		}),
		durable.Creates(messages.MethodRebind, t, t.IngressShard, func(r durable.Request, p *messages.RebindParams) durable.Creation {
			return &Rebind{
				Request: r, Reason: p.Reason,
				To: payout.Binding{Submitter: p.Submitter, Account: p.Account, Chain: p.ChainID},
			}
		}),

		durable.Orders(messages.MethodVote, func(p *messages.VoteParams) messages.ShardID { return t.ShardOf(p.ID) },
			func(r durable.Request, p *messages.VoteParams) {
				t.Command(&Vote{Request: r, ID: p.ID, Reason: p.Reason, Vote: disbursement.Vote{
					House: p.House, Voter: p.Voter, WeightPPM: p.WeightPPM, Approve: p.Approve,
				}})
			}),
		durable.Orders(messages.MethodQueueDisbursement, func(p *messages.IDParams) messages.ShardID { return t.QueueShard(p.ID) },
			func(r durable.Request, p *messages.IDParams) { t.Command(&Queue{Request: r, ID: p.ID}) }),
		durable.Orders(messages.MethodExecuteDisbursement, func(*messages.IDParams) messages.ShardID { return pays },
			func(r durable.Request, p *messages.IDParams) { t.Execute(&executor.Execute{Request: r, ID: p.ID}) }),
		durable.Orders(messages.MethodResend, func(*messages.ResendParams) messages.ShardID { return pays },
			func(r durable.Request, p *messages.ResendParams) {
				t.Resend(&executor.Resend{Request: r, From: p.FromNonce})
			}),
		durable.Orders(messages.MethodSkipIntent, func(*messages.SkipIntentParams) messages.ShardID { return pays },
			func(r durable.Request, p *messages.SkipIntentParams) {
				t.SkipIntent(&executor.SkipIntent{Request: r, ID: p.ID, Retry: p.Retry, Reason: p.Reason})
			}),
		durable.Orders(messages.MethodEpochAdvance, func(*messages.NoParams) messages.ShardID { return t.ClockShard() },
			func(r durable.Request, _ *messages.NoParams) { t.Advance(&Advance{Request: r}) }),
		t.paying(durable.Works(messages.MethodResume, t.resume)),
		{
			Method: messages.MethodRollbackDisbursement, Takes: func(p messages.Params) bool { _, ok := p.(*messages.RollbackParams); return ok },
			Work:  t.rollBack,
			Shard: func(_ string, p messages.Params) messages.ShardID { return t.ShardOf(p.(*messages.RollbackParams).ID) },
		},

		durable.Reads(messages.MethodGetDisbursement, func(p *messages.IDParams) (*messages.GetDisbursementResult, *messages.Error) {
			return t.Get(p.ID)
		}),
		durable.By(pays, durable.Reads(messages.MethodStatement, func(p *messages.StatementParams) (*messages.StatementResult, *messages.Error) {
			return t.Statement(p)
		})),
		durable.Walks(messages.MethodDisbursements, t.List),
		durable.By(pays, durable.Reads(messages.MethodBalance, func(*messages.NoParams) (*messages.BalanceResult, *messages.Error) {
			return t.Balance()
		})),
		durable.Reads(messages.MethodBalanceHistory, func(p *messages.PageParams) (*messages.BalanceHistoryResult, *messages.Error) {
			return t.History(p.Page)
		}),
		durable.Reads(messages.MethodAccount, func(p *messages.AccountParams) (*messages.AccountResult, *messages.Error) {
			return t.Account(p.Account)
		}),
		durable.By(pays, durable.Reads(messages.MethodExecutor, func(*messages.NoParams) (*messages.ExecutorResult, *messages.Error) {
			return t.Executor()
		})),
		durable.Reads(messages.MethodEpochGet, func(*messages.NoParams) (*messages.EpochResult, *messages.Error) {
			return t.Epoch()
		}),

		durable.Walks(messages.MethodDependents, func(p *messages.DependentsParams) (*messages.IDsResult, *messages.Error) {
			return t.Dependents(p.ID, p.Transitive, p.Page)
		}),
		durable.Walks(messages.MethodImpact, func(p *messages.ImpactParams) (*messages.ImpactResult, *messages.Error) {
			return t.Impact(p.ID, p.Page)
		}),
		durable.Walks(messages.MethodOrder, func(p *messages.SubsetParams) (*messages.IDsResult, *messages.Error) {
			return t.Order(p.IDs, p.Page)
		}),
		durable.Walks(messages.MethodWaves, func(p *messages.SubsetParams) (*messages.WavesResult, *messages.Error) {
			return t.Waves(p.IDs, p.Page)
		}),
		durable.Walks(messages.MethodCriticalPath, func(p *messages.SubsetParams) (*messages.CriticalPathResult, *messages.Error) {
			return t.CriticalPath(p.IDs, p.Page)
		}),
		durable.Reads(messages.MethodReady, func(p *messages.ReadyParams) (*messages.IDsResult, *messages.Error) {
			return t.Ready(p.Page), nil
		}),
		durable.Reads(messages.MethodHasPending, func(p *messages.HasPendingParams) (*messages.HasPendingResult, *messages.Error) {
			return t.HasPending(p.ID)
		}),
		durable.Reads(messages.MethodGraph, func(*messages.NoParams) (*messages.GraphResult, *messages.Error) {
			return t.Graph(), nil
		}),
		durable.Walks(messages.MethodCheckPlan, func(p *messages.PlanParams) (*messages.CheckPlanResult, *messages.Error) {
			return t.CheckPlan(p.Items)
		}),
	}
}

// paying has the node carry a change out that pays.
func (t *Treasury) paying(b durable.Binding) durable.Binding {
	b.Shard = func(string, messages.Params) messages.ShardID { return t.ExecutorShard() }
	return b
}

// Take implements durable.Intake.
func (t *Treasury) Take(burst []durable.Creation) {
	list := make([]Appendable, len(burst))
	for i, one := range burst {
		list[i] = one.(Appendable)
	}
	t.Append(list)
}

// rollBack takes a rollback. One that names a reversing transfer has it looked up on the
// outside chain first: that may take as long as the caller waits.
func (t *Treasury) rollBack(ctx context.Context, r durable.Request, params messages.Params) {
	p := params.(*messages.RollbackParams)
	command := &Rollback{Request: r, ID: p.ID}
	command.Reversal.Reason, command.Reversal.ReversingTx = p.Reason, p.ReversingTx
	if p.ReversingTx != "" {
		if refusal := t.VerifyReversal(ctx, command); refusal != nil {
			command.Fail(refusal)
			return
		}
	}
	t.Command(command)
}
