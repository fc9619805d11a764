package peers

import (
	"net"
	"slices"
	"sync"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// greeter judges nodes that call: it implements wire.Greeter.
type greeter struct{ peers *Peers }

// Greet lets a node in that this one can work with.
func (g greeter) Greet(nc net.Conn, theirs *messages.Hello) (messages.NodeID, *messages.Hello, *messages.Error) {
	p := g.peers
	if why := p.suspended.Load(); why != nil {
		return "", nil, messages.Errorf(messages.CodeUnavailable, "%s answers no node: %v", p.self.Node, *why)
	}
	mine := p.hello()
	err := judge(mine, theirs)
	if err == nil {
		err = verify(nc, theirs.Node)
	}
	if err != nil {
		p.complain("from "+string(theirs.Node), theirs.Node, nc.RemoteAddr().String(), err)
		return "", nil, err
	}
	if l := p.link(theirs.Node); l != nil && l.client.Load() == nil {
		l.hurry() // it is there
	}
	return theirs.Node, mine, nil
}

// receiver hands calls to the Handler: it implements wire.Handler.
type receiver struct{ peers *Peers }

// Serve answers pings at once.
func (r receiver) Serve(calls []*wire.Call) {
	from := calls[0].Peer.Node
	rest := slices.DeleteFunc(calls, func(c *wire.Call) bool {
		own := c.Method.Name == messages.MethodNodePing
		if own {
			c.Reply(r.peers.pong())
		}
		return own
	})
	if len(rest) > 0 {
		r.peers.handler.ServePeer(from, rest)
	}
}

// pong is the answer to a ping.
func (p *Peers) pong() *messages.NodePingResult {
	s := p.self.Status()
	return &messages.NodePingResult{
		UnixMS: uint64(time.Now().UnixMilli()), Boot: p.self.Boot, Life: s.Life, Voting: s.Voting, Misbound: s.Misbound,
		AppliedIndex: s.Applied, LastIndex: s.LastIndex, Leader: s.Leader, Term: s.Term, Sums: []byte(s.Sums),
	}
}

// complaintsMax bounds the names that complaints remembers: strangers choose them.
const complaintsMax = 64

// complaints remembers when the last one about each subject was.
type complaints struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// due reports whether another may follow now, and takes it that it does.
func (c *complaints) due(about string, now time.Time, every time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, ok := c.last[about]; ok && now.Sub(last) < every {
		return false
	}
	for name, last := range c.last {
		if now.Sub(last) >= every {
			delete(c.last, name)
		}
	}
	if len(c.last) >= complaintsMax {
		return false
	}
	if c.last == nil {
		c.last = make(map[string]time.Time)
	}
	c.last[about] = now
	return true
}
