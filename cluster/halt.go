package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/the-block/bursar/persistence"
)

// haltGrace is how long a node that halts lets the calls end that Raft was asked: what Raft
// still holds when it is shut down it never answers.
const haltGrace = 500 * time.Millisecond

// halt ends this node's part in the group for good and leaves the process running, to
// say why: its state says so, it applies, stores and votes nothing more, and a start
// anew finds the same reason again.
func (c *Consensus) halt(why error) {
	if advice := c.adviceHalted(why); advice != "" {
		why = fmt.Errorf("%w; %s", why, advice)
	}
	if !c.halted.CompareAndSwap(nil, &why) {
		return
	}
	c.look()
	c.log.Error("this node takes no part in the log any more and runs on to say why", "err", why)
	c.transport.streams.sever(true) // a leader is one no more within the grace
	c.halting.Go(func() {
		if group := c.transport.streams.group.Load(); group != nil {
			ctx, cancel := context.WithTimeout(context.Background(), haltGrace)
			_ = c.calls.close(ctx) // who is inside then is answered by nobody
			cancel()
			_ = group.Shutdown().Error() // it has none
		}
		_ = c.transport.Close() // what it holds is of no use any more
		c.look()
	})
}

// Diverge halts this node, whose state is another than that of most others; which says
// whose, and from which entry on.
func (c *Consensus) Diverge(which string) {
	c.halt(fmt.Errorf("%w: the state here is another than that of %s", ErrDiverged, which))
}

// Halted is why this node takes no part in the log any more; nil while it does.
func (c *Consensus) Halted() error {
	if why := c.halted.Load(); why != nil {
		return *why
	}
	return nil
}

// haltedState is the state of a node that has halted: it stands still, for good.
func (c *Consensus) haltedState(why error) State {
	return State{Node: c.cfg.Node, Term: c.raft.CurrentTerm(), Halted: why.Error(), Stalled: why.Error()}
}

// closed is why nothing is taken any more once calls is closed.
func (c *Consensus) closed() error {
	if why := c.Halted(); why != nil {
		return noLeader(c.haltedState(why))
	}
	return errStopping
}

// adviceHalted is what to do about it.
func (c *Consensus) adviceHalted(why error) string {
	switch {
	case errors.Is(why, ErrOldCopy):
		return "bring back what " + c.cfg.Dir + " held last, or keep it aside and let the node join again with an empty directory"
	case errors.Is(why, ErrCommitted), errors.Is(why, ErrDiverged):
		return "there are two histories: keep " + c.cfg.Dir + ", find out with bursar journal dump which one is to go on, " +
			"and let the nodes of the other one join again with empty directories"
	case errors.Is(why, persistence.ErrUnsupported):
		return "start the node with the version of the program that wrote it, or a newer one"
	}
	return ""
}
