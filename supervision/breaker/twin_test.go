package breaker_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/supervision/breaker"
)

// twin is the obviously right breaker: it keeps every outcome of the closed period
// in a list and counts them anew each time.
type twin struct {
	cfg        breaker.Config
	state      breaker.State
	generation int
	calls      []outcome // of this closed period, as reported
	until      time.Time
	probes     []twinProbe
	trips      int
	cause      breaker.Reason
	// failures and successes were in the window when it was last closed.
	failures, successes int
}

type outcome struct {
	at     time.Time
	bucket int // at which it counts: late ones count in the newest
	failed bool
}

type twinProbe struct {
	state    string // "free", "out", "good"
	deadline time.Time
}

// twinToken is a call the twin admitted.
type twinToken struct {
	generation int
	probe      int // -1 for none
}

func newTwin(cfg breaker.Config) *twin { return &twin{cfg: cfg, state: breaker.Closed} }

func (m *twin) clone() *twin {
	c := *m
	c.calls = slices.Clone(m.calls)
	c.probes = slices.Clone(m.probes)
	return &c
}

func (m *twin) move(to breaker.State, why breaker.Reason, now time.Time) {
	if m.state == breaker.Closed {
		m.failures, m.successes = m.inWindow(m.newest(now))
	}
	if to == breaker.Open || to.Forced() {
		m.cause = why
	}
	m.state = to
	m.generation++
	m.calls = nil
	m.probes = nil
	switch to {
	case breaker.Open:
		m.until = now.Add(m.cfg.Timeout)
		m.trips++
	case breaker.HalfOpen:
		for range m.cfg.SuccessThreshold {
			m.probes = append(m.probes, twinProbe{state: "free"})
		}
	case breaker.Closed, breaker.ForcedOpen, breaker.ForcedClosed:
	}
}

func (m *twin) admit() (twinToken, bool) {
	switch m.state {
	case breaker.Closed, breaker.ForcedClosed:
		return twinToken{m.generation, -1}, true
	case breaker.HalfOpen:
		for i := range m.probes {
			if m.probes[i].state == "free" {
				m.probes[i].state = "out"
				return twinToken{m.generation, i}, true
			}
		}
	case breaker.Open, breaker.ForcedOpen:
	}
	return twinToken{}, false
}

func (m *twin) passes() bool { _, ok := m.clone().admit(); return ok }

func (m *twin) bucket(at time.Time) int { return int(at.Sub(start) / (m.cfg.Window / 30)) }

func (m *twin) note(at time.Time, failed bool) {
	m.calls = append(m.calls, outcome{at, m.newest(at), failed})
}

// newest is the bucket that an outcome at the given time counts in.
func (m *twin) newest(at time.Time) int {
	bucket := m.bucket(at)
	for _, c := range m.calls {
		bucket = max(bucket, c.bucket)
	}
	return bucket
}

// inWindow counts the calls of the 30 buckets that end with the newest.
func (m *twin) inWindow(newest int) (failures, successes int) {
	for _, c := range m.calls {
		switch {
		case c.bucket <= newest-30:
		case c.failed:
			failures++
		default:
			successes++
		}
	}
	return failures, successes
}

func (m *twin) inRow(now time.Time) (all, young int) {
	for _, c := range slices.Backward(m.calls) {
		if !c.failed || all == m.cfg.FailureThreshold {
			break
		}
		all++
		if now.Sub(c.at) < m.cfg.Window {
			young++
		}
	}
	return all, young
}

func (m *twin) success(t twinToken, now time.Time) {
	if t.generation != m.generation {
		return
	}
	switch m.state {
	case breaker.Closed:
		m.note(now, false)
	case breaker.HalfOpen:
		if t.probe < 0 || m.probes[t.probe].state != "out" {
			return
		}
		m.probes[t.probe].state = "good"
		if !slices.ContainsFunc(m.probes, func(p twinProbe) bool { return p.state != "good" }) {
			m.move(breaker.Closed, breaker.ProbesSucceeded, now)
		}
	case breaker.Open, breaker.ForcedOpen, breaker.ForcedClosed:
	}
}

func (m *twin) failure(t twinToken, now time.Time) {
	if t.generation != m.generation {
		return
	}
	switch m.state {
	case breaker.Closed:
		m.note(now, true)
		failures, successes := m.inWindow(m.calls[len(m.calls)-1].bucket)
		all, _ := m.inRow(now)
		oldest := m.calls[len(m.calls)-all].at
		switch {
		case all == m.cfg.FailureThreshold && now.Sub(oldest) < m.cfg.Window:
			m.move(breaker.Open, breaker.FailuresInRow, now)
		case failures >= successes && failures >= 2*m.cfg.FailureThreshold:
			m.move(breaker.Open, breaker.FailureRate, now)
		}
	case breaker.HalfOpen:
		m.move(breaker.Open, breaker.ProbeFailed, now)
	case breaker.Open, breaker.ForcedOpen, breaker.ForcedClosed:
	}
}

func (m *twin) cancel(t twinToken) {
	if t.generation == m.generation && t.probe >= 0 && m.probes[t.probe].state == "out" {
		m.probes[t.probe] = twinProbe{state: "free"}
	}
}

