package cluster

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/persistence"
)

// EntryBytesMax is the largest entry on its way between nodes; Apply takes one of eight
// bytes less. A larger one is not proposed.
const EntryBytesMax = 8 << 20

// Apply proposes one entry, which belongs to Consensus from then on. Where another node
// leads the entry is handed to that one; while no leader is known it waits for one, for
// Config.LeaderWait after the last was lost. Entries are appended in the order of the
// calls. The future's error is persistence.ErrUnavailable if the entry was certainly
// not proposed, and persistence.ErrUnknown if it may still commit, as when the leader it
// was handed to was lost; results mean that it is on the disks of a majority and applied
// where it was led. Applied tells when it is here.
func (c *Consensus) Apply(entry []byte) persistence.Future {
	p := newProposal(entry)
	switch {
	case len(entry) > EntryBytesMax-termBytes:
		p.finish(nil, fmt.Errorf("%w: an entry of %d bytes, at most %d",
			persistence.ErrUnavailable, len(entry), EntryBytesMax-termBytes))
	case !c.calls.enter():
		p.finish(nil, c.closed())
	default:
		c.route(p)
	}
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

var _ persistence.Log = (*Consensus)(nil)
