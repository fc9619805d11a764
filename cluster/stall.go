package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// stallLook is how often a node looks whether what it does moves on.
const stallLook = 50 * time.Millisecond

// urgeTimeout is how long a leader that stands still tries to reach its successor.
const urgeTimeout = 250 * time.Millisecond

// stall is why a node stands still, and since when.
type stall struct {
	why   string
	since time.Time
}

// stallWatch measures how long something has stood still. Time is an argument.
type stallWatch struct {
	looked time.Time // the last look
	floor  time.Time // before it this process stood still itself, and nothing counts
}

// look begins a look at now.
func (w *stallWatch) look(now time.Time) {
	if !w.looked.IsZero() && now.Sub(w.looked) > 4*stallLook {
		w.floor = now
	}
	w.looked = now
}

// age is how long what began at since, zero for nothing, has stood still.
func (w *stallWatch) age(since time.Time) time.Duration {
	switch {
	case since.IsZero():
		return 0
	case since.Before(w.floor):
		since = w.floor
	}
	return w.looked.Sub(since)
}

// progress is how far a leader and its voters have come.
type progress struct {
	commit uint64
	stored uint64 // the sum of how far the voters' logs reach
}

// commitWatch measures how long a leader's entries have waited for a majority while no
// voter's log has grown. Time is an argument.
type commitWatch struct {
	last  progress
	since time.Time
}

// look takes what is so now. waiting says that there is something to commit.
func (w *commitWatch) look(now time.Time, p progress, waiting bool) {
	if !waiting || p != w.last || w.since.IsZero() {
		w.last, w.since = p, now
	}
}

// watchStalls has this node stop leading and following as soon as its disk or its state
// stands still, and leading when its entries reach nobody: heartbeats, which need neither
// a disk nor large packets, would keep it in its place for ever. A disk that does not
// move for Config.HangMax ends the process.
func (c *Consensus) watchStalls(ctx context.Context) error {
	var w stallWatch
	var commits commitWatch
	return every(ctx, stallLook, func() error {
		now := time.Now()
		w.look(now)
		c.lookAtCommits(&commits, now)
		why, age := c.standing(&w)
		c.looked.Store(now.UnixNano())
		if age >= c.cfg.HangMax {
			c.fail(fmt.Errorf("the disk hangs: %s for %s", why, age.Round(time.Millisecond)))
			return nil
		}
		limits := timings[c.cfg.Timing]
		stands := age >= limits.stall && !c.alone() // alone there is nobody to go on
		if unheard := w.age(commits.since); !stands && unheard >= limits.unheard {
			why, age, stands = "what it sends as the leader is stored by no majority", unheard, true
		}
		switch held := c.stalled.Load(); {
		case stands && held == nil:
			c.standStill(stall{why: why, since: now.Add(-age)})
		case !stands && held != nil:
			c.goOn(now.Sub(held.since))
		}
		return nil
	})
}

// WatchedAt is when this node last saw for itself whether its disk and its state move; what
// would end a process that hangs hangs with it if that is long ago. It is zero before Run.
func (c *Consensus) WatchedAt() time.Time {
	if at := c.looked.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// standing is what of this node's own has stood still for longest, and for how long.
func (c *Consensus) standing(w *stallWatch) (why string, age time.Duration) {
	why, age = fmt.Sprintf("the disk of %s has not finished a write", c.cfg.Dir), w.age(c.store.WritingSince())
	if applying := w.age(c.machine.applyingSince()); applying > age {
		return fmt.Sprintf("the state in %s has not taken an entry", c.cfg.Dir), applying
	}
	return why, age
}

// lookAtCommits notes whether what this node sends as the leader gets anywhere.
func (c *Consensus) lookAtCommits(w *commitWatch, now time.Time) {
	commit := c.raft.CommitIndex()
	waiting := c.raft.State() == raft.Leader && c.raft.LastIndex() > commit && c.transport.installing.Load() == 0
	w.look(now, progress{commit: commit, stored: c.transport.reach.sum()}, waiting)
}

// standStill has this node neither lead nor follow any more: the voter whose log is
// longest takes over at once, and no other hears of this node.
func (c *Consensus) standStill(s stall) {
	c.stalled.Store(&s)
	c.look()
	c.log.Warn("this node stands still: it leads and answers no more until it moves", "err", errors.New(s.why), "took", time.Since(s.since))
	if c.raft.State() == raft.Leader {
		c.urgeSuccessor()
	}
	c.transport.streams.sever(true)
}

// goOn ends what standStill has begun.
func (c *Consensus) goOn(took time.Duration) {
	c.stalled.Store(nil)
	c.transport.streams.sever(false)
	c.look()
	c.log.Info("this node moves again", "took", took)
}

// urgeSuccessor has the voter whose log is longest stand for election, past Raft's own
// goroutine, which may wait for the disk.
func (c *Consensus) urgeSuccessor() {
	var group []Member
	for _, m := range c.Configuration() {
		if m.Voter && m.Node != c.cfg.Node {
			group = append(group, m)
		}
	}
	next := c.transport.reach.longest(group)
	if next.Node == "" {
		return
	}
	asked := make(chan error, 1)
	go func() {
		request := &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{
			ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(c.cfg.Node), Addr: []byte(c.RaftAddr()),
		}}
		asked <- c.transport.TimeoutNow(raft.ServerID(next.Node), raft.ServerAddress(next.Addr), request, new(raft.TimeoutNowResponse))
	}()
	select {
	case err := <-asked:
		if err != nil {
			c.log.Warn("leadership was not handed over", "member", string(next.Node), "err", err)
		}
	case <-time.After(urgeTimeout):
	}
}

// leads reports whether this node is to act as the leader.
func (c *Consensus) leads() bool { return c.raft.State() == raft.Leader && c.stalled.Load() == nil }

// Sever has this node say nothing to the other voters any more, nor hear them. It is
// called when the node cannot go on, before anything that may take its time.
func (c *Consensus) Sever() { c.transport.streams.sever(true) }

var errStandsStill = errors.New("this node stands still")
