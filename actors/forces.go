package actors

import (
	"fmt"
	"maps"
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

func (f Forced) validate() error {
	if !f.State.Forced() || (f.Scope != breaker.Own && f.Scope != breaker.Cell) || !strings.HasPrefix(f.Path, "/") {
		return fmt.Errorf("%w: force %s of %s to %s", ErrInvalidSpec, f.Scope, f.Path, f.State)
	}
	return nil
}

// Force puts a breaker under an operator's force until Reset, whether or not the
// actor is loaded. ErrTooManyForces beyond 2,000.
func (s *System) Force(f Forced) error {
	if err := f.validate(); err != nil {
		return err
	}
	key := forceKey{f.Path, f.Scope}
	if !s.forces.put(key, f.State) {
		return fmt.Errorf("force %s: %w", f.Path, ErrTooManyForces)
	}
	s.onSupervisor(key, asNews, forceTo(f.State))
	return nil
}

// Reset removes a force and clears the breaker.
func (s *System) Reset(path string, scope breaker.Scope) {
	key := forceKey{path, scope}
	s.forces.remove(key)
	s.onSupervisor(key, asNews, reset)
}

// RestoreForces makes these the forced breakers, and no others: what operators did
// before this system was there. It is no news, so each transition is told as Restored.
// ErrTooManyForces beyond 2,000; then nothing is done.
func (s *System) RestoreForces(all []Forced) error {
	if len(all) > forcesMax {
		return fmt.Errorf("restore %d forces: %w", len(all), ErrTooManyForces)
	}
	wanted := make(map[forceKey]breaker.State, len(all))
	for _, f := range all {
		if err := f.validate(); err != nil {
			return err
		}
		wanted[forceKey{f.Path, f.Scope}] = f.State
	}
	before := s.forces.replace(wanted)
	for key := range before {
		if _, kept := wanted[key]; !kept {
			s.onSupervisor(key, asRestored, reset)
		}
	}
	for key, state := range wanted {
		if before[key] != state {
			s.onSupervisor(key, asRestored, forceTo(state))
		}
	}
	return nil
}

// LogForces writes one line that says how many breakers are forced.
func (s *System) LogForces() {
	s.log.Info("breakers are held as operators left them", "component", "supervision", "count", len(s.Forces()))
}

// put remembers a force and reports whether there was room.
func (f *forces) put(key forceKey, state breaker.State) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.set[key]; !known && len(f.set) >= forcesMax {
		return false
	}
	if f.set == nil {
		f.set = make(map[forceKey]breaker.State)
	}
	f.set[key] = state
	return true
}

func (f *forces) remove(key forceKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.set, key)
}

// replace remembers these forces and returns a copy of those before.
func (f *forces) replace(set map[forceKey]breaker.State) map[forceKey]breaker.State {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.set
	f.set = maps.Clone(set)
	return before
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

// How the transitions of an operator's act are told.
const (
	asNews     = false
	asRestored = true
)

// An act is what an operator does to the breaker of a supervisor's child, or to the
// supervisor's own for "".
type act func(m *supervision.Supervisor, name string, now time.Time) []supervision.Action

func reset(m *supervision.Supervisor, name string, now time.Time) []supervision.Action {
	return m.Reset(name, now)
}

func forceTo(state breaker.State) act {
	return func(m *supervision.Supervisor, name string, now time.Time) []supervision.Action {
		return m.Force(name, state, now)
	}
}

// onSupervisor has the supervisor that keeps a breaker do something about it, on
// its own turn. One that is not loaded does nothing.
func (s *System) onSupervisor(key forceKey, restored bool, do act) {
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
		c.operate(name, restored, do)
	}})
}

// operate does what an operator wants on the cell's own turn.
func (c *cell) operate(name string, restored bool, do act) {
	c.decide(func(m *supervision.Supervisor, now time.Time) []supervision.Action {
		actions := do(m, name, now)
		if restored {
			actions = c.restore(actions)
		}
		return actions
	})
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
		c.operate(name, asRestored, forceTo(state))
	}
}
