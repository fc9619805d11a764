package graph

import (
	"fmt"
	"slices"
	"strings"
)

// Item is what a plan says about the order of its items: the item's own name and
// the names of those it waits for.
type Item struct {
	Ref   string
	After []string
}

// RefError names the ref that a plan uses wrongly. Its Err is ErrRefDuplicate or
// ErrRefUnknown.
type RefError struct {
	// Item is the place of the item in the plan, counted from 0; people are told it from 1.
	Item int
	Ref  string
	Err  error
}

func (e *RefError) Error() string { return fmt.Sprintf("item %d: %v %q", e.Item+1, e.Err, e.Ref) }

func (e *RefError) Unwrap() error { return e.Err }

// CycleError names the refs of a cycle in order: each waits for the next, the last
// for the first. A single ref waits for itself.
type CycleError struct{ Refs []string }

func (e *CycleError) Error() string {
	return "cycle: " + strings.Join(append(slices.Clone(e.Refs), e.Refs[0]), " -> ")
}

// ResolvePlan turns a plan's refs into places in it: the answer's i-th list holds
// the places of the items that item i waits for, ascending and without repeats.
// Errors: a *RefError for the first duplicate ref, else for the first unknown one;
// else a *CycleError for a minimal cycle (see Cycle).
func ResolvePlan(items []Item) ([][]int, error) {
	place := make(map[string]int, len(items))
	for i, item := range items {
		if _, taken := place[item.Ref]; taken {
			return nil, &RefError{Item: i, Ref: item.Ref, Err: ErrRefDuplicate}
		}
		place[item.Ref] = i
	}
	waits := make([][]int, len(items))
	for i, item := range items {
		for _, ref := range item.After {
			p, ok := place[ref]
			if !ok {
				return nil, &RefError{Item: i, Ref: ref, Err: ErrRefUnknown}
			}
			waits[i] = append(waits[i], p)
		}
		slices.Sort(waits[i])
		waits[i] = slices.Compact(waits[i])
	}
	if cycle := Cycle(waits); cycle != nil {
		refs := make([]string, len(cycle))
		for i, p := range cycle {
			refs[i] = items[p].Ref
		}
		return nil, &CycleError{Refs: refs}
	}
	return waits, nil
}
