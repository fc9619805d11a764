package wire

import (
	"sync"
)

// segmentMax is where a segment of an outbox ends, in bytes: at the first message that
// ends beyond it.
const segmentMax = 128 << 10

// sparesMax is how many written segments an outbox keeps for reuse.
const sparesMax = 4

// outbox holds messages until they are written, in segments that end where a message
// ends, so that an urgent message need not wait for all of them. Segments are numbered
// in the order in which they are begun, and written in it.
type outbox struct {
	urgent   []byte
	told     []func() // of urgent messages, when they are written
	segments [][]byte
	spares   [][]byte
	bytes    int    // in segments and urgent
	last     uint64 // the number of the last segment begun
}

// add has encode append one message, and returns the number of its segment.
func (o *outbox) add(encode func(b []byte) []byte) uint64 {
	n := len(o.segments)
	if n == 0 || len(o.segments[n-1]) >= segmentMax {
		o.segments = append(o.segments, o.spare())
		o.last++
		n++
	}
	segment := &o.segments[n-1]
	before := len(*segment)
	*segment = encode(*segment)
	o.bytes += len(*segment) - before
	return o.last
}

// hurry is add for a message that goes out before all others. written is called when
// it has.
func (o *outbox) hurry(encode func(b []byte) []byte, written func()) {
	before := len(o.urgent)
	o.urgent = encode(o.urgent)
	o.bytes += len(o.urgent) - before
	o.told = append(o.told, written)
}

// next removes what is to be written next.
func (o *outbox) next() (batch []byte, told []func()) {
	if len(o.urgent) > 0 {
		batch, told = o.urgent, o.told
		o.urgent, o.told = nil, nil
	} else {
		batch = o.segments[0]
		copy(o.segments, o.segments[1:])
		o.segments[len(o.segments)-1] = nil
		o.segments = o.segments[:len(o.segments)-1]
	}
	o.bytes -= len(batch)
	return batch, told
}

// begun reports whether the segment of that number was taken to be written.
func (o *outbox) begun(segment uint64) bool {
	return segment+uint64(len(o.segments)) <= o.last
}

func (o *outbox) spare() []byte {
	n := len(o.spares)
	if n == 0 {
		return nil
	}
	b := o.spares[n-1]
	o.spares = o.spares[:n-1]
	return b
}

// giveBack takes a segment that is written.
func (o *outbox) giveBack(b []byte) {
	if cap(b) <= keepMax && len(o.spares) < sparesMax {
		o.spares = append(o.spares, b[:0])
	}
}

// keepMax is the largest buffer kept for reuse, in bytes.
const keepMax = 256 << 10

// buffers lends write buffers, so that a connection with nothing to say holds none.
type buffers struct{ pool sync.Pool }

// borrow returns an empty buffer.
func (p *buffers) borrow() []byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, bufferIdle)
}

// giveBack takes a buffer that is written out.
func (p *buffers) giveBack(b []byte) {
	if cap(b) <= keepMax {
		p.pool.Put(&b)
	}
}
