package operations

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/breaker"
)

// action is what an operator, or a breaker by itself, did. It is the tag of a row of the audit log; a row of
// TableForces has the tag of what put it there.
type action byte

const (
	forceOpen action = iota + 1
	forceClose
	reset
	inject
	// What breakers did by themselves.
	trip
	recovery
	// skipEntry is what all nodes were started to do with an entry that none can apply.
	skipEntry
)

// String gives the action as the wire has it.
func (a action) String() string {
	switch a {
	case forceOpen:
		return "force_open"
	case forceClose:
		return "force_close"
	case reset:
		return "reset"
	case inject:
		return "inject"
	case trip:
		return "trip"
	case recovery:
		return "recover"
	case skipEntry:
		return "skip_entry"
	default:
		return fmt.Sprintf("action(%d)", byte(a))
	}
}

// state is the state that a force holds breakers in; ok is false for other actions.
func (a action) state() (state breaker.State, ok bool) {
	switch a {
	case forceOpen:
		return breaker.ForcedOpen, true
	case forceClose:
		return breaker.ForcedClosed, true
	case reset, inject, trip, recovery, skipEntry:
	}
	return 0, false
}

// row is one row of the audit log.
type row struct {
	action action
	at     time.Time // good to the millisecond
	who    string    // the caller, or itself
	node   string    // that took the call, or on which the breaker is
	path   string
	detail string
}

const (
	// rowVersion is the first byte of every value here.
	rowVersion = 1
	// textMax bounds each text of a row, in bytes: its length is one byte.
	textMax = 255
)

var errRow = errors.New("a row of the operators cannot be read")

// encode gives the row's value. The texts are cut where they are too long.
func (r *row) encode() []byte {
	b := appendHead(nil, r.at)
	for _, text := range []string{r.who, r.node, r.path, r.detail} {
		b = appendText(b, text)
	}
	return b
}

// decodeRow reads what encode wrote.
func decodeRow(tag byte, b []byte) (row, error) {
	r := row{action: action(tag)}
	rest, err := decodeHead(b, &r.at)
	for _, text := range []*string{&r.who, &r.node, &r.path, &r.detail} {
		if err == nil {
			rest, err = decodeText(rest, text)
		}
	}
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d bytes too many", errRow, len(rest))
	}
	return r, err
}

// encodeForce gives the value of a row of TableForces; path and state are its key and
// tag.
func encodeForce(f supervision.Force) []byte { return appendText(appendHead(nil, f.At), f.By) }

// decodeForce reads what encodeForce wrote.
func decodeForce(key persistence.Key, tag byte, b []byte) (supervision.Force, error) {
	state, ok := action(tag).state()
	if !ok {
		return supervision.Force{}, fmt.Errorf("%w: a force of %s", errRow, action(tag))
	}
	f := supervision.Force{Path: key.Name(), State: state}
	rest, err := decodeHead(b, &f.At)
	if err == nil {
		rest, err = decodeText(rest, &f.By)
	}
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d bytes too many", errRow, len(rest))
	}
	return f, err
}

func appendHead(b []byte, at time.Time) []byte {
	return binary.BigEndian.AppendUint64(append(b, rowVersion), uint64(at.UnixMilli()))
}

func decodeHead(b []byte, at *time.Time) (rest []byte, err error) {
	if len(b) < 9 || b[0] != rowVersion {
		return nil, fmt.Errorf("%w: it begins with %x", errRow, b[:min(len(b), 9)])
	}
	*at = time.UnixMilli(int64(binary.BigEndian.Uint64(b[1:])))
	return b[9:], nil
}

func appendText(b []byte, text string) []byte {
	text = text[:min(len(text), textMax)]
	return append(append(b, byte(len(text))), text...)
}

func decodeText(b []byte, text *string) (rest []byte, err error) {
	if len(b) == 0 || len(b)-1 < int(b[0]) {
		return nil, fmt.Errorf("%w: a text is cut off", errRow)
	}
	end := 1 + int(b[0])
	*text = string(b[1:end])
	return b[end:], nil
}
