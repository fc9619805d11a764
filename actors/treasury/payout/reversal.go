package payout

import (
	"encoding/hex"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
)

// Transfer is what the chain says about a transaction of anybody's.
type Transfer struct {
	Confirmed   bool
	Sender      string
	Destination string
	Amount      messages.Amount
	Block       uint64 // of a confirmed one
}

// ParseHash reads a transaction's hash as people write it: 64 hexadecimal digits.
func ParseHash(text string) (h disbursement.Hash, ok bool) {
	if len(text) != hex.EncodedLen(len(h)) {
		return disbursement.Hash{}, false
	}
	_, err := hex.Decode(h[:], []byte(text))
	return h, err == nil
}

// CheckReversal says why a transfer does not return a payment to the treasury's account;
// nil if it does: the payee sent the whole amount back, in a block after the payment's.
// Whether it was taken for something else before, the log knows.
func CheckReversal(t, payment Transfer, treasury string) *messages.Error {
	refuse := func(format string, args ...any) *messages.Error {
		return messages.Errorf(messages.CodeValidationFailed, "reversing_tx "+format, args...)
	}
	switch {
	case !t.Confirmed:
		return refuse("is not a confirmed transaction of the chain")
	case !payment.Confirmed:
		return refuse("returns nothing yet: the chain has not confirmed the payment itself")
	case t.Sender != payment.Destination:
		return refuse("is paid by %s, and the payee is %s", t.Sender, payment.Destination)
	case t.Destination != treasury:
		return refuse("pays %s, and the treasury is %s", t.Destination, treasury)
	case t.Amount != payment.Amount:
		return refuse("pays %d, and the disbursement paid %d", t.Amount, payment.Amount)
	case t.Block <= payment.Block:
		return refuse("is in block %d, and the payment in block %d: a return comes after it", t.Block, payment.Block)
	}
	return nil
}
