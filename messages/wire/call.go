package wire

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/messages"
)

// Peer is who made a call.
type Peer struct {
	// Addr is the far end as host:port.
	Addr string
	// Loopback is set where it is this machine.
	Loopback bool
	// Caller is what it may do, and the name in its certificate.
	messages.Caller
	// Node is its name where it is a node that has said hello.
	Node messages.NodeID
}

// Call is one request on its way to an answer. Its fields are not changed after the
// Handler has got it.
type Call struct {
	Method *messages.Method
	// Params point to the method's params struct.
	Params messages.Params
	// RequestID is the caller's, or was stamped at the ingress; empty only where the
	// method changes nothing.
	RequestID string
	// Stamped says that the ingress made up the RequestID: nobody can repeat it.
	Stamped bool
	// Received is when the call was read, Deadline when the caller stops waiting.
	Received time.Time
	Deadline time.Time
	Peer     Peer

	answered atomic.Bool
	turn     *turn // nil where it need not wait for others
	id       uint32
	notify   bool
	bytes    int
	to       replier
}

// replier takes the answer of a call to the caller: exactly one of result and err is
// set.
type replier interface {
	answer(c *Call, result messages.Result, err *messages.Error)
}

// Reply answers with a result, a pointer to the method's result struct, which is
// encoded before Reply returns. Only a call's first answer counts. It never waits for
// the network and may be called from any goroutine.
func (c *Call) Reply(result messages.Result) {
	if c.answered.CompareAndSwap(false, true) {
		c.to.answer(c, result, nil)
	}
}

// Fail answers with an error, under the rules of Reply.
func (c *Call) Fail(err *messages.Error) {
	if c.answered.CompareAndSwap(false, true) {
		c.to.answer(c, nil, err)
	}
}

// Handler serves calls.
type Handler interface {
	// Serve takes one burst of one connection, in the order of arrival. It must not
	// block and must see to it that every call is answered once, by Reply or Fail,
	// after its deadline at the latest; a notification too, by which its caller learns
	// nothing but the connection that it is done with. The slice is its own to keep.
	Serve(calls []*Call)
}

// stamp makes up a request id: 128 random bits in hex, which never repeat in practice.
func stamp() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // it never fails
	return hex.EncodeToString(raw[:])
}

// clip quotes what a stranger sent, short enough for an error.
func clip(b []byte) string {
	const longest = 64
	if len(b) > longest {
		b = b[:longest]
	}
	return strconv.Quote(string(b))
}
