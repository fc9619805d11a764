package disbursement

import (
	"fmt"

	"github.com/the-block/bursar/messages"
)

// Reversal asks for a rollback. ReversingTx names the confirmed transfer that
// returned the amount, where an outside submitter paid; whoever calls has
// verified it.
type Reversal struct {
	Reason      string
	ReversingTx string
}

// Rollback cancels a disbursement that was not executed yet, or takes back one
// that could not be finalized yet: the amount returns from the payee, who must
// have it (insufficient_funds), to the treasury. Everything else is
// invalid_transition.
func Rollback(r Record, f Facts, rev Reversal) (Move, *messages.Error) {
	if err := checkText("reason", rev.Reason, ReasonBytesMax); err != nil {
		return Move{}, err
	}
	if n := len(rev.ReversingTx); n > ReversingTxBytesMax {
		return Move{}, invalid("reversing_tx has %d bytes, at most %d are allowed", n, ReversingTxBytesMax)
	}
	if r.State != messages.Executed {
		if err := cancellable(&r); err != nil {
			return Move{}, err
		}
		r.Reason = rev.Reason
		return r.moveTo(messages.RolledBack, f), nil
	}
	if end := after(r.ExecutedEpoch, r.RollbackWindow()); f.Epoch >= end && !r.AwaitsChain(f.Confirmed) {
		return Move{}, illegal(&r, "it could be rolled back before epoch %d, and it is epoch %d", end, f.Epoch)
	}
	if amount := r.Payload.Disbursement.Amount; f.Payee < amount {
		return Move{}, messages.Errorf(messages.CodeInsufficientFunds,
			"account %s holds %d, the rollback needs %d", r.Payload.Disbursement.Destination, f.Payee, amount)
	}
	r.Reason, r.ReversingTx = rev.Reason, rev.ReversingTx
	return r.moveTo(messages.RolledBack, f).toTreasury(r.Payload.Disbursement.Destination), nil
}

// FailDependency rolls a record back because a dependency was. root is the
// disbursement the cascade started from: the dependency's RootOr.
func FailDependency(r Record, f Facts, root messages.DisbursementID) (Move, *messages.Error) {
	if err := cancellable(&r); err != nil {
		return Move{}, err
	}
	r.Root = root
	r.Reason = fmt.Sprintf("dependency_failed: disbursement %d was rolled back", root)
	return r.moveTo(messages.RolledBack, f), nil
}

// cancellable reports with nil that the record can be rolled back without any
// money moving: it was not executed, and no intent is staged.
func cancellable(r *Record) *messages.Error {
	if r.Staged {
		return illegal(r, "its outcome must be known before it can be rolled back")
	}
	switch r.State {
	case messages.Draft, messages.Voting, messages.Queued, messages.Timelocked:
		return nil
	case messages.Executed, messages.Finalized, messages.RolledBack:
	}
	return illegal(r, "it can be cancelled only before its execution")
}
