package durable

import (
	"context"

	"github.com/the-block/bursar/messages"
)

// Binding says how one method is carried out: Read, Create, Order and Work are four ways,
// of which one is set. A domain binds its methods beside its actors, in api.go; whoever
// takes calls off the wire composes the domains, finds the owner, waits for the index that
// a call needs, and counts workers.
type Binding struct {
	Method string
	// Takes reports whether these are the parameters it is written for.
	Takes func(messages.Params) bool
	// Read answers at once.
	Read func(messages.Params) (messages.Result, *messages.Error)
	// Create makes what a burst of one connection adds to the log; Into takes the burst.
	Create func(Request, messages.Params) Creation
	Into   Intake
	// Order hands a change to the actor that makes it, and does not wait.
	Order func(Request, messages.Params)
	// Unconfirmed hands an Order on without waiting for an index: the request is not
	// Confirmed.
	Unconfirmed bool
	// Work carries out a change that waits for something. It has a worker of its own.
	Work func(context.Context, Request, messages.Params)

	// Shard is the shard whose owner carries it out; nil where any node does.
	Shard func(requestID string, p messages.Params) messages.ShardID
	// Split makes several calls of one that several nodes carry out, and one answer of theirs;
	// there are no parts where one node does.
	Split func(p messages.Params, owner func(messages.ShardID) messages.NodeID) (parts []messages.Params, join func([]Answer) messages.Result)
	// Leader has the leader carry it out.
	Leader bool
	// Any state of the node will do: it is about the node, or about the call alone.
	// Otherwise Store and read model have applied all that callers know of.
	Any bool
	// Walks says that it takes long: it walks the graph or searches the Store.
	Walks bool
}

// Answer is how a part of a call ended: with a result, or with an error.
type Answer struct {
	Result messages.Result
	Err    *messages.Error
}

// Creation is one request that adds something to the log.
type Creation interface{ Base() *Request }

// Intake takes bursts of creations, and does not wait.
type Intake interface{ Take(burst []Creation) }

func takes[P messages.Params](p messages.Params) bool {
	_, ok := p.(P)
	return ok
}

// Reads binds a method that reads.
func Reads[P messages.Params, R any](method string, read func(P) (R, *messages.Error)) Binding {
	return Binding{Method: method, Takes: takes[P], Read: func(p messages.Params) (messages.Result, *messages.Error) {
		result, refusal := read(p.(P))
		return result, refusal
	}}
}

// Walks binds a method that reads a lot.
func Walks[P messages.Params, R any](method string, read func(P) (R, *messages.Error)) Binding {
	b := Reads(method, read)
	b.Walks = true
	return b
}

// Tells binds a method that tells of this node, whatever its state.
func Tells[P messages.Params, R any](method string, read func(P) (R, *messages.Error)) Binding {
	b := Reads(method, read)
	b.Any = true
	return b
}

// By has the owner of a shard, who alone knows all of it, answer a read.
func By(shard messages.ShardID, b Binding) Binding {
	b.Shard = func(string, messages.Params) messages.ShardID { return shard }
	return b
}

// Creates binds a method that adds something to the log.
func Creates[P messages.Params](method string, into Intake, shard func(requestID string) messages.ShardID, create func(Request, P) Creation) Binding {
	return Binding{
		Method: method, Takes: takes[P], Into: into,
		Create: func(r Request, p messages.Params) Creation { return create(r, p.(P)) },
		Shard:  func(requestID string, _ messages.Params) messages.ShardID { return shard(requestID) },
	}
}

// Orders binds a method that changes something that is there.
func Orders[P messages.Params](method string, shard func(P) messages.ShardID, order func(Request, P)) Binding {
	return Binding{
		Method: method, Takes: takes[P],
		Order: func(r Request, p messages.Params) { order(r, p.(P)) },
		Shard: func(_ string, p messages.Params) messages.ShardID { return shard(p.(P)) },
	}
}

// Unconfirmed has the order of a method handed on at once. Its actor has the Store confirmed
// where it would refuse.
func Unconfirmed(b Binding) Binding {
	b.Unconfirmed = true
	return b
}

// Works binds a method that changes something and waits for it, on any node.
func Works[P messages.Params, R any](method string, do func(context.Context, *Request, P) (R, *messages.Error)) Binding {
	return Binding{Method: method, Takes: takes[P], Work: func(ctx context.Context, r Request, p messages.Params) {
		result, refusal := do(ctx, &r, p.(P))
		if refusal != nil {
			r.Fail(refusal)
			return
		}
		r.Reply(result)
	}}
}
