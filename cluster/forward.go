package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Leader carries to the node that leads what only it can do.
type Leader interface {
	// Propose hands entry to node to, whose ServePropose takes it; entries arrive in the
	// order of the calls or not at all. It must not block. done is called once, from any
	// goroutine, with what ServePropose answered. Its error is persistence.ErrUnavailable
	// if the entry certainly was not proposed; any other means that it may have been, that
	// of a link that broke above all.
	Propose(to messages.NodeID, entry []byte, done func(index uint64, results []persistence.Result, err error))
	// ReadIndex asks node to's ServeReadIndex.
	ReadIndex(ctx context.Context, to messages.NodeID) (uint64, error)
}

// Connect tells this node how to reach the leader. It is called once, before Run; a
// node without it proposes and reads only while it leads.
func (c *Consensus) Connect(leader Leader) { c.forward.leader = leader }

// waitingMax is how many entries wait for a leader to be known; more are unavailable.
const waitingMax = 16

// termBytes are the last bytes of an entry on its way to the leader: the term in which
// that node leads as far as the sender knows, little-endian. In another term the entry
// is refused, so that one which was given up can not arrive late and be appended after
// what came later.
const termBytes = 8

// forwarder holds the entries that another node's leadership decides about.
type forwarder struct {
	leader Leader // nil for none

	mu      sync.Mutex
	closed  bool
	waiting []*proposal            // for a leader; oldest first
	flying  map[*proposal]struct{} // handed to a leader
}

// proposal is an entry on its way. It implements persistence.Future.
type proposal struct {
	entry   []byte
	done    chan struct{}
	applied chan struct{}
	results []persistence.Result
	err     error

	leader messages.NodeID // it was handed to
	term   uint64          // in which it was
}

func newProposal(entry []byte) *proposal {
	return &proposal{entry: entry, done: make(chan struct{}), applied: make(chan struct{})}
}

func (p *proposal) Done() <-chan struct{} { return p.done }

func (p *proposal) Applied() <-chan struct{} { return p.applied }

func (p *proposal) Results() ([]persistence.Result, error) { return p.results, p.err }

// finish tells the outcome; the state shows it by then, or will not.
func (p *proposal) finish(results []persistence.Result, err error) {
	p.results, p.err = results, err
	close(p.done)
	close(p.applied)
}

// route takes an entry from Apply: to this node's Raft if it leads, else to the leader
// that is known, else to wait for one. Entries that wait go first.
func (c *Consensus) route(p *proposal) {
	f := &c.forward
	f.mu.Lock()
	defer f.mu.Unlock()
	state := c.State()
	switch {
	case f.closed:
		c.endForward(p, nil, errStopping)
	case len(f.waiting) > 0 || !c.sendLocked(p, state):
		if len(f.waiting) >= waitingMax || !c.mayWait(state) {
			c.endForward(p, nil, noLeader(state))
			return
		}
		f.waiting = append(f.waiting, p)
	}
}

var errStopping = fmt.Errorf("%w: the node is stopping", persistence.ErrUnavailable)

func noLeader(s State) error { return fmt.Errorf("%w: %s", persistence.ErrUnavailable, s) }

// mayWait reports whether a leader may be expected soon: the last one was lost a short
// while ago, or is this node, which is to notice at any moment that it was.
func (c *Consensus) mayWait(s State) bool {
	lost := s.Leader == "" && s.Stalled == "" && s.Halted == "" && time.Since(s.Since) < c.cfg.LeaderWait
	return (lost || s.Leading) && c.forward.leader != nil
}

// sendLocked sends an entry where it is decided, and reports whether there is such a
// place.
func (c *Consensus) sendLocked(p *proposal, s State) bool {
	f := &c.forward
	switch {
	case c.leads():
		c.propose(p)
		return true
	case s.Leading || s.Leader == "" || f.leader == nil:
		return false
	}
	p.leader, p.term = s.Leader, s.Term
	if f.flying == nil {
		f.flying = make(map[*proposal]struct{})
	}
	f.flying[p] = struct{}{}
	entry := binary.LittleEndian.AppendUint64(p.entry, s.Term)
	p.entry = nil
	f.leader.Propose(s.Leader, entry, func(index uint64, results []persistence.Result, err error) {
		go c.answered(p, index, results, err)
	})
	return true
}

