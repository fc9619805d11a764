package rows

import (
	"encoding/binary"
	"math"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Tables and counters of the Store that belong to the treasury.
const (
	// TableDisbursements holds a record per disbursement, under its id.
	TableDisbursements persistence.Table = 'd'
	// TableIntents holds the intents in flight to an outside chain, under their nonces.
	TableIntents persistence.Table = 'i'
	// TableSent holds what the outside chain has taken, under its nonce, until long after it
	// is final.
	TableSent persistence.Table = 's'
	// TableSettings holds single rows, under their names.
	TableSettings persistence.Table = 't'
	// TableReversals holds the transfers into the treasury's account that are spoken for,
	// under their hashes: none returns two payments, and none that is an accrual returns one.
	TableReversals persistence.Table = 'v'
	// TableCasts holds every vote as it was cast, under its disbursement's id and the version
	// of the record that it was cast on.
	TableCasts persistence.Table = 'b'

	// CounterTreasury is the balance; its history is the balance history.
	CounterTreasury = "treasury"
	// CounterAccruals adds up everything that ever came in.
	CounterAccruals = "accruals"
	// CounterAccounts adds up all account balances, so that treasury + accounts =
	// accruals can be checked after every change at no cost.
	CounterAccounts = "accounts"
	// CounterNonce is the nonce watermark of the ledger: the last nonce that paid.
	CounterNonce = "nonce"
	// CounterChainNonce is that of the outside chain: the last nonce that was given
	// out. A treasury may change its submitter; a chain counts only what it sees.
	CounterChainNonce = "chain_nonce"
	// CounterConfirmed is the newest nonce of the outside chain that is final, with all below.
	CounterConfirmed = "chain_confirmed"
	// CounterLine counts the lines that the executor has drawn in the log: what was
	// proposed before one and has not committed by then never does.
	CounterLine = "line"
	// CounterEpoch is the treasury's clock.
	CounterEpoch = "epoch"

	accountPrefix = "account/"
)

// Every destination must have a counter: this does not compile if a name can be too long.
const _ = uint(persistence.CounterBytesMax - len(accountPrefix) - disbursement.DestinationBytesMax)

// CounterAccount names the counter that holds an account's balance.
func CounterAccount(account string) string { return accountPrefix + account }

// RecordKey names the record of a disbursement.
func RecordKey(id messages.DisbursementID) persistence.Key {
	return persistence.RecordKey(TableDisbursements, uint64(id))
}

// IntentKey names the intent under a nonce.
func IntentKey(nonce uint64) persistence.Key { return persistence.RecordKey(TableIntents, nonce) }

// SentKey names what was sent under a nonce.
func SentKey(nonce uint64) persistence.Key { return persistence.RecordKey(TableSent, nonce) }

// BindingKey names what the treasury is bound to.
var BindingKey = persistence.NameKey(TableSettings, "binding")

// Binding reads what the treasury is bound to, and the row's version; nil before its first
// payment.
func Binding(store *persistence.Store) (b *payout.Binding, version uint64, err error) {
	value, ok, err := store.Get(BindingKey)
	if err != nil || !ok {
		return nil, 0, err
	}
	bound, err := payout.DecodeBinding(value.Data)
	return &bound, value.Version, err
}

// BalanceAdd changes a balance by delta and keeps it within what an Amount holds.
func BalanceAdd(counter string, delta int64) persistence.Add {
	return persistence.Add{Counter: counter, Delta: delta, Min: 0, Max: int64(messages.AmountMax)}
}

// AccrualAdds books income of the treasury: its balance, with a row of its history, and
// the total of all that ever came in.
func AccrualAdds(amount messages.Amount) [2]persistence.Add {
	treasury := BalanceAdd(CounterTreasury, int64(amount))
	treasury.Row = &persistence.Row{Event: byte(disbursement.EventAccrual)}
	return [2]persistence.Add{treasury, BalanceAdd(CounterAccruals, int64(amount))}
}

// EpochBefore holds while the treasury's clock is before epoch.
func EpochBefore(epoch messages.Epoch) persistence.Condition {
	return persistence.CounterBelow(CounterEpoch, int64(min(uint64(epoch), math.MaxInt64)))
}

// IndexSlot lets the commit write its log index into a record's newest transition.
var IndexSlot = []persistence.Slot{{Offset: disbursement.IndexOffset, Number: persistence.SlotIndex}}

// CastKey names a vote, as it was cast on a version of a disbursement's record.
func CastKey(id messages.DisbursementID, version uint64) persistence.Key {
	number := binary.BigEndian.AppendUint64(nil, uint64(id))
	return persistence.NameKey(TableCasts, string(binary.BigEndian.AppendUint64(number, version)))
}

// CastOf is the disbursement in a key of CastKey; ok is false for other keys.
func CastOf(key persistence.Key) (id messages.DisbursementID, ok bool) {
	if name := key.Name(); key.Table() == TableCasts && len(name) == 16 {
		return messages.DisbursementID(binary.BigEndian.Uint64([]byte(name[:8]))), true
	}
	return 0, false
}

// CastVersion is the version in a key of CastKey.
func CastVersion(key persistence.Key) uint64 {
	return binary.BigEndian.Uint64([]byte(key[len(key)-8:]))
}

// TransferKey names what a transfer into the treasury's account was taken for: the return
// of one payment, or one accrual. hash is in lower-case hexadecimal.
func TransferKey(hash string) persistence.Key { return persistence.NameKey(TableReversals, hash) }
