package kinds

import (
	"errors"
	"fmt"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
)

// What a parent is told.
type (
	// delivery is a message for one of its actors.
	delivery struct {
		key  string
		tell bool
		msg  any
	}
	// ownersChanged says that other shards are owned than before.
	ownersChanged struct{}
)

// accepted answers a tell.
type accepted struct{}

// idle is the actor above all parents.
type idle struct{}

// Receive implements actors.Actor: nobody sends it anything.
func (idle) Receive(_ *actors.Context, msg any) error {
	return fmt.Errorf("kinds: unknown message %T", msg)
}

// parent makes a kind's actors and hands them their messages, all in one order: what one
// sender sends to one actor arrives as it was sent.
type parent struct {
	kinds *Kinds
	kind  *Kind
	owned fences // as the actors that are loaded know it
}

// Start implements actors.Starter. A parent that failed has no actors any more.
func (p *parent) Start(*actors.Context) error {
	p.owned = *p.kinds.owned.Load()
	return nil
}

// Receive implements actors.Actor.
func (p *parent) Receive(ctx *actors.Context, msg any) error {
	switch m := msg.(type) {
	case delivery:
		if err := p.deliver(ctx, m); err != nil {
			ctx.Reply(err)
		}
	case ownersChanged:
		p.unload(ctx)
	default:
		return fmt.Errorf("kinds: unknown message %T", msg)
	}
	return nil
}

func (p *parent) deliver(ctx *actors.Context, d delivery) error {
	child, err := p.child(ctx, d.key)
	if err != nil {
		return err
	}
	if !d.tell {
		return ctx.Forward(child, d.msg)
	}
	if err := child.Tell(d.msg); err != nil {
		return err
	}
	ctx.Reply(accepted{})
	return nil
}

// child finds the actor of a key, or loads it. The refusal of one that belongs to another
// node, or that ends just now, says that nothing was done: the message is sent again.
func (p *parent) child(ctx *actors.Context, key string) (actors.Ref, error) {
	if p.fence(p.owned, key) == 0 {
		return actors.Ref{}, messages.Errorf(messages.CodeUnavailable, "not done: this node does not own the shard")
	}
	if ref, ok := ctx.Child(key); ok {
		return ref, nil
	}
	ref, err := ctx.Spawn(p.kind.spec(p.kinds.cluster, key))
	switch {
	case err == nil:
		return ref, nil
	case errors.Is(err, actors.ErrTooManyActors):
		return ref, messages.Errorf(messages.CodeOverloaded, "not done: %v", err)
	default: // an earlier one of that key has not ended
		return ref, messages.Errorf(messages.CodeUnavailable, "not done: %v", err)
	}
}

func (p *parent) fence(owned fences, key string) messages.Fence {
	return owned[ShardOf(Address{p.kind.Name, key}, p.kinds.shards)]
}

// unload ends the actors whose shards have moved since they were loaded.
func (p *parent) unload(ctx *actors.Context) {
	before := p.owned
	p.owned = *p.kinds.owned.Load()
	for _, child := range ctx.Children() {
		if key := child.Name(); p.fence(before, key) != p.fence(p.owned, key) {
			ctx.Stop(child)
		}
	}
}
