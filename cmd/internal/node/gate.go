package node

import (
	"context"
	"errors"
	"sync"
)

// errGateLocked is returned to those who wait at a gate that will not open again.
var errGateLocked = errors.New("the gate stays shut")

// gate holds back those who come while it is shut. A new gate is shut.
type gate struct {
	mu      sync.Mutex
	isOpen  bool
	locked  bool
	changed chan struct{} // closed when the gate opens or is locked; nil without waiters
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isOpen = true
	g.rouse()
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isOpen = false
}

// lock ends all waiting. A gate that is open stays so until it is shut.
func (g *gate) lock() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.locked = true
	g.rouse()
}

// rouse lets those who wait look again. The caller holds mu.
func (g *gate) rouse() {
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

// passable reports whether the gate is open.
func (g *gate) passable() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.isOpen
}

// wait returns when the gate is open. It returns errGateLocked or ctx's error.
func (g *gate) wait(ctx context.Context) error {
	for {
		g.mu.Lock()
		if g.isOpen || g.locked {
			defer g.mu.Unlock()
			if !g.isOpen {
				return errGateLocked
			}
			return nil
		}
		if g.changed == nil {
			g.changed = make(chan struct{})
		}
		changed := g.changed
		g.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
