package wire

import (
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/internal/pack"
)

// The types of a MessagePack-RPC message, its first element.
const (
	typeRequest      = 0
	typeResponse     = 1
	typeNotification = 2
)

// limits bound a whole message of a caller. They are those of package messages.
var limits = messages.WireLimits

// request is what the head of a request says; the slices lie in the message.
type request struct {
	id     uint32
	notify bool
	method []byte
	params []byte // one map
}

// emptyMap stands for params that are absent.
var emptyMap = []byte{0x80}

// readRequest takes a scanned message apart. A fatal fault leaves no request to
// answer and ends the connection; any other is told to the caller.
func readRequest(d *pack.Decoder, msg []byte) (req request, err *messages.Error, fatal bool) {
	d.Reset(msg, "message", false)
	n := d.List()
	d.Next()
	switch kind := d.Uint(); {
	case d.Fault() != nil:
		return req, invalid(d), true
	case kind == typeRequest && n == 4:
		d.Next()
		id := d.Uint()
		if d.Fault() != nil || id > 1<<32-1 {
			return req, messages.Errorf(messages.CodeInvalidRequest,
				"the msgid is no unsigned 32-bit integer"), true
		}
		req.id = uint32(id)
	case kind == typeNotification && n == 3:
		req.notify = true
	default:
		return req, messages.Errorf(messages.CodeInvalidRequest,
			"want [0, msgid, method, [params]] or [2, method, [params]]"), true
	}
	d.Next()
	req.method = d.Bytes()
	d.Next()
	if d.Fault() != nil {
		return req, invalid(d), false
	}
	return req, req.readParams(d), false
}

func invalid(d *pack.Decoder) *messages.Error {
	return messages.Errorf(messages.CodeInvalidRequest, "%s", d.Fault())
}

// readParams unwraps the one map. The scan has made sure that it reaches to the end
// of the message.
func (r *request) readParams(d *pack.Decoder) *messages.Error {
	switch n := d.List(); {
	case d.Fault() != nil || n > 1:
		return messages.Errorf(messages.CodeInvalidParams, "params: want a list of one map")
	case n == 0:
		r.params = emptyMap
	default:
		r.params = d.Rest()
	}
	return nil
}

// appendRequestHead appends a request up to its params' map.
func appendRequestHead(b []byte, id uint32, method string) []byte {
	b = pack.AppendArray(b, 4)
	b = pack.AppendUint(b, typeRequest)
	b = pack.AppendUint(b, uint64(id))
	b = pack.AppendString(b, method)
	return pack.AppendArray(b, 1)
}

// appendResponse appends the answer to request id: err, or else the result. A result
// that cannot be sent, mostly for being more than most bytes, becomes an internal
// error, which is returned.
func appendResponse(b []byte, id uint32, result messages.Result, err *messages.Error, most int) ([]byte, *messages.Error) {
	start := len(b)
	b = pack.AppendArray(b, 4)
	b = pack.AppendUint(b, typeResponse)
	b = pack.AppendUint(b, uint64(id))
	if err != nil {
		b = err.AppendMsgpack(b)
		return pack.AppendNil(b), err
	}
	b = pack.AppendNil(b)
	b, encErr := messages.AppendResult(b, result)
	switch {
	case encErr != nil:
		err = messages.Errorf(messages.CodeInternal, "encode the result: %v", encErr)
	case len(b)-start > most:
		err = messages.Errorf(messages.CodeInternal, "a result of %d bytes is more than %d", len(b)-start, most)
	default:
		return b, nil
	}
	return appendResponse(b[:start], id, nil, err, most)
}

// response is an answer taken apart; the slices lie in the message.
type response struct {
	id     uint32
	result []byte
	err    *messages.Error
}

// readResponse takes a scanned message apart.
func readResponse(d *pack.Decoder, msg []byte) (resp response, ok bool) {
	d.Reset(msg, "message", false)
	n := d.List()
	d.Next()
	kind := d.Uint()
	d.Next()
	id := d.Uint()
	d.Next()
	if d.Fault() != nil || n != 4 || kind != typeResponse || id > 1<<32-1 {
		return resp, false
	}
	resp.id = uint32(id)
	if d.Kind() == "nil" {
		d.Skip()
		d.Next()
		resp.result = d.Rest()
		return resp, true
	}
	e, err := messages.DecodeError(d.Raw())
	if err != nil {
		return resp, false
	}
	resp.err = e
	return resp, true
}
