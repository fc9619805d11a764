package actors

import (
	"context"
	"fmt"
	"sync/atomic"
)

// call is where one ask waits. It is pooled; its word tells one use from the
// next, so that a late reply cannot reach the wrong asker.
type call struct {
	word  atomic.Uint64 // use<<1 | settled
	value any           // written by whoever settles the call, before the signal
	ready chan struct{} // capacity 1
	// done takes the reply of a call that no goroutine waits in. Such a call is used once
	// and never pooled.
	done func(reply any)
}

// handle is one use of a call. The zero handle belongs to a tell.
type handle struct {
	call *call
	use  uint64
}

// open reports whether somebody still waits for a reply.
func (h handle) open() bool {
	return h.call != nil && h.call.word.Load() == h.use<<1
}

// claim takes the right to end the call; it is given once.
func (h handle) claim() bool {
	return h.call != nil && h.call.word.CompareAndSwap(h.use<<1, h.use<<1|1)
}

// reply answers the asker and reports whether it was still waiting.
func (h handle) reply(v any) bool {
	if !h.claim() {
		return false
	}
	if h.call.done != nil {
		h.call.done(v)
		return true
	}
	h.call.value = v
	h.call.ready <- struct{}{}
	return true
}

// calls hands out calls. Each System has its own, since a call's channel must
// not leave a synctest bubble.
func (s *System) newCall() handle {
	c, ok := s.calls.Get().(*call)
	if !ok {
		c = &call{ready: make(chan struct{}, 1)}
	}
	return handle{call: c, use: c.word.Load() >> 1}
}

// release takes a settled call back; handles of this use are dead from here on.
func (s *System) release(h handle) {
	h.call.value = nil
	h.call.word.Store((h.use + 1) << 1)
	s.calls.Put(h.call)
}

// wait returns the reply, or the context's error if it ends first.
func (h handle) wait(ctx context.Context) (any, error) {
	done := ctx.Done()
	if done == nil {
		<-h.call.ready
		return h.call.value, nil
	}
	select {
	case <-h.call.ready:
	case <-done:
		if h.claim() {
			return nil, ctx.Err()
		}
		<-h.call.ready // the reply was on its way
	}
	return h.call.value, nil
}

// Ask sends msg to the actor and waits for its reply, which must be of type R.
//
// Errors: a *Refused if the message was not taken; ctx's error if it ended first
// (the actor may still handle the message); the actor's own answer if it replied
// with an error; ErrNoReply; ErrReplyType; an internal *messages.Error if the
// actor failed on the message. Do not ask from inside an actor: the worker would
// wait. Tell, and let the answer come as a message.
func Ask[R any](ctx context.Context, ref Ref, msg any) (R, error) {
	v, err := ref.ask(ctx, msg)
	if err != nil {
		var none R
		return none, err
	}
	if r, ok := v.(R); ok {
		return r, nil
	}
	var none R
	if err, ok := v.(error); ok {
		return none, err
	}
	return none, fmt.Errorf("%w: %T, want %T", ErrReplyType, v, none)
}

func (r Ref) ask(ctx context.Context, msg any) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.cell == nil {
		return nil, refusedStopped
	}
	s := r.cell.sys
	h := s.newCall()
	if err := r.cell.post(item{msg: msg, call: h}); err != nil {
		h.claim()
		s.release(h)
		return nil, err
	}
	v, err := h.wait(ctx)
	s.release(h)
	return v, err
}

// AskFunc sends msg like Ask and does not wait: done is called once with the reply, on the
// goroutine of whoever replies, which it must not hold up; a reply that is an error comes
// as err, and so does what Ask would return for a message that was accepted. It is not
// called if AskFunc returns an error, a *Refused. What it returns takes the right to reply
// away: it reports whether done has not been called and never will be, and a message that
// the actor has not begun by then is skipped.
func (r Ref) AskFunc(msg any, done func(reply any, err error)) (giveUp func() bool, err error) {
	h := handle{call: &call{done: func(v any) {
		if err, failed := v.(error); failed {
			done(nil, err)
			return
		}
		done(v, nil)
	}}}
	if err := r.post(item{msg: msg, call: h}); err != nil {
		return nil, err
	}
	return h.claim, nil
}

// Replier answers one message, from any goroutine, once. The zero Replier
// belongs to a tell and drops what it is given.
type Replier struct {
	to  handle
	sys *System
}

// Reply sends v to the asker and reports whether it was still waiting. A reply
// that nobody waits for is a dead letter; one to a tell is dropped.
func (r Replier) Reply(v any) bool {
	if r.to.reply(v) {
		return true
	}
	if r.to.call != nil {
		r.sys.dead.add(DeadLetter{Type: typeName(v), Reason: ReplyUnclaimed})
	}
	return false
}

// Waiting reports whether an asker still waits for this reply.
func (r Replier) Waiting() bool { return r.to.open() }
