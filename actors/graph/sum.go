package graph

import (
	"cmp"
	"math/bits"

	"github.com/the-block/bursar/messages"
)

// Sum is an amount added up over many disbursements.
type Sum struct {
	Amount messages.Amount
	// Capped says that the true sum exceeds messages.AmountMax, which Amount shows
	// in its stead.
	Capped bool
}

// wide is a sum that cannot overflow: fewer than 2^32 terms of 64 bits.
type wide struct {
	low  uint64
	high uint32
}

func (w wide) plus(amount uint64) wide {
	low, carry := bits.Add64(w.low, amount, 0)
	return wide{low: low, high: w.high + uint32(carry)}
}

func (w wide) compare(other wide) int {
	return cmp.Or(cmp.Compare(w.high, other.high), cmp.Compare(w.low, other.low))
}

func (w wide) sum() Sum {
	if w.high > 0 || w.low > uint64(messages.AmountMax) {
		return Sum{Amount: messages.AmountMax, Capped: true}
	}
	return Sum{Amount: messages.Amount(w.low)}
}
