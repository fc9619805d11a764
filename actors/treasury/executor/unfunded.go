package executor

import (
	"cmp"
	"math"
	"slices"

	"github.com/the-block/bursar/actors/treasury/readmodel"
	"github.com/the-block/bursar/messages"
)

// unfunded holds the payable disbursements that the balance does not reach for.
type unfunded struct {
	byID map[messages.DisbursementID]costly
	// least is no more than the least amount among them: below it nobody is helped.
	least messages.Amount
}

// costly is a payable disbursement and what it takes.
type costly struct {
	readmodel.Payable
	amount messages.Amount
}

func newUnfunded() unfunded {
	return unfunded{byID: make(map[messages.DisbursementID]costly), least: math.MaxUint64}
}

func (u *unfunded) add(p costly) {
	u.byID[p.ID] = p
	u.least = min(u.least, p.amount)
}

// release removes those that funds reach for, the lowest ids first, and gives them in
// that order. What is too large is passed over: others go on. It looks at all of them,
// but only if that releases one.
func (u *unfunded) release(funds messages.Amount) []readmodel.Payable {
	if funds < u.least {
		return nil
	}
	var within []costly
	u.least = math.MaxUint64
	for _, p := range u.byID {
		if p.amount <= funds {
			within = append(within, p)
		} else {
			u.least = min(u.least, p.amount)
		}
	}
	slices.SortFunc(within, func(a, b costly) int { return cmp.Compare(a.ID, b.ID) })
	var released []readmodel.Payable
	for _, p := range within {
		if p.amount > funds {
			u.least = min(u.least, p.amount)
			continue
		}
		funds -= p.amount
		delete(u.byID, p.ID)
		released = append(released, p.Payable)
	}
	return released
}
