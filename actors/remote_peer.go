package actors

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/the-block/bursar/messages"
)

// peer is what this node has with another: a link for what goes there, a session for
// what comes from there. They live and die apart, since nobody promises that both
// directions break at once, but what waits for answers depends on both:
//
//   - A link that breaks takes the session with it. What that stream still brings is
//     refused, so that the other node begins a new one.
//   - A stream with a gap is refused, and a new link begins: answers were lost.
//   - A stream that follows another, without anything broken here, or frames that were
//     refused, says that answers may have been lost: what waits for them is in doubt. The
//     link goes on.
//
// Only a refusal makes the other end begin a new stream, only the stream it names, and a
// first frame is never refused. So two ends cannot keep each other starting anew.
type peer struct {
	remote *Remote
	node   messages.NodeID

	// sending holds a token while the transport has a frame, so that no old one follows a
	// new one. It is no mutex: a wait for the transport may be long, and virtual time goes on.
	sending chan struct{}
	mu      sync.Mutex // one frame or one change of link at a time
	retired [8]uint64  // streams not to be taken again; guarded by mu
	oldest  int        // in retired
	missed  bool       // frames were refused since the last stream began; guarded by mu

	link     atomic.Pointer[link]    // nil while there is none
	session  atomic.Pointer[session] // nil until the first frame
	refusing atomic.Uint64           // a stream whose sender is to be told to give it up

	waiting atomic.Int64 // arrivals in annexes
	past    PeerStats    // of links that have ended; guarded by mu
	breaks  uint64       // guarded by mu
}

// linkUp begins a new link, or uses the one whose answers wait already because the
// other node was quicker.
func (p *peer) linkUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.link.Load(); l != nil && l.begun() {
		p.dropSession()
		p.dropLink()
	}
	p.start()
}

// linkDown gives up what there is.
func (p *peer) linkDown() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropSession()
	p.dropLink()
}

// linkBroke is linkDown, unless a newer link has taken over.
func (p *peer) linkBroke(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link.Load() == l {
		p.dropSession()
		p.dropLink()
	}
}

// start gives the link a writer. The caller holds mu.
func (p *peer) start() {
	l := p.link.Load()
	if l == nil {
		l = newLink(p)
		p.link.Store(l)
	}
	l.mu.Lock()
	l.started = true
	l.mu.Unlock()
	if !p.remote.begin(l) {
		p.dropLink()
	}
}

// renewLink begins a new link in place of one. The caller holds mu.
func (p *peer) renewLink() {
	l := p.link.Load()
	if l == nil || !l.begun() {
		return
	}
	p.dropLink()
	p.start()
}

// dropLink ends the link, if any. The caller holds mu.
func (p *peer) dropLink() {
	if l := p.link.Swap(nil); l != nil {
		l.sever()
		l.stats(&p.past)
		p.breaks++
	}
}

// dropSession ends the session, if any. The caller holds mu.
func (p *peer) dropSession() {
	s := p.session.Swap(nil)
	if s == nil {
		return
	}
	s.over.Store(true)
	p.retired[p.oldest] = s.stream
	p.oldest = (p.oldest + 1) % len(p.retired)
	p.past.Received += s.entries
	p.past.ReceivedFrames += s.sequence
	p.remote.watchers.drop(s)
}

func (l *link) begun() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.started
}

// granting is what the next frame says about the stream of the other direction; more
// says that there is something to say in the frame after that, too.
func (p *peer) granting() (stream, grant uint64, more bool) {
	s := p.session.Load()
	if refused := p.refusing.Swap(0); refused != 0 {
		return refused, grantNone, s != nil
	}
	if s != nil {
		return s.stream, s.grant(), false
	}
	return 0, 0, false
}

// receive takes one frame.
func (p *peer) receive(h header, entries []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.link.Load(); l != nil && l.stream == h.granting {
		if h.grant == grantNone {
			p.renewLink()
		} else {
			l.grant(h.grant)
		}
	}
	s := p.accept(h)
	if s == nil {
		return nil
	}
	if err := s.take(entries); err != nil {
		p.dropSession()
		p.renewLink()
		p.refuse(h.stream)
		return err
	}
	return nil
}

// accept finds the session that a frame belongs to; nil if it is not to be taken.
// The caller holds mu.
func (p *peer) accept(h header) *session {
	s := p.session.Load()
	switch {
	case h.stream == 0:
		return nil
	case s != nil && s.stream == h.stream && h.sequence == s.sequence+1:
		s.sequence++
		return s
	case s != nil && s.stream == h.stream: // a gap
		p.dropSession()
		p.renewLink()
		p.refuse(h.stream)
		return nil
	case p.isRetired(h.stream):
		p.refuse(h.stream)
		return nil
	case h.sequence != 1: // its beginning has been lost
		p.refuse(h.stream)
		return nil
	}
	if p.link.Load() == nil {
		p.link.Store(newLink(p)) // what answers wait in until LinkUp
	}
	if s != nil || p.missed {
		p.dropSession()
		p.link.Load().doubt()
	}
	p.missed = false
	s = newSession(p, h.stream)
	p.session.Store(s)
	return s
}

// refuse makes the next frame tell the other node to give a stream up. The caller holds
// mu.
func (p *peer) refuse(stream uint64) {
	p.missed = true
	p.refusing.Store(stream)
	if l := p.link.Load(); l != nil {
		l.owe()
	}
}

func (p *peer) isRetired(stream uint64) bool {
	for _, old := range p.retired {
		if old == stream {
			return true
		}
	}
	return false
}

func (p *peer) stats() PeerStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.past
	out.Node, out.Breaks, out.Waiting = p.node, p.breaks, p.waiting.Load()
	out.Up, out.Queued, out.QueuedBytes, out.Asks, out.Watches = false, 0, 0, 0, 0
	if l := p.link.Load(); l != nil {
		l.stats(&out)
	}
	if s := p.session.Load(); s != nil {
		out.Received += s.entries
		out.ReceivedFrames += s.sequence
	}
	return out
}

// errGrant is a frame that its sender had no grant for.
var errGrant = fmt.Errorf("%w: more than was granted", ErrBadFrame)
