package breaker_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/supervision/breaker"
)

func at(d time.Duration) time.Time { return start.Add(d) }

// fail reports n failures outside a call at the given time and returns the last
// transition they caused.
func fail(b *breaker.Breaker, n int, now time.Time) *breaker.Event {
	var last *breaker.Event
	for range n {
		if event := b.Failure(b.Current(), now); event != nil {
			last = event
		}
	}
	return last
}

func succeed(b *breaker.Breaker, n int, now time.Time) {
	for range n {
		b.Success(b.Current(), now)
	}
}

// halfOpen returns a breaker that has just become half-open, and when that was.
func halfOpen(t *testing.T, cfg breaker.Config) (*breaker.Breaker, time.Time) {
	t.Helper()
	b := newBreaker(t, cfg)
	b.Trip(breaker.ChildrenFailed, start)
	now := start.Add(cfg.Timeout)
	if event := b.HalfOpen(now); event == nil {
		t.Fatal("the breaker did not turn half-open after its timeout")
	}
	return b, now
}

func TestConfigSaysWhichRuleIsBroken(t *testing.T) {
	if err := breaker.DefaultConfig().Validate(); err != nil {
		t.Fatalf("the default is refused: %v", err)
	}
	for want, spoil := range map[string]func(*breaker.Config){
		"failure_threshold is 0, want 1 to 1000000": func(c *breaker.Config) { c.FailureThreshold = 0 },
		"success_threshold is 101, want 1 to 100":   func(c *breaker.Config) { c.SuccessThreshold = 101 },
		"timeout is 0s, want more than 0":           func(c *breaker.Config) { c.Timeout = 0 },
		"window is 1ms, want at least 30ms":         func(c *breaker.Config) { c.Window = time.Millisecond },
		"probe_timeout is -1ns, want more than 0":   func(c *breaker.Config) { c.ProbeTimeout = -1 },
	} {
		cfg := breaker.DefaultConfig()
		spoil(&cfg)
		if err := cfg.Validate(); err == nil || err.Error() != want {
			t.Errorf("Validate = %v, want %s", err, want)
		}
		if _, err := breaker.New("/guard", cfg, start); err == nil {
			t.Errorf("New accepted a config with: %s", want)
		}
	}
}

func TestFailuresInARowOpen(t *testing.T) {
	b := newBreaker(t, breaker.DefaultConfig())
	succeed(b, 1_000, start)
	fail(b, 4, start)
	succeed(b, 1, start)
	if event := fail(b, 4, start); event != nil {
		t.Fatalf("four failures, a success, four failures: %v", event)
	}
	got := fail(b, 1, at(time.Second))
	want := &breaker.Event{
		Path: "/guard", Scope: breaker.Own, From: breaker.Closed, To: breaker.Open,
		Reason: breaker.FailuresInRow, At: at(time.Second), RetryAt: at(61 * time.Second), Generation: 1, Trips: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the fifth in a row (-want +got):\n%s", diff)
	}
	if _, ok := b.Admit(); ok || b.Passes() {
		t.Error("an open breaker lets a call pass")
	}
	if got := b.RetryAfter(at(11 * time.Second)); got != 50*time.Second {
		t.Errorf("RetryAfter = %v, want 50s", got)
	}
}

func TestFailuresOlderThanTheWindowDoNotCount(t *testing.T) {
	b := newBreaker(t, breaker.DefaultConfig())
	fail(b, 4, start)
	if event := fail(b, 1, at(600*time.Second)); event != nil {
		t.Fatalf("four failures, twice the window, one failure: %v", event)
	}
	if got := b.Snapshot(at(600 * time.Second)); got.InRow != 1 || got.Failures != 1 {
		t.Errorf("in a row %d, in the window %d, want 1 and 1", got.InRow, got.Failures)
	}
	if event := fail(b, 4, at(600*time.Second)); event == nil {
		t.Error("five failures within the window did not open it")
	}
}

func TestFourFailuresInFiveDoNotPassForHealth(t *testing.T) {
	b := newBreaker(t, breaker.DefaultConfig())
	var opened *breaker.Event
	calls := 0
	for ; opened == nil && calls < 100; calls++ {
		if calls%5 == 0 {
			succeed(b, 1, start)
		} else {
			opened = fail(b, 1, start)
		}
	}
	if opened == nil || opened.Reason != breaker.FailureRate {
		t.Fatalf("after %d calls: %v, want open for its failure rate", calls, opened)
	}
	if want := 13; calls != want { // 10 failures and 3 successes
		t.Errorf("it opened after %d calls, want %d", calls, want)
	}
}

