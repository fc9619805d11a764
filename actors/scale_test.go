package actors_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/supervision/breaker"
)

// permissive restarts at once, for ever.
func permissive(c *actors.Config) {
	c.Supervision.Intensity.Restarts = 1 << 30
	c.Supervision.Backoff.Initial, c.Supervision.Backoff.Max = 0, 0
	c.MailboxLimit = 1 << 20
}

// BenchmarkPanic makes one child panic on each message, as fast as it can be
// restarted, while a sibling answers asks.
func BenchmarkPanic(b *testing.B) {
	s := newSystem(b, permissive)
	sibling := spawn(b, s, spec("sibling", echo))
	if err := s.Force(actors.Forced{Path: "/poison", Scope: breaker.Cell, State: breaker.ForcedClosed}); err != nil {
		b.Fatal(err)
	}
	seen := 0
	done := make(chan struct{})
	poison := spawn(b, s, spec("poison", func(*actors.Context, any) error {
		if seen++; seen == b.N {
			close(done)
		}
		panic("poison")
	}))
	quiet := latencies(sibling, time.Now().Add(100*time.Millisecond), nil)
	b.ResetTimer()
	defer cpu(b)()
	go func() {
		for range b.N {
			for poison.Tell(1) != nil {
				time.Sleep(time.Millisecond)
			}
		}
	}()
	during := latencies(sibling, time.Time{}, done)
	b.StopTimer()
	b.ReportMetric(float64(p99(quiet).Nanoseconds()), "quiet-p99-ns")
	b.ReportMetric(float64(p99(during).Nanoseconds()), "sibling-p99-ns")
}

// latencies asks until the time or the signal.
func latencies(ref actors.Ref, until time.Time, done <-chan struct{}) []time.Duration {
	var took []time.Duration
	for {
		began := time.Now()
		if !until.IsZero() && began.After(until) {
			return took
		}
		select {
		case <-done:
			return took
		default:
		}
		if _, err := actors.Ask[int](context.Background(), ref, 1); err != nil {
			panic(err)
		}
		if took = append(took, time.Since(began)); len(took) > 1<<20 {
			took = took[:0]
		}
		time.Sleep(50 * time.Microsecond)
	}
}

func p99(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)*99/100]
}

// idle does nothing and has no state.
type idle struct{}

func (idle) Receive(*actors.Context, any) error { return nil }

// BenchmarkIdleChildren spawns b.N children under one parent and stops them.
func BenchmarkIdleChildren(b *testing.B) {
	b.Run("bursar", func(b *testing.B) {
		s, err := actors.New(actors.DefaultConfig(), slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		top := spawn(b, s, spec("top", func(ctx *actors.Context, _ any) error {
			for i := range b.N {
				if _, err := ctx.Spawn(actors.Spec{Name: fmt.Sprint(i), Kind: "idle", New: newIdle}); err != nil {
					return err
				}
			}
			ctx.Reply(b.N)
			return nil
		}))
		population(b, func() {
			if _, err := actors.Ask[int](context.Background(), top, "spawn"); err != nil {
				b.Fatal(err)
			}
			for s.Stats().Ready > 0 {
				runtime.Gosched()
			}
		}, func() {
			if err := s.Stop(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("bare", func(b *testing.B) {
		s := bareSystem()
		var started atomic.Int64
		child := actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				started.Add(1)
			}
		})
		top := s.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if c.Message() == "spawn" {
				for range b.N {
					c.Spawn(child)
				}
				c.Respond(b.N)
			}
		}))
		population(b, func() {
			if _, err := s.Root.RequestFuture(top, "spawn", time.Hour).Result(); err != nil {
				b.Fatal(err)
			}
			for started.Load() < int64(b.N) {
				runtime.Gosched()
			}
		}, func() {
			ended := make(chan struct{})
			s.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				switch c.Message().(type) {
				case *actor.Started:
					c.Watch(top)
				case *actor.Terminated:
					close(ended)
				}
			}))
			s.Root.Stop(top)
			<-ended
		})
	})
}

// population measures how b.N actors are made and ended, and what they weigh.
func population(b *testing.B, make, end func()) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	defer cpu(b)()
	began := time.Now()
	make()
	made := time.Since(began)
	b.StopTimer()
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.StartTimer()
	began = time.Now()
	end()
	b.ReportMetric(float64(made.Nanoseconds())/float64(b.N), "spawn-ns")
	b.ReportMetric(float64(time.Since(began).Nanoseconds())/float64(b.N), "stop-ns")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(b.N), "B/idle-actor")
}

func newIdle() actors.Actor { return idle{} }

func TestManyProducersLoseNoMessage(t *testing.T) {
	s := newSystem(t, func(c *actors.Config) { c.MailboxLimit, c.Quota = 64, 7 })
	const senders, each, targets = 8, 20_000, 16
	var refs []actors.Ref
	handled := make([]int, targets)
	last := make([][senders]int, targets)
	for i := range targets {
		refs = append(refs, spawn(t, s, spec(fmt.Sprint(i), func(_ *actors.Context, msg any) error {
			m := msg.([2]int)
			if m[1] < last[i][m[0]] {
				t.Errorf("sender %d: %d after %d", m[0], m[1], last[i][m[0]])
			}
			last[i][m[0]] = m[1]
			handled[i]++
			return nil
		})))
	}
	taken := make([]int, senders)
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			for n := range each {
				if refs[n%targets].Tell([2]int{sender, n}) == nil {
					taken[sender]++
				}
			}
		})
	}
	wg.Wait()
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, want := 0, 0
	for _, n := range handled {
		got += n
	}
	for _, n := range taken {
		want += n
	}
	if got != want {
		t.Errorf("handled = %d, want the %d that were taken", got, want)
	}
}
