package peers

import (
	"errors"
	"time"

	"github.com/the-block/bursar/messages/wire"
)

// The protocols that this program speaks between nodes, newest and oldest. A node works
// with any other whose range overlaps its own; nodes are upgraded one at a time, so
// that the oldest is at most one behind what the release before spoke.
const (
	Protocol    = 1
	ProtocolMin = 1
)

// Config says how links are watched and what they may hold.
type Config struct {
	// PingInterval is the time between pings. Shorter notices more and costs more:
	// 200 ms is 5 pings a second to each node.
	PingInterval time.Duration
	// DownAfter is how long a node may be silent before it is down. Shorter fails over
	// sooner and mistakes a pause for a death more often; at least 3 PingIntervals.
	DownAfter time.Duration
	// DialTimeout is how long a node may take to be connected to and say hello.
	DialTimeout time.Duration
	// RedialMin and RedialMax are the first and the longest pause between attempts to
	// link to a node, up to a half more or less by chance. The first attempt after the
	// loss of a link that held for RedialMax is made at once.
	RedialMin, RedialMax time.Duration
	// ClockSamples is the number of pings of which the quickest tells the clock's offset.
	ClockSamples int
	// ComplainEvery is the least time between two log lines about the same node that
	// cannot be linked.
	ComplainEvery time.Duration
	// OutBytesMax is the most bytes that wait to be written to one node, and InFlightMax
	// the most calls that wait for its answers: beyond either a call is answered
	// overloaded at once.
	OutBytesMax, InFlightMax int
	// Protocol and ProtocolMin are the newest and the oldest protocol to speak.
	Protocol, ProtocolMin uint64
	// Wire bounds what other nodes may ask of this one.
	Wire wire.Config
}

// DefaultConfig suits any network.
func DefaultConfig() Config {
	return Config{
		PingInterval:  200 * time.Millisecond,
		DownAfter:     700 * time.Millisecond,
		DialTimeout:   time.Second,
		RedialMin:     20 * time.Millisecond,
		RedialMax:     time.Second,
		ClockSamples:  16,
		ComplainEvery: time.Minute,
		OutBytesMax:   64 << 20,
		InFlightMax:   64 << 10,
		Protocol:      Protocol,
		ProtocolMin:   ProtocolMin,
		Wire:          wire.PeerConfig(),
	}
}

// LANConfig suits a quiet network of one building: it notices a death in half the time.
func LANConfig() Config {
	c := DefaultConfig()
	c.PingInterval = 100 * time.Millisecond
	c.DownAfter = 350 * time.Millisecond
	return c
}

func (c *Config) validate() error {
	switch {
	case c.PingInterval <= 0:
		return errors.New("peers: PingInterval must be positive")
	case c.DownAfter < 3*c.PingInterval:
		return errors.New("peers: DownAfter must be at least three times PingInterval")
	case c.DialTimeout <= 0:
		return errors.New("peers: DialTimeout must be positive")
	case c.RedialMin <= 0 || c.RedialMax < c.RedialMin:
		return errors.New("peers: RedialMin must be positive and at most RedialMax")
	case c.ClockSamples < 1:
		return errors.New("peers: ClockSamples must be at least 1")
	case c.ComplainEvery < 0:
		return errors.New("peers: ComplainEvery must not be negative")
	case c.OutBytesMax < 1 || c.InFlightMax < 1:
		return errors.New("peers: OutBytesMax and InFlightMax must be at least 1")
	case c.ProtocolMin < 1 || c.Protocol < c.ProtocolMin:
		return errors.New("peers: ProtocolMin must be at least 1 and at most Protocol")
	case c.Wire.IdleTimeout > 0 && c.Wire.IdleTimeout < 2*c.PingInterval:
		return errors.New("peers: Wire.IdleTimeout must be at least twice PingInterval")
	}
	return nil
}

// client bounds the outgoing connection of a link. A node that takes nothing for
// DownAfter is down.
func (c *Config) client() wire.ClientConfig {
	return wire.ClientConfig{OutBytesMax: c.OutBytesMax, InFlightMax: c.InFlightMax, WriteTimeout: c.DownAfter}
}
