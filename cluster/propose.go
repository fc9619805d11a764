package cluster

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/persistence"
)

// EntryBytesMax is the largest entry Apply takes. A larger one is not proposed.
const EntryBytesMax = 8 << 20

// proposal is an entry on its way. It implements persistence.Future.
type proposal struct {
	done    chan struct{}
	results []persistence.Result
	err     error
}

func (p *proposal) Done() <-chan struct{} { return p.done }

func (p *proposal) Applied() <-chan struct{} { return p.done }

func (p *proposal) Results() ([]persistence.Result, error) { return p.results, p.err }

func (p *proposal) end(results []persistence.Result, err error) {
	p.results, p.err = results, err
	close(p.done)
}

// Apply proposes one entry, which belongs to Consensus from then on. Entries are
// appended in the order of the calls. The future's error is
// persistence.ErrUnavailable if the entry was certainly not proposed, and
// persistence.ErrUnknown if it may still commit; results mean that it is on the
// disks of a majority and applied here.
func (c *Consensus) Apply(entry []byte) persistence.Future {
	p := &proposal{done: make(chan struct{})}
	if len(entry) > EntryBytesMax {
		p.end(nil, fmt.Errorf("%w: an entry of %d bytes, at most %d", persistence.ErrUnavailable, len(entry), EntryBytesMax))
		return p
	}
	if !c.calls.enter() {
		p.end(nil, fmt.Errorf("%w: the node is stopping", persistence.ErrUnavailable))
		return p
	}
	future := c.raft.Apply(entry, c.cfg.ApplyTimeout)
	go func() {
		defer c.calls.leave()
		p.end(outcome(future))
	}()
	return p
}

// outcome waits for an entry's fate.
func outcome(future raft.ApplyFuture) ([]persistence.Result, error) {
	if err := future.Error(); err != nil {
		return nil, classify(err)
	}
	switch response := future.Response().(type) {
	case []persistence.Result:
		return response, nil
	case error:
		return nil, fmt.Errorf("%w: %w", persistence.ErrUnknown, response)
	}
	return nil, fmt.Errorf("%w: no response", persistence.ErrUnknown)
}

// classify tells the errors Raft gives before it appends an entry from those after
// which the entry may be in somebody's log.
func classify(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrEnqueueTimeout),
		errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", persistence.ErrUnknown, err)
}

// Stalled hands leadership over, because this node's log does not move: a leader
// whose disk hangs keeps sending heartbeats and would lead for ever. It returns at
// once. With Stuck it implements persistence.Watch.
func (c *Consensus) Stalled(age time.Duration) {
	c.log.Warn("log does not move; handing leadership over", "took", age)
	if !c.calls.enter() {
		return
	}
	go func() {
		defer c.calls.leave()
		if err := c.raft.LeadershipTransfer().Error(); err != nil {
			c.log.Warn("leadership was not handed over", "err", err)
		}
	}()
}

// Stuck stops the process: the entry's age says that Stalled did not help.
func (c *Consensus) Stuck(age time.Duration) {
	c.fail(fmt.Errorf("an entry is in flight for %s: the disk hangs or no majority answers", age))
}

var _ persistence.Log = (*Consensus)(nil)
var _ persistence.Watch = (*Consensus)(nil)
