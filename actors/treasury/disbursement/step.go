package disbursement

import "github.com/the-block/bursar/messages"

// reasonNoQuorum stands in a record that the houses did not carry.
const reasonNoQuorum = "quorum_not_reached"

// Next takes the step that epochs bring about by themselves, if it is time:
// draft to voting, voting to queued or rolled_back, queued to timelocked,
// executed to finalized (once the chain that paid it, if one did, has confirmed that). Execution is not among them: see AwaitsExecution.
func Next(r Record, f Facts) (Move, bool) {
	due, ok := DueEpoch(r)
	if !ok || r.AwaitsExecution() || f.Epoch < due || r.AwaitsChain(f.Confirmed) {
		return Move{}, false
	}
	return step(r, f), true
}

// Queue takes the next step now if its condition holds, on somebody's request:
// what Next does, and draft to voting without waiting for an epoch. It refuses
// with invalid_transition else. A record that awaits its execution is for the
// executor, which is asked instead; Queue refuses it with what Executable says,
// or because it is the executor's.
func Queue(r Record, f Facts) (Move, *messages.Error) {
	if r.AwaitsExecution() {
		if err := Executable(r, f); err != nil {
			return Move{}, err
		}
		return Move{}, illegal(&r, "its next step is the executor's")
	}
	if r.State == messages.Draft && !r.Staged {
		return step(r, f), nil
	}
	due, ok := DueEpoch(r)
	if !ok {
		return Move{}, illegal(&r, "no step leads on from there")
	}
	if f.Epoch < due {
		return Move{}, illegal(&r, "its next step comes at epoch %d, and it is epoch %d", due, f.Epoch)
	}
	if r.AwaitsChain(f.Confirmed) {
		return Move{}, illegal(&r, "the chain has not confirmed its payment, under nonce %d", r.Nonce)
	}
	return step(r, f), nil
}

// DueEpoch gives the epoch from which something may happen to the record by
// itself: the next step, or its execution if dependencies and funds allow. It
// gives false where nothing will: in a final state, and while an intent is staged.
func DueEpoch(r Record) (messages.Epoch, bool) {
	if r.Staged {
		return 0, false
	}
	switch r.State {
	case messages.Draft:
		if r.TreasuryInitiated() {
			return r.Payload.Disbursement.ScheduledEpoch, true
		}
		return after(r.CreatedEpoch, 1), true
	case messages.Voting:
		return r.VoteDeadlineEpoch, true
	case messages.Queued:
		return r.ActivationEpoch, true
	case messages.Timelocked:
		return r.ReadyEpoch, true
	case messages.Executed:
		return after(r.ExecutedEpoch, r.RollbackWindow()), true
	case messages.Finalized, messages.RolledBack:
	}
	return 0, false
}

// step takes the next step of a record that is due and is not the executor's.
func step(r Record, f Facts) Move {
	switch r.State {
	case messages.Draft:
		r.VoteDeadlineEpoch = after(f.Epoch, r.Payload.Proposal.VoteWindowEpochs)
		return r.moveTo(messages.Voting, f)
	case messages.Voting:
		if !r.quorate() {
			r.Reason = reasonNoQuorum
			return r.moveTo(messages.RolledBack, f)
		}
		r.ActivationEpoch = after(f.Epoch, r.Payload.Proposal.TimelockEpochs)
		return r.moveTo(messages.Queued, f)
	case messages.Queued:
		r.ReadyEpoch = max(f.Epoch, r.Payload.Disbursement.ScheduledEpoch)
		return r.moveTo(messages.Timelocked, f)
	case messages.Executed:
		return r.moveTo(messages.Finalized, f)
	case messages.Timelocked, messages.Finalized, messages.RolledBack:
	}
	panic("disbursement: step from " + r.State.String())
}
