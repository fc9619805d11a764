package readmodel

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Get reads a disbursement for get_disbursement, and its record.
func (r *Reader) Get(id messages.DisbursementID) (*messages.GetDisbursementResult, disbursement.Record, *messages.Error) {
	record, index, refusal := r.find(id)
	if refusal != nil {
		return nil, record, refusal
	}
	return &messages.GetDisbursementResult{DisbursementRow: rowOf(id, &record), AppliedIndex: index}, record, nil
}

// Statement reads a disbursement, every step of its life and every vote for statement, and
// its record.
func (r *Reader) Statement(p *messages.StatementParams) (*messages.StatementResult, disbursement.Record, *messages.Error) {
	record, index, refusal := r.find(p.ID)
	if refusal != nil {
		return nil, record, refusal
	}
	result := &messages.StatementResult{DisbursementRow: rowOf(p.ID, &record), AppliedIndex: index}
	from := ""
	for _, step := range record.Transitions {
		transition := messages.Transition{
			From: from, To: step.State.String(), At: step.At, Epoch: step.Epoch, Index: step.Index,
			Node: string(step.Node),
		}
		if step.State == messages.RolledBack {
			transition.Reason = record.Reason
		}
		result.Transitions = append(result.Transitions, transition)
		from = transition.To
	}
	if err := r.votes(p, &record, result); err != nil {
		return nil, record, durable.ErrorOf(err)
	}
	return result, record, nil
}

// votesShown is how many votes a page of a statement has: they fit a reply, however long
// their reasons.
const votesShown = 500

// votes tells the votes as they were cast, from the page's cursor on. Those of before casts
// were kept come last, as the record has them.
func (r *Reader) votes(p *messages.StatementParams, record *disbursement.Record, result *messages.StatementResult) error {
	type seat struct {
		house messages.House
		voter string
	}
	latest := make(map[seat]int) // of the result's votes, or -1 for one on another page
	take := func(key persistence.Key, cast *disbursement.Cast) {
		at, version := seat{cast.House, cast.Voter}, rows.CastVersion(key)
		if before, ok := latest[at]; ok && before >= 0 {
			result.Votes[before].Replaced = true
		}
		latest[at] = -1
		switch {
		case version < uint64(p.Cursor):
		case len(result.Votes) < votesShown:
			latest[at] = len(result.Votes)
			result.Votes = append(result.Votes, messages.CastVote{
				House: cast.House, Voter: cast.Voter, WeightPPM: cast.WeightPPM, Approve: cast.Approve,
				At: cast.At, Node: string(cast.Node), Who: cast.Who, Reason: cast.Reason,
			})
		case result.NextCursor == 0:
			result.NextCursor = messages.Cursor(version)
		}
	}
	if err := r.casts(p.ID, take); err != nil || result.NextCursor != 0 {
		return err
	}
	for _, vote := range record.Votes {
		if _, known := latest[seat{vote.House, vote.Voter}]; !known {
			result.Votes = append(result.Votes, messages.CastVote{
				House: vote.House, Voter: vote.Voter, WeightPPM: vote.WeightPPM, Approve: vote.Approve,
			})
		}
	}
	return nil
}

// casts gives every vote on a disbursement as it was cast, oldest first.
func (r *Reader) casts(id messages.DisbursementID, take func(persistence.Key, *disbursement.Cast)) error {
	from, end := rows.CastKey(id, 0), rows.CastKey(id+1, 0)
	for n := persistence.ViewRowsMax; n == persistence.ViewRowsMax; {
		n = 0
		var fault error
		err := r.store.View(func(v *persistence.View) error {
			return v.Scan(from, end, false, persistence.ViewRowsMax, func(key persistence.Key, value persistence.Value) bool {
				n, from = n+1, key+"\x00"
				var cast disbursement.Cast
				if cast, fault = disbursement.DecodeCast(value.Data); fault != nil {
					return false
				}
				take(key, &cast)
				return true
			})
		})
		switch {
		case err != nil:
			return err
		case fault != nil:
			return fmt.Errorf("a vote on disbursement %d: %w", id, fault)
		}
	}
	return nil
}

// find reads a record and the index it is true for.
func (r *Reader) find(id messages.DisbursementID) (disbursement.Record, uint64, *messages.Error) {
	var value persistence.Value
	var index uint64
	found := false
	err := r.store.View(func(v *persistence.View) error {
		index = v.Applied()
		value, found = v.Get(rows.RecordKey(id))
		return nil
	})
	switch {
	case err != nil:
		return disbursement.Record{}, 0, durable.ErrorOf(err)
	case !found:
		return disbursement.Record{}, 0, rows.NotFound(id)
	}
	record, err := disbursement.DecodeRecord(value.Data)
	if err != nil {
		return disbursement.Record{}, 0, durable.ErrorOf(fmt.Errorf("disbursement %d: %w", id, err))
	}
	return record, index, nil
}

