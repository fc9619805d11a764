package payout

import (
	"encoding/hex"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
)

// Transfer is what the chain says about a transaction of anybody's.
type Transfer struct {
	Confirmed   bool
	Destination string
	Amount      messages.Amount
}

// ParseHash reads a transaction's hash as people write it: 64 hexadecimal digits.
func ParseHash(text string) (h disbursement.Hash, ok bool) {
	if len(text) != hex.EncodedLen(len(h)) {
		return disbursement.Hash{}, false
	}
	_, err := hex.Decode(h[:], []byte(text))
	return h, err == nil
}

// CheckReversal says why a transfer does not return an amount to an account; nil if
// it does.
func CheckReversal(t Transfer, account string, amount messages.Amount) *messages.Error {
	refuse := func(format string, args ...any) *messages.Error {
		return messages.Errorf(messages.CodeValidationFailed, "reversing_tx "+format, args...)
	}
	switch {
	case !t.Confirmed:
		return refuse("is not a confirmed transaction of the chain")
	case t.Destination != account:
		return refuse("pays %s, and the treasury is %s", t.Destination, account)
	case t.Amount != amount:
		return refuse("pays %d, and the disbursement paid %d", t.Amount, amount)
	}
	return nil
}
