package actors_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/monitoring/metrics"
)

// counters reads all counters of a system: each series with its value.
func counters(t *testing.T, s *actors.System) map[string]float64 {
	t.Helper()
	all := make(map[string]float64)
	metrics.From(s.Figures).Collect(func(m metrics.Sample) {
		series := m.Family.Name + "{" + strings.Join(m.Labels, ",") + "}"
		if _, twice := all[series]; twice {
			t.Errorf("%s comes twice", series)
		}
		if m.Family.Type == metrics.TypeCounter {
			all[series] = m.Value
		}
	})
	return all
}

func sumOf(all map[string]float64, family string) (sum float64, series int) {
	for name, v := range all {
		if strings.HasPrefix(name, family+"{") {
			sum += v
			series++
		}
	}
	return sum, series
}

// While actors come and go by the thousand no counter falls, what the series of actors grow
// by together is what the kinds grow by, and those that stay busy are found.
func TestCountersNeverFallWhileActorsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		ignore := func(*actors.Context, any) error { return nil }
		late := spawn(t, s, spec("late", ignore))
		steady := make([]actors.Ref, 60)
		for i := range steady {
			steady[i] = spawn(t, s, spec(fmt.Sprintf("steady-%02d", i), ignore))
		}
		send := func(to actors.Ref, n int) {
			for range n {
				if err := to.TellInternal("work"); err != nil {
					t.Fatal(err)
				}
			}
		}
		last := make(map[string]float64)
		var rateOfActors, rateOfKinds float64
		named := make(map[string]bool)
		for round := range 240 { // looks of 5 s, 20 minutes
			for i := range 80 { // gone before the next look
				one := spawn(t, s, spec(fmt.Sprintf("brief-%d-%d", round, i), ignore))
				send(one, 40)
				synctest.Wait()
				_ = one.Stop(t.Context())
			}
			for i, ref := range steady {
				if round < 20 || i < 40 { // twenty of them become quiet
					send(ref, 50+i)
				}
			}
			if round > 100 {
				send(late, 500)
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
			now := counters(t, s)
			for series, v := range now {
				if before, known := last[series]; known && v < before {
					t.Fatalf("round %d: %s falls from %v to %v", round, series, before, v)
				} else if strings.HasPrefix(series, "bursar_actor_messages_total{") {
					rateOfActors += v - before
					named[series] = true
				}
			}
			kinds, _ := sumOf(now, "bursar_actors_messages_total")
			lastKinds, _ := sumOf(last, "bursar_actors_messages_total")
			rateOfKinds += kinds - lastKinds
			if rateOfActors != rateOfKinds {
				t.Fatalf("round %d: the series of actors grew by %v, those of kinds by %v", round, rateOfActors, rateOfKinds)
			}
			actorsSum, series := sumOf(now, "bursar_actor_messages_total")
			if series > 51 {
				t.Fatalf("round %d: %d series of actors", round, series)
			}
			if round < 100 && actorsSum != kinds { // no series has been given up
				t.Fatalf("round %d: %v messages by actor, %v by kind", round, actorsSum, kinds)
			}
			last = now
		}
		if _, found := last["bursar_actor_messages_total{/late}"]; !found {
			t.Errorf("the busiest of all has no series among %v", maps.Keys(last))
		}
		if len(named) > 120 {
			t.Errorf("%d series have come and gone", len(named))
		}
	})
}

// Whatever is found, no series falls, and together they are the total.
func TestTheTotalIsDividedExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var total float64
		d := actors.NewDivision(rapid.IntRange(0, 5).Draw(t, "actors"))
		last := d.Granted()
		for range rapid.IntRange(1, 20).Draw(t, "looks") {
			total += float64(rapid.IntRange(0, 1000).Draw(t, "done"))
			deltas := make([]float64, len(last)-1)
			for i := range deltas { // what was found need not fit the total
				deltas[i] = float64(rapid.IntRange(0, 600).Draw(t, "found"))
			}
			d.Divide(deltas, total)
			now := d.Granted()
			var sum float64
			for i, v := range now {
				if sum += v; v < last[i] {
					t.Fatalf("series %d falls from %v to %v", i, last[i], v)
				}
			}
			if sum != total {
				t.Fatalf("the series are %v together, want %v", sum, total)
			}
			last = now
		}
	})
}
