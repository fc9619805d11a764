package wire

import (
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/internal/pack"
)

// AppendJSON is exported for its tests.
var AppendJSON = appendJSON

// TakeApart scans a message and reads it as a request and as a response. It reports
// whether it is whole.
func TakeApart(b []byte) bool {
	var (
		s pack.Scanner
		d pack.Decoder
	)
	n, verdict := s.Scan(b, limits)
	if verdict != pack.Complete {
		return false
	}
	if req, err, _ := readRequest(&d, b[:n]); err == nil {
		if m := messages.MethodByName(req.method); m != nil {
			_, _ = m.Decode(req.params, messages.Msgpack)
		}
	}
	if resp, ok := readResponse(&d, b[:n]); ok && resp.err == nil {
		_, _ = appendJSON(nil, resp.result)
	}
	return true
}

// Ingress scans and decodes one message with the state of a connection.
type Ingress struct {
	s pack.Scanner
	d messages.Decoder
}

// Take does what a connection does with a message before it makes a call of it.
func (in *Ingress) Take(msg []byte) (messages.Params, error) {
	in.s.Reset()
	n, _ := in.s.Scan(msg, limits)
	req, err, _ := readRequest(in.d.Pack(), msg[:n])
	if err != nil {
		return nil, err
	}
	p, err := messages.MethodByName(req.method).DecodeWith(&in.d, req.params, messages.Msgpack)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// AppendRequest and AppendResponse write whole messages.
func AppendRequest(b []byte, id uint32, method string, p messages.Params) []byte {
	return messages.AppendParams(appendRequestHead(b, id, method), p)
}

func AppendResponse(b []byte, id uint32, result messages.Result) []byte {
	b, _ = appendResponse(b, id, result, nil, limits.Bytes)
	return b
}

// Outbox is exported for its property.
type Outbox struct{ o outbox }

// Add adds a message and returns its segment.
func (o *Outbox) Add(m []byte) uint64 {
	return o.o.add(func(b []byte) []byte { return append(b, m...) })
}

// Hurry adds an urgent message.
func (o *Outbox) Hurry(m []byte) {
	o.o.hurry(func(b []byte) []byte { return append(b, m...) }, func() {})
}

// Take takes what is to be written next, gives it back as written, and returns a copy.
func (o *Outbox) Take() (batch []byte, told int) {
	b, t := o.o.next()
	batch = append(batch, b...)
	o.o.giveBack(b)
	return batch, len(t)
}

// Bytes and Begun are those of the outbox.
func (o *Outbox) Bytes() int                { return o.o.bytes }
func (o *Outbox) Begun(segment uint64) bool { return o.o.begun(segment) }
