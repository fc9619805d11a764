package operations

import (
	"errors"

	"github.com/the-block/bursar/messages"
)

// Config says what this node lets operators do.
type Config struct {
	// Node is the name under which this node takes calls.
	Node messages.NodeID
	// FaultInjection lets operators inject faults into this node's actors.
	FaultInjection bool
	// Known reports whether an actor can have this path, loaded or not: a force on a
	// path that nobody will ever have would be a slip of the pen that looks done.
	Known func(path string) bool
	// Kinds are those that actors of this node can be of before there was one: of such,
	// and of those there were, faults may be injected.
	Kinds []string
}

func (c Config) validate() error {
	switch {
	case c.Node == "":
		return errors.New("operations: a node name is needed")
	case c.Known == nil:
		return errors.New("operations: Known is needed")
	}
	return nil
}
