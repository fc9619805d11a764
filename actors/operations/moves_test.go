package operations_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/supervision/breaker"
)

// trip makes the breaker of an actor open by itself.
func (n *node) trip(path string) {
	n.t.Helper()
	n.ok(n.system.Inject(actors.Fault{Path: path, Mode: actors.FaultPanic, Times: 5}))
	for range 5 {
		_ = n.ask(path, 1)
	}
	synctest.Wait()
}

func TestABreakerThatMovesByItselfIsAudited(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		a, b := boot(t, log, "a"), boot(t, log, "b")
		defer b.stop()
		defer a.stop()
		a.trip("/shop/till")
		time.Sleep(2 * time.Second)
		time.Sleep(time.Minute) // half-open
		for range 2 {
			n := a.ask("/shop/till", 1)
			a.ok(n)
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		want := []string{
			"2 itself a recover /shop/till cell, probes_succeeded",
			"1 itself a trip /shop/till cell, failures_in_row, trip 1",
		}
		for _, n := range []*node{a, b} { // b did nothing, and knows it from the log
			if diff := cmp.Diff(n.rows(), want); diff != "" {
				t.Errorf("audit: got -, want +\n%s", diff)
			}
			n.is("/shop/till", breaker.Closed)
		}
	})
}

func TestWhatAnOperatorMovedHasOneRow(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		n := boot(t, log, "a")
		defer n.stop()
		r, refusal := n.ForceOpen(n.within(), n.caller(), "/shop/till")
		granted(t, r, refusal)
		r, refusal = n.Reset(n.within(), n.caller(), "/shop/till")
		granted(t, r, refusal)
		time.Sleep(10 * time.Second)
		want := []string{"2 ada a reset /shop/till a test", "1 ada a force_open /shop/till a test"}
		if diff := cmp.Diff(n.rows(), want); diff != "" {
			t.Errorf("audit: got -, want +\n%s", diff)
		}
	})
}

// A storm of failures does not flood the log: a node enters 50 rows, and then one every
// ten seconds, each for all its breaker did meanwhile.
func TestAStormOfTripsLeavesFewRows(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		n := boot(t, log, "a")
		defer n.stop()
		// The shop's own breaker opens with every fifth customer, and is reset.
		for i := range 80 {
			name := fmt.Sprintf("customer-%d", i)
			if err := n.ask("/shop", name); err != nil {
				t.Fatal(err)
			}
			n.system.Reset("/shop", breaker.Own)
			synctest.Wait()
			n.trip("/shop/" + name)
		}
		tripped := make(map[string]bool)
		found, _ := n.system.Breakers(actors.BreakerPage{Limit: 1000})
		for _, b := range found {
			if b.Trips > 0 {
				tripped[b.Path] = true
			}
		}
		time.Sleep(2 * time.Second)
		first := len(n.rows())
		if first < 50 || first > 55 {
			t.Errorf("%d rows after the storm, want about 50", first)
		}
		time.Sleep(50 * time.Second)
		if got := len(n.rows()); got-first < 4 || got-first > 6 {
			t.Errorf("%d rows within 50 seconds, want 5", got-first)
		}
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		for _, row := range n.rows() {
			delete(tripped, strings.Fields(row)[4])
			if strings.Contains(row, "missing") {
				t.Errorf("%s; none should be", row)
			}
		}
		if len(tripped) > 0 {
			t.Errorf("%v are not in the log in the end", tripped)
		}
	})
}

func TestMovesWaitWhileTheLogTakesNone(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		n := boot(t, log, "a")
		defer n.stop()
		log.set(func(l *sharedLog) { l.away = true })
		n.trip("/shop/till")
		time.Sleep(20 * time.Second)
		if rows := n.rows(); len(rows) != 0 {
			t.Fatalf("%v", rows)
		}
		log.set(func(l *sharedLog) { l.away = false })
		time.Sleep(2 * time.Second)
		want := []string{"1 itself a trip /shop/till cell, failures_in_row, trip 1"}
		if diff := cmp.Diff(n.rows(), want); diff != "" {
			t.Errorf("audit: got -, want +\n%s", diff)
		}
	})
}

