package kinds

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/the-block/bursar/messages"
)

// Router takes a message to the node that owns its shard, and tries again until the
// deadline while nobody does. It does not wait; done is called once, with the encoded
// reply, on whatever goroutine.
type Router interface {
	Route(p *messages.SendParams, deadline time.Time, done func(reply []byte, err *messages.Error))
}

// Cluster reaches the actors of all kinds, on whatever node they live.
type Cluster struct {
	kinds  map[string]*Kind
	router Router
}

// deadlineDefault is how long a message may take whose sender does not say.
const deadlineDefault = 5 * time.Second

// Ask sends msg to an actor and waits for its reply. The deadline is ctx's, or 5 s.
//
// The error is a *messages.Error: what the actor replied as one; unavailable where the
// message certainly reached nobody until the deadline; overloaded where a mailbox or the
// link is full; circuit_open; outcome_unknown where it was sent and no answer came, so
// that the actor may have acted on it; internal where the actor failed on it;
// validation_failed for a message or key that cannot be sent; not_found for a kind that
// the nodes do not have. Or it is ctx's, if that ends first.
func (c *Cluster) Ask(ctx context.Context, to Address, msg any) (any, error) {
	return c.wait(ctx, to, msg, false)
}

// Tell sends msg to an actor and returns once its mailbox has it, under the rules of Ask.
// From then on only the end of the actor or its node can keep the message from it.
func (c *Cluster) Tell(ctx context.Context, to Address, msg any) error {
	_, err := c.wait(ctx, to, msg, true)
	return err
}

func (c *Cluster) wait(ctx context.Context, to Address, msg any, tell bool) (any, error) {
	type answer struct {
		reply any
		err   error
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(deadlineDefault)
	}
	answered := make(chan answer, 1)
	c.send(to, msg, tell, deadline, func(reply any, err error) { answered <- answer{reply, err} })
	select {
	case a := <-answered:
		return a.reply, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Go is Ask for who must not wait, such as an actor: done is called once, at about the
// deadline at the latest, on a goroutine that it must not hold up, perhaps before Go
// returns. An actor lets it come to itself by Ref.TellInternal.
func (c *Cluster) Go(deadline time.Time, to Address, msg any, done func(reply any, err error)) {
	c.send(to, msg, false, deadline, done)
}

// GoTell is Tell for who must not wait, under the rules of Go.
func (c *Cluster) GoTell(deadline time.Time, to Address, msg any, done func(err error)) {
	c.send(to, msg, true, deadline, func(_ any, err error) { done(err) })
}

func (c *Cluster) send(to Address, msg any, tell bool, deadline time.Time, done func(any, error)) {
	k, refusal := c.kind(to)
	if refusal != nil {
		done(nil, refusal)
		return
	}
	b, err := k.encode(msg)
	if err != nil {
		done(nil, messages.Errorf(messages.CodeValidationFailed, "%s cannot be told %T: %v", to, msg, err))
		return
	}
	p := &messages.SendParams{Kind: to.Kind, Key: to.Key, Tell: tell, Message: b}
	c.router.Route(p, deadline, func(b []byte, refusal *messages.Error) {
		switch {
		case refusal != nil:
			done(nil, refusal)
		case tell:
			done(nil, nil)
		default:
			reply, err := k.decode(b)
			if err != nil {
				err = messages.Errorf(messages.CodeOutcomeUnknown, "%s has replied what cannot be read: %v", to, err)
			}
			done(reply, err)
		}
	})
}

// kind finds the kind of an address that can be one.
func (c *Cluster) kind(to Address) (*Kind, *messages.Error) {
	if refusal := checkKey(to.Key); refusal != nil {
		return nil, refusal
	}
	if k := c.kinds[to.Kind]; k != nil {
		return k, nil
	}
	return nil, messages.Errorf(messages.CodeNotFound, "no kind %.40q was given to this node", to.Kind)
}

// refusalOf is err as another node is told it.
func refusalOf(err error) *messages.Error {
	var e *messages.Error
	if errors.As(err, &e) {
		return e
	}
	return messages.Errorf(messages.CodeInternal, "%v", err)
}

// Ask is Cluster.Ask for a reply of type R. One of another type is an error that names it.
func Ask[R any](ctx context.Context, c *Cluster, to Address, msg any) (R, error) {
	var none R
	reply, err := c.Ask(ctx, to, msg)
	if err != nil {
		return none, err
	}
	if r, ok := reply.(R); ok {
		return r, nil
	}
	return none, fmt.Errorf("%s replied a %T, want %T", to, reply, none)
}
