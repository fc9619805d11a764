package actors_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/supervisiontest"
)

// take asks whether a client may make one more call. The answer is a bool.
type take struct{ client string }

// bucket allows a burst of calls, and then one per interval. It is one client's.
type bucket struct {
	burst    int
	interval time.Duration

	left  int
	since time.Time // when left was right
}

// Start implements actors.Starter: each incarnation begins with a full bucket, and a
// client that is not heard of for a while costs nothing.
func (b *bucket) Start(ctx *actors.Context) error {
	b.left, b.since = b.burst, time.Now()
	ctx.SetPassivation(time.Hour)
	return nil
}

// Receive implements actors.Actor.
func (b *bucket) Receive(_ *actors.Context, msg any) error {
	q, ok := msg.(question)
	if !ok {
		return fmt.Errorf("bucket: unknown message %T", msg)
	}
	q.asker.Reply(b.take(time.Now()))
	return nil
}

// take is the rule. It is a function of the bucket and the time, and so easy to test.
func (b *bucket) take(now time.Time) bool {
	refilled := int(now.Sub(b.since) / b.interval)
	b.left = min(b.left+refilled, b.burst)
	b.since = b.since.Add(time.Duration(refilled) * b.interval)
	if b.left == 0 {
		return false
	}
	b.left--
	return true
}

// limiter gives every client a bucket and passes its questions on.
type limiter struct {
	burst    int
	interval time.Duration
}

// Receive implements actors.Actor.
func (l *limiter) Receive(ctx *actors.Context, msg any) error {
	asked, ok := msg.(take)
	if !ok {
		return fmt.Errorf("limiter: unknown message %T", msg)
	}
	bucket, err := l.bucket(ctx, asked.client)
	if err != nil { // a rejection is a reply, not a failure
		ctx.Reply(err)
		return nil
	}
	q := question{ctx.Replier()}
	if err := bucket.Tell(q); err != nil {
		q.asker.Reply(err)
	}
	return nil
}

// bucket finds a client's bucket, or makes it.
func (l *limiter) bucket(ctx *actors.Context, client string) (actors.Ref, error) {
	if ref, ok := ctx.Child(client); ok {
		return ref, nil
	}
	return ctx.Spawn(actors.Spec{Name: client, Kind: "bucket", MailboxLimit: 64, New: func() actors.Actor {
		return &bucket{burst: l.burst, interval: l.interval}
	}})
}

// question carries the right to answer from the limiter to the bucket.
type question struct{ asker actors.Replier }

// Undelivered implements actors.Undeliverable: who asked a bucket that failed, or that
// its breaker shuts off, is told so at once.
func (q question) Undelivered(err error) { q.asker.Reply(err) }

// limiterSpec describes the limiter to whoever spawns it.
func limiterSpec(burst int, interval time.Duration) actors.Spec {
	spec := actors.Spec{Name: "limiter", New: func() actors.Actor {
		return &limiter{burst: burst, interval: interval}
	}}
	spec.Supervision = supervision.DefaultSpec()
	spec.Supervision.Template = supervision.DefaultTemplate() // what each bucket is like
	spec.Supervision.Breaker.FailureThreshold = 3
	return spec
}

func Example_rateLimiter() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	system, err := actors.New(actors.DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	defer func() { _ = system.Stop(ctx) }()
	limiter, err := system.Spawn(limiterSpec(2, time.Hour))
	if err != nil {
		panic(err)
	}
	for _, client := range []string{"ada", "ada", "ada", "bob"} {
		allowed, err := actors.Ask[bool](ctx, limiter, take{client})
		fmt.Println(client, allowed, err)
	}

	// Trouble with one client's bucket is nobody else's.
	_ = system.Inject(actors.Fault{Path: "/limiter/ada", Mode: actors.FaultError, Times: 1})
	for _, client := range []string{"ada", "bob", "ada"} {
		allowed, err := actors.Ask[bool](ctx, limiter, take{client})
		fmt.Println(client, allowed, err)
	}

	tree, _ := system.Tree(actors.Page{Path: "/limiter", Levels: 1})
	for _, n := range tree.Children {
		fmt.Printf("%s: a %s, %s, %d restarts\n", n.Path, n.Kind, n.State, n.Restarts)
	}
	if err := limiter.Stop(ctx); err != nil { // its buckets end before it does
		panic(err)
	}
	for _, kind := range system.Stats().Kinds {
		if kind.Kind == "bucket" {
			fmt.Printf("all buckets: %d messages, %d failures, %d still there\n", kind.Messages, kind.Failures, kind.Active)
		}
	}

	// Output:
	// ada true <nil>
	// ada true <nil>
	// ada false <nil>
	// bob true <nil>
	// ada false internal: the actor failed on this message
	// bob true <nil>
	// ada true <nil>
	// /limiter/ada: a bucket, running, 1 restarts
	// /limiter/bob: a bucket, running, 0 restarts
	// all buckets: 7 messages, 1 failures, 0 still there
}

func TestABucketRefillsAndIsUnloadedWhenIdle(t *testing.T) {
	supervisiontest.Run(t, func(t *testing.T, tree *supervisiontest.Tree) {
		tree.Spawn(limiterSpec(2, time.Minute))
		allowed := func() bool {
			t.Helper()
			ok, err := supervisiontest.Ask[bool](tree, "/limiter", take{"ada"})
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		if first, second, third := allowed(), allowed(), allowed(); !first || !second || third {
			t.Error("a new bucket allows not two calls in a burst")
		}
		tree.Wait(time.Minute)
		if next, another := allowed(), allowed(); !next || another {
			t.Error("a minute later it allows not one more")
		}
		tree.Wait(2 * time.Hour)
		if _, loaded := tree.System.Lookup("/limiter/ada"); loaded {
			t.Error("nobody asked for two hours and the bucket is still there")
		}
		tree.Expect() // nothing that supervision had to care about
	})
}
