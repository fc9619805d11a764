package demo_test

import (
	"context"
	"sync"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
)

// treasury is a node in one value: it judges by the treasury's own rules and keeps
// its records in a map. Asking it for the epoch advances the clock, so that a demo
// takes no time and nothing in it is ever late, unless a test wants it so.
type treasury struct {
	mu       sync.Mutex
	facts    disbursement.Facts
	requests map[string]any // results by request id
	records  []disbursement.Record
	balance  messages.Amount
	accounts map[string]messages.Amount
	history  []messages.BalanceSnapshot
	calls    map[string]int // that changed something, by method
	onEpoch  func(messages.Epoch)
	onQueue  func() // after a vote was opened
}

func newTreasury() *treasury {
	return &treasury{
		requests: make(map[string]any), accounts: make(map[string]messages.Amount), calls: make(map[string]int),
		onEpoch: func(messages.Epoch) {},
	}
}

func (n *treasury) record(id messages.DisbursementID) *disbursement.Record { return &n.records[id-1] }

// Call implements batch.Client.
func (n *treasury) Call(ctx context.Context, method string, p messages.Params, r messages.Result) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if known, ok := n.requests[p.Shared().RequestID]; ok {
		repeat(known, r)
		return nil
	}
	if err := n.answer(method, p, r); err != nil {
		return err
	}
	if id := p.Shared().RequestID; id != "" {
		n.requests[id] = r
		n.calls[method]++
	}
	return nil
}

// repeat answers with the first result.
func repeat(known any, r messages.Result) {
	switch r := r.(type) {
	case *messages.SubmitDisbursementResult:
		*r = *known.(*messages.SubmitDisbursementResult)
		r.Duplicate = true
	case *messages.VoteResult:
		*r = *known.(*messages.VoteResult)
	case *messages.TransitionResult:
		*r = *known.(*messages.TransitionResult)
	case *messages.AccrueResult:
		*r = *known.(*messages.AccrueResult)
	}
}

// answer returns an error only where it refuses: a nil *messages.Error is none.
func (n *treasury) answer(method string, p messages.Params, r messages.Result) error {
	var refusal *messages.Error
	switch p := p.(type) {
	case *messages.AccrueParams:
		n.book(0, int64(p.Amount), messages.EventAccrual)
	case *messages.SubmitDisbursementParams:
		refusal = n.submit(p.Payload, r.(*messages.SubmitDisbursementResult))
	case *messages.VoteParams:
		refusal = n.change(p.ID, func(old disbursement.Record) (disbursement.Record, *messages.Error) {
			return disbursement.CastVote(old, disbursement.Vote{
				House: p.House, Voter: p.Voter, WeightPPM: p.WeightPPM, Approve: p.Approve,
			}, n.facts)
		})
	case *messages.RollbackParams:
		var move disbursement.Move
		facts := n.facts
		facts.Payee = n.accounts[n.record(p.ID).Payload.Disbursement.Destination]
		if move, refusal = disbursement.Rollback(*n.record(p.ID), facts, disbursement.Reversal{Reason: p.Reason}); refusal == nil {
			n.take(p.ID, move)
		}
	case *messages.NoParams:
		n.advance()
		r.(*messages.EpochResult).Epoch = n.facts.Epoch
	case *messages.PageParams:
		n.page(p, r.(*messages.BalanceHistoryResult))
	case *messages.DependentsParams:
		r.(*messages.IDsResult).IDs = n.dependents(p.ID)
	case *messages.IDParams:
		if method == messages.MethodQueueDisbursement {
			var move disbursement.Move
			if move, refusal = disbursement.Queue(*n.record(p.ID), n.facts); refusal == nil {
				n.take(p.ID, move)
			}
			if n.onQueue != nil {
				n.onQueue()
			}
			break
		}
		n.show(p.ID, &r.(*messages.GetDisbursementResult).Disbursement)
	}
	if refusal != nil {
		return refusal
	}
	return nil
}

