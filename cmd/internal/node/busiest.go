package node

import (
	"sync"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
)

// sampleEvery is the shortest window over which the busiest actors are found: finding
// them walks all actors.
const sampleEvery = time.Second

// sample is the busiest actors of one window. All who ask within the next share it,
// because the runtime counts from one look to the next.
type sample struct {
	mu    sync.Mutex
	taken time.Time // zero before the first
	sampled
}

// sampled is what one look at all actors has found.
type sampled struct {
	window time.Duration
	busy   []actors.Busy
	depths map[string]int // by kind
}

// busiest gives the newest sample, and takes a new one if that is old.
func (n *Node) busiest() sampled {
	s := &n.sample
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	since := s.taken
	if since.IsZero() {
		since = n.started
	}
	if s.taken.IsZero() || now.Sub(since) >= sampleEvery {
		s.taken, s.window = now, now.Sub(since)
		s.busy, s.depths = n.system.Busiest(messages.LimitMax)
	}
	return s.sampled
}

// top answers actors.top.
func (n *Node) top(p *messages.TopParams) (*messages.ActorsTopResult, *messages.Error) {
	s := n.busiest()
	result := &messages.ActorsTopResult{WindowMS: uint64(s.window.Milliseconds()), Node: string(n.cfg.Name)}
	for _, b := range s.busy[:min(p.Limit, uint64(len(s.busy)))] {
		result.Actors = append(result.Actors, messages.BusyActor{
			Path: b.Path, Kind: b.Kind, MailboxDepth: uint64(b.Depth), Messages: b.Messages,
		})
	}
	return result, nil
}

// actor answers actors.get.
func (n *Node) actor(p *messages.PathParams) (*messages.ActorResult, *messages.Error) {
	node, err := n.system.Tree(actors.Page{Path: p.Path})
	if err != nil {
		return nil, messages.Errorf(messages.CodeNotFound, "there is no actor %q", p.Path)
	}
	now := time.Now()
	result := &messages.ActorResult{
		Actor: flatten(nil, &node)[0], Refused: node.Refused, Node: string(n.cfg.Name),
	}
	for _, s := range n.system.Stalled() {
		if s.Path == node.Path {
			result.StalledMS = uint64(now.Sub(s.Since).Milliseconds())
		}
	}
	found, _ := n.system.Breakers(actors.BreakerPage{Path: node.Path, NotClosed: true, Limit: 2}) // its own and its cell come first
	for i := range found {
		if found[i].Path == node.Path {
			result.Breakers = append(result.Breakers, breakerInfo(&found[i]))
		}
	}
	return result, nil
}
