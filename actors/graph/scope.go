package graph

import (
	"slices"

	"github.com/the-block/bursar/messages"
)

// selection is an ascending list of distinct nodes.
type selection []ordinal

// selection checks, sorts and deduplicates the ids a caller named.
func (v View) selection(given []messages.DisbursementID) (selection, error) {
	set := make(selection, len(given))
	for i, id := range given {
		n, err := findUpTo(id, v.last)
		if err != nil {
			return nil, err
		}
		set[i] = n
	}
	slices.Sort(set)
	return slices.Compact(set), nil
}

func (s selection) has(n ordinal) bool {
	_, ok := slices.BinarySearch(s, n)
	return ok
}

// scope is what a question is about: the chosen nodes, and the range of ids that
// holds every way from one of them to another.
type scope struct {
	first, last ordinal // an empty range has last = first-1
	// chosen is nil where all of the range is.
	chosen bitmap
}

// whole is the scope of all nodes.
func (v View) whole() scope { return scope{first: 1, last: v.last} }

// scope is that of the ids a caller named. Error: ErrUnknown.
func (v View) scope(given []messages.DisbursementID) (scope, error) {
	set, err := v.selection(given)
	if err != nil || len(set) == 0 {
		return scope{first: 1}, err
	}
	first, last := v.widen(set[0], set[len(set)-1])
	in := scope{first: first, last: last, chosen: newBitmap(last - first)}
	for _, n := range set {
		in.chosen.set(n - first)
	}
	return in, nil
}

// has reports whether n, which lies in the range, is chosen.
func (s scope) has(n ordinal) bool { return s.chosen == nil || s.chosen.has(n-s.first) }

// bitmap is a set of numbers up to a limit.
type bitmap []uint64

func newBitmap(last ordinal) bitmap { return make(bitmap, last>>6+1) }

func (b bitmap) has(n ordinal) bool { return b[n>>6]>>(n&63)&1 == 1 }

// set puts n in the set and reports whether it was not there.
func (b bitmap) set(n ordinal) bool {
	word, bit := &b[n>>6], uint64(1)<<(n&63)
	before := *word
	*word |= bit
	return before&bit == 0
}
