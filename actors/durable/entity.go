package durable

import (
	"fmt"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Command is a request about one entity. It embeds a Request.
type Command interface {
	Base() *Request
	// Recall reads the reply that is kept with the command's request id, as a repeat is told
	// it. ok is false if that is the reply to something else.
	Recall(reply []byte) (result any, ok bool)
}

// Appending is a Command whose Txn appends rows. No reply is kept beside them: a repeat is
// told by the first of them.
type Appending interface {
	Command
	RecallRow(store *persistence.Store, first uint64) (result any, ok bool)
}

// Entity is what a domain gives for one of its entities: how it is read and what is
// decided about it. All else is the shell's.
type Entity interface {
	// Decide reads the entity from the Store and says what shall be committed for commands,
	// the first of those that wait. There is one, or there are several that carry no request
	// id of their own, at most Kind.BatchMax. Those that are to be refused it refuses itself.
	// A command that is not Confirmed was not waited for: the Store may be behind what its
	// caller knows. Accepting it is safe, because the Txn says what it rests on; whoever would
	// refuse it says Change.Unsure instead.
	// The fence, the identity of the request and its deadline are the shell's to add.
	Decide(commands []Command) (Change, error)
}

// Change is what shall be committed.
type Change struct {
	// Txn is nil if nothing shall: all commands have their answer.
	Txn *persistence.Txn
	// Unsure says that nothing was decided: some commands shall be Confirmed first, and all
	// of them decided about again.
	Unsure bool
	// Reply is kept with the request id, if there is one: see Reply.Encode. Beside rows
	// that are appended none is kept: see Appending.
	Reply []byte
	// Refused says that the commands are refused although something is committed: their
	// request ids stay free.
	Refused bool
	// Done answers the commands, once it is committed.
	Done func(persistence.Result)
}

// Kind describes a kind of entity.
type Kind struct {
	// Name is the kind that metrics and trees show.
	Name string
	// Idle is how long an entity stays loaded without a command.
	Idle time.Duration
	// QueueMax bounds the commands that wait for one entity, in its queue and in its
	// mailbox each.
	QueueMax int
	// BatchMax is how many commands without a request id are decided about at once, in one
	// Txn; 0 is 1.
	BatchMax int
	// TriesMax is how often a command that lost a race is decided anew before its caller
	// is sent away.
	TriesMax int
}

// entity is the actor of one entity. It has at most one Txn in flight; further commands
// wait in a bounded queue of its own.
type entity struct {
	Seat
	kind   *Kind
	name   string
	domain Entity

	Proposer[*attempt]
	waiting    []Command
	confirming *attempt // until the Store is known not to be behind it; nil if there is none
}

// attempt is commands on their way through the log.
type attempt struct {
	commands []Command
	change   Change
	tries    int
}

// confirmed says how the question ended whether the Store is behind an attempt.
type confirmed struct {
	attempt *attempt
	err     *messages.Error
}

// Start implements Actor.
func (e *entity) Start(ctx Context) error {
	e.Attach(e.Host, ctx.Self())
	ctx.SetPassivation(e.kind.Idle)
	return nil
}

// FailPending implements Actor: it lets go of the callers whose commands are in the log,
// and of those whose commands have not come that far.
func (e *entity) FailPending() {
	e.FailProposed(func(a *attempt) { failAll(a.commands, OutcomeUnknown()) })
	restarts := messages.Errorf(messages.CodeUnavailable, "not done: the actor of %s restarts", e.name)
	if e.confirming != nil {
		failAll(e.confirming.commands, restarts)
		e.confirming = nil
	}
	e.failWaiting(restarts)
}

func (e *entity) failWaiting(err *messages.Error) {
	failAll(e.waiting, err)
	e.waiting = nil
}

func failAll(commands []Command, err *messages.Error) {
	for _, c := range commands {
		c.Base().Fail(err)
	}
}

// Drained implements Actor.
func (e *entity) Drained() bool { return !e.busy() && len(e.waiting) == 0 }

// busy reports whether commands are being carried out: those that wait keep their order.
func (e *entity) busy() bool { return e.InFlight() > 0 || e.confirming != nil }

// Receive implements Actor.
func (e *entity) Receive(ctx Context, msg any) error {
	switch msg := msg.(type) {
	case Outcomes:
		if err := e.ApplyOutcomes(msg, e.conclude); err != nil {
			return err
		}
		return e.next()
	case confirmed:
		if err := e.decideConfirmed(msg); err != nil {
			return err
		}
		return e.next()
	case Activate:
		if _, active := e.Fence(); !active { // another node's to carry out
			e.failWaiting(NotOwner(e.Shard))
		}
		return nil
	case Command:
		e.admit(msg)
		return e.next()
	default:
		return fmt.Errorf("%s: unknown message %T", e.name, msg)
	}
}

// admit queues a command. Those whose callers have left make room first.
func (e *entity) admit(c Command) {
	if len(e.waiting) >= e.kind.QueueMax {
		e.waiting = pruneAnswered(e.waiting)
	}
	if len(e.waiting) >= e.kind.QueueMax {
		c.Base().Fail(Overloaded("too much is waiting"))
		return
	}
	e.waiting = append(e.waiting, c)
}

// pruneAnswered drops the commands whose callers have their answer.
func pruneAnswered(list []Command) []Command {
	kept := list[:0]
	for _, c := range list {
		if !c.Base().Answered() {
			kept = append(kept, c)
		}
	}
	clear(list[len(kept):])
	return kept
}

// next takes up waiting commands until some are in the log.
func (e *entity) next() error {
	for !e.busy() && len(e.waiting) > 0 {
		commands, err := e.nextCommands()
		if err == nil && len(commands) > 0 {
			err = e.try(&attempt{commands: commands})
		}
		if err != nil {
			failAll(commands, ErrorOf(err))
			return err
		}
	}
	return nil
}

// nextCommands removes the commands to be decided about next: one that carries a request id, or
// several that do not. Those that are answered without a decision are not among them.
func (e *entity) nextCommands() (commands []Command, err error) {
	now := e.Steady()
	for len(e.waiting) > 0 && len(commands) < max(e.kind.BatchMax, 1) {
		c := e.waiting[0]
		if r := c.Base(); !r.Stamped && len(commands) > 0 {
			break
		} else if r.Expired(now) {
			r.Fail(Expired())
		} else if answered, err := e.AnswerRepeat(c); err != nil {
			return append(commands, c), err
		} else if !answered && !r.Answered() {
			commands = append(commands, c)
		}
		e.waiting[0] = nil
		e.waiting = e.waiting[1:]
		if !c.Base().Stamped && len(commands) > 0 {
			break
		}
	}
	return commands, nil
}

// try has the domain decide and proposes what it wants.
func (e *entity) try(a *attempt) error {
	fence, active := e.Fence()
	if !active {
		failAll(a.commands, NotOwner(e.Shard))
		return nil
	}
	change, err := e.domain.Decide(a.commands)
	switch {
	case err != nil:
		return err
	case change.Unsure:
		e.confirming = a
		self := e.sink.ref
		e.confirm(a.commands, func(err *messages.Error) { _ = self.TellInternal(confirmed{a, err}) })
		return nil
	case change.Txn == nil:
		return nil
	}
	a.change = change
	a.tries++
	txn := change.Txn
	txn.Fences = append(txn.Fences, fence)
	proposal := persistence.Proposal{Txn: txn}
	first := a.commands[0].Base()
	if len(a.commands) == 1 {
		if !change.Refused {
			first.Remember(txn, change.Reply)
		}
		e.ProposeFor(first, proposal, a)
		return nil
	}
	for _, c := range a.commands { // none of them has an id, but there may be a note to be kept
		c.Base().Propose()
		if !change.Refused {
			c.Base().Right.Join(txn)
		}
	}
	if err := e.Propose(proposal, a); err != nil {
		failAll(a.commands, ErrorOf(err))
	}
	return nil
}

// decideConfirmed decides anew about an attempt that the Store is not behind any more.
func (e *entity) decideConfirmed(msg confirmed) error {
	a := msg.attempt
	if e.confirming != a { // an earlier incarnation's
		return nil
	}
	e.confirming = nil
	if msg.err != nil {
		failAll(a.commands, msg.err)
		return nil
	}
	a.commands = pruneAnswered(a.commands)
	if len(a.commands) == 0 {
		return nil
	}
	for _, c := range a.commands {
		c.Base().Confirmed = true
	}
	err := e.try(a)
	if err != nil {
		failAll(a.commands, ErrorOf(err))
	}
	return err
}

// conclude answers an attempt, or has it decided anew if it lost a race.
func (e *entity) conclude(a *attempt, o persistence.Outcome) error {
	if refusal := RefusalOf(o); refusal != nil {
		failAll(a.commands, refusal)
		return nil
	}
	switch o.Result.Status {
	case persistence.Committed:
		a.change.Done(o.Result)
	case persistence.Duplicate:
		e.repeat(a.commands[0], o.Result.First, o.Result.Reply)
	default:
		return e.retry(a)
	}
	return nil
}

// retry decides about commands again that were certainly not carried out.
func (e *entity) retry(a *attempt) error {
	if a.tries >= e.kind.TriesMax {
		failAll(a.commands, Overloaded(e.name+" changes faster than this call can decide"))
		return nil
	}
	for _, c := range a.commands {
		c.Base().Requeue()
	}
	now := e.Steady()
	for _, c := range a.commands {
		if c.Base().Expired(now) {
			c.Base().Fail(Expired())
		}
	}
	a.commands = pruneAnswered(a.commands)
	if len(a.commands) == 0 {
		return nil
	}
	return e.try(a)
}
