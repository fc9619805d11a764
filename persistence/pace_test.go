package persistence_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/persistence"
)

var start = time.UnixMilli(1_700_000_000_000)

// steady is the pace of a log that settles 1,000 transactions each 10 ms, and the time.
func steady() (*persistence.Pace, time.Time) {
	pace, now := new(persistence.Pace), start
	pace.Begins(now)
	for range 100 {
		now = now.Add(10 * time.Millisecond)
		pace.Settled(1000, true, now)
	}
	return pace, now
}

func TestPace(t *testing.T) {
	pace, now := steady()
	near := func(what string, got, want time.Duration) {
		t.Helper()
		if got < want-want/20 || got > want+want/20 {
			t.Errorf("%s: %s, want about %s", what, got, want)
		}
	}
	near("5,000 ahead", pace.Wait(5000, now), 50*time.Millisecond)
	near("5,000 ahead of a log that stands for 3 s", pace.Wait(5000, now.Add(3*time.Second)), 3*time.Second)
	pace.Settled(10, false, now.Add(time.Second))
	near("after an entry that left nothing behind", pace.Wait(5000, now.Add(time.Second)), 50*time.Millisecond)
	now = now.Add(time.Minute)
	pace.Begins(now)
	for range 100 { // ten times as slow
		now = now.Add(100 * time.Millisecond)
		pace.Settled(1000, true, now)
	}
	near("10 s of a slower disk", pace.Wait(5000, now), 500*time.Millisecond)
	unseen := new(persistence.Pace)
	unseen.Begins(start)
	near("nothing known yet", unseen.Wait(5000, start), 50*time.Millisecond)
	near("nothing known yet, for 2 s", unseen.Wait(5000, start.Add(2*time.Second)), 2*time.Second)
}

// TestPaceIsThatOfTheLog: whatever a log's constant rate and batches, and whatever it did
// before, what is said after a few seconds of backlog is its rate.
func TestPaceIsThatOfTheLog(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		pace, now := new(persistence.Pace), start
		pace.Begins(now)
		for range rapid.IntRange(0, 5).Draw(rt, "before") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(rt, "took")))
			pace.Settled(rapid.IntRange(1, 1024).Draw(rt, "txns"), rapid.Bool().Draw(rt, "backlog"), now)
		}
		each := time.Duration(rapid.Int64Range(1000, 10_000_000).Draw(rt, "ns a transaction"))
		pace.Begins(now)
		for spent := time.Duration(0); spent < 5*time.Second; {
			n := rapid.IntRange(1, 1024).Draw(rt, "batch")
			took := each * time.Duration(n)
			now, spent = now.Add(took), spent+took
			pace.Settled(n, true, now)
		}
		ahead := rapid.IntRange(0, 1<<16).Draw(rt, "ahead")
		got, want := pace.Wait(ahead, now), each*time.Duration(ahead)
		if diff := (got - want).Abs(); diff > want/1000+time.Microsecond {
			rt.Fatalf("%d ahead at %s each: %s, want %s", ahead, each, got, want)
		}
	})
}

func TestAdmission(t *testing.T) {
	cfg := persistence.DefaultJournalConfig()
	cfg.QueueDelayMax = 100 * time.Millisecond
	pace, now := steady()
	caller := persistence.Arrival{Deadline: now.Add(time.Second), Now: now}
	hurried := persistence.Arrival{Deadline: now.Add(45 * time.Millisecond), Now: now}
	delayed := persistence.Arrival{Deadline: now.Add(time.Second), Received: now.Add(-60 * time.Millisecond), Now: now}
	nobody := persistence.Arrival{Now: now}
	sweep := persistence.Arrival{Priority: persistence.Low, Now: now}
	later := persistence.Arrival{Deadline: now.Add(time.Minute), Now: now.Add(time.Second)}
	for name, c := range map[string]struct {
		arrival   persistence.Arrival
		high, low int
		refused   bool
	}{
		"nothing waits":                          {caller, 0, 0, false},
		"less than it may wait for":              {caller, 9000, 0, false},
		"more than it may wait for":              {caller, 11000, 0, true},
		"sweeps are ahead with their share only": {caller, 7000, 8000, false},
		"sweeps and callers":                     {caller, 9500, 8000, true},
		"more than its deadline leaves":          {hurried, 4800, 0, true},
		"within its deadline":                    {hurried, 4200, 0, false},
		"more than its deadline, of few":         {hurried, 4000, 0, false},
		"it waited elsewhere":                    {delayed, 5000, 0, true},
		"late once, and the queue is short":      {delayed, 4000, 0, false},
		"the node's own work":                    {nobody, 60000, 0, false},
		"a sweep":                                {sweep, 60000, 0, false},
		"the log stands, and little waits":       {later, 4000, 0, false},
		"the log stands":                         {later, 4100, 0, true},
		"no room for the node's own work":        {nobody, 65536, 0, true},
		"no room for a sweep":                    {sweep, 0, 8192, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := *pace
			err := c.arrival.AdmitTo(cfg, &p, c.high, c.low)
			if errors.Is(err, persistence.ErrOverloaded) != c.refused {
				t.Errorf("%v, want refused: %t", err, c.refused)
			}
		})
	}
}

