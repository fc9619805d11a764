package disbursement

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/the-block/bursar/messages"
)

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
