package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// stepTimeout bounds each stop step, so that one that hangs is named and does not
// keep the others from their turn.
const stepTimeout = 15 * time.Second

// step ends one part of the node.
type step struct {
	name string
	stop func(context.Context) error
}

// lifecycle keeps the parts that run and how each is stopped. Parts are stopped in
// the reverse order of their start.
type lifecycle struct {
	log         *slog.Logger
	stepTimeout time.Duration

	mu     sync.Mutex
	steps  []step
	until  time.Time     // when all is to be over; zero for no limit
	hasty  chan struct{} // closed when there is one
	failed chan error    // the first part that ended by itself
}

func newLifecycle(log *slog.Logger) *lifecycle {
	return &lifecycle{log: log, stepTimeout: stepTimeout, hasty: make(chan struct{}), failed: make(chan error, 1)}
}

// onStop adds a stop step.
func (l *lifecycle) onStop(name string, stop func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.steps = append(l.steps, step{name, stop})
}

// run starts a part that runs until its context ends, and adds the step that ends
// it. A part that ends by itself ends the node.
func (l *lifecycle) run(name string, run func(context.Context) error) {
	l.runUntil(name, run, nil)
}

// runUntil is run for a part that ends when finish is called, after finishing its
// work; its context ends only if that takes too long.
func (l *lifecycle) runUntil(name string, run func(context.Context) error, finish func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	var stopping sync.Once
	quiet := make(chan struct{})
	go func() {
		err := run(ctx)
		select {
		case <-quiet:
		default:
			l.fail(fmt.Errorf("%s ended: %w", name, orUnexpected(err)))
		}
		ended <- err
	}()
	l.onStop(name, func(limit context.Context) error {
		stopping.Do(func() { close(quiet) })
		if finish != nil {
			finish()
		} else {
			cancel()
		}
		defer cancel()
		select {
		case err := <-ended:
			return err
		case <-limit.Done():
			return limit.Err()
		}
	})
}

var errUnexpected = errors.New("it was not asked to")

func orUnexpected(err error) error {
	if err == nil {
		return errUnexpected
	}
	return err
}

// fail notes the first reason why the node cannot go on.
func (l *lifecycle) fail(err error) {
	select {
	case l.failed <- err:
	default:
	}
}

// hurry has all steps end within limit, the one under way among them.
func (l *lifecycle) hurry(limit time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until.IsZero() {
		l.until = time.Now().Add(limit)
		close(l.hasty)
	}
}

// stepLeast is the time each step has in any case.
const stepLeast = 20 * time.Millisecond

// limit is how long the next step may take.
func (l *lifecycle) limit() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until.IsZero() {
		return l.stepTimeout
	}
	return min(l.stepTimeout, max(time.Until(l.until), stepLeast))
}

// stop unwinds the steps.
func (l *lifecycle) stop() error {
	l.mu.Lock()
	steps := l.steps
	l.steps = nil
	l.mu.Unlock()
	var errs []error
	for i := len(steps) - 1; i >= 0; i-- {
		if err := l.end(steps[i]); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// end runs one step, and gives up on one that hangs even if it ignores its context.
func (l *lifecycle) end(s step) error {
	ctx, cancel := context.WithTimeout(context.Background(), l.limit())
	defer cancel()
	begun := time.Now()
	ended := make(chan error, 1)
	go func() { ended <- s.stop(ctx) }()
	var err error
	hasty := l.hasty
	if l.limit() < l.stepTimeout {
		hasty = nil // ctx knows
	}
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	case <-hasty:
		hurried, cancel := context.WithTimeout(ctx, l.limit())
		defer cancel()
		select {
		case err = <-ended:
		case <-hurried.Done():
			err = hurried.Err()
		}
	}
	took := time.Since(begun).Round(time.Millisecond)
	switch {
	case err == nil:
		l.log.Debug("stopped", "component", s.name, "took", took)
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("stop %s: it hangs after %s", s.name, took)
	default:
		return fmt.Errorf("stop %s: %w", s.name, err)
	}
}
