package treasury

import (
	"errors"
	"fmt"
	"time"

	"github.com/the-block/bursar/actors/treasury/executor"
	"github.com/the-block/bursar/messages"
)

// Config says how this node's part of the treasury behaves.
type Config struct {
	// Node is the name under which this node records what it decides.
	Node messages.NodeID
	// GraphShards and EnergyShards are fixed when a cluster is bootstrapped. The
	// singletons' shards come after them.
	GraphShards  int
	EnergyShards int
	// EpochInterval is the least time between two epochs. Shorter makes every window
	// shorter in wall time and costs a sweep each.
	EpochInterval time.Duration
	// Outside, if not nil, pays on an outside chain instead of in the cluster's own
	// accounts.
	Outside *executor.Outside
	// Electorate judges who votes: a signed call's operator, and the vote as it is given;
	// began is the entry of the log with which the vote began. If nil, anybody may.
	Electorate func(by *messages.Signed, house messages.House, voter string, weight messages.PPM, began uint64) *messages.Error
	// MailboxLimit is how many bursts of requests wait for one shard before it
	// answers overloaded.
	MailboxLimit int
}

// DefaultConfig returns the configuration of an ordinary node; the caller names it.
func DefaultConfig() Config {
	return Config{GraphShards: 64, EnergyShards: 16, EpochInterval: 10 * time.Second, MailboxLimit: 4096}
}

func (c Config) validate() error {
	var errs []error
	rule := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("treasury: "+format, args...))
		}
	}
	rule(c.Node != "", "a node name is needed")
	rule(c.GraphShards >= 1 && c.GraphShards <= 4096, "%d graph shards are outside 1..4096", c.GraphShards)
	rule(c.EnergyShards >= 0 && c.EnergyShards <= 4096, "%d energy shards are outside 0..4096", c.EnergyShards)
	rule(c.EpochInterval > 0, "epoch interval %s is not positive", c.EpochInterval)
	rule(c.MailboxLimit >= 1, "mailbox limit %d is not positive", c.MailboxLimit)
	return errors.Join(errs...)
}

// ExecutorShard is the shard whose owner pays.
func (c Config) ExecutorShard() messages.ShardID {
	return messages.ShardID(c.GraphShards + c.EnergyShards)
}

// ClockShard is the shard whose owner advances the epoch.
func (c Config) ClockShard() messages.ShardID { return c.ExecutorShard() + 1 }

// MarketShard is the shard whose owner runs the energy market.
func (c Config) MarketShard() messages.ShardID { return c.ExecutorShard() + 2 }

// Shards is how many shards there are, singletons included.
func (c Config) Shards() int { return c.GraphShards + c.EnergyShards + 3 }
