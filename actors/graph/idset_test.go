package graph_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/graph"
)

// TestIDSetAgreesWithAMap uses numbers near the edges of words on every level.
func TestIDSetAgreesWithAMap(t *testing.T) {
	const top = 300_000
	number := rapid.OneOf(
		rapid.Uint32Range(0, 200),
		rapid.Uint32Range(64*64-70, 64*64+70),
		rapid.Uint32Range(64*64*64-70, 64*64*64+70),
		rapid.Uint32Range(0, top),
	)
	rapid.Check(t, func(t *rapid.T) {
		var set graph.IDSet
		twin := map[uint32]bool{}
		next := func(from uint32) (uint32, bool) {
			best, found := uint32(0), false
			for i := range twin {
				if i >= from && (!found || i < best) {
					best, found = i, true
				}
			}
			return best, found
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				i := number.Draw(t, "number")
				same(t, "added", set.Add(i), !twin[i])
				twin[i] = true
			},
			"remove": func(t *rapid.T) {
				i := number.Draw(t, "number")
				if at, found := next(i); found && rapid.Bool().Draw(t, "a member") {
					i = at
				}
				same(t, "removed", set.Remove(i), twin[i])
				delete(twin, i)
			},
			"": func(t *rapid.T) {
				i := number.Draw(t, "number")
				same(t, "has", set.Has(i), twin[i])
				got, found := set.Next(i)
				want, there := next(i)
				same(t, "next", []any{got, found}, []any{want, there})
				same(t, "count", set.Len(), len(twin))
			},
		})
	})
}
