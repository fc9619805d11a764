package actors

import (
	"fmt"
	"strings"
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
