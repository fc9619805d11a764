package treasury

import (
	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/actors/treasury/stats"
	"github.com/the-block/bursar/messages"
)

// Figures are what a scrape is told of the treasury.
type Figures struct {
	*stats.Stats
	Balance  int64            `metric:"treasury_balance" help:"Balance of the treasury in the smallest unit of BLOCK. Every node has it: take max over nodes."`
	Epoch    messages.Epoch   `metric:"bursar_epoch" help:"The treasury's clock. Every node has it: take max over nodes."`
	States   []stateFigures   `max:"7"`
	Executor *executorFigures // nil where it does not run
}

type stateFigures struct {
	Status  messages.State `label:"status"`
	Entered uint64         `metric:"governance_disbursements_total" help:"Moves of disbursements into a status, each counted once in the cluster, by the node that made it. Sum over nodes."`
	Now     int            `metric:"bursar_treasury_disbursements" help:"Disbursements by the status they are in now, final ones included. Every node has it: take max over nodes."`
	Backlog *int           `metric:"treasury_disbursement_backlog" help:"Disbursements that are not final, by status. Every node has it: take max over nodes."`
}

type executorFigures struct {
	*stats.Executor
	Breaker  int  `metric:"treasury_circuit_breaker_state" help:"The executor's breaker: 0 closed, 1 open, 2 half-open; forced open is 1, forced closed 0. Exported by the executor's owner only."`
	InFlight int  `metric:"bursar_executor_intents_in_flight" help:"Intents staged and not yet recorded."`
	Due      int  `metric:"bursar_executor_due" help:"Disbursements that wait for funds or their turn."`
	Paused   bool `metric:"bursar_executor_paused" help:"1 if the executor has paused at a payment that an operator must judge."`
}

// Figures reads what a scrape is told.
func (t *Treasury) Figures() *Figures {
	f := &Figures{Stats: t.stats, Epoch: t.model.Epoch()}
	if balance, err := t.host.Store.Counter(rows.CounterTreasury); err == nil {
		f.Balance = balance
	}
	for _, state := range messages.States() {
		now := t.model.InState(state)
		row := stateFigures{Status: state, Entered: t.stats.Transitions(state), Now: now}
		if !state.Final() {
			row.Backlog = &now
		}
		f.States = append(f.States, row)
	}
	if t.Owns(t.ExecutorShard()) {
		f.Executor = &executorFigures{
			Executor: t.stats.Executor(), Breaker: t.Breaker().Gauge(), InFlight: t.model.InState(graph.Staged) + t.stats.Paying(),
			Due: t.due(), Paused: t.stats.Paused() != nil,
		}
	}
	return f
}

// due is how many disbursements wait for funds or their turn. The executor's owner alone
// knows.
func (t *Treasury) due() int { return t.stats.Unfunded() + t.model.PayableCount() }
