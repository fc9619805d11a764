package durable

import "github.com/the-block/bursar/actors"

// Children is a shard's side of its entities: it loads an entity's actor when there is a
// command for it, and keeps the commands for one that is just being unloaded until it is
// gone and a new one can be made.
type Children struct {
	seat   Seat
	kind   *Kind
	parked map[string][]Command // by the ending actor's path
}

// NewChildren makes the children of a shard, which has none yet.
func NewChildren(seat Seat, kind *Kind) Children {
	return Children{seat: seat, kind: kind, parked: make(map[string][]Command)}
}

// Parked reports whether commands wait for an actor to be gone.
func (c *Children) Parked() bool { return len(c.parked) > 0 }

// Forward hands a command to the entity of that name, which is loaded if it is not yet. A
// shard on standby refuses it.
// Whether there is such an entity is the caller's to judge: no actor should be made for
// one that does not exist.
func (c *Children) Forward(ctx Context, name string, load func() Entity, command Command) {
	if _, active := c.seat.Fence(); !active {
		command.Base().Fail(NotOwner(c.seat.Shard))
		return
	}
	child, ok := ctx.Child(name)
	if !ok {
		var err error
		child, err = ctx.Spawn(Spec{
			Name: name, Kind: c.kind.Name, MailboxLimit: c.kind.QueueMax,
			New: func() Actor { return &entity{Seat: c.seat, kind: c.kind, name: name, domain: load()} },
		})
		if err != nil {
			command.Base().Fail(ErrorOf(err))
			return
		}
	}
	if err := child.Tell(command); ended(err) {
		c.park(ctx, child, command)
	} else if err != nil {
		command.Base().Fail(ErrorOf(err))
	}
}

// park keeps a command until the actor that it was for is gone.
func (c *Children) park(ctx Context, child Ref, command Command) {
	path := child.Path()
	if len(c.parked[path]) >= c.kind.QueueMax {
		c.parked[path] = pruneAnswered(c.parked[path])
	}
	if len(c.parked[path]) >= c.kind.QueueMax {
		command.Base().Fail(ErrorOf(actors.ErrStashFull))
		return
	}
	if _, parking := c.parked[path]; !parking {
		ctx.Watch(child)
	}
	c.parked[path] = append(c.parked[path], command)
}

// Unpark gives the commands that waited for an actor which has ended, to be forwarded
// again.
func (c *Children) Unpark(end Ended) []Command {
	list := c.parked[end.Path]
	delete(c.parked, end.Path)
	return pruneAnswered(list)
}

// FailParked refuses the commands that were not begun.
func (c *Children) FailParked() {
	for _, list := range c.parked {
		failAll(list, NotOwner(c.seat.Shard))
	}
	clear(c.parked)
}

// Activate lets the children know that the shard's fence may have changed. Commands that
// another node is to carry out are sent away at once.
func (c *Children) Activate(ctx Context) {
	if _, active := c.seat.Fence(); !active {
		c.FailParked()
	}
	for _, child := range ctx.Children() {
		_ = child.TellInternal(Activate{})
	}
}
