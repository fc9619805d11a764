package wire

import (
	"errors"
	"fmt"
	"time"
)

// Config bounds what callers may ask of a Server.
type Config struct {
	// ConnectionsMax is the most MessagePack connections at a time. An address beyond
	// loopback may hold a quarter of them, and a sixteenth is for loopback alone. Where
	// there is no place, one that has not called yet makes way for the new one, the
	// longest waiting of the busiest address; else the new one is answered overloaded and
	// closed. Each idle one costs about 14 KiB.
	ConnectionsMax int
	// InFlightMax is the most unanswered requests of one connection; one more is
	// answered overloaded. Raised, one caller can fill more of the node's queues.
	InFlightMax int
	// InFlightBytesMax is the most bytes of unanswered requests of one connection;
	// beyond it requests are answered overloaded.
	InFlightBytesMax int
	// InFlightBytesTotal is the most bytes of unanswered requests of all connections,
	// counted in steps of 16 KiB of each; beyond it requests are answered overloaded.
	InFlightBytesTotal int
	// BurstMax is the most calls handed to the Handler at once.
	BurstMax int
	// OutBytesMax is the most bytes of replies that wait to be written to one
	// connection. From a quarter of it on nothing is read from the connection; a
	// reader that lets it fill up is cut off.
	OutBytesMax int
	// OutBytesTotal is the most bytes of replies that wait to be written to all
	// connections, counted in steps of 16 KiB of each. While there are more, results
	// that tell of no change are answered overloaded, and nothing is read from a
	// connection that has more than such a step waiting.
	OutBytesTotal int
	// WriteTimeout is how long one write may take before the reader is cut off.
	WriteTimeout time.Duration
	// IdleTimeout closes a connection that has sent nothing and awaits nothing for so
	// long; 0 is never.
	IdleTimeout time.Duration
	// FrameTimeout is how long a message may take from its first byte to its last.
	FrameTimeout time.Duration
	// GreetingTimeout is how long a caller may take from connecting to the beginning of its
	// first call, and a node to the end of its node.hello.
	GreetingTimeout time.Duration
	// DrainTimeout is how long a stopping Server waits for the answers it owes.
	DrainTimeout time.Duration
	// RetryAfter is the advice given with overloaded.
	RetryAfter time.Duration
	// BatchMax is the most calls of one JSON-RPC batch.
	BatchMax int
	// BatchBytesMax is the most bytes of answers that one JSON-RPC batch gathers:
	// once it has more, results that are still to come are answered overloaded.
	BatchBytesMax int
	// HTTPInFlightMax is the most unanswered JSON-RPC calls of all callers.
	HTTPInFlightMax int
	// HTTPBytesMax is the most bytes of answers that are held for all callers over
	// HTTP: beyond it new calls are answered overloaded, and so are results.
	HTTPBytesMax int
	// Hosts are the names by which browsers may address the HTTP side, beside IP
	// addresses and localhost.
	Hosts []string
	// TrustLoopback gives loopback peers every role; for a node without TLS.
	TrustLoopback bool
}

// DefaultConfig suits a node without TLS.
func DefaultConfig() Config {
	return Config{
		ConnectionsMax:     4096,
		InFlightMax:        4096,
		InFlightBytesMax:   16 << 20,
		InFlightBytesTotal: 256 << 20,
		BurstMax:           256,
		OutBytesMax:        8 << 20,
		OutBytesTotal:      256 << 20,
		WriteTimeout:       10 * time.Second,
		IdleTimeout:        10 * time.Minute,
		FrameTimeout:       30 * time.Second,
		GreetingTimeout:    time.Minute,
		DrainTimeout:       10 * time.Second,
		RetryAfter:         100 * time.Millisecond,
		BatchMax:           100,
		BatchBytesMax:      8 << 20,
		HTTPInFlightMax:    8192,
		HTTPBytesMax:       64 << 20,
		TrustLoopback:      true,
	}
}

// PeerConfig suits connections between nodes: few, each with the calls of many callers
// and messages of up to 9 MiB, and never silent for long.
func PeerConfig() Config {
	c := DefaultConfig()
	c.ConnectionsMax = 256
	c.InFlightMax = 64 << 10
	c.InFlightBytesMax = 64 << 20
	c.OutBytesMax = 64 << 20
	c.IdleTimeout = 30 * time.Second
	c.GreetingTimeout = 3 * time.Second
	c.DrainTimeout = 2 * time.Second
	return c
}

// validate refuses what cannot work with messages of up to most bytes.
func (c *Config) validate(most int) error {
	switch {
	case c.ConnectionsMax < 1:
		return errors.New("wire: ConnectionsMax must be at least 1")
	case c.InFlightMax < 1:
		return errors.New("wire: InFlightMax must be at least 1")
	case c.InFlightBytesMax < most:
		return fmt.Errorf("wire: InFlightBytesMax must be at least one message, %d bytes", most)
	case c.BurstMax < 1:
		return errors.New("wire: BurstMax must be at least 1")
	case c.OutBytesMax < 4*most:
		return fmt.Errorf("wire: OutBytesMax must be at least four messages, %d bytes", 4*most)
	case c.InFlightBytesTotal < 1 || c.OutBytesTotal < 1:
		return errors.New("wire: InFlightBytesTotal and OutBytesTotal must be at least 1")
	case c.WriteTimeout <= 0 || c.FrameTimeout <= 0 || c.DrainTimeout <= 0 || c.GreetingTimeout <= 0:
		return errors.New("wire: WriteTimeout, FrameTimeout, DrainTimeout and GreetingTimeout must be positive")
	case c.IdleTimeout < 0 || c.RetryAfter < 0:
		return errors.New("wire: IdleTimeout and RetryAfter must not be negative")
	case c.BatchMax < 1 || c.HTTPInFlightMax < 1:
		return errors.New("wire: BatchMax and HTTPInFlightMax must be at least 1")
	case c.BatchBytesMax < 1 || c.HTTPBytesMax < 1:
		return errors.New("wire: BatchBytesMax and HTTPBytesMax must be at least 1")
	}
	return nil
}