// What may be in the log is not entered twice; the next row says that it may be missing.
func TestMovesWhoseOutcomeIsUnknownAreCounted(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		n := boot(t, log, "a")
		defer n.stop()
		log.set(func(l *sharedLog) { l.lost = true })
		n.trip("/shop/till")
		time.Sleep(20 * time.Second)
		log.set(func(l *sharedLog) { l.lost = false })
		n.trip("/shop")
		time.Sleep(2 * time.Second)
		rows := n.rows()
		slices.Reverse(rows)
		want := []string{
			"1 itself a trip /shop/till cell, failures_in_row, trip 1",
			"2 itself a trip /shop cell, failures_in_row, trip 1; 1 moves of breakers before are missing",
		}
		if diff := cmp.Diff(rows, want); diff != "" {
			t.Errorf("audit: got -, want +\n%s", diff)
		}
	})
}

// warnings are the lines of a level and above that the runtime wrote.
func wantSaid(t *testing.T, n *node, want ...string) {
	t.Helper()
	var got []string
	for _, line := range n.said.all(slog.LevelInfo) {
		if strings.Contains(line, "breaker") {
			got = append(got, line)
		}
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("logged: got -, want +\n%s", diff)
	}
}

// A node that starts tells once what is forced, not everything that ever was.
func TestForcesOfEarlierAreToldInOneLine(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		n := boot(t, log, "a")
		for range 3 {
			for _, path := range []string{"/shop/till", "/shop", "/shop/customer-7"} {
				r, refusal := n.ForceOpen(n.within(), n.caller(), path)
				granted(t, r, refusal)
				r, refusal = n.Reset(n.within(), n.caller(), path)
				granted(t, r, refusal)
			}
		}
		for _, path := range []string{"/shop/till", "/shop/customer-7"} {
			r, refusal := n.ForceOpen(n.within(), n.caller(), path)
			granted(t, r, refusal)
		}
		n.stop()
		const line = "INFO breakers are held as operators left them component=supervision count=4"

		n = boot(t, log, "a") // the log is applied before it starts
		time.Sleep(10 * time.Second)
		n.is("/shop/till", breaker.ForcedOpen)
		if err := n.ask("/shop", "customer-7"); err != nil {
			t.Fatal(err)
		}
		if err := n.ask("/shop/customer-7", 1); !errors.Is(err, circuitOpen) { // met by its force
			t.Errorf("the forced customer: %v", err)
		}
		wantSaid(t, n, line)
		n.stop()

		late := &sharedLog{} // the log is applied after it has started
		n = boot(t, late, "a")
		defer n.stop()
		for _, entry := range log.entries {
			if _, err := late.Apply(entry).Results(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		n.is("/shop/till", breaker.ForcedOpen)
		n.is("/shop", breaker.Closed)
		n.forced("/shop/customer-7", "/shop/till")
		time.Sleep(10 * time.Second)
		wantSaid(t, n, line)

		r, refusal := n.Reset(n.within(), n.caller(), "/shop/till") // news is told
		granted(t, r, refusal)
		n.is("/shop/till", breaker.Closed)
		if got := len(n.said.all(slog.LevelWarn)); got != 2 {
			t.Errorf("%d warnings, want one for each of the two breakers: %v", got, n.said.all(slog.LevelWarn))
		}
	})
}

// TestASkippedEntryIsAuditedOnce, whichever nodes say so, however often.
func TestASkippedEntryIsAuditedOnce(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		a, b := boot(t, log, "a"), boot(t, log, "b")
		defer b.stop()
		defer a.stop()
		for _, n := range []*node{a, b, a} {
			n.ok(n.RecordSkip(n.within(), "4711:00ab12cd"))
		}
		synctest.Wait()
		want := []string{"1 --skip-entry a skip_entry  entry 4711:00ab12cd was passed over"}
		if diff := cmp.Diff(b.rows(), want); diff != "" {
			t.Errorf("audit: got -, want +\n%s", diff)
		}
	})
}