func TestJustUnderHalfFailingStaysClosed(t *testing.T) {
	b := newBreaker(t, breaker.DefaultConfig())
	succeed(b, 1, start)
	for range 1_000 {
		succeed(b, 1, start)
		if event := fail(b, 1, start); event != nil {
			t.Fatal(event)
		}
	}
}

func TestExactlyHalfFailingOpensAtTwiceTheThreshold(t *testing.T) {
	b := newBreaker(t, breaker.DefaultConfig())
	for i := 1; i <= 10; i++ {
		succeed(b, 1, start)
		if event := fail(b, 1, start); (event != nil) != (i == 10) {
			t.Fatalf("after %d failures and %d successes: %v", i, i, event)
		}
	}
}

func TestProbesThatAllSucceedClose(t *testing.T) {
	b, now := halfOpen(t, breaker.DefaultConfig())
	first, _ := b.Admit()
	second, _ := b.Admit()
	if _, ok := b.Admit(); ok {
		t.Fatal("a third call passes")
	}
	if got := b.RetryAfter(now); got != time.Second {
		t.Errorf("RetryAfter with all probes out = %v, want 1s", got)
	}
	if event := b.Success(first, now); event != nil {
		t.Fatalf("one success of two: %v", event)
	}
	if event := b.Success(first, now); event != nil {
		t.Fatalf("the same success again: %v", event)
	}
	if _, ok := b.Admit(); ok {
		t.Fatal("a third call passes after one success")
	}
	if event := b.Success(second, now); event == nil || event.To != breaker.Closed || event.Reason != breaker.ProbesSucceeded {
		t.Errorf("both succeeded: %v, want closed", event)
	}
}

func TestOneFailedProbeOpensAgain(t *testing.T) {
	b, now := halfOpen(t, breaker.DefaultConfig())
	first, _ := b.Admit()
	second, _ := b.Admit()
	if event := b.Failure(first, now); event == nil || event.To != breaker.Open || event.Trips != 2 {
		t.Errorf("a failed probe: %v, want open for the second time", event)
	}
	if event := b.Success(second, now); event != nil {
		t.Errorf("the other probe, late: %v", event)
	}
	if event := b.HalfOpen(now.Add(59 * time.Second)); event != nil {
		t.Errorf("before a whole new timeout: %v", event)
	}
}

func TestACallAdmittedBeforeOpeningDecidesNothing(t *testing.T) {
	b := newBreaker(t, breaker.DefaultConfig())
	early := make([]breaker.Token, 10)
	for i := range early {
		early[i], _ = b.Admit()
	}
	fail(b, 5, start)
	b.HalfOpen(at(time.Minute))
	if event := b.Success(early[0], at(time.Minute)); event != nil {
		t.Errorf("its success: %v", event)
	}
	if event := b.Failure(early[1], at(time.Minute)); event != nil {
		t.Errorf("its failure: %v", event)
	}
	succeedProbes(b, at(time.Minute))
	for _, token := range early[2:] {
		if event := b.Failure(token, at(time.Minute)); event != nil {
			t.Errorf("its failure after closing: %v", event)
		}
	}
	if got := b.Snapshot(at(time.Minute)); got.State != breaker.Closed || got.Failures != 0 {
		t.Errorf("the window holds %d failures in state %s, want 0, closed", got.Failures, got.State)
	}
	if b.Holds(early[0]) {
		t.Error("it holds a token of its first period")
	}
}

func succeedProbes(b *breaker.Breaker, now time.Time) {
	for token, ok := b.Admit(); ok && b.State() == breaker.HalfOpen; token, ok = b.Admit() {
		b.Success(token, now)
	}
}

func TestAProbeThatDoesNotComeBackOpensAgain(t *testing.T) {
	cfg := breaker.DefaultConfig()
	b, now := halfOpen(t, cfg)
	b.Admit()
	if event := b.ExpireProbes(now.Add(cfg.ProbeTimeout)); event != nil {
		t.Fatalf("at the first look: %v", event)
	}
	if event := b.ExpireProbes(now.Add(2*cfg.ProbeTimeout - 1)); event != nil {
		t.Fatalf("before its deadline: %v", event)
	}
	event := b.ExpireProbes(now.Add(2 * cfg.ProbeTimeout))
	if event == nil || event.To != breaker.Open || event.Reason != breaker.ProbeExpired {
		t.Errorf("at its deadline: %v, want open", event)
	}
}

