package actors

import (
	"runtime"
	"sync"

	"github.com/the-block/bursar/messages"
)

// link is what goes to one node, from one LinkUp until it breaks: the entries that wait
// to be sent, and the asks and watches that wait for that node. A new link begins with
// nothing, so what belongs to an old one cannot be mistaken.
//
// Senders append to the chunk being filled; the writer takes full chunks, or what there
// is when it has nothing else to do. So a frame is as large as the link is busy.
type link struct {
	peer   *peer
	stream uint64

	mu        sync.Mutex
	ready     sync.Cond
	idle      bool // the writer waits
	started   bool // there is a writer
	finishing bool // the writer ends when nothing may be sent
	ended     bool // it has
	flooded   bool // more waits than the other node can have asked for
	broken    bool
	filling   *chunk
	full      []*chunk
	entries   int    // in filling and full
	bytes     int    // in filling and full
	sequence  uint64 // of the newest frame
	sent      uint64 // the newest chunk given to the transport
	spent     uint64 // the weight of all chunks sent
	granted   uint64 // how far that may go
	grantDue  bool   // the node should hear how far it may go
	asks      map[uint64]pending
	watches   map[uint64]watching

	sentEntries, refused uint64
}

// chunk is a frame in the making; its header is written last.
type chunk struct {
	b       []byte
	entries int
	number  uint64
	path    string // of the last entry that had one
}

// weight is what the chunk counts for in the accounts between two nodes.
func (c *chunk) weight() uint64 {
	return uint64(len(c.b) - headerBytes + entryWeight*c.entries)
}

// pending is an ask that waits for its answer.
type pending struct {
	call  handle
	chunk uint64 // that it is in
}

func newLink(p *peer) *link {
	l := &link{
		peer: p, stream: random(), granted: firstGrant, grantDue: true, // the old one may have owed it
		asks: make(map[uint64]pending), watches: make(map[uint64]watching),
	}
	l.ready.L = &l.mu
	l.filling = p.remote.newChunk(1)
	return l
}

func (r *Remote) newChunk(number uint64) *chunk {
	c, ok := r.buffers.Get().(*chunk)
	if !ok {
		c = &chunk{b: make([]byte, 0, headerBytes+r.cfg.FrameBytes+1<<10)}
	}
	c.b, c.entries, c.number, c.path = c.b[:headerBytes], 0, number, ""
	return c
}

// recycle takes a chunk back, unless one large message has made it large for good.
func (r *Remote) recycle(c *chunk) {
	if cap(c.b) <= 2*(headerBytes+r.cfg.FrameBytes+1<<10) {
		r.buffers.Put(c)
	}
}

// put appends an entry. The caller holds mu.
func (l *link) put(e *entry) {
	c := l.filling
	before := len(c.b)
	if e.op.addressed() {
		c.b = e.append(c.b, c.path == e.path)
		c.path = e.path
	} else {
		c.b = e.append(c.b, false)
	}
	c.entries++
	l.entries++
	l.bytes += len(c.b) - before
	if len(c.b) >= l.peer.remote.cfg.FrameBytes {
		l.full = append(l.full, c)
		l.filling = l.peer.remote.newChunk(c.number + 1)
	}
	l.wake()
}

func (l *link) wake() {
	if l.idle {
		l.idle = false
		l.ready.Signal()
	}
}

// room reports whether the entry may wait here. The caller holds mu.
func (l *link) room(e *entry) bool {
	cfg := &l.peer.remote.cfg
	return l.entries < cfg.QueueMessages && l.bytes+len(e.payload)+len(e.path)+entryWeight <= cfg.QueueBytes
}

// check says why a message would be refused now.
func (l *link) check(e *entry) error {
	switch {
	case l.broken || !l.started || l.finishing:
		return refusedUnreachable
	case !l.room(e):
		return refusedQueueFull
	}
	return nil
}

// tell puts a message in, or refuses it.
func (l *link) tell(e *entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check(e); err != nil {
		l.refused++
		return err
	}
	l.put(e)
	return nil
}

// ask puts a message in whose answer goes to h.
func (l *link) ask(e *entry, h handle) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.check(e)
	if err == nil && len(l.asks) >= l.peer.remote.cfg.AsksMax {
		err = refusedQueueFull
	}
	if err != nil {
		l.refused++
		return err
	}
	l.asks[e.id] = pending{h, l.filling.number}
	l.put(e)
	return nil
}

// answered takes an ask off the books.
func (l *link) answered(id uint64) (h handle, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.asks[id]
	delete(l.asks, id)
	return p.call, ok
}

// answer puts a reply in; false if there is no room for it.
func (l *link) answer(e *entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken || !l.room(e) {
		return false
	}
	l.put(e)
	return true
}

// control puts a small entry in that must not be lost while the link lives. If there are
// more than the other node can have asked for, it does not read them, and the link ends.
func (l *link) control(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	cfg := &l.peer.remote.cfg
	switch {
	case l.broken:
	case l.entries >= cfg.QueueMessages+cfg.AsksMax+cfg.WatchesMax:
		l.flooded = true
		l.wake()
	default:
		l.put(e)
	}
}

// watch registers a watch and puts it in.
func (l *link) watch(e *entry, w watching) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.check(e) != nil || len(l.watches) >= l.peer.remote.cfg.WatchesMax {
		return false
	}
	l.watches[e.id] = w
	l.put(e)
	return true
}

// unwatched takes a watch off the books.
func (l *link) unwatched(id uint64) (w watching, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w, ok = l.watches[id]
	delete(l.watches, id)
	return w, ok
}