func (m *twin) tick(now time.Time) {
	if m.state == breaker.Open && !now.Before(m.until) {
		m.move(breaker.HalfOpen, breaker.TimeoutPassed, now)
		return
	}
	for i := range m.probes {
		p := &m.probes[i]
		switch {
		case p.state != "out":
		case p.deadline.IsZero():
			p.deadline = now.Add(m.cfg.ProbeTimeout)
		case !now.Before(p.deadline):
			m.move(breaker.Open, breaker.ProbeExpired, now)
			return
		}
	}
}

func (m *twin) snapshot(now time.Time) breaker.Snapshot {
	s := breaker.Snapshot{
		Path: "/guard", Scope: breaker.Own, State: m.state, Generation: uint64(m.generation), Trips: uint64(m.trips),
		Cause: m.cause,
	}
	failures, successes := m.failures, m.successes
	if m.state == breaker.Closed {
		failures, successes = m.inWindow(m.newest(now))
	}
	s.Failures, s.Successes = uint64(failures), uint64(successes)
	_, s.InRow = m.inRow(now)
	for _, p := range m.probes {
		switch p.state {
		case "out":
			s.InFlight++
		case "good":
			s.Succeeded++
		}
	}
	if m.state == breaker.Open {
		s.RetryAfter = max(m.until.Sub(now), 0)
	}
	return s
}

func TestABreakerBehavesLikeItsTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := breaker.Config{
			FailureThreshold: rapid.IntRange(1, 4).Draw(t, "failure threshold"),
			SuccessThreshold: rapid.IntRange(1, 3).Draw(t, "success threshold"),
			Timeout:          time.Minute,
			Window:           5 * time.Minute,
			ProbeTimeout:     10 * time.Second,
		}
		b, err := breaker.New("/guard", cfg, start)
		if err != nil {
			t.Fatal(err)
		}
		model := newTwin(cfg)
		now := start
		type call struct {
			token breaker.Token
			twin  twinToken
		}
		var calls []call
		take := func(t *rapid.T) call {
			if len(calls) == 0 {
				t.Skip("no call is out")
			}
			i := rapid.IntRange(0, len(calls)-1).Draw(t, "call")
			c := calls[i]
			calls = slices.Delete(calls, i, i+1)
			return c
		}
		admit := func(t *rapid.T) {
			token, ok := b.Admit()
			twinToken, want := model.admit()
			if ok != want {
				t.Fatalf("Admit = %v, want %v", ok, want)
			}
			if ok {
				calls = append(calls, call{token, twinToken})
			}
		}
		// reported is when an outcome happened: mostly now, sometimes a little ago.
		reported := func(t *rapid.T) time.Time {
			late := rapid.SampledFrom([]time.Duration{0, 0, 0, time.Second, 15 * time.Second}).Draw(t, "late")
			if at := now.Add(-late); at.After(start) {
				return at
			}
			return now
		}
		t.Repeat(map[string]func(*rapid.T){
			"admit":       admit,
			"admit again": admit,
			"success": func(t *rapid.T) {
				c, at := take(t), reported(t)
				b.Success(c.token, at)
				model.success(c.twin, at)
			},
			"failure": func(t *rapid.T) {
				c, at := take(t), reported(t)
				b.Failure(c.token, at)
				model.failure(c.twin, at)
			},
			"failure outside a call": func(*rapid.T) {
				b.Failure(b.Current(), now)
				model.failure(twinToken{model.generation, -1}, now)
			},
			"failures": func(t *rapid.T) {
				for range rapid.IntRange(1, 4).Draw(t, "n") {
					b.Failure(b.Current(), now)
					model.failure(twinToken{model.generation, -1}, now)
				}
			},
			"successes": func(t *rapid.T) {
				for range rapid.IntRange(1, 9).Draw(t, "n") {
					b.Success(b.Current(), now)
					model.success(twinToken{model.generation, -1}, now)
				}
			},
			"cancel": func(t *rapid.T) {
				c := take(t)
				b.Cancel(c.token)
				model.cancel(c.twin)
			},
			"time passes": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "seconds")) * time.Second)
			},
			"much time passes": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 700).Draw(t, "seconds")) * time.Second)
			},
			"tick":       func(*rapid.T) { b.Tick(now); model.tick(now) },
			"tick again": func(*rapid.T) { b.Tick(now); model.tick(now) },
			"trip": func(*rapid.T) {
				b.Trip(breaker.ChildrenFailed, now)
				if model.state == breaker.Closed || model.state == breaker.HalfOpen {
					model.move(breaker.Open, breaker.ChildrenFailed, now)
				}
			},
			"force": func(t *rapid.T) {
				to := rapid.SampledFrom([]breaker.State{breaker.ForcedOpen, breaker.ForcedClosed}).Draw(t, "to")
				b.Force(to, now)
				if model.state != to {
					model.move(to, breaker.ByOperator, now)
				}
			},
			"reset": func(*rapid.T) {
				b.Reset(now)
				model.move(breaker.Closed, breaker.ResetByOperator, now)
			},
			"": func(t *rapid.T) {
				if got, want := b.Passes(), model.passes(); got != want {
					t.Fatalf("Passes = %v, want %v", got, want)
				}
				got, want := b.Snapshot(now), model.snapshot(now)
				got.Since = time.Time{}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("snapshot (-twin +breaker):\n%s", diff)
				}
			},
		})
	})
}
