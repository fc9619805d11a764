package graph

import "errors"

var (
	// ErrUnknown is returned when an id is not in the graph.
	ErrUnknown = errors.New("unknown disbursement")
	// ErrGap is returned when a node is added whose id does not follow the last one.
	ErrGap = errors.New("id does not follow the last one")
	// ErrDependency is returned when a node's dependencies are not a strictly
	// ascending list of at most DependenciesMax ids that exist or can be siblings.
	ErrDependency = errors.New("impossible dependency")
	// ErrState is returned for a byte that is no state.
	ErrState = errors.New("no such state")
	// ErrFinal is returned when a node is asked to leave a final state.
	ErrFinal = errors.New("state is final")
	// ErrCyclic is returned when the last node of a plan closes a cycle. Plans are
	// checked before they are committed, so the log and its checks disagree: the
	// graph must not be used further.
	ErrCyclic = errors.New("plan holds a cycle")
	// ErrFull is returned when nodes or edges would no longer fit in 32 bits.
	ErrFull = errors.New("graph is full")
	// ErrRefDuplicate is returned when two items of a plan have the same ref.
	ErrRefDuplicate = errors.New("duplicate ref")
	// ErrRefUnknown is returned when an item waits for a ref the plan does not have.
	ErrRefUnknown = errors.New("unknown ref")
)
