package treasury

import (
	"encoding/binary"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
)

// The answers that are kept with their request ids.
var (
	transitionReply = durable.Reply[messages.TransitionResult]{
		Kind: "transition", Repeat: func(r *messages.TransitionResult) { r.Duplicate = true },
	}
	voteReply = durable.Reply[messages.VoteResult]{
		Kind: "vote", Repeat: func(r *messages.VoteResult) { r.Duplicate = true },
	}
)

// Rows of before replies bore the name of their kind: a state is one byte, a vote what
// each house approves after it.
const (
	oldTransitionBytes = 1
	oldVoteBytes       = 16
)

// recallTransition reads the remembered answer to what moved a disbursement.
func recallTransition(id messages.DisbursementID, reply []byte) (any, bool) {
	if len(reply) == oldTransitionBytes {
		return &messages.TransitionResult{ID: id, State: messages.State(reply[0]), Duplicate: true}, true
	}
	result, ok := transitionReply.Recall(reply)
	return result, ok
}

// recallVote reads the remembered answer to a vote.
func recallVote(id messages.DisbursementID, reply []byte) (any, bool) {
	if len(reply) == oldVoteBytes {
		return &messages.VoteResult{
			ID:           id,
			OperatorsPPM: messages.PPM(binary.BigEndian.Uint64(reply)),
			BuildersPPM:  messages.PPM(binary.BigEndian.Uint64(reply[8:])),
			Duplicate:    true,
		}, true
	}
	result, ok := voteReply.Recall(reply)
	return result, ok
}
