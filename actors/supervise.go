package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/the-block/bursar/messages"
)

// failure travels from the actor that failed to its supervisor.
type failure struct {
	cell *cell
	err  error
}

// broke takes in what a panic or a Goexit in the actor's own code left behind.
func (c *cell) broke(reason any) {
	in := c.phase
	c.phase = phaseNone
	err := asError(reason)
	if in == phaseStop { // goes on with what was to follow
		c.lifecycle = append([]any{proceedOrder{}}, c.lifecycle...)
		return
	}
	c.fail(err)
}

// fail answers the message in hand and reports the failure to the supervisor.
func (c *cell) fail(err error) {
	c.current.call.reply(messages.Errorf(messages.CodeInternal, "the actor failed"))
	c.finish()
	c.kind.failures.Add(1)
	c.hold(true)
	if c.stopping {
		if c.sequel == sequelNone {
			c.endChildren(sequelEnd)
		}
		return
	}
	c.set(Suspended)
	c.process.EscalateFailure(err, &failure{cell: c, err: err})
}

// HandleFailure decides about a child that has failed; protoactor calls it on
// the supervisor's turn.
func (c *cell) HandleFailure(_ *actor.ActorSystem, _ actor.Supervisor, _ *actor.PID, _ *actor.RestartStatistics, _, message any) {
	if f, ok := message.(*failure); ok {
		f.cell.postSystem(restartOrder{})
	}
}

// check says why a user message would be refused now.
func (c *cell) check() error { return nil }
