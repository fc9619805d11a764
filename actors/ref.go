package actors

import "context"

// Ref is the address of an actor on this node. It is comparable, stays valid across
// restarts and belongs to that actor: once it has ended, the ref refuses with Stopped
// for good. The zero Ref belongs to no actor and refuses with Stopped.
type Ref struct{ cell *cell }

// Path is the actor's place in the tree, such as "/treasury/shard-07"; "" for the zero
// Ref.
func (r Ref) Path() string {
	if r.cell == nil {
		return ""
	}
	return r.cell.path()
}

// Name is the last part of the path: what the actor is called below its parent.
func (r Ref) Name() string { return nameOf(r.Path()) }

// Tell sends msg. A *Refused says that the actor will not see it and why.
func (r Ref) Tell(msg any) error { return r.post(item{msg: msg}) }

func (r Ref) post(it item) error {
	if r.cell == nil {
		return refusedStopped
	}
	return r.cell.post(it)
}

// TellInternal sends the outcome of work the actor itself has begun, such as a
// journal's commit. Only the end of the actor refuses it: what is in flight
// bounds it. It is served before user messages, with a breaker open too, and
// while the actor drains.
func (r Ref) TellInternal(msg any) error {
	if r.cell == nil {
		return refusedStopped
	}
	return r.cell.postInternal(item{msg: msg})
}

// Check says, without sending anything, why a message would be refused now; nil
// if it would be taken. Ingress uses it to refuse a burst before decoding it.
func (r Ref) Check() error {
	if r.cell == nil {
		return refusedStopped
	}
	return r.cell.check()
}

// Stop makes the actor finish what it has accepted, end its children and end
// itself, and waits for that. It returns ctx's error if that ends first; the
// actor goes on stopping.
func (r Ref) Stop(ctx context.Context) error {
	if r.cell == nil {
		return nil
	}
	r.cell.requestStop(EndStopped)
	select {
	case <-r.cell.ended():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
