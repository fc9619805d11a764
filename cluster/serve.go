package cluster

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/the-block/bursar/persistence"
)

// What followers may have in flight here together. Raft takes up 64 entries without
// blocking the caller.
const (
	servedEntriesMax = 32
	servedBytesMax   = 64 << 20
)

// inFlight counts what followers have in flight.
type inFlight struct{ entries, bytes atomic.Int64 }

func (s *inFlight) admit(bytes int) bool {
	entries, held := s.entries.Add(1), s.bytes.Add(int64(bytes))
	if entries > servedEntriesMax || held > servedBytesMax {
		s.give(bytes)
		return false
	}
	return true
}

func (s *inFlight) give(bytes int) {
	s.entries.Add(-1)
	s.bytes.Add(-int64(bytes))
}

// ServePropose proposes an entry of another node's Leader.Propose, which belongs to
// Consensus from then on. It does not block. done is called once, from any goroutine:
// with index and results once the entry is committed and applied here, with
// persistence.ErrUnavailable if it certainly was not proposed - this node does not
// lead, or too much is in flight -, and with persistence.ErrUnknown otherwise.
func (c *Consensus) ServePropose(entry []byte, done func(index uint64, results []persistence.Result, err error)) {
	if err := c.servePropose(entry, done); err != nil {
		done(0, nil, fmt.Errorf("%w: %w", persistence.ErrUnavailable, err))
	}
}

func (c *Consensus) servePropose(entry []byte, done func(uint64, []persistence.Result, error)) error {
	size := len(entry)
	if size < termBytes || size > EntryBytesMax {
		return fmt.Errorf("an entry of %d bytes, at most %d", size, EntryBytesMax)
	}
	if c.cfg.Check != nil {
		if err := c.cfg.Check(entry[:size-termBytes]); err != nil {
			c.log.Warn("another node handed over an entry that nobody could apply; it is not appended", "err", err)
			return fmt.Errorf("an entry that nobody could apply: %w", err)
		}
	}
	if !c.inFlight.admit(size) {
		return fmt.Errorf("more than %d entries or %d MiB in flight from other nodes", servedEntriesMax, servedBytesMax>>20)
	}
	if !c.calls.enter() {
		c.inFlight.give(size)
		return fmt.Errorf("%s is stopping", c.cfg.Node)
	}
	term := binary.LittleEndian.Uint64(entry[size-termBytes:])
	if !c.leads() || c.raft.CurrentTerm() != term {
		c.inFlight.give(size)
		c.calls.leave()
		return fmt.Errorf("%s does not lead in term %d", c.cfg.Node, term)
	}
	future := c.raft.Apply(entry[:size-termBytes], c.cfg.ApplyTimeout)
	go func() {
		results, err := outcome(future)
		c.inFlight.give(size)
		c.calls.leave()
		done(future.Index(), results, err)
	}()
	return nil
}

// ServeReadIndex answers another node's Leader.ReadIndex: ReadIndex of a node that
// leads. Elsewhere the error is persistence.ErrUnavailable.
func (c *Consensus) ServeReadIndex(ctx context.Context) (uint64, error) { return c.served.index(ctx) }
