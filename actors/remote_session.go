package actors

import (
	"sync/atomic"
	"time"
)

// targetsMax bounds the paths that a session remembers the actors of.
const targetsMax = 4096

// session is one stream of frames from another node.
type session struct {
	peer   *peer
	stream uint64

	// The weight of what came and is done with, and of what the other node knows that it
	// may send. The difference of what came and what is done with is what annexes hold.
	consumed atomic.Uint64
	told     atomic.Uint64
	owing    atomic.Bool // the writer has been asked to tell it more
	over     atomic.Bool

	// What follows is guarded by peer.mu.
	sequence uint64
	entries  uint64
	received uint64
	targets  map[string]*cell
	path     string // of the last entry that had one
	target   *cell  // there; nil if nobody is
}

func newSession(p *peer, stream uint64) *session {
	s := &session{peer: p, stream: stream, sequence: 1, targets: make(map[string]*cell)}
	s.told.Store(firstGrant)
	return s
}

// grant is how far the other node may go. The writer calls it, to send that.
func (s *session) grant() uint64 {
	s.owing.Store(false)
	to := s.consumed.Load() + uint64(s.peer.remote.cfg.Window)
	s.told.Store(to)
	return to
}

// consume notes that so much is done with, and has the other node told before it must
// wait.
func (s *session) consume(weight uint64) {
	window := uint64(s.peer.remote.cfg.Window)
	if s.consumed.Add(weight)+window-s.told.Load() < window/4 || !s.owing.CompareAndSwap(false, true) {
		return
	}
	if l := s.peer.link.Load(); l != nil {
		l.owe()
	}
}

// take delivers the entries of a frame. What is before the first bad one is delivered.
func (s *session) take(entries []byte) error {
	if len(entries) > 0 && s.received >= s.told.Load() {
		return errGrant
	}
	if most := s.peer.remote.cfg.FrameBytesMax(); len(entries) > most {
		return errGrant
	}
	done := uint64(0) // weight that need not wait for anything
	defer func() { s.consume(done) }()
	for rest := entries; len(rest) > 0; {
		e, after, known, err := cutEntry(rest)
		if err != nil {
			return err
		}
		weight := uint64(len(rest) - len(after) + entryWeight)
		rest = after
		s.entries++
		s.received += weight
		if !known || s.handle(&e, weight) {
			done += weight
		}
	}
	return nil
}

// handle carries out one entry and reports whether that is the end of it; else the
// message waits and is consumed later.
func (s *session) handle(e *entry, weight uint64) bool {
	p := s.peer
	switch e.op {
	case opTell, opAsk:
		return s.deliver(e, weight)
	case opReply, opFailure:
		p.answered(e)
	case opWatch:
		p.remote.watchers.add(s, s.find(e.target), e.id)
	case opUnwatch:
		p.remote.watchers.remove(s, e.id)
	case opEnded:
		p.ended(e)
	}
	return true
}

// deliver hands a message to its actor.
func (s *session) deliver(e *entry, weight uint64) bool {
	r := s.peer.remote
	c := s.find(e.target)
	it := item{}
	if e.op == opAsk {
		it.call.call = &call{from: s.asker(e)}
	}
	var why Reason
	it.msg, why = r.codecs.decode(e.kind, e.payload)
	switch {
	case why != 0:
		s.turnDown(it, why, r.codecs.typeName(e.kind))
		return true
	case c == nil:
		s.turnDown(it, NoActor, typeName(it.msg))
		return true
	}
	return c.arrive(arrival{item: it, session: s, weight: weight})
}

// turnDown answers a message that no actor gets.
func (s *session) turnDown(it item, why Reason, typ string) {
	s.peer.remote.sys.dead.add(DeadLetter{Path: s.path, Type: typ, Reason: why})
	it.call.reply(&Refused{Reason: why})
}

// find returns the actor at a path, nil if there is none. An empty path is the one
// before.
func (s *session) find(path []byte) *cell {
	if len(path) == 0 || string(path) == s.path {
		if s.target != nil && s.target.currentState() != Ended {
			return s.target
		}
		if s.path == "" {
			return nil
		}
		s.target = s.lookup(s.path)
		return s.target
	}
	if c, ok := s.targets[string(path)]; ok && c.currentState() != Ended {
		s.path, s.target = c.path(), c
		return c
	}
	s.path = string(path)
	s.target = s.lookup(s.path)
	return s.target
}

// lookup finds the actor that lives at a path now.
func (s *session) lookup(path string) *cell {
	ref, ok := s.peer.remote.sys.Lookup(path)
	if !ok {
		delete(s.targets, path)
		return nil
	}
	if len(s.targets) >= targetsMax {
		clear(s.targets)
	}
	s.targets[path] = ref.cell
	return ref.cell
}

// farAsker is who waits for the answer to a call that came from another node.
type farAsker struct {
	session *session
	id      uint64
	until   int64 // by the coarse clock; 0 for ever
}

// asker notes who asked, and for how long he waits. The coarse clock may be behind at
// both ends of that; nobody is given up early.
func (s *session) asker(e *entry) farAsker {
	a := farAsker{session: s, id: e.id}
	if e.timeout > 0 {
		sys := s.peer.remote.sys
		wait := time.Duration(min(e.timeout, 1<<40)) * time.Millisecond
		a.until = sys.coarse.Load() + int64(wait) + int64(sys.cfg.StallAfter)
	}
	return a
}

// waits reports whether the asker may still be waiting.
func (a farAsker) waits() bool {
	return !a.session.over.Load() && (a.until == 0 || a.session.peer.remote.sys.coarse.Load() < a.until)
}
