package durable

import "github.com/the-block/bursar/messages"

// Reply is the answer of one kind of change, as a repeat of its request id is given it. R
// is a result of package messages.
// The log keeps it encoded as it went over the wire, behind the name of its kind, so that
// it can be read as nothing else.
type Reply[R any] struct {
	// Kind names it in the log, for ever; 1 to 31 bytes.
	Kind string
	// Repeat marks a result as one that was given before.
	Repeat func(*R)
}

// shortText marks the name of a kind as a short string of MessagePack's. No reply without
// a kind begins with such a byte.
const shortText = 0xa0

// replyUsual is what most replies fit into.
const replyUsual = 96

// Encode gives the bytes to keep for a result. The journal refuses a Txn where they are
// more than persistence.ReplyBytesMax.
func (k Reply[R]) Encode(result *R) []byte {
	b := append(make([]byte, 0, replyUsual), shortText|byte(len(k.Kind)))
	b, err := messages.AppendResult(append(b, k.Kind...), result)
	if err != nil {
		panic(err) // R is no result
	}
	return b
}

// Recall reads what Encode wrote, as a repeat is told it. ok is false for a reply of
// another kind.
func (k Reply[R]) Recall(reply []byte) (result *R, ok bool) {
	n := len(k.Kind)
	if len(reply) <= n || reply[0] != shortText|byte(n) || string(reply[1:1+n]) != k.Kind {
		return nil, false
	}
	result = new(R)
	if err := messages.DecodeResult(reply[1+n:], result); err != nil {
		return nil, false
	}
	k.Repeat(result)
	return result, true
}
