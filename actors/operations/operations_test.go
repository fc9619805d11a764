package operations_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/operations"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/breaker"
)

var circuitOpen = &actors.Refused{Reason: actors.CircuitOpen}

// refused fails the test unless a call was refused with this code.
func refused(t *testing.T, refusal *messages.Error, code messages.Code) {
	t.Helper()
	if refusal == nil || refusal.Code != code {
		t.Errorf("refused with %v, want %v", refusal, code)
	}
}

func granted(t *testing.T, r *messages.ForceResult, refusal *messages.Error) *messages.ForceResult {
	t.Helper()
	if refusal != nil {
		t.Fatal(refusal)
	}
	return r
}

func TestAForceHoldsOnEveryNodeUntilItIsReset(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		a, b := boot(t, log, "a"), boot(t, log, "b")
		defer b.stop()
		defer a.stop()
		r, refusal := a.ForceOpen(a.within(), a.caller(), "/shop/till")
		got := granted(t, r, refusal)
		if want := (messages.ForceResult{Path: "/shop/till", State: "forced_open", AuditID: 1}); *got != want {
			t.Errorf("answered %+v, want %+v", *got, want)
		}
		for _, n := range []*node{a, b} {
			n.is("/shop/till", breaker.ForcedOpen)
			n.forced("/shop/till")
			if err := n.ask("/shop/till", 1); !errors.Is(err, circuitOpen) {
				t.Errorf("asked behind the force: %v", err)
			}
			if err := n.ask("/shop", 1); err != nil {
				t.Errorf("its parent: %v", err)
			}
		}
		r, refusal = b.ForceClosed(b.within(), b.caller(), "/shop/till")
		granted(t, r, refusal)
		for _, n := range []*node{a, b} {
			n.is("/shop/till", breaker.ForcedClosed)
		}
		r, refusal = b.Reset(b.within(), b.caller(), "/shop/till")
		granted(t, r, refusal)
		for _, n := range []*node{a, b} {
			n.is("/shop/till", breaker.Closed)
			n.forced()
			if err := n.ask("/shop/till", 1); err != nil {
				t.Errorf("after the reset: %v", err)
			}
			want := []string{"3 ada b reset /shop/till a test", "2 ada b force_close /shop/till a test", "1 ada a force_open /shop/till a test"}
			if diff := cmp.Diff(n.rows(), want); diff != "" {
				t.Errorf("audit: got -, want +\n%s", diff)
			}
		}
	})
}

func TestAForceSurvivesARestartAndMeetsActorsWhenTheyAreLoaded(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		n := boot(t, log, "a")
		for _, path := range []string{"/shop/till", "/shop/customer-7"} {
			r, refusal := n.ForceOpen(n.within(), n.caller(), path)
			granted(t, r, refusal)
		}
		n.stop()
		n = boot(t, log, "a")
		defer n.stop()
		n.is("/shop/till", breaker.ForcedOpen)
		n.forced("/shop/customer-7", "/shop/till")
		for _, name := range []string{"customer-7", "customer-8"} {
			if err := n.ask("/shop", name); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.ask("/shop/customer-7", 1); !errors.Is(err, circuitOpen) {
			t.Errorf("the forced customer: %v", err)
		}
		if err := n.ask("/shop/customer-8", 1); err != nil {
			t.Errorf("another customer: %v", err)
		}
	})
}

// The row of the reset bears the time of the node that took the call, whose clock is not
// the clock of the node that owns the actor.
func TestAResetHoldsWhateverTheClocksSay(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		slow := boot(t, log, "slow")
		defer slow.stop()
		owner := boot(t, log, "owner")
		defer owner.stop()
		slow.SetClock(func() time.Time { return time.Now().Add(-time.Hour) }) // before the owner's start
		if err := owner.system.Inject(actors.Fault{Path: "/shop/till", Mode: actors.FaultPanic, Times: 5}); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			_ = owner.ask("/shop/till", 1)
		}
		if err := owner.ask("/shop/till", 1); !errors.Is(err, circuitOpen) {
			t.Fatalf("after five panics: %v", err)
		}
		r, refusal := slow.Reset(slow.within(), slow.caller(), "/shop/till")
		granted(t, r, refusal)
		owner.is("/shop/till", breaker.Closed)
		r, refusal = slow.ForceOpen(slow.within(), slow.caller(), "/shop/till")
		granted(t, r, refusal)
		owner.is("/shop/till", breaker.ForcedOpen)
		r, refusal = slow.Reset(slow.within(), slow.caller(), "/shop/till")
		granted(t, r, refusal)
		owner.is("/shop/till", breaker.Closed)
		owner.forced()
	})
}

