package audit_test

import (
	"context"
	"strings"
	"testing"

	"github.com/the-block/bursar/actors/treasury/audit"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/persistence/persistencetest"
)

// ledger is a Store that a test writes without the treasury's rules.
type ledger struct {
	t     *testing.T
	store *persistence.Store
	log   *persistencetest.Log
}

func newLedger(t *testing.T) *ledger {
	t.Helper()
	store, err := persistence.Open(t.TempDir(), persistence.DefaultStoreConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return &ledger{t, store, persistencetest.NewLog(persistence.NewFSM(store))}
}

func (l *ledger) commit(txn *persistence.Txn) {
	l.t.Helper()
	results, err := l.log.Commit(txn)
	if err != nil || results[0].Status != persistence.Committed {
		l.t.Fatalf("commit: %+v, %v", results, err)
	}
}

func add(counter string, delta int64, event disbursement.Event, id uint64) persistence.Add {
	a := persistence.Add{Counter: counter, Delta: delta, Min: -1 << 62, Max: 1 << 62}
	if event != 0 {
		a.Row = &persistence.Row{Event: byte(event), Reference: id}
	}
	return a
}

// accrue brings income in, as it should.
func (l *ledger) accrue(amount int64) {
	l.t.Helper()
	l.commit(&persistence.Txn{Adds: []persistence.Add{
		add(rows.CounterTreasury, amount, disbursement.EventAccrual, 0), add(rows.CounterAccruals, amount, 0, 0),
	}})
}

// executed is the record of a payment that was made right.
func executed(id messages.DisbursementID, nonce uint64, amount messages.Amount) disbursement.Record {
	f := disbursement.Facts{Epoch: 1, Treasury: amount, Node: "n1"}
	r := disbursement.New(messages.Payload{Disbursement: messages.Disbursement{
		Destination: "tb1payee", Amount: amount, ScheduledEpoch: 1,
	}}, nil, f)
	r.Transitions[0].Index = 1
	_, hash := disbursement.LedgerTx(id, nonce, r)
	move, refusal := disbursement.Execute(r, f, disbursement.Intent{Nonce: nonce, TxHash: hash})
	if refusal != nil {
		panic(refusal)
	}
	move.Record.Transitions[1].Index = 1
	return move.Record
}

// pay books a payment; change spoils the record or the transaction.
func (l *ledger) pay(amount messages.Amount, change func(*disbursement.Record, *persistence.Txn)) {
	l.t.Helper()
	id := l.store.Last(rows.TableDisbursements) + 1
	watermark, err := l.store.Counter(rows.CounterNonce)
	if err != nil {
		l.t.Fatal(err)
	}
	r := executed(messages.DisbursementID(id), uint64(watermark)+1, amount)
	txn := &persistence.Txn{Adds: []persistence.Add{
		add(rows.CounterTreasury, -int64(amount), disbursement.EventExecuted, id),
		add(rows.CounterAccount("tb1payee"), int64(amount), 0, 0),
		add(rows.CounterAccounts, int64(amount), 0, 0),
		add(rows.CounterNonce, 1, 0, 0),
	}}
	tag := r.Tag()
	if change != nil {
		change(&r, txn)
	}
	txn.Appends = append(txn.Appends, persistence.Append{
		Table: rows.TableDisbursements, Tag: tag, Value: disbursement.AppendRecord(nil, &r),
	})
	l.commit(txn)
}

func (l *ledger) audit() audit.Report {
	l.t.Helper()
	report, err := audit.Books(context.Background(), l.store)
	if err != nil {
		l.t.Fatal(err)
	}
	return report
}

func TestAnAuditFindsNothingInGoodBooks(t *testing.T) {
	l := newLedger(t)
	l.accrue(100)
	for range 70 { // more rows than a block of the history holds
		l.pay(1, nil)
	}
	report := l.audit()
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	if report.Disbursements != 70 || report.Payments != 70 || report.Rows != 71 || report.Treasury != 30 ||
		report.Accounts != 70 || report.Accruals != 100 {
		t.Errorf("report: %+v", report)
	}
}

func TestAnAuditNamesWhatIsWrong(t *testing.T) {
	type record = disbursement.Record
	for name, c := range map[string]struct {
		spoil func(*ledger)
		words string
	}{
		"money from nowhere": {func(l *ledger) {
			l.commit(&persistence.Txn{Adds: []persistence.Add{add(rows.CounterTreasury, 5, disbursement.EventAccrual, 0)}})
		}, "do not balance"},
		"a change without a row": {func(l *ledger) {
			l.commit(&persistence.Txn{Adds: []persistence.Add{
				add(rows.CounterTreasury, 5, 0, 0), add(rows.CounterAccruals, 5, 0, 0)}})
		}, "balance history"},
		"a payment booked twice": {func(l *ledger) {
			l.pay(1, nil)
			l.commit(&persistence.Txn{Adds: []persistence.Add{
				add(rows.CounterTreasury, -1, disbursement.EventExecuted, 1),
				add(rows.CounterAccount("tb1payee"), 1, 0, 0), add(rows.CounterAccounts, 1, 0, 0)}})
		}, "has no record of its own"},
		"a payment to another account": {func(l *ledger) {
			l.pay(1, func(_ *record, txn *persistence.Txn) {
				txn.Adds[1] = add(rows.CounterAccount("tb1thief"), 1, 0, 0)
			})
		}, "account tb1payee holds 0"},
		"a payment of another amount": {func(l *ledger) {
			l.pay(1, func(r *record, _ *persistence.Txn) { *r = executed(1, 1, 2) })
		}, "has no record of its own"},
		"a nonce used twice": {func(l *ledger) {
			l.pay(1, nil)
			l.pay(1, func(r *record, _ *persistence.Txn) { *r = executed(2, 1, 1) })
		}, "under one nonce"},
		"a nonce left out": {func(l *ledger) {
			l.pay(1, func(r *record, _ *persistence.Txn) { *r = executed(1, 2, 1) })
		}, "watermark"},
		"a transaction that the ledger did not make": {func(l *ledger) {
			l.pay(1, func(r *record, _ *persistence.Txn) { r.TxHash[0]++ })
		}, "under nonce 1, the watermark chain_nonce is 0"},
		"a payment before its dependency is final": {func(l *ledger) {
			l.pay(1, nil)
			l.pay(1, func(r *record, _ *persistence.Txn) { r.Deps = []messages.DisbursementID{1} })
		}, "dependency 1 is executed"},
		"a dependency that does not exist": {func(l *ledger) {
			l.pay(1, func(r *record, _ *persistence.Txn) { r.Deps = []messages.DisbursementID{7} })
		}, "depends on 7, which does not exist"},
		"a step that no life takes": {func(l *ledger) {
			l.pay(1, func(r *record, _ *persistence.Txn) { r.Transitions[0].State = messages.Voting })
		}, "went from state(0) to voting"},
		"a life that ended elsewhere": {func(l *ledger) {
			l.pay(1, func(r *record, _ *persistence.Txn) { r.State = messages.Finalized })
		}, "cannot be read"},
		"a proposal paid without a vote": {func(l *ledger) {
			l.pay(1, func(r *record, _ *persistence.Txn) { r.Payload.Proposal = &messages.Proposal{} })
		}, "went from draft to executed"},
		"a record that cannot be read": {func(l *ledger) {
			l.commit(&persistence.Txn{Appends: []persistence.Append{{
				Table: rows.TableDisbursements, Tag: byte(messages.Draft), Value: []byte("?")}}})
		}, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t)
			l.accrue(100)
			c.spoil(l)
			report := l.audit()
			if err := report.Err(); err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("the audit says %v, want %q", err, c.words)
			}
		})
	}
}
