package treasury

import (
	"encoding/hex"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Appendable is a request that creates rows: a submission, a plan, an accrual.
// The shard that its caller hashes to proposes it, before any id exists.
type Appendable interface {
	Base() *durable.Request
	shardWork
	// txn builds the transaction, or refuses for what the request alone shows.
	txn(s *shard) (*persistence.Txn, *messages.Error)
}

// requests is a burst of one connection.
type requests []Appendable

// Undelivered implements actors.Undeliverable. What was proposed before the shard
// failed has its answer already.
func (rs requests) Undelivered(err error) {
	for _, r := range rs {
		r.Base().Undelivered(err)
	}
}

// Submission asks for a disbursement.
type Submission struct {
	durable.Request
	Payload messages.Payload

	deps      []messages.DisbursementID
	createdAt uint64
}

func (r *Submission) fail(*shard) { r.Fail(durable.OutcomeUnknown()) }

func (r *Submission) txn(s *shard) (*persistence.Txn, *messages.Error) {
	deps, refusal := disbursement.Check(r.Payload)
	if refusal != nil {
		s.stats.RefusedSubmission(refusal)
		return nil, refusal
	}
	facts, err := s.facts()
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	record := disbursement.New(r.Payload, deps, facts)
	r.deps, r.createdAt = deps, record.CreatedAt
	txn := &persistence.Txn{
		Conditions: make([]persistence.Condition, 0, len(deps)),
		Appends: []persistence.Append{{
			Table: rows.TableDisbursements,
			Tag:   record.Tag(),
			Value: disbursement.AppendRecord(make([]byte, 0, recordSize(&record)), &record),
			Slots: rows.IndexSlot,
		}},
	}
	for _, dep := range deps {
		txn.Conditions = append(txn.Conditions, liveDependency(dep))
	}
	r.Identify(txn, persistence.KeepForever)
	return txn, nil
}

// liveDependency holds if dep exists and was not rolled back.
func liveDependency(dep messages.DisbursementID) persistence.Condition {
	return persistence.TagNotIn(rows.RecordKey(dep), byte(messages.RolledBack))
}

// recordSize estimates a draft's encoding, so that it is allocated once.
func recordSize(r *disbursement.Record) int {
	d := &r.Payload.Disbursement
	size := 128 + len(d.Destination) + len(d.Memo) + 8*len(r.Deps)
	if p := r.Payload.Proposal; p != nil {
		size += len(p.Title) + len(p.Summary)
	}
	return size
}

func (r *Submission) conclude(s *shard, _ durable.Context, o persistence.Outcome) {
	if refusal := durable.RefusalOf(o); refusal != nil {
		r.Fail(refusal)
		return
	}
	id := messages.DisbursementID(o.Result.First)
	switch o.Result.Status {
	case persistence.Committed:
		s.stats.Entered(messages.Draft, 1)
		r.Reply(&messages.SubmitDisbursementResult{ID: id, CreatedAt: r.createdAt})
	case persistence.Duplicate:
		r.repeat(s, id)
	default:
		refusal := s.deadDependency(r.deps[o.Result.Failed.Position])
		s.stats.RefusedSubmission(refusal)
		r.Fail(refusal)
	}
}

// repeat answers a request that was committed before with what it was told then.
func (r *Submission) repeat(s *shard, id messages.DisbursementID) {
	first, ok, err := s.load(id)
	if err != nil || !ok {
		r.Fail(messages.Errorf(messages.CodeInternal, "disbursement %d: the first result cannot be read: %v", id, err))
		return
	}
	r.Reply(&messages.SubmitDisbursementResult{ID: id, CreatedAt: first.Record.CreatedAt, Duplicate: true})
}

// deadDependency says why the log refused a dependency.
func (d *deps) deadDependency(id messages.DisbursementID) *messages.Error {
	value, ok, err := d.host.Store.Get(rows.RecordKey(id))
	switch {
	case err != nil:
		return durable.ErrorOf(err)
	case ok && messages.State(value.Tag) == messages.RolledBack:
		return messages.Errorf(messages.CodeDependencyFailed, "dependency %d was rolled back", id).
			With("dependency", uint64(id))
	default:
		return messages.Errorf(messages.CodeMissingDependency, "dependency %d does not exist", id).
			With("dependency", uint64(id))
	}
}

// Accrual asks to add income to the treasury.
type Accrual struct {
	durable.Request
	Amount messages.Amount
	// Source says where it came from, for the caller's own use. The hash of a transaction
	// of the outside chain is spoken for from then on: it is no second accrual, and returns
	// no payment.
	Source string
}

// sourceBytesMax bounds the name of where income came from.
const sourceBytesMax = 256

func (r *Accrual) fail(*shard) { r.Fail(durable.OutcomeUnknown()) }

// Indexes of an accrual's adds.
const (
	accrualTreasury = iota
	accrualTotal
)

func (r *Accrual) txn(*shard) (*persistence.Txn, *messages.Error) {
	switch {
	case r.Amount == 0:
		return nil, messages.Errorf(messages.CodeValidationFailed, "amount must be above 0")
	case r.Amount > messages.AmountMax:
		return nil, messages.Errorf(messages.CodeValidationFailed, "amount must be at most %d", messages.AmountMax)
	case len(r.Source) > sourceBytesMax:
		return nil, messages.Errorf(messages.CodeValidationFailed,
			"source has %d bytes, at most %d are allowed", len(r.Source), sourceBytesMax)
	}
	adds := rows.AccrualAdds(r.Amount)
	txn := &persistence.Txn{Adds: adds[:]}
	if hash, ok := payout.ParseHash(r.Source); ok {
		claim := rows.TransferKey(hex.EncodeToString(hash[:]))
		txn.Conditions = []persistence.Condition{persistence.Absent(claim)}
		txn.Writes = []persistence.Write{{Key: claim}}
	}
	r.Identify(txn, persistence.KeepForever)
	return txn, nil
}

func (r *Accrual) conclude(_ *shard, _ durable.Context, o persistence.Outcome) {
	if refusal := durable.RefusalOf(o); refusal != nil {
		r.Fail(refusal)
		return
	}
	switch o.Result.Status {
	case persistence.Committed, persistence.Duplicate:
		r.Reply(&messages.AccrueResult{
			Balance:   messages.Amount(o.Result.After[accrualTreasury]),
			Duplicate: o.Result.Status == persistence.Duplicate,
		})
	case persistence.Refused:
		if o.Result.Failed.Kind == persistence.FailedCondition {
			r.Fail(messages.Errorf(messages.CodeValidationFailed,
				"source: the transaction %s was accrued before, or returned a payment", r.Source))
			return
		}
		fallthrough
	default:
		r.Fail(messages.Errorf(messages.CodeValidationFailed,
			"amount: all accruals together would exceed %d", messages.AmountMax))
	}
}
