package supervision

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/the-block/bursar/supervision/breaker"
)

// ForcesMax is how many breakers may be forced at once.
const ForcesMax = 1_000

// Force is an operator's hold on the breakers of the actor at a path: its cell,
// and where it is a supervisor its own. It holds whether or not the actor is
// loaded.
type Force struct {
	Path  string
	State breaker.State // ForcedOpen or ForcedClosed
	By    string        // the operator, for the audit log
	At    time.Time
}

// Forces is the table of forced breakers by path. The zero value is empty. It is a
// plain value of its owner's goroutine; replicas that apply the same Puts and
// Removes in the same order hold the same table.
type Forces struct{ byPath map[string]Force }

// Put adds a force, or replaces the one at its path. It returns ErrForceInvalid or
// ErrForcesFull, and then changes nothing.
func (f *Forces) Put(force Force) error {
	if force.Path == "" || !force.State.Forced() {
		return fmt.Errorf("force %q %s: %w", force.Path, force.State, ErrForceInvalid)
	}
	if _, known := f.byPath[force.Path]; !known && len(f.byPath) >= ForcesMax {
		return fmt.Errorf("force %q: %w", force.Path, ErrForcesFull)
	}
	if f.byPath == nil {
		f.byPath = make(map[string]Force)
	}
	f.byPath[force.Path] = force
	return nil
}

// Remove takes the force at path away and reports whether there was one.
func (f *Forces) Remove(path string) bool {
	_, known := f.byPath[path]
	delete(f.byPath, path)
	return known
}

// Of returns the force at path.
func (f *Forces) Of(path string) (Force, bool) {
	force, ok := f.byPath[path]
	return force, ok
}

// All returns the forces in the order of their paths.
func (f *Forces) All() []Force {
	return slices.SortedFunc(maps.Values(f.byPath), func(a, b Force) int {
		return strings.Compare(a.Path, b.Path)
	})
}
