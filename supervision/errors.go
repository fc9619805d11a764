package supervision

import "errors"

var (
	// ErrForcesFull is returned when a force would be one more than ForcesMax.
	ErrForcesFull = errors.New("the table of forced breakers is full")

	// ErrForceInvalid is returned when a force has no path, or a state that is not a
	// forced one.
	ErrForceInvalid = errors.New("a force needs a path and a forced state")
)
