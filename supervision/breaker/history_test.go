package breaker_test

import (
	"fmt"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/the-block/bursar/supervision/breaker"
)

// operation is one call of a concurrent history: what it did, and the moments
// between which it took effect.
type operation struct {
	verb         string // "admit", "success", "failure"
	admitted     bool   // what admit answered
	token        int    // index of the operation that gave the token reported here
	index        int    // of this operation, by which others name its token
	begin, end   int64
	transitioned breaker.State // that success or failure returned; 0 for none
}

// spin starts one goroutine for each script at nearly the same instant and waits
// for all.
func spin(scripts ...func()) {
	var ready atomic.Int64
	var done sync.WaitGroup
	for _, script := range scripts {
		done.Go(func() {
			ready.Add(1)
			for ready.Load() < int64(len(scripts)) {
				runtime.Gosched()
			}
			script()
		})
	}
	done.Wait()
}

// linearizable reports whether some order of the operations that respects their
// moments gives every one the answer the twin would have given.
func linearizable(model *twin, ops []operation) bool {
	seen := map[string]bool{}
	var search func(done uint64, m *twin, tokens map[int]twinToken) bool
	search = func(done uint64, m *twin, tokens map[int]twinToken) bool {
		if bits.OnesCount64(done) == len(ops) {
			return true
		}
		key := fmt.Sprint(done, m.state, m.generation, m.calls, m.probes, tokens)
		if seen[key] {
			return false
		}
		seen[key] = true
		for i, op := range ops {
			if done&(1<<i) != 0 || !canBeNext(ops, done, op) {
				continue
			}
			next, given := m.clone(), tokens
			if apply(next, op, &given) && search(done|1<<i, next, given) {
				return true
			}
		}
		return false
	}
	return search(0, model, nil)
}

// canBeNext reports whether no operation that is not done yet ended before op
// began.
func canBeNext(ops []operation, done uint64, op operation) bool {
	for i, other := range ops {
		if done&(1<<i) == 0 && other.end < op.begin {
			return false
		}
	}
	return true
}

// apply does the operation to the twin and reports whether it answers the same.
func apply(m *twin, op operation, tokens *map[int]twinToken) bool {
	before := m.generation
	switch op.verb {
	case "admit":
		token, ok := m.admit()
		if ok != op.admitted {
			return false
		}
		given := map[int]twinToken{op.index: token}
		for k, v := range *tokens {
			given[k] = v
		}
		*tokens = given
		return true
	case "success":
		m.success((*tokens)[op.token], start)
	case "failure":
		m.failure((*tokens)[op.token], start)
	}
	if m.generation == before {
		return op.transitioned == 0
	}
	return op.transitioned == m.state
}

// TestConcurrentCallsHappenInSomeOrder runs short histories of three goroutines
// and looks for an order that explains every answer: no failure is lost, no
// half-open breaker admits more than its probes, no stale outcome decides.
func TestConcurrentCallsHappenInSomeOrder(t *testing.T) {
	cfg := breaker.DefaultConfig()
	cfg.FailureThreshold = 2
	rounds := 3_000
	if testing.Short() {
		rounds = 300
	}
	for round := range rounds {
		b := newBreaker(t, cfg)
		model := newTwin(cfg)
		for range 20 { // so that only failures in a row can open it
			b.Success(breaker.Token{}, start)
			model.success(twinToken{0, -1}, start)
		}
		if round%2 == 1 { // half of the histories begin half-open
			b.Trip(breaker.ChildrenFailed, start)
			model.move(breaker.Open, breaker.ChildrenFailed, start)
			b.Tick(start.Add(cfg.Timeout))
			model.tick(start.Add(cfg.Timeout))
		}
		var clock atomic.Int64
		ops := make([]operation, 12)
		scripts := make([]func(), 3)
		for g := range scripts {
			scripts[g] = func() { runScript(b, ops, 4*g, round>>(2*g), &clock) }
		}
		spin(scripts...)
		var happened []operation
		for i, op := range ops {
			if op.verb != "" {
				op.index = i
				happened = append(happened, op)
			}
		}
		if !linearizable(model, happened) {
			t.Fatalf("round %d: no order explains %+v", round, happened)
		}
	}
}

