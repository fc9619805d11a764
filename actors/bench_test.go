package actors_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/the-block/bursar/actors"
)

// The benchmarks run each load on this package and on bare protoactor, so that
// the ratio comes from one run on one machine.

// counter counts messages and signals when all have come.
type counter struct {
	left *atomic.Int64
	done chan struct{}
}

func (c *counter) Receive(*actors.Context, any) error {
	if c.left.Add(-1) == 0 {
		close(c.done)
	}
	return nil
}

func bareSystem() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
}

// cpu reports the processor time of all that runs between its call and the call
// of what it returns: on a machine with other work it says more than the clock.
func cpu(b *testing.B) (stop func()) {
	began := processorTime()
	return func() { b.ReportMetric(float64(processorTime()-began)/float64(b.N), "cpu-ns/op") }
}

func processorTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// producers is how many goroutines send.
const producers = 2

// scatter sends n messages from all producers, round robin over the targets.
func scatter(n, targets int, send func(target, i int)) {
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			at := p * targets / producers
			for i := p; i < n; i += producers {
				send(at, i)
				if at++; at == targets {
					at = 0
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkTell(b *testing.B) {
	for _, targets := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprintf("actors=%d/bursar", targets), func(b *testing.B) {
			s := newSystem(b, func(c *actors.Config) { c.MailboxLimit = 1 << 20 })
			var left atomic.Int64
			done := make(chan struct{})
			refs := make([]actors.Ref, targets)
			for i := range refs {
				refs[i] = spawn(b, s, actors.Spec{Name: fmt.Sprint(i), Kind: "counter", New: func() actors.Actor {
					return &counter{&left, done}
				}})
			}
			left.Store(int64(b.N))
			b.ResetTimer()
			defer cpu(b)()
			scatter(b.N, targets, func(at, i int) {
				for refs[at].Tell(i&127) != nil {
					time.Sleep(10 * time.Microsecond)
				}
			})
			<-done
		})
		b.Run(fmt.Sprintf("actors=%d/bare", targets), func(b *testing.B) {
			s := bareSystem()
			var left atomic.Int64
			done := make(chan struct{})
			props := actor.PropsFromFunc(func(c actor.Context) {
				if _, ok := c.Message().(int); ok && left.Add(-1) == 0 {
					close(done)
				}
			})
			pids := make([]*actor.PID, targets)
			for i := range pids {
				pids[i] = s.Root.Spawn(props)
			}
			left.Store(int64(b.N))
			b.ResetTimer()
			defer cpu(b)()
			scatter(b.N, targets, func(at, i int) { s.Root.Send(pids[at], i&127) })
			<-done
		})
	}
}

func BenchmarkAsk(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d/bursar", callers), func(b *testing.B) {
			s := newSystem(b)
			refs := make([]actors.Ref, callers)
			for i := range refs {
				refs[i] = spawn(b, s, spec(fmt.Sprint(i), echo))
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			b.ReportAllocs()
			b.ResetTimer()
			defer cpu(b)()
			call(b.N, callers, func(c int) {
				if _, err := actors.Ask[int](ctx, refs[c], 7); err != nil {
					panic(err)
				}
			})
		})
		b.Run(fmt.Sprintf("callers=%d/bare", callers), func(b *testing.B) {
			s := bareSystem()
			props := actor.PropsFromFunc(func(c actor.Context) {
				if n, ok := c.Message().(int); ok {
					c.Respond(n)
				}
			})
			pids := make([]*actor.PID, callers)
			for i := range pids {
				pids[i] = s.Root.Spawn(props)
			}
			b.ReportAllocs()
			b.ResetTimer()
			defer cpu(b)()
			call(b.N, callers, func(c int) {
				if _, err := s.Root.RequestFuture(pids[c], 7, time.Hour).Result(); err != nil {
					panic(err)
				}
			})
		})
	}
}

// call makes n calls from so many callers, each waiting for its answer.
func call(n, callers int, ask func(caller int)) {
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := c; i < n; i += callers {
				ask(c)
			}
		})
	}
	wg.Wait()
}
