package graph

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/the-block/bursar/messages"
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

// Sum is an amount added up over many disbursements.
type Sum struct {
	Amount messages.Amount
	// Capped says that the true sum exceeds messages.AmountMax, which Amount shows
	// in its stead.
	Capped bool
}

// wide is a sum that cannot overflow: fewer than 2^32 terms of 64 bits.
type wide struct {
	low  uint64
	high uint32
}

func (w wide) plus(amount uint64) wide {
	low, carry := bits.Add64(w.low, amount, 0)
	return wide{low: low, high: w.high + uint32(carry)}
}

func (w wide) compare(other wide) int {
	return cmp.Or(cmp.Compare(w.high, other.high), cmp.Compare(w.low, other.low))
}

func (w wide) sum() Sum {
	if w.high > 0 || w.low > uint64(messages.AmountMax) {
		return Sum{Amount: messages.AmountMax, Capped: true}
	}
	return Sum{Amount: messages.Amount(w.low)}
}