func (n *treasury) submit(payload messages.Payload, r *messages.SubmitDisbursementResult) *messages.Error {
	deps, refusal := disbursement.Check(payload)
	if refusal != nil {
		return refusal
	}
	for _, dep := range deps {
		if dep > messages.DisbursementID(len(n.records)) {
			return messages.Errorf(messages.CodeMissingDependency, "%d does not exist", dep)
		}
		if n.record(dep).State == messages.RolledBack {
			return messages.Errorf(messages.CodeDependencyFailed, "%d was rolled back", dep)
		}
	}
	n.records = append(n.records, disbursement.New(payload, deps, n.facts))
	r.ID = messages.DisbursementID(len(n.records))
	return nil
}

func (n *treasury) change(
	id messages.DisbursementID, rule func(disbursement.Record) (disbursement.Record, *messages.Error),
) *messages.Error {
	changed, refusal := rule(*n.record(id))
	if refusal == nil {
		*n.record(id) = changed
	}
	return refusal
}

// advance is an epoch: every record takes the step it is due for, or fails with its
// dependency, or is paid.
func (n *treasury) advance() {
	n.facts.Epoch++
	n.onEpoch(n.facts.Epoch)
	for i := range n.records {
		id := messages.DisbursementID(i + 1)
		facts := n.facts
		facts.Treasury = n.balance
		for _, dep := range n.records[i].Deps {
			switch n.record(dep).State {
			case messages.RolledBack:
				if move, refusal := disbursement.FailDependency(n.records[i], facts, n.record(dep).RootOr(dep)); refusal == nil {
					n.take(id, move)
				}
			case messages.Finalized:
			default:
				facts.Unmet = dep
			}
		}
		if move, due := disbursement.Next(n.records[i], facts); due {
			n.take(id, move)
		}
		if move, refusal := disbursement.Execute(n.records[i], facts, disbursement.Intent{}); refusal == nil {
			n.take(id, move)
		}
	}
}

func (n *treasury) take(id messages.DisbursementID, move disbursement.Move) {
	*n.record(id) = move.Record
	for _, account := range move.Accounts {
		n.accounts[account.Account] += messages.Amount(account.Delta)
	}
	switch move.Event {
	case disbursement.EventExecuted:
		n.book(id, move.Treasury, messages.EventExecuted)
	case disbursement.EventCancelled:
		n.book(id, move.Treasury, messages.EventCancelled)
	default: // no move accrues, and most move no money
	}
}

func (n *treasury) book(id messages.DisbursementID, delta int64, event messages.BalanceEvent) {
	n.balance += messages.Amount(delta)
	row := messages.BalanceSnapshot{ID: uint64(len(n.history) + 1), Balance: n.balance, Delta: delta, Event: event}
	if id != 0 {
		row.DisbursementID = &id
	}
	n.history = append(n.history, row)
}

// page answers newest first; the cursor is how many rows are left.
func (n *treasury) page(p *messages.PageParams, r *messages.BalanceHistoryResult) {
	left := len(n.history)
	if p.Cursor != 0 {
		left = int(p.Cursor)
	}
	r.CurrentBalance = n.balance
	for ; left > 0 && len(r.Snapshots) < int(p.Limit); left-- {
		r.Snapshots = append(r.Snapshots, n.history[left-1])
	}
	r.NextCursor = messages.Cursor(left)
}

func (n *treasury) dependents(root messages.DisbursementID) []messages.DisbursementID {
	var ids []messages.DisbursementID
	for i := range n.records {
		for _, dep := range n.records[i].Deps {
			if dep == root {
				ids = append(ids, messages.DisbursementID(i+1))
			}
		}
	}
	return ids
}

func (n *treasury) show(id messages.DisbursementID, view *messages.DisbursementView) {
	record := n.record(id)
	view.ID, view.Amount = id, record.Payload.Disbursement.Amount
	view.Status.State, view.Status.Reason = record.State, record.Reason
}
