package actors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/the-block/bursar/messages"
)

// A frame is what a transport carries at once:
//
//	version u8 | stream u64 | sequence u64 | granting u64 | grant u64 | entry*
//
// all big endian. stream names the run of frames it belongs to, sequence counts the
// frames of it from 1. granting names the stream of the other direction, up to grant
// of whose weight its sender may go; 0 if none has been seen.
//
//	entry = op u8 | length uvarint | body of so many bytes
//	tell    = path | kind uvarint | payload
//	ask     = id uvarint | timeout uvarint (ms, 0 is none) | path | kind uvarint | payload
//	reply   = id uvarint | kind uvarint | payload
//	failure = id uvarint | class u8 | facts
//	watch   = id uvarint | path
//	unwatch = id uvarint
//	ended   = id uvarint | end u8
//	path    = length uvarint | bytes; of length 0: that of the entry before with one
//
// Entries of an op that the receiver does not know are passed over.
const (
	frameVersion = 1
	headerBytes  = 33
	// grantNone, as a grant, says that the stream is not taken (any more).
	grantNone = 1<<64 - 1
	// entryWeight is what an entry weighs beside its bytes: what the receiver needs to
	// hold it. All accounts between two nodes are kept in weight.
	entryWeight = 64
	// firstGrant is what a stream may weigh before its receiver has said anything.
	firstGrant = 256 << 10
	// pathMax is the longest path there can be: depthMax names and their slashes.
	pathMax = depthMax * (nameMax + 1)
)

// op says what an entry is.
type op uint8

const (
	opTell op = iota + 1
	opAsk
	opReply
	opFailure
	opWatch
	opUnwatch
	opEnded
)

// header begins a frame.
type header struct{ stream, sequence, granting, grant uint64 }

func (h header) put(b []byte) {
	b[0] = frameVersion
	binary.BigEndian.PutUint64(b[1:], h.stream)
	binary.BigEndian.PutUint64(b[9:], h.sequence)
	binary.BigEndian.PutUint64(b[17:], h.granting)
	binary.BigEndian.PutUint64(b[25:], h.grant)
}

// parseFrame splits a frame in header and entries.
func parseFrame(b []byte) (h header, entries []byte, err error) {
	if len(b) < headerBytes {
		return h, nil, fmt.Errorf("%w: %d bytes", ErrBadFrame, len(b))
	}
	if b[0] != frameVersion {
		return h, nil, fmt.Errorf("%w: version %d, this node speaks %d", ErrBadFrame, b[0], frameVersion)
	}
	h = header{
		stream: binary.BigEndian.Uint64(b[1:]), sequence: binary.BigEndian.Uint64(b[9:]),
		granting: binary.BigEndian.Uint64(b[17:]), grant: binary.BigEndian.Uint64(b[25:]),
	}
	return h, b[headerBytes:], nil
}

// entry is one thing that a frame tells. Which fields mean something depends on op.
type entry struct {
	op      op
	end     End    // of opEnded
	class   uint8  // of opFailure
	kind    uint16 // of payload
	id      uint64
	timeout uint64 // milliseconds, 0 for none
	path    string // to be written
	target  []byte // as read; empty: the one before
	payload []byte
}

// addressed reports whether entries of the op carry a path.
func (o op) addressed() bool { return o == opTell || o == opAsk || o == opWatch }

// append appends the entry to a frame; samePath says that the entry before it with a
// path had the same.
func (e *entry) append(b []byte, samePath bool) []byte {
	path := e.path
	if samePath {
		path = ""
	}
	b = append(b, byte(e.op))
	b = binary.AppendUvarint(b, uint64(e.bodyBytes(path)))
	if e.op != opTell {
		b = binary.AppendUvarint(b, e.id)
	}
	if e.op == opAsk {
		b = binary.AppendUvarint(b, e.timeout)
	}
	if e.op.addressed() {
		b = binary.AppendUvarint(b, uint64(len(path)))
		b = append(b, path...)
	}
	switch e.op {
	case opTell, opAsk, opReply:
		b = binary.AppendUvarint(b, uint64(e.kind))
		b = append(b, e.payload...)
	case opFailure:
		b = append(append(b, e.class), e.payload...)
	case opEnded:
		b = append(b, byte(e.end))
	case opWatch, opUnwatch:
	}
	return b
}