// grant lets the writer go on up to a weight.
func (l *link) grant(to uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if to > l.granted {
		l.granted = to
		l.wake()
	}
}

// owe makes the writer tell the node how far it may go.
func (l *link) owe() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.grantDue = true
	l.wake()
}

// write sends chunks until the link breaks or is finished.
func (l *link) write() {
	r := l.peer.remote
	for {
		c := l.next()
		if c == nil {
			break
		}
		err := l.send(c)
		r.recycle(c)
		if err != nil {
			l.peer.linkBroke(l)
			return
		}
	}
	if l.overrun() {
		l.peer.linkBroke(l)
	}
}

// send gives a frame to the transport, unless the link has ended: a newer one may be
// there.
func (l *link) send(c *chunk) error {
	l.peer.sending <- struct{}{}
	defer func() { <-l.peer.sending }()
	if l.over() {
		return refusedUnreachable
	}
	return l.peer.remote.transport.Send(l.peer.node, c.b)
}

func (l *link) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}

// overrun reports whether the link ends because more waits than may.
func (l *link) overrun() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flooded
}

// next waits for something that may be sent; nil when the writer is to end.
func (l *link) next() *chunk {
	l.mu.Lock()
	defer l.mu.Unlock()
	yielded := false
	for {
		sendable := l.entries > 0 && l.spent < l.granted
		switch {
		case l.broken, l.flooded, l.finishing && !sendable:
			l.ended = true
			return nil
		case sendable && !yielded && len(l.full) == 0:
			// Senders that are ready to run fill the frame; if there are none, this
			// costs nothing.
			yielded = true
			l.mu.Unlock()
			runtime.Gosched()
			l.mu.Lock()
		case sendable:
			return l.take()
		case l.grantDue:
			return l.seal(l.peer.remote.newChunk(0))
		default:
			l.idle = true
			l.ready.Wait()
			l.idle = false
		}
	}
}

// take hands out the oldest chunk. The caller holds mu.
func (l *link) take() *chunk {
	c := l.filling
	if len(l.full) > 0 {
		c = l.full[0]
		l.full[0] = nil
		l.full = l.full[1:]
	} else {
		l.filling = l.peer.remote.newChunk(c.number + 1)
	}
	l.entries -= c.entries
	l.bytes -= len(c.b) - headerBytes
	l.sentEntries += uint64(c.entries)
	l.sent = c.number
	l.spent += c.weight()
	return l.seal(c)
}

// seal writes the header. The caller holds mu.
func (l *link) seal(c *chunk) *chunk {
	l.sequence++
	h := header{stream: l.stream, sequence: l.sequence}
	h.granting, h.grant, l.grantDue = l.peer.granting()
	h.put(c.b)
	return c
}

// finish makes the writer end when nothing may be sent any more.
func (l *link) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finishing = true
	l.wake()
}

func (l *link) busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.started && !l.ended
}

// sever ends the link: what waits for the node is told so, what was not sent are dead
// letters. Asks of which it is certain that the node never saw them are refused.
func (l *link) sever() {
	l.mu.Lock()
	l.broken = true
	asks, watches := l.asks, l.watches
	l.asks, l.watches = nil, nil
	unsent := append(l.full, l.filling)
	l.full, l.filling, l.entries, l.bytes = nil, nil, 0, 0
	l.idle = false
	l.ready.Broadcast()
	l.mu.Unlock()

	unknown := l.unknown()
	for _, ask := range asks {
		if ask.chunk > l.sent {
			ask.call.reply(refusedUnreachable)
		} else {
			ask.call.reply(unknown)
		}
	}
	for id, w := range watches {
		w.cell.postSystem(farEnd{w.ref, id, EndUnreachable})
	}
	for _, c := range unsent {
		l.peer.remote.bury(c)
	}
}

// unknown is the answer to an ask that was sent and will not be answered.
func (l *link) unknown() error {
	return messages.Errorf(messages.CodeOutcomeUnknown,
		"the link to node %s broke; whether the actor has handled the message is not known", l.peer.node)
}

// doubt ends what waits for answers that may have been lost; the link goes on.
func (l *link) doubt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	unknown := l.unknown()
	for id, ask := range l.asks {
		if ask.chunk <= l.sent {
			ask.call.reply(unknown)
			delete(l.asks, id)
		}
	}
	for id, w := range l.watches {
		w.cell.postSystem(farEnd{w.ref, id, EndUnreachable})
		l.put(&entry{op: opUnwatch, id: id})
	}
	clear(l.watches)
}

// bury makes dead letters of the tells in a chunk.
func (r *Remote) bury(c *chunk) {
	path := ""
	for rest := c.b[headerBytes:]; len(rest) > 0; {
		e, after, _, err := cutEntry(rest)
		if err != nil {
			return // it is our own chunk
		}
		rest = after
		if len(e.target) > 0 {
			path = string(e.target)
		}
		if e.op == opTell {
			r.sys.dead.add(DeadLetter{Path: path, Type: r.codecs.typeName(e.kind), Reason: Unreachable})
		}
	}
	r.recycle(c)
}

func (l *link) stats(into *PeerStats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	into.Up = l.started && !l.broken
	into.Queued, into.QueuedBytes = l.entries, l.bytes
	into.Asks, into.Watches = len(l.asks), len(l.watches)
	into.Refused += l.refused
	into.Sent += l.sentEntries
	into.SentFrames += l.sequence
}
