package actors

import (
	"context"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/eventstream"
)

// This file is where the runtime meets protoactor. It keeps the registry of
// names, the parents, watches and the way of a failure to its supervisor; children, mailbox, scheduling, incarnations and supervision are ours. So a
// cell is protoactor's actor, mailbox and strategy in one.
var (
	_ actor.Actor              = (*cell)(nil)
	_ actor.Mailbox            = (*cell)(nil)
	_ actor.SupervisorStrategy = (*cell)(nil)
	_ actor.Dispatcher         = noDispatcher{}
)

// newProps makes the props whose every spawn takes its cell from next.
func newProps(next func() *cell) *actor.Props {
	return actor.PropsFromProducer(
		func() actor.Actor { return next() },
		actor.WithMailbox(func() actor.Mailbox { return next() }),
		actor.WithDispatcher(noDispatcher{}),
	)
}

// enter spawns the cell that props gives, below this one. It leaves out what
// protoactor's SpawnNamed does besides: a second set of the children, which ours end
// before protoactor looks at it.
func (c *cell) enter(props *actor.Props, name string) error {
	_, err := actor.DefaultSpawner(c.sys.proto, c.pid.Id+"/"+name, props, c.process.(actor.Context))
	return err
}

// newActorSystem makes a protoactor system whose only noise is its errors. Its
// event stream has no subscribers: the shipped ones log each dead letter from a
// goroutine that outlives the system, and answer watches, which cells do.
func newActorSystem(log *slog.Logger) *actor.ActorSystem {
	s := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(errorsOnly{log.Handler()})
	}))
	s.EventStream = eventstream.NewEventStream()
	return s
}

// RegisterHandlers gives the cell its protoactor context.
func (c *cell) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	c.process = invoker
	c.pid = invoker.(actor.Context).Self()
}

// Start does nothing: the Started message brings the cell to life.
func (c *cell) Start() {}

// PostUserMessage takes what protoactor itself sends as a user message: nothing
// that an actor of ours should see, such as a poison pill.
func (c *cell) PostUserMessage(msg any) {
	if _, ok := msg.(*actor.PoisonPill); ok {
		c.requestStop(EndStopped)
	}
}

// PostSystemMessage takes a life cycle message.
func (c *cell) PostSystemMessage(msg any) { c.postSystem(msg) }

// UserMessageCount is the mailbox's depth.
func (c *cell) UserMessageCount() int { return c.box.load().depth }

// Receive is called by protoactor for life cycle messages; serveLifecycle has
// seen them already.
func (c *cell) Receive(actor.Context) {}

// noDispatcher is never asked: the cell schedules itself.
type noDispatcher struct{}

func (noDispatcher) Schedule(do func()) { go do() }
func (noDispatcher) Throughput() int    { return 1 }

// errorsOnly is a log handler that lets nothing through below Error: protoactor
// reports at Info what has a typed event here.
type errorsOnly struct{ slog.Handler }

func (h errorsOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && h.Handler.Enabled(ctx, level)
}

func (h errorsOnly) WithAttrs(attrs []slog.Attr) slog.Handler {
	return errorsOnly{h.Handler.WithAttrs(attrs)}
}

func (h errorsOnly) WithGroup(name string) slog.Handler {
	return errorsOnly{h.Handler.WithGroup(name)}
}
