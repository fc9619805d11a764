package actors

import (
	"context"
	"fmt"
	"time"

	"github.com/the-block/bursar/messages"
)

// encode begins an entry that carries a message. The caller gives the scratch back
// once the entry is put or refused.
func (r *Remote) encode(e *entry, msg any) (scratch *[]byte, err error) {
	scratch, _ = r.scratch.Get().(*[]byte)
	if scratch == nil {
		scratch = new([]byte)
	}
	var ok bool
	e.payload, e.kind, ok = r.codecs.encode((*scratch)[:0], msg)
	*scratch = e.payload
	if !ok || len(e.payload) > r.cfg.MessageBytes {
		return scratch, refusedUnsendable
	}
	return scratch, nil
}

// tellFar sends a message to an actor of another node.
func (r Ref) tellFar(msg any) error {
	to, ok := r.elsewhere()
	if !ok {
		return refusedStopped
	}
	l := to.peer.link.Load()
	if l == nil {
		return refusedUnreachable
	}
	e := entry{op: opTell, path: to.path}
	scratch, err := to.peer.remote.encode(&e, msg)
	if err == nil {
		err = l.tell(&e)
	}
	to.peer.remote.scratch.Put(scratch)
	return err
}

// checkFar says why a message would be refused now.
func (r Ref) checkFar() error {
	to, ok := r.elsewhere()
	if !ok {
		return refusedStopped
	}
	l := to.peer.link.Load()
	if l == nil {
		return refusedUnreachable
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.check(&entry{path: to.path})
}

// askFar sends a message to an actor of another node and waits for the answer, or for
// the link to break.
func (r Ref) askFar(ctx context.Context, msg any) (any, error) {
	to, ok := r.elsewhere()
	if !ok {
		return nil, refusedStopped
	}
	l := to.peer.link.Load()
	if l == nil {
		return nil, refusedUnreachable
	}
	rem := to.peer.remote
	e := entry{op: opAsk, path: to.path, id: rem.ids.Add(1), timeout: timeoutOf(ctx)}
	h := rem.sys.newCall()
	scratch, err := rem.encode(&e, msg)
	if err == nil {
		err = l.ask(&e, h)
	}
	rem.scratch.Put(scratch)
	if err != nil {
		h.settle()
		rem.sys.release(h)
		return nil, err
	}
	v, err := h.wait(ctx)
	if err != nil {
		l.answered(e.id) // nobody waits for it any more
	}
	rem.sys.release(h)
	return v, err
}

// timeoutOf is how long ctx leaves, in milliseconds and rounded up; 0 for ever.
func timeoutOf(ctx context.Context) uint64 {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	left := max(time.Until(deadline), 0)
	return uint64(left.Milliseconds()) + 1
}

// answered takes the answer to an ask of this node's.
func (p *peer) answered(e *entry) {
	l := p.link.Load()
	if l == nil {
		return
	}
	sys := p.remote.sys
	h, waits := l.answered(e.id)
	var v any
	if e.op == opFailure {
		v = decodeFailure(e.class, e.payload)
	} else {
		var why Reason
		if v, why = p.remote.codecs.decode(e.kind, e.payload); why != 0 {
			sys.dead.add(DeadLetter{Type: p.remote.codecs.typeName(e.kind), Reason: why})
			v = messages.Errorf(messages.CodeOutcomeUnknown, "the answer from node %s is %s", p.node, why)
		}
	}
	if !waits || !h.reply(v) {
		sys.dead.add(DeadLetter{Type: typeName(v), Reason: ReplyUnclaimed})
	}
}

// answer sends the answer to an ask of another node's. The call is settled.
func (h handle) answer(v any) {
	from := h.call.from
	p := from.session.peer
	sys := p.remote.sys
	l := p.link.Load()
	if l == nil || from.session.over.Load() {
		sys.dead.add(DeadLetter{Type: typeName(v), Reason: ReplyUnclaimed})
		return
	}
	if err, failed := v.(error); failed && !p.remote.codecs.knows(v) {
		l.fail(from.id, err)
		return
	}
	e := entry{op: opReply, id: from.id}
	scratch, err := p.remote.encode(&e, v)
	switch {
	case err != nil:
		sys.dead.add(DeadLetter{Type: typeName(v), Reason: Unsendable})
		l.fail(from.id, messages.Errorf(messages.CodeOutcomeUnknown,
			"the actor's answer, a %s of %d bytes, cannot leave its node", typeName(v), len(e.payload)))
	case !l.answer(&e):
		sys.dead.add(DeadLetter{Type: typeName(v), Reason: QueueFull})
		l.fail(from.id, messages.Errorf(messages.CodeOutcomeUnknown,
			"the actor has answered, but too much waits to be sent to node %s", p.node))
	}
	p.remote.scratch.Put(scratch)
}

// fail sends an error as the answer.
func (l *link) fail(id uint64, err error) {
	facts, class := appendFailure(nil, err)
	if len(facts) > l.peer.remote.cfg.MessageBytes {
		facts, class = appendFailure(nil, fmt.Errorf("an error of %d bytes", len(facts)))
	}
	l.control(&entry{op: opFailure, id: id, class: class, payload: facts})
}