// A reset reaches a breaker that opened by itself, on the node that owns the actor,
// whichever node took the call.
func TestAResetClearsABreakerThatNobodyForced(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		a, b := boot(t, log, "a"), boot(t, log, "b")
		defer b.stop()
		defer a.stop()
		if err := a.system.Inject(actors.Fault{Path: "/shop/till", Mode: actors.FaultPanic, Times: 5}); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			_ = a.ask("/shop/till", 1)
		}
		if err := a.ask("/shop/till", 1); !errors.Is(err, circuitOpen) {
			t.Fatalf("after five panics: %v", err)
		}
		r, refusal := b.Reset(b.within(), b.caller(), "/shop/till")
		granted(t, r, refusal)
		a.is("/shop/till", breaker.Closed)
		if err := a.ask("/shop/till", 1); err != nil {
			t.Errorf("after the reset: %v", err)
		}
	})
}

func TestWhatMakesNoSenseIsRefusedAndLeavesNoTrace(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		n := boot(t, log, "a")
		defer n.stop()
		for path, code := range map[string]messages.Code{
			"/shop/till/":                   messages.CodeValidationFailed,
			"/":                             messages.CodeValidationFailed,
			"":                              messages.CodeValidationFailed,
			"shop":                          messages.CodeValidationFailed,
			"/shop//till":                   messages.CodeValidationFailed,
			"/shop/\x00":                    messages.CodeValidationFailed,
			"/" + string(make([]byte, 300)): messages.CodeValidationFailed,
			"/shop/tlil":                    messages.CodeNotFound,
		} {
			_, refusal := n.ForceOpen(n.within(), n.caller(), path)
			refused(t, refusal, code)
			_, refusal = n.Reset(n.within(), n.caller(), path)
			refused(t, refusal, code)
		}
		if rows := n.rows(); len(rows) != 0 {
			t.Errorf("the audit log has %v", rows)
		}
	})
}

// At most 1,000 paths are forced.
func TestTheThousandAndFirstForceIsRefused(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		n := boot(t, log, "a")
		for i := range supervision.ForcesMax {
			r, refusal := n.ForceOpen(n.within(), n.caller(), fmt.Sprintf("/shop/customer-%d", i))
			granted(t, r, refusal)
		}
		_, refusal := n.ForceOpen(n.within(), n.caller(), "/shop/till")
		refused(t, refusal, messages.CodeValidationFailed)
		n.is("/shop/till", breaker.Closed)
		n.stop()

		n = boot(t, log, "a") // all of them are read again
		defer n.stop()
		if got := len(n.Forces()); got != supervision.ForcesMax {
			t.Errorf("%d forces after a restart, want %d", got, supervision.ForcesMax)
		}
		r, refusal := n.ForceClosed(n.within(), n.caller(), "/shop/customer-1") // one that is there may change
		granted(t, r, refusal)
		r, refusal = n.Reset(n.within(), n.caller(), "/shop/customer-1")
		granted(t, r, refusal)
		r, refusal = n.ForceOpen(n.within(), n.caller(), "/shop/till")
		granted(t, r, refusal)
		n.is("/shop/till", breaker.ForcedOpen)
	})
}

func TestARepeatIsAnsweredWithTheFirstResult(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		n := boot(t, log, "a")
		defer n.stop()
		c := n.caller()
		r, refusal := n.ForceOpen(n.within(), c, "/shop/till")
		first := *granted(t, r, refusal)
		r, refusal = n.Reset(n.within(), n.caller(), "/shop/till")
		granted(t, r, refusal)

		r, refusal = n.ForceOpen(n.within(), c, "/shop/till")
		first.Duplicate = true
		if got := *granted(t, r, refusal); got != first {
			t.Errorf("the repeat: %+v, want %+v", got, first)
		}
		n.is("/shop/till", breaker.Closed) // and it changed nothing
		c.Hash[15]++
		_, refusal = n.ForceOpen(n.within(), c, "/shop")
		refused(t, refusal, messages.CodeRequestIDConflict)
	})
}

