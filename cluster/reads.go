package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// reads shares one question among all reads that wait for it.
type reads struct {
	ask func() (uint64, error)

	mu      sync.Mutex
	asking  bool
	waiting *readRound // the round to be asked next; nil without readers
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
// It comes from a leader that has applied an entry of its own term, after a majority
// has confirmed that it still leads; no clock is trusted. One round of questions serves
// all readers that came before it, and where another node leads, one question to that
// one does. When no leader is known for Config.LeaderWait, or no majority answers, the
// error is persistence.ErrUnavailable.
func (c *Consensus) ReadIndex(ctx context.Context) (uint64, error) { return c.reads.index(ctx) }

// index joins a round and waits for its answer.
func (r *reads) index(ctx context.Context) (uint64, error) {
	round := r.join()
	select {
	case <-round.done:
		return round.index, round.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// join joins the next round. The one being asked is too old: its index was taken before
// this read began.
func (r *reads) join() *readRound {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = &readRound{done: make(chan struct{})}
	}
	round := r.waiting
	if !r.asking {
		r.asking = true
		go r.askRounds()
	}
	return round
}

// askRounds asks one round after the other until nobody waits.
func (r *reads) askRounds() {
	for {
		r.mu.Lock()
		round := r.waiting
		r.waiting = nil
		r.asking = round != nil
		r.mu.Unlock()
		if round == nil {
			return
		}
		round.index, round.err = r.ask()
		close(round.done)
	}
}

// askLeader asks whoever leads.
func (c *Consensus) askLeader() (uint64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.ApplyTimeout)
	defer cancel()
	state, changed := c.awaitReady()
	switch {
	case state.Leading:
		return c.served.index(ctx)
	case state.Ready && c.forward.leader != nil:
		return c.askAt(ctx, state.Leader, changed)
	}
	return 0, noLeader(state)
}

// awaitReady waits for a leader that is ready, for LeaderWait after there was one, and
// returns the state then and a channel that is closed once it has changed. A new leader may
// be asked before its own state says that it is one, which it does within barrierRetry.
func (c *Consensus) awaitReady() (State, <-chan struct{}) {
	began := time.Now()
	for {
		state, changed := c.Watch()
		behind := c.leads() && !state.Leading
		left := time.Until(state.Since.Add(c.cfg.LeaderWait))
		if behind {
			left = time.Until(began.Add(barrierRetry))
		}
		if state.Ready && !behind || left <= 0 {
			return state, changed
		}
		wait := time.NewTimer(left)
		select {
		case <-changed:
		case <-wait.C:
		case <-c.closing:
			wait.Stop()
			return state, changed
		}
		wait.Stop()
	}
}

// askAt asks the node that leads until that changes: the link to one that was cut off
// may hang for long.
func (c *Consensus) askAt(ctx context.Context, leader messages.NodeID, changed <-chan struct{}) (uint64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-changed:
		case <-c.closing:
		case <-ended:
		}
		cancel()
	}()
	index, err := c.forward.leader.ReadIndex(ctx, leader)
	if err != nil && !errors.Is(err, persistence.ErrUnavailable) {
		err = fmt.Errorf("%w: ask %s: %w", persistence.ErrUnavailable, leader, err)
	}
	return index, err
}

// askLeadership takes the commit index first and then has a majority confirm that
// this node still leads, so that nothing newer was acknowledged elsewhere when the
// index was taken.
func (c *Consensus) askLeadership() (uint64, error) {
	s := c.State()
	if s.Leading || c.leads() {
		s, _ = c.awaitReady()
	}
	if !s.Leading || !s.Ready {
		return 0, noLeader(s)
	}
	commit := c.raft.CommitIndex()
	if err := c.confirmLeadership(s.Term); err != nil {
		return 0, fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
	}
	return c.newestEntry(commit)
}

// newestEntry is the index of the newest entry at or before commit that is for the
// state machine. Raft's own entries never reach it, and waiting for one would last
// for ever.
func (c *Consensus) newestEntry(commit uint64) (uint64, error) {
	known := c.newest // touched by the one goroutine that asks
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
	c.newest = readPoint{commit, known.entry}
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
