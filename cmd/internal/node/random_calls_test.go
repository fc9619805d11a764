package node_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/the-block/bursar/messages"
)

var randomCalls = flag.Int("random-calls", 4000, "how many calls TestRandomCallsMakeNoSeries makes")

// Whatever ids, names and texts come through every method, and methods that there are not,
// a node exports the series that it exported before. A million: -random-calls 1000000.
func TestRandomCallsMakeNoSeries(t *testing.T) {
	m := start(t)
	methods := slices.DeleteFunc(slices.Clone(messages.PublicTable().Methods()), func(m *messages.Method) bool {
		// These end or stop the node.
		return m.Name == messages.MethodClusterDrain || m.Name == messages.MethodEpochAdvance
	})
	calls := func(seed uint64, count int) {
		c, random := dial(t, m), rand.New(rand.NewPCG(seed, 1))
		for range count {
			method := methods[random.IntN(len(methods))]
			name := method.Name
			if random.IntN(20) == 0 {
				name = "typed." + junk(random)
			}
			_, _ = c.call(t, name, junkFields(random, method.AllParams()))
		}
	}
	calls(0, 40*len(methods)) // each method and most answers once
	before := m.samples(t)
	const callers = 8
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			const part = 5000 // over one connection, whose deadline is near
			for left := *randomCalls / callers; left > 0; left -= part {
				calls(uint64(i+1)<<32|uint64(left), min(part, left))
			}
		})
	}
	wg.Wait()
	after := m.samples(t)
	for _, series := range slices.Sorted(maps.Keys(after)) {
		// The busiest actors, at most so many, are told by their paths.
		_, known := before[series]
		if !known && !strings.HasPrefix(series, "bursar_actor_") || strings.Contains(series, "typed") {
			t.Errorf("new: %s", series)
		}
	}
	if got := after[`bursar_rpc_requests_total{method="other",outcome="refused"}`]; got < float64(*randomCalls)/40 {
		t.Errorf("only %v calls of methods that there are not were counted", got)
	}
}

func junk(random *rand.Rand) string { return fmt.Sprintf("typed-%x", random.Uint64()) }

// junkFields gives values for fields: of their types for the most part, and in range where
// that is easy.
func junkFields(random *rand.Rand, fields []messages.Field) object {
	values := make(object)
	for _, f := range fields {
		switch kind := strings.TrimPrefix(f.Type, "list of "); {
		case !f.Required && random.IntN(3) > 0, random.IntN(50) == 0: // left out
		case random.IntN(50) == 0:
			values[f.Name] = junk(random)
		case kind != f.Type:
			values[f.Name] = []any{junkValue(random, &f, kind)}
		default:
			values[f.Name] = junkValue(random, &f, kind)
		}
	}
	return values
}

func junkValue(random *rand.Rand, f *messages.Field, kind string) any {
	switch {
	case len(f.Enum) > 0 && random.IntN(5) > 0:
		return f.Enum[random.IntN(len(f.Enum))]
	case kind == "integer":
		return random.Uint64() >> random.UintN(64)
	case kind == "boolean":
		return random.IntN(2) == 0
	case kind == "binary":
		b := make([]byte, min(max(f.Max, 1), 64))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	case kind == "object", kind == "map":
		return junkFields(random, f.Fields)
	}
	return junk(random)
}
