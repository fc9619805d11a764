package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// ErrMoving is returned by Books when an entry was applied while it read.
var ErrMoving = errors.New("the store moved during the audit")

// faultsKept bounds the faults that a Report names.
const faultsKept = 100

// Report is what an audit found.
type Report struct {
	Index         uint64 // everything here is true for it
	Disbursements uint64
	Payments      uint64 // nonces that were used
	Rows          uint64 // of the balance history
	Treasury      messages.Amount
	Accounts      messages.Amount
	Accruals      messages.Amount
	// Unfinished counts the open disbursements with a rolled-back dependency: a cascade
	// that is still under way. It is 0 once all is quiet.
	Unfinished uint64
	// Faults says what is wrong, the first hundred; FaultCount counts them all.
	Faults     []string
	FaultCount uint64
}

// Err is nil if nothing is wrong, and names the faults otherwise.
func (r *Report) Err() error {
	if r.FaultCount == 0 {
		return nil
	}
	errs := make([]error, 0, len(r.Faults)+1)
	for _, fault := range r.Faults {
		errs = append(errs, errors.New(fault))
	}
	if more := r.FaultCount - uint64(len(r.Faults)); more > 0 {
		errs = append(errs, fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...)
}

// Books reads a whole Store at rest and holds it against what must be true of any
// treasury: the money adds up in every way it is written down (I2), each payment
// has a nonce of its own and they have no gaps (I3), nothing was paid before its
// dependencies were final (I5), and each life took only steps that lives take.
// Memory: about 30 B a disbursement and 100 B a payee.
//
// Errors: ErrMoving, ctx's, the Store's own. What is wrong with the books is in the
// Report.
func Books(ctx context.Context, store *persistence.Store) (Report, error) {
	a := auditor{store: store, owed: make(map[string]int64)}
	a.Index = store.Applied()
	for _, part := range []func(context.Context) error{a.records, a.intents, a.history, a.books, a.accounts} {
		if err := part(ctx); err != nil {
			return a.Report, fmt.Errorf("audit: %w", err)
		}
	}
	if store.Applied() != a.Index {
		return a.Report, ErrMoving
	}
	return a.Report, nil
}

// auditor carries what one part of an audit leaves for the next.
type auditor struct {
	Report
	store *persistence.Store

	states []messages.State // by id, from 1
	// paid and returned hold, by id, the amount that the balance history must show as
	// gone out and come back; 0 if none.
	paid, returned []messages.Amount
	// owed is what each account holds if every record tells the truth.
	owed map[string]int64
	// nonces tells which disbursement was paid under each, abroad the same of an outside
	// chain; staged which is being paid there, free which was to be paid and was not.
	nonces, abroad, staged, free map[uint64]messages.DisbursementID
	// hashes tells whom each of the chain's transactions pays.
	hashes map[disbursement.Hash]messages.DisbursementID
}

func (a *auditor) fault(format string, args ...any) {
	if a.FaultCount++; len(a.Faults) < faultsKept {
		a.Faults = append(a.Faults, fmt.Sprintf(format, args...))
	}
}

// records judges each record by itself, then its dependencies, whose states the
// first pass has noted.
func (a *auditor) records(ctx context.Context) error {
	a.Disbursements = a.store.Last(rows.TableDisbursements)
	a.states = make([]messages.State, a.Disbursements+1)
	a.paid = make([]messages.Amount, a.Disbursements+1)
	a.returned = make([]messages.Amount, a.Disbursements+1)
	a.nonces = make(map[uint64]messages.DisbursementID)
	a.abroad = make(map[uint64]messages.DisbursementID)
	a.staged = make(map[uint64]messages.DisbursementID)
	a.free = make(map[uint64]messages.DisbursementID)
	a.hashes = make(map[disbursement.Hash]messages.DisbursementID)
	if err := a.each(ctx, a.record); err != nil {
		return err
	}
	a.watermark(rows.CounterNonce, a.nonces, nil)
	a.watermark(rows.CounterChainNonce, a.abroad, a.free)
	a.nonces, a.abroad = nil, nil
	return a.each(ctx, a.dependencies)
}

// each calls judge with every record, in the order of ids.
func (a *auditor) each(ctx context.Context, judge func(messages.DisbursementID, byte, *disbursement.Record)) error {
	next := messages.DisbursementID(1)
	for uint64(next) <= a.Disbursements {
		if err := ctx.Err(); err != nil {
			return err
		}
		from, page := next, []persistence.Value(nil)
		err := a.store.Scan(rows.RecordKey(from), persistence.TableEnd(rows.TableDisbursements), false, persistence.ViewRowsMax,
			func(key persistence.Key, v persistence.Value) bool {
				number, _ := key.Number()
				if number != uint64(next) || number > a.Disbursements {
					return false
				}
				page = append(page, v)
				next++
				return true
			})
		if err != nil {
			return err
		}
		for i, v := range page {
			id := from + messages.DisbursementID(i)
			record, err := disbursement.DecodeRecord(v.Data)
			if err != nil {
				a.fault("disbursement %d cannot be read: %v", id, err)
				continue
			}
			judge(id, v.Tag, &record)
		}
		if len(page) == 0 {
			a.fault("disbursement %d is missing", next)
			next++
		}
	}
	return nil
}

// record judges what a record says about itself.
func (a *auditor) record(id messages.DisbursementID, tag byte, r *disbursement.Record) {
	a.states[id] = r.State
	if tag != r.Tag() {
		a.fault("disbursement %d has tag %d, its state wants %d", id, tag, r.Tag())
	}
	if !slices.IsSorted(r.Deps) || slices.Contains(r.Deps, id) {
		a.fault("disbursement %d depends on %v", id, r.Deps)
	}
	a.life(id, r)
	a.payment(id, r)
}

// steps are the moves a life can take, by the state it leaves; 0 is before birth.
var steps = map[messages.State][]messages.State{
	0:                   {messages.Draft},
	messages.Draft:      {messages.Voting, messages.Executed, messages.RolledBack},
	messages.Voting:     {messages.Queued, messages.RolledBack},
	messages.Queued:     {messages.Timelocked, messages.RolledBack},
	messages.Timelocked: {messages.Executed, messages.RolledBack},
	messages.Executed:   {messages.Finalized, messages.RolledBack},
}

// life judges the steps a record has taken.
func (a *auditor) life(id messages.DisbursementID, r *disbursement.Record) {
	from, index := messages.State(0), uint64(0)
	for _, step := range r.Transitions {
		direct := from == messages.Draft && step.State == messages.Executed
		vote := from == messages.Draft && step.State == messages.Voting
		switch {
		case !slices.Contains(steps[from], step.State),
			direct && !r.TreasuryInitiated(), vote && r.TreasuryInitiated():
			a.fault("disbursement %d went from %s to %s", id, from, step.State)
		case step.Index < index || step.Index > a.Index || step.Index == 0:
			a.fault("disbursement %d entered %s at index %d, after %d", id, step.State, step.Index, index)
		}
		from, index = step.State, step.Index
	}
	if from != r.State {
		a.fault("disbursement %d is %s, its last step led to %s", id, r.State, from)
	}
	if r.State == messages.RolledBack && r.Reason == "" {
		a.fault("disbursement %d was rolled back without a reason", id)
	}
}

// payment notes the money that a record says has moved.
func (a *auditor) payment(id messages.DisbursementID, r *disbursement.Record) {
	_, executed := r.Entered(messages.Executed)
	d := &r.Payload.Disbursement
	if !executed && !r.Staged {
		if r.Nonce != 0 {
			a.refused(id, r)
		}
		return
	}
	nonces := a.transaction(id, r)
	if other, taken := nonces[r.Nonce]; taken {
		a.fault("disbursements %d and %d were paid under one nonce, %d", other, id, r.Nonce)
	}
	nonces[r.Nonce] = id
	a.paid[id] = d.Amount
	switch {
	case r.Staged:
		a.staged[r.Nonce] = id
		a.owed[disbursement.AccountInFlight] += int64(d.Amount)
	case r.State == messages.RolledBack:
		a.returned[id] = d.Amount
		a.owed[d.Destination] += 0 // the account is there, and holds what others paid
	default:
		a.owed[d.Destination] += int64(d.Amount)
	}
}

// watermark wants the nonces to be 1 to the watermark, each used once or freed.
func (a *auditor) watermark(counter string, nonces, free map[uint64]messages.DisbursementID) {
	watermark, err := a.store.Counter(counter)
	if err != nil || watermark < 0 {
		a.fault("the watermark %s is %d: %v", counter, watermark, err)
		return
	}
	a.Payments += uint64(watermark)
	used := len(nonces)
	for nonce := range free {
		if _, taken := nonces[nonce]; !taken {
			used++
		}
	}
	if used != int(watermark) {
		a.fault("%d nonces were used, and the watermark %s is %d", used, counter, watermark)
	}
	for nonce, id := range nonces {
		if nonce == 0 || nonce > uint64(watermark) {
			a.fault("disbursement %d was paid under nonce %d, the watermark %s is %d", id, nonce, counter, watermark)
		}
	}
}

// dependencies judges a record by the states of what it depends on.
func (a *auditor) dependencies(id messages.DisbursementID, _ byte, r *disbursement.Record) {
	_, executed := r.Entered(messages.Executed)
	failed := false
	for _, dep := range r.Deps {
		if dep == 0 || uint64(dep) > a.Disbursements {
			a.fault("disbursement %d depends on %d, which does not exist", id, dep)
			continue
		}
		if (executed || r.Staged) && a.states[dep] != messages.Finalized {
			a.fault("disbursement %d was paid, and its dependency %d is %s", id, dep, a.states[dep])
		}
		failed = failed || a.states[dep] == messages.RolledBack
	}
	if failed && !r.State.Final() {
		a.Unfinished++
	}
	if root := r.Root; root != 0 && (!failed || uint64(root) > a.Disbursements || a.states[root] != messages.RolledBack) {
		a.fault("disbursement %d fell with %d, which explains nothing", id, root)
	}
}

// history walks the balance history from its newest row to its first.
func (a *auditor) history(ctx context.Context) error {
	balance, err := a.store.Counter(rows.CounterTreasury)
	if err != nil {
		return err
	}
	accruals, err := a.store.Counter(rows.CounterAccruals)
	if err != nil {
		return err
	}
	before, came := uint64(0), int64(0)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		list, err := a.store.History(rows.CounterTreasury, before, persistence.ViewRowsMax)
		if err != nil {
			return err
		}
		for _, row := range list {
			if before != 0 && row.Seq != before-1 {
				a.fault("balance history: row %d follows %d", row.Seq, before)
			}
			if row.After != balance {
				a.fault("balance history: after row %d the balance is %d, the next row begins with %d",
					row.Seq, row.After, balance)
			}
			if row.After < 0 {
				a.fault("balance history: after row %d the balance is %d", row.Seq, row.After)
			}
			balance, before = row.After-row.Delta, row.Seq
			came += a.row(row)
			a.Rows++
		}
		if len(list) == 0 || before == 1 {
			break
		}
	}
	if balance != 0 {
		a.fault("balance history: it begins at %d", balance)
	}
	if came != accruals {
		a.fault("balance history: accruals of %d, the counter says %d", came, accruals)
	}
	a.unrecorded()
	return nil
}

