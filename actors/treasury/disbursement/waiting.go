package disbursement

import (
	"math"
	"time"

	"github.com/the-block/bursar/messages"
)

// Surroundings is what decides besides the record why it is not paid yet.
type Surroundings struct {
	Now           time.Time
	Epoch         messages.Epoch
	EpochInterval time.Duration
	// Unmet are the record's dependencies that are not finalized, in their order.
	Unmet    []messages.DisbursementID
	Treasury messages.Amount
	// NoExecutor is why nobody pays at all; empty where somebody does.
	NoExecutor string
	// RetryAfter is how long the executor's breaker lets no payment through; 0 where it
	// does, or where only another node knows.
	RetryAfter time.Duration
	// PausedAt is the record the executor has paused at, 0 if it has not, and PauseReason
	// why.
	PausedAt    messages.DisbursementID
	PauseReason string
}

// WaitingFor tells everything that keeps a record from being paid, nil where nothing does
// or it has been paid or rolled back. What is the record's own comes first, then what the
// others and the treasury lack, then what keeps the executor.
func WaitingFor(r *Record, s *Surroundings) []messages.Waiting {
	switch r.State {
	case messages.Executed, messages.Finalized, messages.RolledBack:
		return nil
	case messages.Draft, messages.Voting, messages.Queued, messages.Timelocked:
	}
	if r.Staged {
		return append([]messages.Waiting{{What: messages.WaitsForChain, Nonce: r.Nonce}}, s.executor()...)
	}
	list := s.own(r)
	if len(s.Unmet) > 0 {
		list = append(list, messages.Waiting{What: messages.WaitsForDependencies, IDs: s.Unmet})
	}
	if !r.AwaitsExecution() {
		return list
	}
	if amount := r.Payload.Disbursement.Amount; s.Treasury < amount {
		list = append(list, messages.Waiting{
			What: messages.WaitsForFunds, Have: uint64(s.Treasury), Need: uint64(amount), Short: amount - s.Treasury,
		})
	}
	return append(list, s.executor()...)
}

// own tells which votes and epochs the record itself has still before it.
func (s *Surroundings) own(r *Record) (list []messages.Waiting) {
	scheduled := r.Payload.Disbursement.ScheduledEpoch
	next, _ := DueEpoch(*r)
	switch r.State {
	case messages.Voting:
		quorum := r.Payload.Proposal.Quorum
		need := [...]messages.PPM{messages.Operators: quorum.OperatorsPPM, messages.Builders: quorum.BuildersPPM}
		for house := messages.Operators; house <= messages.Builders; house++ {
			if need[house] == 0 {
				continue // it need not vote
			}
			list = append(list, messages.Waiting{
				What: messages.WaitsForVotes, Epoch: next, At: s.when(next), House: house.String(),
				Have: uint64(r.Approval(house)), Need: uint64(need[house]),
			})
		}
	case messages.Queued:
		list = append(list, messages.Waiting{What: messages.WaitsForTimelock, Epoch: next, At: s.when(next)})
	default:
		if s.Epoch < next {
			list = append(list, messages.Waiting{What: messages.WaitsForEpoch, Epoch: next, At: s.when(next)})
		}
	}
	if s.Epoch < scheduled && scheduled > next {
		list = append(list, messages.Waiting{What: messages.WaitsForEpoch, Epoch: scheduled, At: s.when(scheduled)})
	}
	return list
}

// executor tells what keeps the executor from paying anybody.
func (s *Surroundings) executor() (list []messages.Waiting) {
	if s.NoExecutor != "" {
		list = append(list, messages.Waiting{What: messages.WaitsForQuorum, Reason: s.NoExecutor})
	}
	if s.PausedAt != 0 {
		list = append(list, messages.Waiting{
			What: messages.WaitsForPause, IDs: []messages.DisbursementID{s.PausedAt}, Reason: s.PauseReason,
		})
	}
	if s.RetryAfter > 0 {
		list = append(list, messages.Waiting{
			What: messages.WaitsForBreaker, RetryAfterMS: uint64(max(s.RetryAfter.Milliseconds(), 1)),
		})
	}
	return list
}

// when gives about the time at which an epoch comes, in Unix seconds, 0 where no clock
// reaches it: one epoch an interval from now on.
func (s *Surroundings) when(epoch messages.Epoch) uint64 {
	now := uint64(max(s.Now.Unix(), 0))
	if epoch <= s.Epoch {
		return now
	}
	epochs := float64(epoch - s.Epoch)
	seconds := epochs * s.EpochInterval.Seconds()
	if seconds >= math.MaxUint32 {
		return 0
	}
	return now + uint64(math.Ceil(seconds))
}