// TestAdmissionOfCallersThatKeepComingLate: a pause of the machine refuses nobody; callers
// who have been late for longer than a queue may take are too many.
func TestAdmissionOfCallersThatKeepComingLate(t *testing.T) {
	cfg := persistence.DefaultJournalConfig()
	cfg.QueueDelayMax = 100 * time.Millisecond
	pace := new(persistence.Pace)
	come := func(at, late time.Duration) bool {
		now := start.Add(at)
		a := persistence.Arrival{Deadline: now.Add(time.Minute), Received: now.Add(-late), Now: now}
		return a.AdmitTo(cfg, pace, 0, 0) == nil
	}
	ms := time.Millisecond
	for i, step := range []struct {
		at, late time.Duration
		admitted bool
	}{
		{0, 0, true}, {300 * ms, 300 * ms, true}, {380 * ms, 350 * ms, true}, // a pause
		{410 * ms, 10 * ms, true}, {420 * ms, 120 * ms, true}, {500 * ms, 120 * ms, true},
		{530 * ms, 120 * ms, false}, {640 * ms, 120 * ms, false}, // for more than 100 ms
		{650 * ms, 50 * ms, true}, {660 * ms, 120 * ms, true}, // over
	} {
		if got := come(step.at, step.late); got != step.admitted {
			t.Errorf("step %d: admitted %t, want %t", i, got, step.admitted)
		}
	}
}

// TestAdmissionOfOneBurst: what one connection sent at once is taken from an idle log, however
// long the machine takes over it, and so is the next burst, though the last one ended late.
func TestAdmissionOfOneBurst(t *testing.T) {
	cfg := persistence.DefaultJournalConfig()
	rapid.Check(t, func(rt *rapid.T) {
		pace, now := new(persistence.Pace), start
		for burst := range rapid.IntRange(1, 4).Draw(rt, "bursts") {
			now = now.Add(time.Duration(rapid.Int64Range(1, int64(time.Second)).Draw(rt, "idle")))
			received := now
			read := now.Add(time.Duration(rapid.Int64Range(0, int64(cfg.QueueDelayMax)).Draw(rt, "read within")))
			for i := range rapid.IntRange(1, 20).Draw(rt, "calls") {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(200*time.Millisecond)).Draw(rt, "took")))
				a := persistence.Arrival{Deadline: now.Add(time.Second), Received: received, Now: now}
				if err := a.AdmitTo(cfg, pace, 0, 0); err != nil {
					rt.Fatalf("burst %d, call %d, %s after it was received: %v", burst, i, now.Sub(received), err)
				}
				if received = read; now.Before(received) {
					now = received
				}
			}
		}
	})
}

// TestAdmissionIsFairToTime: who is admitted with some queue is admitted with a shorter one
// and with more time; and advice is within its bounds.
func TestAdmissionIsFairToTime(t *testing.T) {
	cfg := persistence.DefaultJournalConfig()
	rapid.Check(t, func(rt *rapid.T) {
		pace, now := steady()
		high, low := rapid.IntRange(0, 1<<16).Draw(rt, "high"), rapid.IntRange(0, 1<<13).Draw(rt, "low")
		left := time.Duration(rapid.Int64Range(1, int64(time.Second)).Draw(rt, "left"))
		a := persistence.Arrival{Deadline: now.Add(left), Now: now}
		b := persistence.Arrival{Deadline: now.Add(left + time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(rt, "more"))), Now: now}
		err := a.AdmitTo(cfg, pace, high, low)
		other := b.AdmitTo(cfg, pace, high-rapid.IntRange(0, high).Draw(rt, "less"), low)
		if err == nil && other != nil {
			rt.Fatalf("the longer queue takes it, the shorter says %v", other)
		}
		var overload *persistence.OverloadError
		if errors.As(err, &overload) && (overload.RetryAfter < 20*time.Millisecond || overload.RetryAfter > 5*time.Second) {
			rt.Fatalf("advice of %s", overload.RetryAfter)
		}
	})
}
