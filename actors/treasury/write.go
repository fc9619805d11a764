package treasury

import (
	"fmt"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// stored is a record as the Store holds it.
type stored struct {
	id      messages.DisbursementID
	record  disbursement.Record
	version uint64
	size    int // of its encoding, in bytes
}

// load reads one record; ok is false if there is none.
func load(store *persistence.Store, id messages.DisbursementID) (s stored, ok bool, err error) {
	value, ok, err := store.Get(recordKey(id))
	if err != nil || !ok {
		return stored{}, false, err
	}
	record, err := disbursement.DecodeRecord(value.Data)
	if err != nil {
		return stored{}, false, fmt.Errorf("disbursement %d: %w", id, err)
	}
	return stored{id: id, record: record, version: value.Version, size: len(value.Data)}, true, nil
}

// recordWrite is one record's part of a Txn.
type recordWrite struct {
	id      messages.DisbursementID
	version uint64
	move    disbursement.Move
}

// appendTo adds condition, write and money of w to txn.
func (w *recordWrite) appendTo(txn *persistence.Txn) {
	key := recordKey(w.id)
	txn.Conditions = append(txn.Conditions, persistence.VersionIs(key, w.version))
	write := persistence.Write{
		Key: key, Tag: w.move.Record.Tag(), Value: disbursement.AppendRecord(nil, &w.move.Record),
	}
	if w.move.Transition() {
		write.Slots = indexSlot
	}
	txn.Writes = append(txn.Writes, write)
	txn.Adds = append(txn.Adds, moneyAdds(w.id, &w.move)...)
}

// moneyAdds lists the changes of balances that go with a move. Every delta of the
// treasury is a row of its history.
func moneyAdds(id messages.DisbursementID, m *disbursement.Move) []persistence.Add {
	var adds []persistence.Add
	if m.Treasury != 0 {
		add := balanceAdd(CounterTreasury, m.Treasury)
		add.Row = &persistence.Row{Event: byte(m.Event), Reference: uint64(id)}
		adds = append(adds, add)
	}
	var accounts int64
	for _, a := range m.Accounts {
		adds = append(adds, balanceAdd(CounterAccount(a.Account), a.Delta))
		accounts += a.Delta
	}
	if accounts != 0 {
		adds = append(adds, balanceAdd(CounterAccounts, accounts))
	}
	return adds
}

// moveTxn is the Txn that carries moves out, provided that each record still has
// the version its move was decided on; the fence is to be added. A move that
// opens a window, counted from the epoch it was decided in, needs the clock still to
// show that epoch: a turn between decision and commit would shorten the window.
func moveTxn(writes ...recordWrite) *persistence.Txn {
	txn := &persistence.Txn{}
	var windows messages.Epoch // the epoch after the one they begin in; 0 for none
	for i := range writes {
		writes[i].appendTo(txn)
		if epoch, opens := writes[i].move.OpensWindow(); opens {
			windows = epoch + 1
		}
	}
	if windows != 0 {
		txn.Conditions = append(txn.Conditions, epochCondition(windows))
	}
	return txn
}
