package energy

import (
	"errors"
	"fmt"

	"github.com/the-block/bursar/messages"
)

// Config says how this node's part of the market behaves.
type Config struct {
	// First is the first of Shards shards, Market that of the market itself. They are
	// fixed when a cluster is bootstrapped.
	First  messages.ShardID
	Shards int
	Market messages.ShardID
	// MailboxLimit is how many requests wait for one shard before it answers overloaded.
	// Raised, a burst is taken whole; lowered, less memory waits.
	MailboxLimit int
	// Recovered counts that an oracle's actor took up its state from the Store, or could
	// not.
	Recovered func(error)
}

func (c Config) validate() error {
	var errs []error
	rule := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("energy: "+format, args...))
		}
	}
	rule(c.Shards >= 1, "%d shards are not positive", c.Shards)
	rule(c.MailboxLimit >= 1, "mailbox limit %d is not positive", c.MailboxLimit)
	return errors.Join(errs...)
}