// rowOf shows a record as a reader sees it.
func rowOf(id messages.DisbursementID, r *disbursement.Record) messages.DisbursementRow {
	d := &r.Payload.Disbursement
	view := messages.DisbursementView{
		ID: id, Destination: d.Destination, Amount: d.Amount, Memo: d.Memo, ScheduledEpoch: d.ScheduledEpoch,
		CreatedAt: r.CreatedAt, Status: statusOf(r), ExpectedReceipts: d.ExpectedReceipts,
	}
	if p := r.Payload.Proposal; p != nil {
		proposal := *p
		proposal.Deps = r.Deps
		view.Proposal = &proposal
	}
	return messages.DisbursementRow{Disbursement: view, Deps: r.Deps}
}

// statusOf shows the state and the fields that belong to it.
func statusOf(r *disbursement.Record) messages.Status {
	s := messages.Status{State: r.State}
	entered, _ := r.Entered(r.State)
	switch r.State {
	case messages.Draft:
	case messages.Voting:
		s.VoteDeadlineEpoch = r.VoteDeadlineEpoch
		s.OperatorsPPM, s.BuildersPPM = r.Approval(messages.Operators), r.Approval(messages.Builders)
	case messages.Queued:
		s.ActivationEpoch = r.ActivationEpoch
	case messages.Timelocked:
		s.ReadyEpoch = r.ReadyEpoch
	case messages.Executed, messages.Finalized:
		executed, _ := r.Entered(messages.Executed)
		s.TxHash, s.ExecutedAt, s.ExecutedEpoch = hex.EncodeToString(r.TxHash[:]), executed.At, r.ExecutedEpoch
		if r.State == messages.Finalized {
			s.FinalizedAt = entered.At
		}
	case messages.RolledBack:
		s.Reason, s.RolledBackAt = r.Reason, entered.At
		if tx, ok := r.PriorTx(); ok {
			s.PriorTx = hex.EncodeToString(tx[:])
		}
	}
	return s
}

// History answers balance_history, newest first.
func (r *Reader) History(page messages.Page) (*messages.BalanceHistoryResult, *messages.Error) {
	result := &messages.BalanceHistoryResult{}
	err := r.store.View(func(v *persistence.View) error {
		list := v.History(rows.CounterTreasury, uint64(page.Cursor), int(page.Limit))
		for _, row := range list {
			result.Snapshots = append(result.Snapshots, SnapshotOf(row))
		}
		if n := len(list); n > 0 && list[n-1].Seq > 1 {
			result.NextCursor = messages.Cursor(list[n-1].Seq)
		}
		result.CurrentBalance = messages.Amount(v.Counter(rows.CounterTreasury))
		result.AppliedIndex = v.Applied()
		return nil
	})
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	return result, nil
}

// SnapshotOf shows a change of the balance as a reader sees it.
func SnapshotOf(row persistence.HistoryRow) messages.BalanceSnapshot {
	s := messages.BalanceSnapshot{
		ID: row.Seq, Balance: messages.Amount(row.After), Delta: row.Delta,
		Event:      messages.BalanceEvent(disbursement.Event(row.Event).String()),
		RecordedAt: uint64(row.StampedAt / 1000),
	}
	if row.Reference != 0 {
		id := messages.DisbursementID(row.Reference)
		s.DisbursementID = &id
	}
	return s
}

// Account answers account. An account that nothing was ever paid to holds 0.
func (r *Reader) Account(account string) (*messages.AccountResult, *messages.Error) {
	result := &messages.AccountResult{Account: account}
	if account == "" || len(account) > disbursement.DestinationBytesMax {
		return nil, messages.Errorf(messages.CodeValidationFailed,
			"account must have 1 to %d bytes", disbursement.DestinationBytesMax)
	}
	err := r.store.View(func(v *persistence.View) error {
		result.Balance = messages.Amount(v.Counter(rows.CounterAccount(account)))
		result.AppliedIndex = v.Applied()
		return nil
	})
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	return result, nil
}

// graphCursor says where the next page of an answer about the graph begins: the
// highest id the answer knows, and an offset. Edges never change after birth, so
// all pages speak of the same graph.
func graphCursor(nodes messages.DisbursementID, offset int) messages.Cursor {
	return messages.Cursor(uint64(nodes)<<32 | uint64(offset))
}

