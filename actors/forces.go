package actors

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/breaker"
)

// forcesMax bounds the breakers under an operator's force: a force holds both breakers
// of its path.
const forcesMax = 2 * supervision.ForcesMax

// Forced names one forced breaker.
type Forced struct {
	Path  string
	Scope breaker.Scope // Own: over the actor's children; Cell: of the actor itself
	State breaker.State // ForcedOpen or ForcedClosed
}

// forces remembers forced breakers, so that they hold for actors that are not
// loaded: a supervisor takes them over when it founds its family.
type forces struct {
	mu  sync.Mutex
	set map[forceKey]breaker.State
}

type forceKey struct {
	path  string
	scope breaker.Scope
}

// Force puts a breaker under an operator's force until Reset, whether or not the
// actor is loaded. ErrTooManyForces beyond 2,000.
func (s *System) Force(f Forced) error {
	if !f.State.Forced() || (f.Scope != breaker.Own && f.Scope != breaker.Cell) || !strings.HasPrefix(f.Path, "/") {
		return fmt.Errorf("%w: force %s of %s to %s", ErrInvalidSpec, f.Scope, f.Path, f.State)
	}
	s.forces.mu.Lock()
	key := forceKey{f.Path, f.Scope}
	if _, known := s.forces.set[key]; !known && len(s.forces.set) >= forcesMax {
		s.forces.mu.Unlock()
		return fmt.Errorf("force %s: %w", f.Path, ErrTooManyForces)
	}
	if s.forces.set == nil {
		s.forces.set = make(map[forceKey]breaker.State)
	}
	s.forces.set[key] = f.State
	s.forces.mu.Unlock()
	s.onSupervisor(key, func(m *supervision.Supervisor, name string, now time.Time) []supervision.Action {
		return m.Force(name, f.State, now)
	})
	return nil
}

// Reset removes a force and clears the breaker.
func (s *System) Reset(path string, scope breaker.Scope) {
	key := forceKey{path, scope}
	s.forces.mu.Lock()
	delete(s.forces.set, key)
	s.forces.mu.Unlock()
	s.onSupervisor(key, func(m *supervision.Supervisor, name string, now time.Time) []supervision.Action {
		return m.Reset(name, now)
	})
}

// Forces lists the forced breakers, in no order.
func (s *System) Forces() []Forced {
	s.forces.mu.Lock()
	defer s.forces.mu.Unlock()
	out := make([]Forced, 0, len(s.forces.set))
	for key, state := range s.forces.set {
		out = append(out, Forced{key.path, key.scope, state})
	}
	return out
}

// onSupervisor has the supervisor that keeps a breaker do something about it, on
// its own turn. One that is not loaded does nothing.
func (s *System) onSupervisor(key forceKey, do func(*supervision.Supervisor, string, time.Time) []supervision.Action) {
	path, name := key.path, ""
	if key.scope == breaker.Cell {
		cut := strings.LastIndexByte(path, '/')
		path, name = path[:cut], path[cut+1:]
	}
	ref, ok := s.Lookup(path)
	if !ok {
		return
	}
	c := ref.cell
	c.postSystem(executeOrder{func() {
		if c.stopping || c.currentState() == Ended {
			return
		}
		c.offspring()
		c.decide(func(m *supervision.Supervisor, now time.Time) []supervision.Action { return do(m, name, now) })
	}})
}

// apply gives a new family the forces that concern it.
func (f *forces) apply(c *cell) {
	f.mu.Lock()
	mine := make(map[string]breaker.State)
	for key, state := range f.set {
		cut := strings.LastIndexByte(key.path, '/')
		switch {
		case key.scope == breaker.Own && key.path == c.path():
			mine[""] = state
		case key.scope == breaker.Cell && key.path[:cut] == c.pid.Id:
			mine[key.path[cut+1:]] = state
		}
	}
	f.mu.Unlock()
	for name, state := range mine {
		c.decide(func(m *supervision.Supervisor, now time.Time) []supervision.Action {
			return m.Force(name, state, now)
		})
	}
}
