package actors

import (
	"context"
	"unique"

	"github.com/the-block/bursar/messages"
)

// Ref is the address of an actor. It is comparable and stays valid across restarts.
//
// A ref of an actor on this node belongs to that actor: once it has ended, the ref
// refuses with Stopped for good. A ref of an actor on another node, from
// [System.RefOn], belongs to a node and a path: whichever actor is there gets the
// message, so that it outlives the actor and the node's restarts too. The zero Ref
// belongs to no actor and refuses with Stopped.
type Ref struct {
	cell *cell
	far  unique.Handle[far] // zero unless the actor is on another node
}

// far is the address of an actor on another node. There is one handle for each, so
// refs stay comparable by value and small.
type far struct {
	peer *peer
	path string
}

// elsewhere returns the address on another node; ok is false if there is none.
func (r Ref) elsewhere() (to far, ok bool) {
	if r.far == (unique.Handle[far]{}) {
		return far{}, false
	}
	return r.far.Value(), true
}

// Path is the actor's place in its node's tree, such as "/treasury/shard-07"; "" for
// the zero Ref.
func (r Ref) Path() string {
	if r.cell == nil {
		to, _ := r.elsewhere()
		return to.path
	}
	return r.cell.path()
}

// Node names the node the actor is on; "" for this one.
func (r Ref) Node() messages.NodeID {
	if to, ok := r.elsewhere(); ok {
		return to.peer.node
	}
	return ""
}

// Tell sends msg. A *Refused says that the actor will not see it and why.
//
// To an actor of another node, nil says that the message waits to be sent there, in
// order. If that node turns it away, it is one of that node's dead letters; if the link
// breaks before it was sent, one of this node's.
func (r Ref) Tell(msg any) error {
	if r.cell == nil {
		return r.tellFar(msg)
	}
	return r.cell.post(item{msg: msg})
}

// TellInternal sends the outcome of work the actor itself has begun, such as a
// journal's commit. Only the end of the actor refuses it: what is in flight
// bounds it. It is served before user messages, with a breaker open too, and
// while the actor drains. ErrElsewhere for an actor of another node: it begins no
// work here.
func (r Ref) TellInternal(msg any) error {
	if r.cell == nil {
		return r.notHere()
	}
	return r.cell.postInternal(item{msg: msg})
}

// notHere is the error of what only an actor of this node can be asked to do.
func (r Ref) notHere() error {
	if _, ok := r.elsewhere(); ok {
		return ErrElsewhere
	}
	return refusedStopped
}

// Check says, without sending anything, why a message would be refused now; nil
// if it would be taken. Ingress uses it to refuse a burst before decoding it.
func (r Ref) Check() error {
	if r.cell == nil {
		return r.checkFar()
	}
	return r.cell.check()
}

// Stop makes the actor finish what it has accepted, end its children and end
// itself, and waits for that. It returns ctx's error if that ends first; the
// actor goes on stopping. ErrElsewhere for an actor of another node.
func (r Ref) Stop(ctx context.Context) error {
	if r.cell == nil {
		if _, ok := r.elsewhere(); ok {
			return ErrElsewhere
		}
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
