package operations

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision/breaker"
)

// The audit log is for people: a storm of failures must not drown what operators did.
// So of the breakers that move by themselves only those are entered that opened or
// closed, each once for all its moves since it was last entered, and a node enters no
// more of them than these limits allow. What is left out is counted in the next row.
const (
	// movesMax bounds the breakers that wait to be entered, and the events on their way.
	movesMax = 1000
	// moveEvery is how often waiting moves are entered.
	moveEvery = time.Second
	// allowanceMax is how many rows a node may enter at once, allowanceEvery how long it
	// takes until it may enter another: 8,640 a day, under a tenth of AuditMax.
	allowanceMax   = 50
	allowanceEvery = 10 * time.Second
	// moveDeadline is how long the log may take for a batch of rows.
	moveDeadline = 5 * time.Second
)

// itself stands in the audit log as who moved a breaker that no operator moved.
const itself = "itself"

// move is what a breaker did since it was last entered into the audit log.
type move struct {
	last  breaker.Event
	times int
}

// breakerID is whose breaker it is.
type breakerID struct {
	path  string
	scope breaker.Scope
}

// moves are those that wait to be entered. It belongs to the goroutine of record.
type moves struct {
	waiting map[breakerID]*move
	order   []breakerID // by when they began to wait
	missing uint64      // moves that were left out
	// allowance is how many rows may be entered now; it has grown until grown.
	allowance int
	grown     time.Time
}

// note takes a transition in, if it is one for the audit log.
func (m *moves) note(e breaker.Event) {
	if e.To != breaker.Open && e.To != breaker.Closed || e.Reason == breaker.ResetByOperator {
		return // half-open is on its way; what operators do has rows of its own
	}
	id := breakerID{e.Path, e.Scope}
	known := m.waiting[id]
	switch {
	case known != nil:
		known.last = e
		known.times++
	case len(m.waiting) >= movesMax:
		m.missing++
	default:
		if m.waiting == nil {
			m.waiting = make(map[breakerID]*move)
		}
		m.waiting[id] = &move{last: e, times: 1}
		m.order = append(m.order, id)
	}
}

// grow adds what may be entered by now.
func (m *moves) grow(now time.Time) {
	if m.grown.IsZero() {
		m.allowance, m.grown = allowanceMax, now
	}
	for m.allowance < allowanceMax && now.Sub(m.grown) >= allowanceEvery {
		m.allowance++
		m.grown = m.grown.Add(allowanceEvery)
	}
	if m.allowance == allowanceMax {
		m.grown = now
	}
}

// due takes out the moves that may be entered now, those that wait longest first.
func (m *moves) due(now time.Time) []move {
	m.grow(now)
	n := min(len(m.order), m.allowance)
	if n == 0 {
		return nil
	}
	m.allowance -= n
	out := make([]move, n)
	for i, id := range m.order[:n] {
		out[i] = *m.waiting[id]
		delete(m.waiting, id)
	}
	m.order = append(m.order[:0], m.order[n:]...)
	return out
}

// rows words moves for the audit log.
func (m *moves) rows(list []move, node messages.NodeID) []row {
	rows := make([]row, len(list))
	for i, mv := range list {
		e := mv.last
		r := row{action: recovery, at: e.At, who: itself, node: string(node), path: e.Path}
		r.detail = fmt.Sprintf("%s, %s", e.Scope, e.Reason)
		if e.To == breaker.Open {
			r.action = trip
			r.detail += fmt.Sprintf(", trip %d", e.Trips)
		}
		if mv.times > 1 {
			r.detail += fmt.Sprintf(", the last of %d moves", mv.times)
		}
		rows[i] = r
	}
	if m.missing > 0 {
		rows[0].detail += fmt.Sprintf("; %d moves of breakers before are missing", m.missing)
	}
	return rows
}

// entered closes the books on moves that were due. Those that were certainly not entered
// wait again; those of which nothing is known are not entered twice.
func (m *moves) entered(due []move, refusal *messages.Error) {
	switch {
	case refusal == nil:
		m.missing = 0
	case refusal.Code == messages.CodeOutcomeUnknown:
		for _, mv := range due {
			m.missing += uint64(mv.times)
		}
	default:
		m.allowance += len(due)
		ids := make([]breakerID, len(due))
		for i, mv := range due {
			ids[i] = breakerID{mv.last.Path, mv.last.Scope}
			m.waiting[ids[i]] = &mv
		}
		m.order = slices.Concat(ids, m.order)
	}
}

// record enters what breakers do by themselves into the audit log until ctx ends, and
// tells of restored forces.
func (o *Operations) record(ctx context.Context, heard *actors.Subscription) {
	tick := time.NewTicker(moveEvery)
	defer tick.Stop()
	var m moves
	var missed uint64
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-heard.C:
			m.note(*e.Transition)
		case now := <-tick.C:
			o.tellForces()
			total := heard.Missed()
			m.missing, missed = m.missing+total-missed, total
			if due := m.due(now); len(due) > 0 {
				m.entered(due, o.enter(ctx, "", m.rows(due, o.cfg.Node)))
			}
		}
	}
}

// tellForces writes one line about forces that were restored since the last.
func (o *Operations) tellForces() {
	o.mu.Lock()
	untold := o.untold
	o.untold = false
	o.mu.Unlock()
	if untold {
		o.system.LogForces()
	}
}

// enter has rows committed, in the low-priority class; under a request id once only.
func (o *Operations) enter(ctx context.Context, requestID string, rows []row) *messages.Error {
	ctx, cancel := context.WithTimeout(ctx, moveDeadline)
	defer cancel()
	for {
		f, err := o.facts(Caller{Request: &durable.Request{Stamped: true}}, change{})
		if err != nil {
			return durable.ErrorOf(err)
		}
		txn := &persistence.Txn{StampedAt: time.Now().UnixMilli()}
		if requestID != "" {
			txn.RequestID, txn.Keep = requestID, persistence.KeepForever
		}
		for i := range rows {
			txn.Writes, txn.Deletes = appendRow(txn.Writes, txn.Deletes, f.audit+1+uint64(i), &rows[i])
		}
		txn.Adds = []persistence.Add{countAudit(f.audit+1, len(rows))}
		result, refusal := o.propose(ctx, txn, persistence.Low)
		if refusal != nil || result.Status == persistence.Committed || result.Status == persistence.Duplicate {
			return refusal
		}
		if err := o.store.Wait(ctx, f.index+1); err != nil { // somebody was faster
			return durable.ErrorOf(err)
		}
	}
}

// RecordSkip enters into the audit log, once, that all nodes were started to pass over an
// entry that none can apply.
func (o *Operations) RecordSkip(ctx context.Context, entry string) error {
	r := row{action: skipEntry, at: time.Now(), who: "--skip-entry", node: string(o.cfg.Node), detail: "entry " + entry + " was passed over"}
	if refusal := o.enter(ctx, "~skip-entry "+entry, []row{r}); refusal != nil {
		return refusal
	}
	return nil
}

// appendRow writes a row of the audit log, and takes away the one it pushes out.
func appendRow(writes []persistence.Write, deletes []persistence.Key, id uint64, r *row) ([]persistence.Write, []persistence.Key) {
	writes = append(writes, persistence.Write{Key: auditKey(id), Tag: byte(r.action), Value: r.encode()})
	if id > AuditMax {
		deletes = append(deletes, auditKey(id-AuditMax))
	}
	return writes, deletes
}