// graphPage takes the view that a cursor belongs to, and the page of it.
func (r *Reader) graphPage(p messages.Page) (graph.View, graph.Page) {
	offset := int(uint64(p.Cursor) & (1<<32 - 1))
	page := graph.Page{Offset: offset, Limit: int(p.Limit)}
	nodes := messages.DisbursementID(uint64(p.Cursor) >> 32)
	view := r.model.View()
	if nodes != 0 && nodes < messages.DisbursementID(view.Nodes()) {
		view = r.model.ViewAt(graph.Mark{Index: view.Index(), Nodes: nodes})
	}
	return view, page
}

// next gives the cursor of the page after one that ends at end of total.
func next(view graph.View, end, total int) messages.Cursor {
	if end >= total {
		return 0
	}
	return graphCursor(messages.DisbursementID(view.Nodes()), end)
}

func graphError(err error) *messages.Error {
	if errors.Is(err, graph.ErrUnknown) {
		return messages.Errorf(messages.CodeNotFound, "%v", err)
	}
	return messages.Errorf(messages.CodeValidationFailed, "%v", err)
}

func listResult(view graph.View, page graph.Page, list graph.List, err error) (*messages.IDsResult, *messages.Error) {
	if err != nil {
		return nil, graphError(err)
	}
	return &messages.IDsResult{
		IDs: list.IDs, NextCursor: next(view, page.Offset+len(list.IDs), list.Total), AppliedIndex: view.Index(),
	}, nil
}

// Dependents answers dependents.
func (r *Reader) Dependents(
	id messages.DisbursementID, transitive bool, p messages.Page,
) (*messages.IDsResult, *messages.Error) {
	view, page := r.graphPage(p)
	ask := view.Dependents
	if transitive {
		ask = view.TransitiveDependents
	}
	list, err := ask(id, page)
	return listResult(view, page, list, err)
}

// Order answers order, of the whole graph where ids is empty.
func (r *Reader) Order(ids []messages.DisbursementID, p messages.Page) (*messages.IDsResult, *messages.Error) {
	view, page := r.graphPage(p)
	if len(ids) == 0 {
		return listResult(view, page, view.Order(page), nil)
	}
	list, err := view.OrderOf(ids, page)
	return listResult(view, page, list, err)
}

// Impact answers impact.
func (r *Reader) Impact(id messages.DisbursementID, p messages.Page) (*messages.ImpactResult, *messages.Error) {
	view, page := r.graphPage(p)
	impact, err := view.Impact(id, page)
	if err != nil {
		return nil, graphError(err)
	}
	return &messages.ImpactResult{
		IDs: impact.IDs, Count: uint64(impact.Total), Amount: impact.Amount, Capped: impact.Capped,
		NextCursor: next(view, page.Offset+len(impact.IDs), impact.Total), AppliedIndex: view.Index(),
	}, nil
}

// Graph answers graph.
func (r *Reader) Graph() *messages.GraphResult {
	view := r.model.View()
	return &messages.GraphResult{Nodes: uint64(view.Nodes()), Edges: uint64(view.Edges()), AppliedIndex: view.Index()}
}

// Ready answers ready.
func (r *Reader) Ready(p messages.Page) *messages.IDsResult {
	ids, index := r.model.Ready(messages.DisbursementID(p.Cursor), int(p.Limit)+1)
	result := &messages.IDsResult{IDs: ids, AppliedIndex: index}
	if len(ids) > int(p.Limit) {
		result.IDs = ids[:p.Limit]
		result.NextCursor = messages.Cursor(result.IDs[p.Limit-1])
	}
	return result
}

// HasPending answers has_pending.
func (r *Reader) HasPending(id messages.DisbursementID) (*messages.HasPendingResult, *messages.Error) {
	pending, index, err := r.model.Pending(id)
	if err != nil {
		return nil, graphError(err)
	}
	return &messages.HasPendingResult{HasPending: pending, AppliedIndex: index}, nil
}

// Epoch answers epoch.get.
func (r *Reader) Epoch() (*messages.EpochResult, *messages.Error) {
	books, err := rows.ReadBooks(r.store)
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	return &messages.EpochResult{Epoch: books.Epoch, AppliedIndex: books.Index}, nil
}

// Reader answers what only reads.
type Reader struct {
	model *Model
	store *persistence.Store
}

// NewReader answers from a model and the Store that it follows.
func NewReader(model *Model, store *persistence.Store) Reader { return Reader{model, store} }
