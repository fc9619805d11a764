package treasury

import (
	"context"
	"encoding/hex"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// VerifyReversal looks the transfer up by which a rollback says that an outside
// payment came back. It asks the chain and so may take a while; the Store must be as
// for Command. A rollback that names no transfer, or is not about an outside payment,
// passes: the command itself judges that.
func (t *Treasury) VerifyReversal(ctx context.Context, c *Rollback) *messages.Error {
	if c.Reversal.ReversingTx == "" {
		return nil
	}
	s, ok, err := load(t.store, c.ID)
	switch {
	case err != nil:
		return errorOf(err)
	case !ok || !paidOutside(c.ID, &s.record):
		return nil
	case t.cfg.Outside == nil:
		return messages.Errorf(messages.CodeInvalidTransition,
			"disbursement %d was paid on an outside chain, and this node knows none", c.ID)
	}
	hash, ok := payout.ParseHash(c.Reversal.ReversingTx)
	if !ok {
		return messages.Errorf(messages.CodeValidationFailed, "reversing_tx must be 64 hexadecimal digits")
	}
	transfer, err := t.cfg.Outside.Chain.Transfer(ctx, hash)
	if err != nil {
		return messages.Errorf(messages.CodeUnavailable, "not done: reversing_tx cannot be looked up: %v", err)
	}
	refusal := payout.CheckReversal(transfer, t.cfg.Outside.Signer.Account(), s.record.Payload.Disbursement.Amount)
	if refusal != nil {
		return refusal
	}
	c.Reversal.ReversingTx = hex.EncodeToString(hash[:])
	c.verified = true
	return nil
}

// paidOutside reports whether an outside chain made the payment of an executed record:
// the ledger's transactions can be told by their hash.
func paidOutside(id messages.DisbursementID, r *disbursement.Record) bool {
	_, ledger := disbursement.LedgerTx(id, r.Nonce, *r)
	return r.State == messages.Executed && r.TxHash != ledger
}

// claim gives the key that keeps a transfer from being taken for two payments; "" if
// no transfer is needed. It refuses an outside payment whose transfer was not verified
// or was used before.
func (c *Rollback) claim(e *entity, r *stored) (persistence.Key, *messages.Error) {
	if !paidOutside(r.id, &r.record) {
		return "", nil
	}
	if !c.verified {
		return "", messages.Errorf(messages.CodeValidationFailed,
			"it was paid on an outside chain: reversing_tx must name the confirmed transfer that returned the amount")
	}
	key := persistence.NameKey(TableReversals, c.Reversal.ReversingTx)
	_, used, err := e.store.Get(key)
	switch {
	case err != nil:
		return "", errorOf(err)
	case used:
		return "", messages.Errorf(messages.CodeValidationFailed, "reversing_tx was taken for another payment")
	}
	return key, nil
}
