package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// links carries what a follower asks of the leader. A link to or from a node that is
// cut off holds everything back, as TCP does for a long while, and is found broken when
// the cut ends; that of a node that was stopped breaks at once.
type links struct {
	trio *trio
	self messages.NodeID
}

var errBroken = errors.New("link broken")

func (l links) Propose(to messages.NodeID, entry []byte, done func(uint64, []persistence.Result, error)) {
	l.trio.mu.Lock()
	cut, target := l.trio.isCut(l.self, to), l.trio.nodes[to]
	l.trio.mu.Unlock()
	switch {
	case cut:
		l.breaks(to, done)
		return
	case target == nil:
		go done(0, nil, fmt.Errorf("%w: %w", persistence.ErrUnavailable, errBroken))
		return
	}
	target.ServePropose(slices.Clone(entry), func(index uint64, results []persistence.Result, err error) {
		l.trio.mu.Lock()
		lost := l.trio.isCut(l.self, to)
		l.trio.mu.Unlock()
		if lost {
			l.breaks(to, done)
			return
		}
		done(index, results, err)
	})
}

// breaks tells that the link is broken, once the cut has ended.
func (l links) breaks(to messages.NodeID, done func(uint64, []persistence.Result, error)) {
	l.trio.fabric.whenJoined(addrOf(l.self), addrOf(to), func() { done(0, nil, errBroken) })
}

func (l links) ReadIndex(ctx context.Context, to messages.NodeID) (uint64, error) {
	l.trio.mu.Lock()
	lost, target := l.trio.isCut(l.self, to), l.trio.nodes[to]
	l.trio.mu.Unlock()
	switch {
	case lost:
		<-ctx.Done()
		return 0, ctx.Err()
	case target == nil:
		return 0, errBroken
	}
	return target.ServeReadIndex(ctx)
}
