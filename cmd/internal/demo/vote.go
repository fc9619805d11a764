package demo

import (
	"fmt"

	"github.com/the-block/bursar/messages"
)

// quorum is what each house must approve of a proposal: half of it.
const quorum messages.PPM = messages.PPMMax / 2

// shares are the weights of a house's three voters. The first two reach the quorum
// together; the third alone does not.
var shares = [...]messages.PPM{450_000, 350_000, 200_000}

// ballots are the voices that lead to what the DAO decided about the grant.
func ballots(g *Grant) []messages.VoteParams {
	const minority, majority = false, true
	switch g.Status {
	case Enacted, Passed, OutOfBudget:
		return append(houseVotes(g, messages.Operators, majority), houseVotes(g, messages.Builders, majority)...)
	case Rejected:
		return append(houseVotes(g, messages.Operators, minority), houseVotes(g, messages.Builders, majority)...)
	case Active:
		return houseVotes(g, messages.Operators, majority)
	default:
		panic("demo: status " + string(g.Status)) // Load lets no other in
	}
}

// houseVotes lets the first two voters of a house carry or reject the grant and the
// third disagree with them. No id is known yet.
func houseVotes(g *Grant, house messages.House, carried bool) []messages.VoteParams {
	votes := make([]messages.VoteParams, len(shares))
	for i, weight := range shares {
		votes[i] = messages.VoteParams{
			Options:   messages.Options{RequestID: fmt.Sprintf("demo-vote-%s-%s-%d", g.ID, house, i+1)},
			House:     house,
			Voter:     fmt.Sprintf("%s-%d", house, i+1),
			WeightPPM: weight,
			Approve:   carried == (i < 2),
		}
	}
	return votes
}