// bodyBytes is the length of the entry's body.
func (e *entry) bodyBytes(path string) int {
	n := 0
	if e.op != opTell {
		n += uvarintBytes(e.id)
	}
	if e.op == opAsk {
		n += uvarintBytes(e.timeout)
	}
	if e.op.addressed() {
		n += uvarintBytes(uint64(len(path))) + len(path)
	}
	switch e.op {
	case opTell, opAsk, opReply:
		n += uvarintBytes(uint64(e.kind)) + len(e.payload)
	case opFailure:
		n += 1 + len(e.payload)
	case opEnded:
		n++
	case opWatch, opUnwatch:
	}
	return n
}

func uvarintBytes(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// cutter takes bytes off the front of a slice; bad is set once there were too few.
type cutter struct {
	b   []byte
	bad bool
}

func (c *cutter) byte() byte {
	if len(c.b) == 0 {
		c.bad = true
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *cutter) uvarint() uint64 {
	if len(c.b) > 0 && c.b[0] < 0x80 { // nearly always
		v := c.b[0]
		c.b = c.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

// bytes cuts off as many bytes as a length before them says.
func (c *cutter) bytes() []byte {
	n := c.uvarint()
	if n > uint64(len(c.b)) {
		c.bad, c.b = true, nil
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

// cutEntry reads the first entry of b and returns what follows it. known is false for an
// op of a later version. An error says that b does not begin with an entry: nothing is
// allocated, whatever lengths it declares.
func cutEntry(b []byte) (e entry, rest []byte, known bool, err error) {
	c := cutter{b: b}
	e.op = op(c.byte())
	body := cutter{b: c.bytes()}
	if c.bad {
		return e, nil, false, errCut
	}
	if e.op < opTell || e.op > opEnded {
		return e, c.b, false, nil
	}
	if e.op != opTell {
		e.id = body.uvarint()
	}
	if e.op == opAsk {
		e.timeout = body.uvarint()
	}
	if e.op.addressed() {
		e.target = body.bytes()
	}
	switch e.op {
	case opTell, opAsk, opReply:
		kind := body.uvarint()
		e.kind, body.bad = uint16(kind), body.bad || kind > 1<<16-1
		e.payload = body.b
	case opFailure:
		e.class = body.byte()
		e.payload = body.b
	case opEnded:
		e.end = End(body.byte())
	case opWatch, opUnwatch:
	}
	if body.bad || len(e.target) > pathMax {
		return e, nil, false, errEntry
	}
	return e, c.b, true, nil
}

var (
	errCut   = fmt.Errorf("%w: an entry is cut short", ErrBadFrame)
	errEntry = fmt.Errorf("%w: an entry's fields do not fit in it", ErrBadFrame)
)

// The classes of a failure.
const (
	failureRefused uint8 = iota + 1 // reason u8 | retry after, ms, uvarint
	failureError                    // a *messages.Error in MessagePack
	failureNoReply                  // nothing
)

// failureTextMax bounds the text of an error that is no *messages.Error.
const failureTextMax = 1024

// appendFailure appends an error as a failure's facts.
func appendFailure(b []byte, err error) (facts []byte, class uint8) {
	var refused *Refused
	var ours *messages.Error
	switch {
	case errors.As(err, &refused):
		b = append(b, byte(refused.Reason))
		return binary.AppendUvarint(b, uint64(refused.RetryAfter.Milliseconds())), failureRefused
	case errors.Is(err, ErrNoReply):
		return b, failureNoReply
	case !errors.As(err, &ours):
		text := err.Error()
		ours = messages.Errorf(messages.CodeInternal, "%s", text[:min(len(text), failureTextMax)])
	}
	return ours.AppendMsgpack(b), failureError
}

// decodeFailure makes an error of a failure's facts. What it cannot read is an
// outcome that nobody knows.
func decodeFailure(class uint8, facts []byte) error {
	switch class {
	case failureRefused:
		c := cutter{b: facts}
		reason, after := Reason(c.byte()), c.uvarint()
		if c.bad || reason == 0 || reason >= reasons {
			break
		}
		after = min(after, uint64(time.Hour.Milliseconds()))
		return &Refused{Reason: reason, RetryAfter: time.Duration(after) * time.Millisecond}
	case failureNoReply:
		return ErrNoReply
	case failureError:
		if e, err := messages.DecodeError(facts); err == nil {
			return e
		}
	}
	return messages.Errorf(messages.CodeOutcomeUnknown, "the actor's node answered with an error that this one cannot read")
}
