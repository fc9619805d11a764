package treasury

import (
	"encoding/binary"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
)

// voteReply is how the answer to a vote is kept with its request id.
var voteReply = durable.Reply[messages.VoteResult]{
	Kind: "vote", Repeat: func(r *messages.VoteResult) { r.Duplicate = true },
}

// oldVoteBytes is how long the answer to a vote was before replies bore the name of their
// kind: what each house approves after it.
const oldVoteBytes = 16

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
