package wire

import "sync"

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