// row judges one change of the balance and gives what came in with it.
func (a *auditor) row(row persistence.HistoryRow) (accrued int64) {
	event := disbursement.Event(row.Event)
	if event == disbursement.EventAccrual {
		if row.Delta <= 0 || row.Reference != 0 {
			a.fault("balance history: row %d accrues %d for disbursement %d", row.Seq, row.Delta, row.Reference)
		}
		return row.Delta
	}
	side, sign := a.paid, int64(-1)
	if event == disbursement.EventCancelled {
		side, sign = a.returned, 1
	}
	id := row.Reference
	known := id > 0 && id <= a.Disbursements && (event == disbursement.EventExecuted || event == disbursement.EventCancelled)
	if !known || side[id] == 0 || row.Delta != sign*int64(side[id]) {
		a.fault("balance history: row %d, %s of %d for disbursement %d, has no record of its own",
			row.Seq, event, row.Delta, id)
		return 0
	}
	side[id] = 0 // used up: a second row for it is a fault
	return 0
}

// unrecorded names the payments that the balance history does not show.
func (a *auditor) unrecorded() {
	for id := range a.paid {
		if a.paid[id] != 0 {
			a.fault("disbursement %d was paid, and the balance history has no row for it", id)
		}
		if a.returned[id] != 0 {
			a.fault("disbursement %d was taken back, and the balance history has no row for it", id)
		}
	}
}

// books holds the totals against one another.
func (a *auditor) books(context.Context) error {
	b, err := rows.ReadBooks(a.store)
	if err != nil {
		return err
	}
	if err := b.Check(); err != nil {
		a.fault("%v", err)
	}
	a.Treasury, a.Accounts, a.Accruals = messages.Amount(b.Treasury), messages.Amount(b.Accounts), messages.Amount(b.Accruals)
	return nil
}

// accounts holds each account against the payments it got.
func (a *auditor) accounts(ctx context.Context) error {
	total := int64(0)
	for account, owed := range a.owed {
		if err := ctx.Err(); err != nil {
			return err
		}
		balance, err := a.store.Counter(rows.CounterAccount(account))
		if err != nil {
			return err
		}
		if balance != owed {
			a.fault("account %s holds %d, its payments add up to %d", account, balance, owed)
		}
		total += balance
	}
	if uint64(total) != uint64(a.Accounts) {
		a.fault("the accounts hold %d, their total says %d", total, a.Accounts)
	}
	return nil
}