// runScript makes two calls, whose outcomes the bits of seed choose, and records
// them as up to four operations from first on.
func runScript(b *breaker.Breaker, ops []operation, first, seed int, clock *atomic.Int64) {
	for call := range 2 {
		at := first + 2*call
		begin := clock.Add(1)
		token, ok := b.Admit()
		ops[at] = operation{verb: "admit", admitted: ok, begin: begin, end: clock.Add(1)}
		if !ok {
			continue // nothing to report
		}
		report, verb := b.Failure, "failure"
		if seed>>call&1 == 1 {
			report, verb = b.Success, "success"
		}
		op := operation{verb: verb, token: at, begin: clock.Add(1)}
		if event := report(token, start); event != nil {
			op.transitioned = event.To
		}
		op.end = clock.Add(1)
		ops[at+1] = op
	}
}

func TestNoFailureIsLost(t *testing.T) {
	const threads = 4
	cfg := breaker.DefaultConfig()
	for round := range 2_000 {
		cfg.FailureThreshold = threads + round%2 // enough failures in even rounds, one too few in odd ones
		b := newBreaker(t, cfg)
		var opened atomic.Int64
		fail := func() {
			token, _ := b.Admit()
			if b.Failure(token, start) != nil {
				opened.Add(1)
			}
		}
		spin(fail, fail, fail, fail)
		want := int64(1 - round%2)
		if got := opened.Load(); got != want {
			t.Fatalf("round %d: opened %d times, want %d; %+v", round, got, want, b.Snapshot(start))
		}
		if got := b.Snapshot(start).InRow; round%2 == 1 && got != threads {
			t.Fatalf("round %d: %d failures in a row, want %d", round, got, threads)
		}
	}
}

func TestEveryOutcomeIsInTheWindow(t *testing.T) {
	const threads, calls = 4, 20_000
	b := newBreaker(t, breaker.DefaultConfig())
	call := func() {
		for i := range calls {
			token, ok := b.Admit()
			switch {
			case !ok:
				t.Error("refused")
			case i%10 == 9:
				b.Failure(token, start)
			default:
				b.Success(token, start)
			}
		}
	}
	spin(call, call, call, call)
	got := b.Snapshot(start)
	if got.Failures != threads*calls/10 || got.Successes != threads*calls*9/10 {
		t.Errorf("window = %d failures, %d successes, want %d and %d",
			got.Failures, got.Successes, threads*calls/10, threads*calls*9/10)
	}
}

func TestHalfOpenAdmitsNoMoreThanItsProbes(t *testing.T) {
	cfg := breaker.DefaultConfig()
	cfg.SuccessThreshold = 3
	for round := range 1_000 {
		b := newBreaker(t, cfg)
		b.Trip(breaker.ChildrenFailed, start)
		b.Tick(start.Add(cfg.Timeout))
		var inFlight, kept atomic.Int64
		call := func() {
			for range 20 {
				token, ok := b.Admit()
				if !ok {
					continue
				}
				if got := inFlight.Add(1); got > 3 {
					t.Errorf("round %d: %d calls in flight, want at most 3", round, got)
				}
				if round%2 == 0 {
					inFlight.Add(-1)
					b.Cancel(token)
				} else {
					kept.Add(1)
				}
			}
		}
		spin(call, call, call, call)
		if got := kept.Load(); round%2 == 1 && got != 3 {
			t.Fatalf("round %d: %d calls admitted, want 3", round, got)
		}
		if got := b.Snapshot(start).InFlight; int64(got) != kept.Load() {
			t.Fatalf("round %d: %d probes out, want %d", round, got, kept.Load())
		}
	}
}