// propose appends an entry, as the leader.
func (c *Consensus) propose(p *proposal) {
	future := c.raft.Apply(p.entry, c.cfg.ApplyTimeout)
	go func() {
		defer c.calls.leave()
		p.finish(outcome(future))
	}()
}

// answered settles an entry that a leader has decided about, unless it was given up.
func (c *Consensus) answered(p *proposal, index uint64, results []persistence.Result, err error) {
	f := &c.forward
	f.mu.Lock()
	_, flying := f.flying[p]
	delete(f.flying, p)
	f.mu.Unlock()
	if !flying {
		return
	}
	if err != nil {
		if !errors.Is(err, persistence.ErrUnavailable) && !errors.Is(err, persistence.ErrUnknown) {
			err = fmt.Errorf("%w: %w", persistence.ErrUnknown, err)
		}
		c.endForward(p, nil, err)
		return
	}
	p.results = results
	close(p.done)
	c.calls.leave()
	c.untilApplied(index)
	close(p.applied)
}

// untilApplied returns once this node's state has applied index, or will not any more.
func (c *Consensus) untilApplied(index uint64) {
	for {
		advanced := c.machine.advanced()
		if c.AppliedIndex() >= index {
			return
		}
		select {
		case <-advanced:
		case <-c.closing:
			return
		case <-c.retired:
			if !c.advances(advanced) {
				return
			}
		}
	}
}

// advances waits until something is applied, and reports false if nothing is for so long
// that nothing will be.
func (c *Consensus) advances(advanced <-chan struct{}) bool {
	timer := time.NewTimer(c.cfg.LeaderWait)
	defer timer.Stop()
	select {
	case <-advanced:
		return true
	case <-c.closing:
	case <-timer.C:
	}
	return false
}

// endForward settles an entry of another node's, or nobody's, leadership.
func (c *Consensus) endForward(p *proposal, results []persistence.Result, err error) {
	p.finish(results, err)
	c.calls.leave()
}

// followLeader settles what the change of a leader decides, until ctx ends: entries
// handed to the one before are unknown at once - the link to a node that was cut off
// may hang for long - and those that wait go to the new one, or nowhere when none has
// come in time.
func (c *Consensus) followLeader(ctx context.Context) error {
	expired := time.NewTimer(c.cfg.LeaderWait)
	defer expired.Stop()
	for {
		state, changed := c.Watch()
		c.reroute(state)
		if left := time.Until(state.Since.Add(c.cfg.LeaderWait)); left > 0 {
			expired.Reset(left)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-expired.C:
		}
	}
}

// reroute sends or ends what waits, and ends what flies to a leader that is none.
func (c *Consensus) reroute(state State) {
	f := &c.forward
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.flying {
		if p.leader != state.Leader || p.term != state.Term {
			delete(f.flying, p)
			c.endForward(p, nil, fmt.Errorf("%w: %s, to which the entry was handed, lost its leadership", persistence.ErrUnknown, p.leader))
		}
	}
	for len(f.waiting) > 0 {
		if !c.sendLocked(f.waiting[0], state) {
			if c.mayWait(state) {
				return
			}
			c.endForward(f.waiting[0], nil, noLeader(state))
		}
		f.waiting[0] = nil
		f.waiting = f.waiting[1:]
	}
	f.waiting = nil
}

// closeForward ends everything, and everything that comes later.
func (c *Consensus) closeForward() {
	f := &c.forward
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for p := range f.flying {
		c.endForward(p, nil, fmt.Errorf("%w: the node is stopping", persistence.ErrUnknown))
	}
	for _, p := range f.waiting {
		c.endForward(p, nil, errStopping)
	}
	f.flying, f.waiting = nil, nil
}
