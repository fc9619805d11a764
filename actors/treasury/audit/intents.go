package audit

import (
	"context"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
)

// refused notes a payment that an outside chain refused, or that was skipped: its
// nonce came free and its amount came back.
func (a *auditor) refused(id messages.DisbursementID, r *disbursement.Record) {
	if r.State != messages.RolledBack {
		a.fault("disbursement %d is %s and names a transaction that nobody made", id, r.State)
	}
	amount := r.Payload.Disbursement.Amount
	a.free[r.Nonce] = id
	a.paid[id], a.returned[id] = amount, amount
}

// transaction judges the hash that names a payment, and tells to which nonces its own
// belongs. The ledger's hash can be made again. One for an outside chain needs its key:
// no two are alike, and there are none where no such chain was ever used.
func (a *auditor) transaction(id messages.DisbursementID, r *disbursement.Record) map[uint64]messages.DisbursementID {
	if _, hash := disbursement.LedgerTx(id, r.Nonce, *r); hash == r.TxHash && !r.Staged {
		return a.nonces
	}
	if other, taken := a.hashes[r.TxHash]; taken {
		a.fault("disbursements %d and %d name one transaction", other, id)
	}
	a.hashes[r.TxHash] = id
	return a.abroad
}

// intents holds the intents in flight against the records that are staged.
func (a *auditor) intents(context.Context) error {
	intents, err := rows.Intents(a.store)
	if err != nil {
		return err
	}
	for _, i := range intents {
		id, hash := a.staged[i.Nonce], i.Hash
		switch i.Kind {
		case payout.Fill:
			if a.free[i.Nonce] == 0 || id != 0 {
				a.fault("a null transaction is in flight on nonce %d, which was never free", i.Nonce)
			}
			continue
		case payout.Skip:
			hash = i.Rival
		case payout.Pay, payout.Resend:
		}
		if id != i.ID || a.hashes[hash] != id {
			a.fault("the intent in flight on nonce %d is about disbursement %d, staged there is %d", i.Nonce, i.ID, id)
		}
		delete(a.staged, i.Nonce)
	}
	for nonce, id := range a.staged {
		a.fault("disbursement %d is staged under nonce %d, and no intent is in flight", id, nonce)
	}
	a.staged, a.free, a.hashes = nil, nil, nil
	return nil
}
