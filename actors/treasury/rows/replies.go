package rows

import (
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
)

// TransitionReply is how the answer to what moved a disbursement is kept with its request id.
var TransitionReply = durable.Reply[messages.TransitionResult]{
	Kind: "transition", Repeat: func(r *messages.TransitionResult) { r.Duplicate = true },
}

// oldTransitionBytes is how long such an answer was before replies bore the name of their
// kind: the state.
const oldTransitionBytes = 1

// RecallTransition reads the remembered answer to what moved a disbursement.
func RecallTransition(id messages.DisbursementID, reply []byte) (any, bool) {
	if len(reply) == oldTransitionBytes {
		return &messages.TransitionResult{ID: id, State: messages.State(reply[0]), Duplicate: true}, true
	}
	result, ok := TransitionReply.Recall(reply)
	return result, ok
}
