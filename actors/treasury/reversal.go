package treasury

import (
	"context"
	"encoding/hex"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/actors/treasury/rows"
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
	s, ok, err := t.load(c.ID)
	switch {
	case err != nil:
		return durable.ErrorOf(err)
	case !ok || !paidOutside(c.ID, &s.Record):
		return nil
	case t.cfg.Outside == nil:
		return messages.Errorf(messages.CodeInvalidTransition,
			"disbursement %d was paid on an outside chain, and this node knows none", c.ID)
	}
	hash, ok := payout.ParseHash(c.Reversal.ReversingTx)
	if !ok {
		return messages.Errorf(messages.CodeValidationFailed, "reversing_tx must be 64 hexadecimal digits")
	}
	transfer, payment, err := t.lookUp(ctx, hash, s.Record.TxHash)
	if err != nil {
		return messages.Errorf(messages.CodeUnavailable, "not done: reversing_tx cannot be looked up: %v", err)
	}
	d := &s.Record.Payload.Disbursement
	payment.Destination, payment.Amount = d.Destination, d.Amount
	if refusal := payout.CheckReversal(transfer, payment, t.cfg.Outside.Signer.Account()); refusal != nil {
		return refusal
	}
	c.Reversal.ReversingTx = hex.EncodeToString(hash[:])
	c.verified = true
	return nil
}

// lookUp asks the chain about a transfer and the payment that it is said to return.
func (t *Treasury) lookUp(ctx context.Context, returned, paid disbursement.Hash) (transfer, payment payout.Transfer, err error) {
	chain := t.cfg.Outside.Chain
	if transfer, err = chain.Transfer(ctx, returned); err == nil {
		payment, err = chain.Transfer(ctx, paid)
	}
	return transfer, payment, err
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
func (c *Rollback) claim(e *entity, r *rows.Stored) (persistence.Key, *messages.Error) {
	if !paidOutside(r.ID, &r.Record) {
		return "", nil
	}
	if !c.verified {
		return "", messages.Errorf(messages.CodeValidationFailed,
			"it was paid on an outside chain: reversing_tx must name the confirmed transfer that returned the amount")
	}
	key := rows.TransferKey(c.Reversal.ReversingTx)
	_, used, err := e.host.Store.Get(key)
	switch {
	case err != nil:
		return "", durable.ErrorOf(err)
	case used:
		return "", messages.Errorf(messages.CodeValidationFailed, "reversing_tx was taken for another payment, or is an accrual")
	}
	return key, nil
}
