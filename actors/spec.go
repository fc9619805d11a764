package actors

import (
	"fmt"
	"strings"

	"github.com/the-block/bursar/supervision"
)

// Actor is state plus one message at a time.
type Actor interface {
	// Receive handles one message. It must not block. An error or a panic is a
	// failure of the actor and goes to its supervisor; the asker is answered with
	// an internal error, the message is not delivered again. A rejection is not an
	// error: reply it and return nil.
	Receive(ctx *Context, msg any) error
}

// Starter is an Actor that prepares an incarnation before its first message.
type Starter interface {
	// Start runs once for each incarnation. An error is a failure like any other.
	Start(ctx *Context) error
}

// Stopper is an Actor that releases something.
type Stopper interface {
	// Stop runs once for each incarnation whose Start succeeded: when it is
	// replaced and when the actor ends. A panic in it is reported and survived.
	Stop(ctx *Context)
}

// Drainer is an Actor with work in flight outside, such as transactions at the
// journal.
type Drainer interface {
	// Drained reports whether the actor may end now. A stopping actor is asked when
	// its mailbox is empty; on false it lives on until the next internal message.
	Drained() bool
}

const (
	nameMax  = 128
	kindsMax = 256
	// depthMax is how many levels a tree may have below the root.
	depthMax = 64
)

// Spec describes an actor to spawn.
type Spec struct {
	// Name is the actor's name below its parent: 1 to 128 printable bytes without a
	// slash.
	Name string
	// Kind is the type of actor that metrics and trees show; Name if empty. Beyond
	// 256 different kinds, new ones are counted as "other".
	Kind string
	// New makes an incarnation. It runs on the actor's own turn, at each start.
	New func() Actor
	// MailboxLimit is how many user messages may be accepted and unfinished; 0
	// takes the Config's.
	MailboxLimit int

	// Children are started in this order after each Start, and stopped in the
	// reverse order. They restart as the strategy says.
	Children []Spec
	// Supervision is how the actor supervises its children; its Children are left
	// empty. The zero value is one-for-one with the default limits, and isolates
	// children spawned on demand, which the Template describes.
	Supervision supervision.Spec
	// As is how the parent treats this actor if it is one of its Children; the Name
	// is left empty, and the zero value is permanent, failing the supervisor, with
	// 5 s to stop. An actor spawned on demand is treated as the parent's Template says.
	As supervision.ChildSpec
}

// line is what a spec says about an actor's children.
type line struct {
	children    []Spec
	supervision supervision.Spec
}

// defaultSupervision is how actors supervise that say nothing about it.
func defaultSupervision() supervision.Spec {
	s := supervision.DefaultSpec()
	s.Template = supervision.DefaultTemplate()
	return s
}

// line checks the spec, its children's included, and returns what it says about
// them; nil where it says nothing.
func (s Spec) line() (*line, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	if len(s.Children) == 0 && s.Supervision.Strategy == 0 {
		return nil, nil
	}
	l := &line{children: s.Children, supervision: s.Supervision}
	if l.supervision.Strategy == 0 {
		l.supervision = defaultSupervision()
	}
	if len(l.supervision.Children) > 0 {
		return nil, fmt.Errorf("%w: %s: children belong in Spec.Children", ErrInvalidSpec, s.Name)
	}
	for _, child := range s.Children {
		if _, err := child.line(); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		as := child.As
		if as.Restart == 0 {
			as.Restart = supervision.Permanent
		}
		if as.Shutdown == 0 {
			as.Shutdown = supervision.DefaultTemplate().Shutdown
		}
		as.Name = child.Name
		l.supervision.Children = append(l.supervision.Children, as)
	}
	if err := l.supervision.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %s: supervision: %w", ErrInvalidSpec, s.Name, err)
	}
	return l, nil
}

func (s Spec) validate() error {
	switch {
	case s.Name == "" || len(s.Name) > nameMax:
		return fmt.Errorf("%w: name must have 1 to %d bytes", ErrInvalidSpec, nameMax)
	case strings.ContainsFunc(s.Name, func(r rune) bool { return r == '/' || r < ' ' || r == 0x7f }):
		return fmt.Errorf("%w: name %q must be printable and hold no slash", ErrInvalidSpec, s.Name)
	case s.New == nil:
		return fmt.Errorf("%w: %s has no New", ErrInvalidSpec, s.Name)
	case s.MailboxLimit < 0 || s.MailboxLimit > mailboxLimitMax:
		return fmt.Errorf("%w: %s: mailbox limit must be 0 to %d", ErrInvalidSpec, s.Name, mailboxLimitMax)
	}
	return nil
}
