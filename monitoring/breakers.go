package monitoring

import (
	"maps"
	"slices"
	"strings"
)

// Breakers are the circuit breakers of the runtime.
type Breakers struct {
	// Counts are all there are, those that are closed too.
	Counts []BreakerCount
	// Trips counts how often breakers opened by themselves since the process began, by
	// the kind of the actors that keep them.
	Trips map[string]uint64
	// NotClosed are single breakers that are open, half-open or forced, at most
	// NotClosedMax are exported.
	NotClosed []Breaker
}

// BreakerCount is how many breakers of one sort there are.
type BreakerCount struct {
	Kind  string // of the actors that keep them
	Scope string // own or cell
	State string
	Count int
}

// Breaker is one breaker.
type Breaker struct {
	Path  string // whose it is
	Scope string
	State string
}

// NotClosedMax is how many breakers that are not closed have series of their own.
const NotClosedMax = 50

// The values of the labels of breakers.
var (
	breakerScopes = []string{"own", "cell"}
	breakerStates = []string{"closed", "open", "half_open", "forced_open", "forced_closed"}
)

var (
	breakerCounts = gauge("bursar_supervision_breakers",
		"Circuit breakers, by the kind of the actors that keep them, by scope (own: over an actor's children and what "+
			"it guards; cell: over one child that failed lately) and state.",
		(KindsMax+1)*(len(breakerScopes)+1)*(len(breakerStates)+1), "kind", "scope", "state")
	breakerTrips = counter("bursar_supervision_breaker_trips_total",
		"Times a breaker opened by itself, by the kind of the actors that keep them.", KindsMax+1, "kind")
	breakersNotClosed = gauge("bursar_supervision_breaker_not_closed",
		"Always 1; names breakers that are open, half-open or forced, the first 50 by path.",
		NotClosedMax, "actor", "scope", "state")
)

func breakerFamilies() []Family { return []Family{breakerCounts, breakerTrips, breakersNotClosed} }

func collectBreakers(out sink, b Breakers) {
	named := breakerKinds(b)
	trips := make(map[string]uint64)
	for kind, n := range b.Trips {
		trips[named[kind]] += n
	}
	for kind, n := range trips {
		out.put(breakerTrips, float64(n), kind)
	}
	counts := make(map[BreakerCount]int)
	for _, c := range b.Counts {
		sort := BreakerCount{
			Kind: named[c.Kind], Scope: closed(c.Scope, breakerScopes), State: closed(c.State, breakerStates),
		}
		counts[sort] += c.Count
	}
	for sort, n := range counts {
		out.put(breakerCounts, float64(n), sort.Kind, sort.Scope, sort.State)
	}
	shown := make(map[Breaker]bool)
	for _, one := range b.NotClosed {
		one.Path = strings.ToValidUTF8(one.Path, "_")
		one.Scope, one.State = closed(one.Scope, breakerScopes), closed(one.State, breakerStates)
		if len(shown) < NotClosedMax && !shown[one] {
			shown[one] = true
			out.put(breakersNotClosed, 1, one.Path, one.Scope, one.State)
		}
	}
}

// breakerKinds says what each kind is exported as: KindsMax of them as themselves.
func breakerKinds(b Breakers) map[string]string {
	kinds := slices.Collect(maps.Keys(b.Trips))
	for _, c := range b.Counts {
		kinds = append(kinds, c.Kind)
	}
	slices.Sort(kinds)
	named := make(map[string]string)
	for i, kind := range slices.Compact(kinds) {
		named[kind] = other
		if i < KindsMax {
			named[kind] = strings.ToValidUTF8(kind, "_")
		}
	}
	return named
}
