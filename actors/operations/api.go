package operations

import (
	"context"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
)

// API binds each method by which operators act on actors to what carries it out.
func (o *Operations) API() []durable.Binding {
	return []durable.Binding{
		onPath(messages.MethodForceOpen, o.ForceOpen),
		onPath(messages.MethodForceClose, o.ForceClosed),
		onPath(messages.MethodReset, o.Reset),
		durable.Works(messages.MethodInject, func(ctx context.Context, r *durable.Request, p *messages.InjectParams) (*messages.InjectResult, *messages.Error) {
			return o.Inject(ctx, CallerOf(r), p)
		}),
		durable.Reads(messages.MethodAudit, func(p *messages.PageParams) (*messages.AuditResult, *messages.Error) {
			return o.Audit(p.Page)
		}),
	}
}

// onPath binds a method about one actor.
func onPath(method string, do func(context.Context, Caller, string) (*messages.ForceResult, *messages.Error)) durable.Binding {
	return durable.Works(method, func(ctx context.Context, r *durable.Request, p *messages.PathParams) (*messages.ForceResult, *messages.Error) {
		return do(ctx, CallerOf(r), p.Path)
	})
}

// CallerOf is who made a request.
func CallerOf(r *durable.Request) Caller {
	return Caller{Who: r.Who, RequestID: r.ID, Stamped: r.Stamped, Hash: r.Hash}
}
