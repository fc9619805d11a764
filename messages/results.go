package messages

import (
	"github.com/vmihailenco/msgpack/v5"

	"github.com/the-block/bursar/messages/internal/pack"
)

// Result is a method's answer: a pointer to one of this package's ...Result
// structs. Their msgpack tags are the wire's names. Those of busy methods append
// themselves; the others are encoded by their tags.
type Result any

// appender is a result that writes itself.
type appender interface{ AppendMsgpack(b []byte) []byte }

// List is a list that is never nil on the wire: an empty one is [].
type List[T any] []T

// EncodeMsgpack writes the list for results that are encoded by their tags. Its
// receiver is a pointer because the encoder writes nil for a nil slice by itself.
func (l *List[T]) EncodeMsgpack(enc *msgpack.Encoder) error {
	if err := enc.EncodeArrayLen(len(*l)); err != nil {
		return err
	}
	for i := range *l {
		if err := enc.Encode(&(*l)[i]); err != nil {
			return err
		}
	}
	return nil
}

// EncodeMsgpack writes the cursor, nil where there is no further page.
func (c Cursor) EncodeMsgpack(enc *msgpack.Encoder) error {
	if c == 0 {
		return enc.EncodeNil()
	}
	return enc.EncodeUint(uint64(c))
}

// EncodeMsgpack writes the state's label.
func (s State) EncodeMsgpack(enc *msgpack.Encoder) error { return enc.EncodeString(s.String()) }

// DecodeMsgpack reads the state's label.
func (s *State) DecodeMsgpack(dec *msgpack.Decoder) error {
	label, err := dec.DecodeString()
	if err != nil {
		return err
	}
	state, ok := ParseState(label)
	if !ok {
		return Errorf(CodeParse, "no such state: %q", label)
	}
	*s = state
	return nil
}

func appendCursor(b []byte, c Cursor) []byte {
	if c == 0 {
		return pack.AppendNil(b)
	}
	return pack.AppendUint(b, uint64(c))
}

// Fit returns how many of the rows fit one reply, at least one where there is
// one: a list stops at ReplyMax and next_cursor leads on.
func Fit[T interface{ AppendMsgpack(b []byte) []byte }](rows []T) int {
	var scratch []byte
	size := 0
	for i, row := range rows {
		scratch = row.AppendMsgpack(scratch[:0])
		if size += len(scratch); size > ReplyMax && i > 0 {
			return i
		}
	}
	return len(rows)
}

// DiscoverResult answers rpc.discover: the method table in the shape of an OpenRPC
// document.
type DiscoverResult struct {
	OpenRPC string           `msgpack:"openrpc"`
	Info    DiscoverInfo     `msgpack:"info"`
	Methods List[MethodInfo] `msgpack:"methods"`
}

// DiscoverInfo names what is described.
type DiscoverInfo struct {
	Title       string `msgpack:"title"`
	Version     string `msgpack:"version"`
	Description string `msgpack:"description"`
}
