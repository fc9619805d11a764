package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/persistence"
)

// reads shares one question to the voters among all reads that wait for it.
type reads struct {
	mu      sync.Mutex
	asking  bool
	waiting *readRound // the round to be asked next; nil without readers
	newest  readPoint
}

// readRound is one question and its answer, set before done is closed.
type readRound struct {
	done  chan struct{}
	index uint64
	err   error
}

// readPoint remembers which entry of the state machine was the newest at a commit.
type readPoint struct{ commit, entry uint64 }

// ReadIndex returns an index such that whatever has applied it answers
// linearizably: it reflects all that was acknowledged, or read, before the call.
// Only a leader that has applied an entry of its own term gives one, and only after
// a majority has confirmed that it still leads; no clock is trusted. One round of
// questions serves all readers that came before it. Elsewhere, or when no majority
// answers, the error is persistence.ErrUnavailable.
func (c *Consensus) ReadIndex(ctx context.Context) (uint64, error) {
	round := c.joinRound()
	select {
	case <-round.done:
		return round.index, round.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// joinRound joins the next round. The one being asked is too old: its index was
// taken before this read began.
func (c *Consensus) joinRound() *readRound {
	c.reads.mu.Lock()
	defer c.reads.mu.Unlock()
	if c.reads.waiting == nil {
		c.reads.waiting = &readRound{done: make(chan struct{})}
	}
	round := c.reads.waiting
	if !c.reads.asking {
		c.reads.asking = true
		go c.askRounds()
	}
	return round
}

// askRounds asks one round after the other until nobody waits.
func (c *Consensus) askRounds() {
	for {
		c.reads.mu.Lock()
		round := c.reads.waiting
		c.reads.waiting = nil
		c.reads.asking = round != nil
		c.reads.mu.Unlock()
		if round == nil {
			return
		}
		round.index, round.err = c.askLeadership()
		close(round.done)
	}
}

// askLeadership takes the commit index first and then has a majority confirm that
// this node still leads, so that nothing newer was acknowledged elsewhere when the
// index was taken.
func (c *Consensus) askLeadership() (uint64, error) {
	if s := c.State(); !s.Leading || !s.Ready {
		return 0, fmt.Errorf("%w: %s", persistence.ErrUnavailable, s)
	}
	commit := c.raft.CommitIndex()
	if err := c.await(context.Background(), func() raft.Future { return c.raft.VerifyLeader() }); err != nil {
		return 0, fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
	}
	return c.newestEntry(commit)
}

// newestEntry is the index of the newest entry at or before commit that is for the
// state machine. Raft's own entries never reach it, and waiting for one would last
// for ever.
func (c *Consensus) newestEntry(commit uint64) (uint64, error) {
	known := c.reads.newest // touched by the one goroutine that asks
	for index := commit; index > known.commit; index-- {
		var entry raft.Log
		err := c.entries.GetLog(index, &entry)
		if errors.Is(err, raft.ErrLogNotFound) {
			// It is in a Raft snapshot of this node's own state.
			known.entry = min(c.AppliedIndex(), commit)
			break
		}
		if err != nil {
			return 0, fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
		}
		if entry.Type == raft.LogCommand {
			known.entry = index
			break
		}
	}
	c.reads.newest = readPoint{commit, known.entry}
	return known.entry, nil
}

// WaitApplied returns once this node's state has applied index.
func (c *Consensus) WaitApplied(ctx context.Context, index uint64) error {
	for {
		advanced := c.machine.advanced()
		if c.AppliedIndex() >= index {
			return nil
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
