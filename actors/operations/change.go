package operations

import (
	"context"
	"encoding/binary"
	"strings"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/breaker"
)

// Caller is who wants something done, and why.
type Caller struct {
	*durable.Request
	// Reason stands in the audit log; at most 255 bytes.
	Reason string
}

// ForceOpen holds the breakers of the actor at path open until Reset: calls to it and
// to its children, and those to what it guards itself, are refused.
func (o *Operations) ForceOpen(ctx context.Context, c Caller, path string) (*messages.ForceResult, *messages.Error) {
	return o.force(ctx, c, change{action: forceOpen, path: path, detail: c.Reason}, breaker.ForcedOpen)
}

// ForceClosed holds the breakers of the actor at path closed until Reset, whatever
// fails.
func (o *Operations) ForceClosed(ctx context.Context, c Caller, path string) (*messages.ForceResult, *messages.Error) {
	return o.force(ctx, c, change{action: forceClose, path: path, detail: c.Reason}, breaker.ForcedClosed)
}

// Reset removes the force from path, if there is one, and clears what the owner's
// breakers of that path remember.
func (o *Operations) Reset(ctx context.Context, c Caller, path string) (*messages.ForceResult, *messages.Error) {
	return o.force(ctx, c, change{action: reset, path: path, detail: c.Reason}, breaker.Closed)
}

func (o *Operations) force(ctx context.Context, c Caller, ch change, state breaker.State) (*messages.ForceResult, *messages.Error) {
	if refusal := checkPath(ch.path); refusal != nil {
		return nil, refusal
	}
	if _, forces := ch.action.state(); forces || c.Reason != "" {
		if refusal := messages.CheckReason(c.Reason); refusal != nil {
			return nil, refusal
		}
	}
	done, refusal := o.commit(ctx, c, ch)
	if refusal != nil {
		return nil, refusal
	}
	return &messages.ForceResult{Path: ch.path, State: state.String(), AuditID: o.auditID(done.id), Duplicate: done.duplicate}, nil
}

// checkPath refuses what is no actor's path below the root.
func checkPath(path string) *messages.Error {
	if len(path) > PathMax {
		return messages.Errorf(messages.CodeValidationFailed, "params.path: %d bytes are more than %d", len(path), PathMax)
	}
	parts := strings.Split(path, "/")
	for i, name := range parts {
		if (name == "") != (i == 0) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return messages.Errorf(messages.CodeValidationFailed,
				"params.path: %q is no actor's path; one looks like /treasury/executor", path)
		}
	}
	if len(parts) < 2 {
		return messages.Errorf(messages.CodeValidationFailed, "params.path: name an actor below the root")
	}
	return nil
}

// change is what a caller wants, as the audit log tells it.
type change struct {
	action action
	path   string
	detail string
}

// done is a change that was committed.
type done struct {
	id        uint64 // of its row in the audit log
	duplicate bool
}

// operationReply is how a change is remembered with its request id.
var operationReply = durable.Reply[messages.ForceResult]{
	Kind: "operation", Repeat: func(r *messages.ForceResult) { r.Duplicate = true },
}

// oldReplyBytes is how long a reply was that bore no kind: the number of a row.
const oldReplyBytes = 8

// recall reads what is remembered of a change that was committed before.
func recall(reply []byte) (done, *messages.Error) {
	if len(reply) == oldReplyBytes {
		return done{id: binary.BigEndian.Uint64(reply), duplicate: true}, nil
	}
	first, ok := operationReply.Recall(reply)
	if !ok {
		return done{}, durable.RequestIDConflict()
	}
	return done{id: first.AuditID, duplicate: true}, nil
}

// facts are what a change is decided on, read from the Store at one index.
type facts struct {
	index  uint64
	audit  uint64 // newest row of the audit log
	forces int64
	forced bool // the path is
	// first is what is remembered of the request.
	first    persistence.Remembered
	repeated bool
}

func (o *Operations) facts(c Caller, ch change) (f facts, err error) {
	err = o.store.View(func(v *persistence.View) error {
		f.index = v.Applied()
		f.audit, f.forces = uint64(v.Counter(CounterAudit)), v.Counter(CounterForces)
		_, f.forced = v.Get(forceKey(ch.path))
		if !c.Stamped {
			f.first, f.repeated = v.Request(c.ID)
		}
		return nil
	})
	return f, err
}

