package disbursement

import (
	"slices"

	"github.com/the-block/bursar/messages"
)

// Vote is one voter's voice in one house. WeightPPM is the voter's share of the
// house, whichever way the vote goes.
type Vote struct {
	House     messages.House
	Voter     string
	WeightPPM messages.PPM
	Approve   bool
}

// CastVote counts a vote. It replaces an earlier one of the same voter in the
// same house. It is refused as validation_failed where the vote makes no sense
// or the weights of its house would exceed the whole, and as invalid_transition
// unless the disbursement is being voted on and its deadline has not come.
func CastVote(r Record, vote Vote, f Facts) (Record, *messages.Error) {
	if err := checkVote(vote); err != nil {
		return Record{}, err
	}
	if r.State != messages.Voting {
		return Record{}, illegal(&r, "votes are counted while it is voting")
	}
	if f.Epoch >= r.VoteDeadlineEpoch {
		return Record{}, illegal(&r, "the vote ended at epoch %d, and it is epoch %d", r.VoteDeadlineEpoch, f.Epoch)
	}
	at := slices.IndexFunc(r.Votes, func(v Vote) bool { return v.House == vote.House && v.Voter == vote.Voter })
	if at < 0 && len(r.Votes) >= VotesMax {
		return Record{}, invalid("the disbursement has %d votes, no more are kept", VotesMax)
	}
	total := vote.WeightPPM
	for i, v := range r.Votes {
		if v.House == vote.House && i != at {
			total += v.WeightPPM
		}
	}
	if total > messages.PPMMax {
		return Record{}, invalid("weight_ppm: the weights of the %s would add up to %d, at most %d are allowed",
			vote.House, total, messages.PPMMax)
	}
	if at < 0 {
		r.Votes = append(slices.Clip(r.Votes), vote)
	} else {
		r.Votes = slices.Clone(r.Votes)
		r.Votes[at] = vote
	}
	return r, nil
}

func checkVote(v Vote) *messages.Error {
	if v.House != messages.Operators && v.House != messages.Builders {
		return invalid("house must be operators or builders")
	}
	if err := checkText("voter", v.Voter, VoterBytesMax); err != nil {
		return err
	}
	switch {
	case v.WeightPPM == 0:
		return invalid("weight_ppm must be above 0")
	case v.WeightPPM > messages.PPMMax:
		return invalid("weight_ppm must be at most %d", messages.PPMMax)
	}
	return nil
}

// Approval adds up the approving weights of a house.
func (r *Record) Approval(house messages.House) messages.PPM {
	var sum messages.PPM
	for _, v := range r.Votes {
		if v.House == house && v.Approve {
			sum += v.WeightPPM
		}
	}
	return sum
}

// quorate reports whether each house reached its quorum.
func (r *Record) quorate() bool {
	q := r.Payload.Proposal.Quorum
	return r.Approval(messages.Operators) >= q.OperatorsPPM && r.Approval(messages.Builders) >= q.BuildersPPM
}
