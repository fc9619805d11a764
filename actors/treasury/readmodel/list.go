package readmodel

import (
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// listBytesMax is what the rows of a page may take, so that with what stands around
// them they keep to the largest reply.
const listBytesMax = messages.ReplyMax - 1<<10

// List answers disbursements, newest first. It examines at most 10,000 records: a
// page may be short, or empty, and still have a next one.
func (r *Reader) List(p *messages.DisbursementsParams) (*messages.DisbursementsResult, *messages.Error) {
	result := &messages.DisbursementsResult{AppliedIndex: r.store.Applied()}
	numbers, next := r.store.Select(selection(p))
	var packed []byte
	size := 0
	for i, number := range numbers {
		id := messages.DisbursementID(number)
		s, ok, err := rows.Load(r.store, id)
		if err != nil {
			return nil, durable.ErrorOf(err)
		}
		if !ok || !matches(p, &s.Record) {
			continue
		}
		row := rowOf(id, &s.Record)
		packed, _ = messages.AppendResult(packed[:0], &row)
		if size += len(packed); size > listBytesMax && len(result.Disbursements) > 0 {
			next = numbers[i-1]
			break
		}
		result.Disbursements = append(result.Disbursements, &row)
	}
	result.NextCursor = messages.Cursor(next)
	return result, nil
}

// selection turns the parameters into what the Store filters by.
func selection(p *messages.DisbursementsParams) persistence.Selection {
	q := persistence.Selection{Table: rows.TableDisbursements, Before: uint64(p.Cursor), Limit: int(p.Limit)}
	if p.Status != "" {
		q.Tags = tagsOf(p.Status.States())
	}
	within := func(column int, r messages.Range) {
		if r == (messages.Range{}) {
			return
		}
		if r.Max == 0 {
			r.Max = ^uint64(0)
		}
		q.Ranges = append(q.Ranges, persistence.Range{Column: column, Min: r.Min, Max: r.Max})
	}
	within(rows.ColumnEpoch, p.Epoch)
	within(rows.ColumnAmount, p.Amount)
	within(rows.ColumnCreatedAt, p.CreatedAt)
	if p.Destination != "" {
		hash := rows.DestinationHash([]byte(p.Destination))
		q.Ranges = append(q.Ranges, persistence.Range{Column: rows.ColumnDestination, Min: hash, Max: hash})
	}
	return q
}

// tagsOf lists the tags of records shown in one of the states: a staged one is
// shown in the state before it, which is not executed yet.
func tagsOf(states []messages.State) []byte {
	var tags []byte
	open := false
	for _, s := range states {
		tags = append(tags, byte(s))
		open = open || s == messages.Draft || s == messages.Timelocked
	}
	if open {
		tags = append(tags, disbursement.TagStaged)
	}
	return tags
}

// matches judges a record again: it may have changed since the Store chose it.
func matches(p *messages.DisbursementsParams, r *disbursement.Record) bool {
	if p.Destination != "" && p.Destination != r.Payload.Disbursement.Destination {
		return false
	}
	if p.Status == "" {
		return true
	}
	for _, s := range p.Status.States() {
		if s == r.State {
			return true
		}
	}
	return false
}

// Waves answers waves.
func (r *Reader) Waves(ids []messages.DisbursementID, p messages.Page) (*messages.WavesResult, *messages.Error) {
	view, page := r.graphPage(p)
	list := view.Waves(page)
	if len(ids) > 0 {
		var err error
		if list, err = view.WavesOf(ids, page); err != nil {
			return nil, graphError(err)
		}
	}
	result := &messages.WavesResult{AppliedIndex: view.Index(), FirstWave: uint64(list.First)}
	end := page.Offset
	for _, wave := range list.Waves {
		result.Waves = append(result.Waves, wave)
		end += len(wave)
	}
	result.NextCursor = next(view, end, list.Total)
	return result, nil
}

// CriticalPath answers critical_path.
func (r *Reader) CriticalPath(
	ids []messages.DisbursementID, p messages.Page,
) (*messages.CriticalPathResult, *messages.Error) {
	view, page := r.graphPage(p)
	path := view.CriticalPath(page)
	if len(ids) > 0 {
		var err error
		if path, err = view.CriticalPathOf(ids, page); err != nil {
			return nil, graphError(err)
		}
	}
	return &messages.CriticalPathResult{
		IDs: path.IDs, Amount: path.Amount, Capped: path.Capped,
		NextCursor: next(view, page.Offset+len(path.IDs), path.Total), AppliedIndex: view.Index(),
	}, nil
}
