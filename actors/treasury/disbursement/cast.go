package disbursement

import (
	"encoding/binary"
	"fmt"

	"github.com/the-block/bursar/messages"
)

// Cast is a vote as it was cast, for the statement. A record has the votes that count; of
// those that others took the place of it knows nothing.
type Cast struct {
	Vote
	At     uint64 // Unix seconds
	Node   messages.NodeID
	Who    string // who sent it
	Reason string
}

// CastsMax is how often a disbursement is written at most while it is voted on: votes that
// replace each other have an end.
const CastsMax = messages.CastsMax

// castVersion begins each encoding.
const castVersion = 1

// AppendCast appends its encoding: the version, the vote as a record has it, then at, node,
// who and reason.
func AppendCast(dst []byte, c *Cast) []byte {
	dst = append(dst, castVersion)
	dst = appendVote(dst, &c.Vote)
	dst = binary.AppendUvarint(dst, c.At)
	dst = appendText(dst, string(c.Node))
	dst = appendText(dst, c.Who)
	return appendText(dst, c.Reason)
}

// DecodeCast reads what AppendCast wrote.
func DecodeCast(data []byte) (c Cast, err error) {
	r := reader{data: data}
	if v := r.byte(); r.err == nil && v != castVersion {
		r.fail(fmt.Sprintf("version %d of a vote", v))
	}
	c = Cast{Vote: r.vote(), At: r.uvarint(), Node: messages.NodeID(r.text()), Who: r.text(), Reason: r.text()}
	if r.err == nil && r.pos != len(r.data) {
		r.fail("bytes left over")
	}
	return c, r.err
}

// String tells the vote in words.
func (c *Cast) String() string {
	word := "against"
	if c.Approve {
		word = "for"
	}
	text := fmt.Sprintf("%s of %s, %d ppm, %s", c.Voter, c.House, c.WeightPPM, word)
	if c.Reason != "" {
		text += ": " + c.Reason
	}
	return text
}