func TestACancelledProbeIsFreeAgain(t *testing.T) {
	b, now := halfOpen(t, breaker.DefaultConfig())
	first, _ := b.Admit()
	b.Admit()
	b.Cancel(first)
	if !b.Passes() {
		t.Error("no probe is free")
	}
	if event := b.Success(first, now); event != nil || b.Snapshot(now).Succeeded != 0 {
		t.Errorf("a cancelled call succeeded: %v", event)
	}
}

func TestCancellingACallOfAnEarlierPeriodFreesNothing(t *testing.T) {
	b, now := halfOpen(t, breaker.DefaultConfig())
	early, _ := b.Admit()
	b.Failure(b.Current(), now)
	b.HalfOpen(now.Add(time.Minute))
	b.Admit()
	b.Admit()
	b.Cancel(early)
	if b.Passes() {
		t.Error("a probe of this period became free")
	}
}

func TestAForceHoldsUntilReset(t *testing.T) {
	b := newBreaker(t, breaker.DefaultConfig())
	if event := b.Force(breaker.Open, start); event != nil {
		t.Errorf("Force(open) = %v: not a forced state", event)
	}
	b.Force(breaker.ForcedClosed, start)
	if event := fail(b, 100, start); event != nil || !b.Passes() {
		t.Errorf("forced closed, a hundred failures: %v", event)
	}
	b.Force(breaker.ForcedOpen, start)
	if event := b.Force(breaker.ForcedOpen, start); event != nil {
		t.Errorf("the same force again: %v", event)
	}
	if event := b.Tick(at(time.Hour)); event != nil || b.Passes() {
		t.Errorf("forced open, an hour: %v", event)
	}
	if event := b.Trip(breaker.ChildrenFailed, start); event != nil {
		t.Errorf("a trip while forced: %v", event)
	}
	if event := b.Reset(at(time.Hour)); event == nil || event.To != breaker.Closed || !b.Passes() {
		t.Errorf("Reset = %v, want closed", event)
	}
}

func TestNoBreakerAdmitsEverything(t *testing.T) {
	var b *breaker.Breaker
	token, ok := b.Admit()
	if !ok || !b.Passes() || !b.Holds(token) || b.State() != breaker.Closed {
		t.Error("nil refuses")
	}
	if b.Success(token, start) != nil || b.Failure(b.Current(), start) != nil {
		t.Error("nil moved")
	}
	b.Cancel(token)
}

func TestAdmissionAllocatesNothing(t *testing.T) {
	closed, open := newBreaker(t, breaker.DefaultConfig()), newBreaker(t, breaker.DefaultConfig())
	open.Trip(breaker.FailureRate, start)
	half, _ := halfOpen(t, breaker.DefaultConfig())
	gate := breaker.NewGate(closed, nil)
	for name, call := range map[string]func(){
		"closed":    func() { closed.Admit() },
		"open":      func() { open.Admit() },
		"half-open": func() { token, _ := half.Admit(); half.Cancel(token) },
		"outcome":   func() { token, _ := closed.Admit(); closed.Success(token, start) },
		"gate":      func() { pass, _ := gate.Admit(); gate.Success(pass, start) },
	} {
		if got := testing.AllocsPerRun(1_000, call); got != 0 {
			t.Errorf("%s: %v allocations a call, want 0", name, got)
		}
	}
}

func TestNamesAreComplete(t *testing.T) {
	for s := breaker.Closed; s <= breaker.ForcedClosed; s++ {
		if s.String() == "" {
			t.Errorf("state %d has no name", s)
		}
	}
	for r := breaker.FailuresInRow; r <= breaker.Forgotten; r++ {
		if r.String() == "" {
			t.Errorf("reason %d has no name", r)
		}
	}
	got := []string{breaker.State(0).String(), breaker.Reason(99).String(), breaker.Scope(0).String()}
	if diff := cmp.Diff([]string{"state(0)", "reason(99)", "scope(0)"}, got); diff != "" {
		t.Errorf("unknown values (-want +got):\n%s", diff)
	}
	gauges := []int{breaker.Closed.Gauge(), breaker.Open.Gauge(), breaker.HalfOpen.Gauge(),
		breaker.ForcedOpen.Gauge(), breaker.ForcedClosed.Gauge()}
	if diff := cmp.Diff([]int{0, 1, 2, 1, 0}, gauges); diff != "" {
		t.Errorf("gauges (-want +got):\n%s", diff)
	}
}
