package disbursement

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/the-block/bursar/messages"
)

// Intent names the transaction that shall pay a disbursement.
type Intent struct {
	Nonce  uint64
	TxHash Hash
}

// Executable reports with nil that the record may be executed now: it awaits
// its execution, is due, its dependencies are finalized, and the treasury holds
// the amount. Lack of funds is insufficient_funds, all else invalid_transition.
func Executable(r Record, f Facts) *messages.Error {
	if r.Staged {
		return illegal(&r, "its payment is already under way")
	}
	if !r.AwaitsExecution() {
		if r.TreasuryInitiated() {
			return illegal(&r, "only a draft is executed")
		}
		return illegal(&r, "only a timelocked one is executed")
	}
	if due := r.Payload.Disbursement.ScheduledEpoch; f.Epoch < due {
		return illegal(&r, "it is due at epoch %d, and it is epoch %d", due, f.Epoch)
	}
	if f.Unmet != 0 {
		return illegal(&r, "its dependency %d is not finalized", f.Unmet)
	}
	if amount := r.Payload.Disbursement.Amount; f.Treasury < amount {
		return messages.Errorf(messages.CodeInsufficientFunds,
			"the treasury holds %d, the disbursement needs %d", f.Treasury, amount)
	}
	return nil
}

// Execute pays at once, in the cluster's own accounts: staging, booking and
// recording are this one move.
func Execute(r Record, f Facts, tx Intent) (Move, *messages.Error) {
	if err := Executable(r, f); err != nil {
		return Move{}, err
	}
	r.Nonce, r.TxHash = tx.Nonce, tx.TxHash
	r.ExecutedEpoch = f.Epoch
	return r.moveTo(messages.Executed, f).fromTreasury(r.Payload.Disbursement.Destination), nil
}

// Stage takes the funds out of the balance before an outside submitter sees the
// transaction. The state stays; from here on only Confirm and Refuse move it.
func Stage(r Record, f Facts, tx Intent) (Move, *messages.Error) {
	if err := Executable(r, f); err != nil {
		return Move{}, err
	}
	r.Staged = true
	r.Nonce, r.TxHash = tx.Nonce, tx.TxHash
	return Move{Record: r, From: r.State, To: r.State}.fromTreasury(AccountInFlight), nil
}

// Confirm records that the staged transaction was accepted.
func Confirm(r Record, f Facts) (Move, *messages.Error) {
	if !r.Staged {
		return Move{}, illegal(&r, "no intent is staged")
	}
	r.Staged, r.Outside = false, true
	r.ExecutedEpoch = f.Epoch
	m := r.moveTo(messages.Executed, f)
	amount := int64(r.Payload.Disbursement.Amount)
	m.Accounts = []AccountDelta{{AccountInFlight, -amount}, {r.Payload.Disbursement.Destination, amount}}
	return m, nil
}

// Refuse records that the staged transaction will never pay, with the
// submitter's reason, and returns the funds.
func Refuse(r Record, f Facts, reason string) (Move, *messages.Error) {
	if !r.Staged {
		return Move{}, illegal(&r, "no intent is staged")
	}
	r.Staged = false
	r.Reason = cutText(strings.ToValidUTF8(reason, "\uFFFD"), ReasonBytesMax)
	return r.moveTo(messages.RolledBack, f).toTreasury(AccountInFlight), nil
}

// ledgerTxMagic starts every transaction, so that its bytes mean nothing else.
const ledgerTxMagic = "bursar-tx\x01"

// LedgerTx gives the bytes of the transaction that pays a disbursement, and
// their SHA-256. The same arguments always give the same bytes:
//
//	"bursar-tx" 01 | id BE64 | nonce BE64 | amount BE64
//	| length of destination BE16 | destination
//	| length of memo BE16 | memo, as CutMemo leaves it
func LedgerTx(id messages.DisbursementID, nonce uint64, r Record) ([]byte, Hash) {
	d := &r.Payload.Disbursement
	memo := CutMemo(d.Memo)
	tx := make([]byte, 0, len(ledgerTxMagic)+3*8+2*2+len(d.Destination)+len(memo))
	tx = append(tx, ledgerTxMagic...)
	tx = binary.BigEndian.AppendUint64(tx, uint64(id))
	tx = binary.BigEndian.AppendUint64(tx, nonce)
	tx = binary.BigEndian.AppendUint64(tx, uint64(d.Amount))
	tx = binary.BigEndian.AppendUint16(tx, uint16(len(d.Destination)))
	tx = append(tx, d.Destination...)
	tx = binary.BigEndian.AppendUint16(tx, uint16(len(memo)))
	tx = append(tx, memo...)
	return tx, sha256.Sum256(tx)
}