func TestAnUnknownOutcomeIsSettledByTheRequestID(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		n := boot(t, log, "a")
		defer n.stop()
		log.set(func(l *sharedLog) { l.lost = true })
		c := n.caller()
		_, refusal := n.ForceOpen(n.within(), c, "/shop/till")
		refused(t, refusal, messages.CodeOutcomeUnknown)
		log.set(func(l *sharedLog) { l.lost = false })
		r, refusal := n.ForceOpen(n.within(), c, "/shop/till")
		if got := granted(t, r, refusal); !got.Duplicate || got.AuditID != 1 {
			t.Errorf("the repeat: %+v, want the duplicate of row 1", got)
		}
		n.is("/shop/till", breaker.ForcedOpen)
	})
}

func TestALogThatTakesNothingSaysSo(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		n := boot(t, log, "a")
		defer n.stop()
		log.set(func(l *sharedLog) { l.away = true })
		_, refusal := n.ForceOpen(n.within(), n.caller(), "/shop/till")
		refused(t, refusal, messages.CodeUnavailable)
		n.is("/shop/till", breaker.Closed)
	})
}

// Many operators on two nodes: each change has its own row, and both nodes end alike.
func TestOperatorsWhoRaceAreAllServed(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		nodes := []*node{boot(t, log, "a"), boot(t, log, "b")}
		defer nodes[1].stop()
		defer nodes[0].stop()
		const each = 20
		var racing sync.WaitGroup
		for i, n := range nodes {
			for k := range each {
				c, ctx := n.caller(), n.within()
				racing.Go(func() {
					path := fmt.Sprintf("/shop/customer-%d", k)
					act := n.ForceOpen
					if (i+k)%2 == 0 {
						act = n.Reset
					}
					if _, refusal := act(ctx, c, path); refusal != nil {
						t.Errorf("%s: %v", path, refusal)
					}
				})
			}
		}
		racing.Wait()
		if rows := nodes[0].rows(); len(rows) != 2*each {
			t.Errorf("%d rows, want %d", len(rows), 2*each)
		}
		if diff := cmp.Diff(nodes[0].rows(), nodes[1].rows()); diff != "" {
			t.Errorf("the nodes differ:\n%s", diff)
		}
		synctest.Wait()
		if diff := cmp.Diff(nodes[0].Forces(), nodes[1].Forces()); diff != "" {
			t.Errorf("the nodes differ:\n%s", diff)
		}
		forces, err := nodes[0].store.Counter(operations.CounterForces)
		if int(forces) != len(nodes[0].Forces()) || err != nil {
			t.Errorf("the log counts %d forces (%v), there are %d", forces, err, len(nodes[0].Forces()))
		}
	})
}

func TestTheAuditLogKeepsItsNewestRows(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		n := boot(t, log, "a")
		defer n.stop()
		r, refusal := n.ForceOpen(n.within(), n.caller(), "/shop/till")
		granted(t, r, refusal)
		n.propose(operations.AuditGrows(operations.AuditMax - 1)) // as if so many more had come
		synctest.Wait()
		for range 2 {
			r, refusal = n.Reset(n.within(), n.caller(), "/shop/till")
			granted(t, r, refusal)
		}
		if _, kept, err := n.store.Get(persistence.RecordKey(operations.TableAudit, 1)); kept || err != nil {
			t.Errorf("the oldest row is kept: %v, %v", kept, err)
		}
		page, refusal := n.Audit(messages.Page{Limit: 10})
		if refusal != nil || len(page.Rows) != 2 || page.Rows[0].ID != operations.AuditMax+2 {
			t.Errorf("%+v, %v; want rows %d and %d", page, refusal, operations.AuditMax+2, operations.AuditMax+1)
		}
	})
}

func TestAConfigurationThatLacksSomethingIsRefused(t *testing.T) {
	known := func(string) bool { return true }
	for name, cfg := range map[string]operations.Config{"no name": {Known: known}, "no Known": {Node: "a"}} {
		if _, err := operations.New(cfg, nil, nil, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// propose has a Txn of the test's own committed.
func (n *node) propose(txn *persistence.Txn) {
	n.t.Helper()
	done := make(outcome, 1)
	n.ok(n.journal.Propose(persistence.Proposal{Txn: txn, Sink: done}))
	if o := <-done; o.Err != nil || o.Result.Status != persistence.Committed {
		n.t.Fatalf("%+v", o)
	}
}

type outcome chan persistence.Outcome

func (o outcome) Committed(list []persistence.Outcome) { o <- list[0] }
