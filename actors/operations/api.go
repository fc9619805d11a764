package operations

import (
	"context"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
)

// API binds each method by which operators act on actors to what carries it out.
func (o *Operations) API() []durable.Binding {
	return []durable.Binding{
		forces(messages.MethodForceOpen, o.ForceOpen),
		forces(messages.MethodForceClose, o.ForceClosed),
		durable.Works(messages.MethodReset, func(ctx context.Context, r *durable.Request, p *messages.ResetParams) (*messages.ForceResult, *messages.Error) {
			return o.Reset(ctx, Caller{r, p.Reason}, p.Path)
		}),
		durable.Works(messages.MethodInject, func(ctx context.Context, r *durable.Request, p *messages.InjectParams) (*messages.InjectResult, *messages.Error) {
			return o.Inject(ctx, Caller{Request: r}, p)
		}),
	}
}

// forces binds a method that puts an actor under a force.
func forces(method string, do func(context.Context, Caller, string) (*messages.ForceResult, *messages.Error)) durable.Binding {
	return durable.Works(method, func(ctx context.Context, r *durable.Request, p *messages.ForceParams) (*messages.ForceResult, *messages.Error) {
		return do(ctx, Caller{r, p.Reason}, p.Path)
	})
}
