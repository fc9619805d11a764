package rows

import (
	"fmt"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Stored is a record as the Store holds it.
type Stored struct {
	ID      messages.DisbursementID
	Record  disbursement.Record
	Version uint64
	Size    int // of its encoding, in bytes
}

// Load reads one record; ok is false if there is none.
func Load(store *persistence.Store, id messages.DisbursementID) (s Stored, ok bool, err error) {
	value, ok, err := store.Get(RecordKey(id))
	if err != nil || !ok {
		return Stored{}, false, err
	}
	record, err := disbursement.DecodeRecord(value.Data)
	if err != nil {
		return Stored{}, false, fmt.Errorf("disbursement %d: %w", id, err)
	}
	return Stored{ID: id, Record: record, Version: value.Version, Size: len(value.Data)}, true, nil
}

// Write is one record's part of a Txn.
type Write struct {
	ID      messages.DisbursementID
	Version uint64
	Move    disbursement.Move
}

// AppendTo adds condition, write and money of w to txn.
func (w *Write) AppendTo(txn *persistence.Txn) {
	key := RecordKey(w.ID)
	txn.Conditions = append(txn.Conditions, persistence.VersionIs(key, w.Version))
	if r := &w.Move.Record; w.Move.To == messages.Finalized && w.Move.Transition() && r.Outside {
		txn.Conditions = append(txn.Conditions, persistence.CounterAtLeast(CounterConfirmed, int64(r.Nonce)))
	}
	write := persistence.Write{
		Key: key, Tag: w.Move.Record.Tag(), Value: disbursement.AppendRecord(nil, &w.Move.Record),
	}
	if w.Move.Transition() {
		write.Slots = IndexSlot
	}
	txn.Writes = append(txn.Writes, write)
	txn.Adds = append(txn.Adds, moneyAdds(w.ID, &w.Move)...)
}

// moneyAdds lists the changes of balances that go with a move. Every delta of the
// treasury is a row of its history.
func moneyAdds(id messages.DisbursementID, m *disbursement.Move) []persistence.Add {
	var adds []persistence.Add
	if m.Treasury != 0 {
		add := BalanceAdd(CounterTreasury, m.Treasury)
		add.Row = &persistence.Row{Event: byte(m.Event), Reference: uint64(id)}
		adds = append(adds, add)
	}
	var accounts int64
	for _, a := range m.Accounts {
		adds = append(adds, BalanceAdd(CounterAccount(a.Account), a.Delta))
		accounts += a.Delta
	}
	if accounts != 0 {
		adds = append(adds, BalanceAdd(CounterAccounts, accounts))
	}
	return adds
}

// MoveTxn is the Txn that carries moves out, provided that each record still has
// the version its move was decided on; the fence is to be added. A move that
// opens a window, counted from the epoch it was decided in, needs the clock still to
// show that epoch: a turn between decision and commit would shorten the window.
func MoveTxn(writes ...Write) *persistence.Txn {
	txn := &persistence.Txn{}
	var windows messages.Epoch // the epoch after the one they begin in; 0 for none
	for i := range writes {
		writes[i].AppendTo(txn)
		if epoch, opens := writes[i].Move.OpensWindow(); opens {
			windows = epoch + 1
		}
	}
	if windows != 0 {
		txn.Conditions = append(txn.Conditions, EpochBefore(windows))
	}
	return txn
}

// NotFound refuses what is asked of a disbursement that does not exist.
func NotFound(id messages.DisbursementID) *messages.Error {
	return messages.Errorf(messages.CodeNotFound, "there is no disbursement %d", id)
}

// TransitionReply is how the answer to what moved a disbursement is kept with its request id.
var TransitionReply = durable.Reply[messages.TransitionResult]{
	Kind: "transition", Repeat: func(r *messages.TransitionResult) { r.Duplicate = true },
}

// oldTransitionBytes is how long such an answer was before replies bore the name of their
// kind: the state.
const oldTransitionBytes = 1

// RecallTransition reads the remembered answer to what moved a disbursement.
func RecallTransition(id messages.DisbursementID, reply []byte) (any, bool) {
	if len(reply) == oldTransitionBytes {
		return &messages.TransitionResult{ID: id, State: messages.State(reply[0]), Duplicate: true}, true
	}
	result, ok := TransitionReply.Recall(reply)
	return result, ok
}