// commit has a change committed with its row of the audit log, and in force on this
// node. Who loses the race for a number of the audit log, or whose path was forced or
// reset meanwhile, reads again and decides anew until the caller gives up.
func (o *Operations) commit(ctx context.Context, c Caller, ch change) (done, *messages.Error) {
	for {
		f, err := o.facts(c, ch)
		if err != nil {
			return done{}, durable.ErrorOf(err)
		}
		if f.repeated {
			if f.first.PayloadHash != c.Hash {
				return done{}, durable.RequestIDConflict()
			}
			return recall(f.first.Reply)
		}
		if refusal := o.judge(ch, f); refusal != nil {
			return done{}, refusal
		}
		d := done{id: f.audit + 1}
		result, refusal := o.propose(ctx, o.txn(c, ch, f, d), persistence.High)
		if refusal != nil {
			return done{}, refusal
		}
		switch result.Status {
		case persistence.Committed:
			_ = o.Wait(ctx, result.Index) // it is done, even if the caller has left
			return d, nil
		case persistence.Duplicate:
			return recall(result.Reply)
		case persistence.Conflict:
			return done{}, durable.RequestIDConflict()
		case persistence.Refused, persistence.Fenced:
			if result.Failed.Kind == persistence.FailedRight {
				return done{}, durable.RightLost()
			}
			if err := o.store.Wait(ctx, f.index+1); err != nil { // somebody was faster
				return done{}, durable.ErrorOf(err)
			}
		}
	}
}

// judge refuses what the present state does not allow.
func (o *Operations) judge(ch change, f facts) *messages.Error {
	_, forces := ch.action.state()
	switch {
	case f.forced || ch.action == inject:
		return nil
	case !o.cfg.Known(ch.path):
		return notFound(ch.path)
	case forces && f.forces >= supervision.ForcesMax:
		return messages.Errorf(messages.CodeValidationFailed,
			"%d paths are forced, the most there may be; reset one first", supervision.ForcesMax)
	}
	return nil
}

// txn writes the change and its row, or nothing if what it was decided on has changed.
func (o *Operations) txn(c Caller, ch change, f facts, d done) *persistence.Txn {
	now := o.now()
	r := row{action: ch.action, at: now, who: c.Who, node: string(o.cfg.Node), path: ch.path, detail: ch.detail}
	txn := &persistence.Txn{Adds: []persistence.Add{countAudit(d.id, 1)}, StampedAt: now.UnixMilli()}
	txn.Writes, txn.Deletes = appendRow(nil, nil, d.id, &r)
	defer c.Remember(txn, operationReply.Encode(&messages.ForceResult{Path: ch.path, AuditID: d.id}))
	if ch.action == inject {
		return txn
	}
	key := forceKey(ch.path)
	if f.forced {
		txn.Conditions = append(txn.Conditions, persistence.Exists(key))
	} else {
		txn.Conditions = append(txn.Conditions, persistence.Absent(key))
	}
	state, forces := ch.action.state()
	switch {
	case forces:
		force := supervision.Force{Path: ch.path, State: state, By: c.Who, At: now}
		txn.Writes = append(txn.Writes, persistence.Write{Key: key, Tag: byte(ch.action), Value: encodeForce(force)})
		if !f.forced {
			txn.Adds = append(txn.Adds, countForce(1))
		}
	case f.forced:
		txn.Deletes = append(txn.Deletes, key)
		txn.Adds = append(txn.Adds, countForce(-1))
	}
	return txn
}

// propose hands a Txn to the log and waits for the verdict.
func (o *Operations) propose(ctx context.Context, txn *persistence.Txn, p persistence.Priority) (persistence.Result, *messages.Error) {
	result, err := persistence.Commit(ctx, o.journal, persistence.Proposal{Txn: txn, Priority: p})
	if err != nil {
		return result, durable.ErrorOf(err)
	}
	return result, nil
}

func notFound(path string) *messages.Error {
	return messages.Errorf(messages.CodeNotFound, "there is no actor %s", path)
}
