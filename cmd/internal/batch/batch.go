package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/the-block/bursar/messages"
)

// Client calls a method of a node. Calls may run at the same time.
type Client interface {
	Call(ctx context.Context, method string, params messages.Params, result messages.Result) error
}

// starter is a Client that can send a call and wait for its answer later.
type starter interface {
	Start(ctx context.Context, method string, params messages.Params, result messages.Result) (answer func() error)
}

// Item is one disbursement to submit. A repeat with the same RequestID submits
// nothing.
type Item struct {
	RequestID string
	Payload   messages.Payload
}

// Outcome is what became of an item: refused, or submitted under ID now or
// (Duplicate) earlier.
type Outcome struct {
	ID        messages.DisbursementID
	Duplicate bool
	Refused   *messages.Error
}

// Config bounds a batch.
type Config struct {
	// InFlight is how many items wait for their answers at the same time. Raised,
	// the node commits larger groups; lowered, less waits when something fails.
	InFlight int
	// RetryFor is how long one item is tried again while the node is overloaded,
	// moving or unsure, before the whole batch gives up.
	RetryFor time.Duration
}

// DefaultConfig fills a node's group commit without displacing other callers.
func DefaultConfig() Config { return Config{InFlight: 256, RetryFor: 30 * time.Second} }

func (c Config) validate() error {
	if c.InFlight < 1 || c.RetryFor <= 0 {
		return fmt.Errorf("batch: in flight %d and retry for %s must be positive", c.InFlight, c.RetryFor)
	}
	return nil
}

// Submit submits the items, in their order where the client can Start calls, and tells
// done each one's outcome, by its place in items; done is called by one goroutine at a
// time, in the order of the answers. A
// refusal is an outcome. The error is the first thing that is none: then some items
// have no outcome yet, and running the same batch again is safe.
func Submit(ctx context.Context, client Client, items []Item, cfg Config, done func(i int, o Outcome)) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	group, running := errgroup.WithContext(ctx)
	places := make(chan struct{}, cfg.InFlight)
	var mu sync.Mutex // orders the calls of done
	for i := range items {
		places <- struct{}{}
		if running.Err() != nil {
			break
		}
		one := begin(running, client, &items[i])
		group.Go(func() error {
			defer func() { <-places }()
			outcome, err := one.settle(running, cfg.RetryFor)
			if err != nil {
				return fmt.Errorf("submit %s: %w", items[i].RequestID, err)
			}
			mu.Lock()
			defer mu.Unlock()
			done(i, outcome)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// submission is an item on its way.
type submission struct {
	client Client
	params messages.SubmitDisbursementParams
	result messages.SubmitDisbursementResult
	answer func() error // of the first call, nil once it is known or if none was started
}

// begin sends an item.
func begin(ctx context.Context, client Client, item *Item) *submission {
	s := &submission{client: client, params: messages.SubmitDisbursementParams{
		Options: messages.Options{RequestID: item.RequestID}, Payload: item.Payload,
	}}
	if starts, ok := client.(starter); ok {
		s.answer = starts.Start(ctx, messages.MethodSubmitDisbursement, &s.params, &s.result)
	}
	return s
}

func (s *submission) call(ctx context.Context) error {
	if answer := s.answer; answer != nil {
		s.answer = nil
		return answer()
	}
	return s.client.Call(ctx, messages.MethodSubmitDisbursement, &s.params, &s.result)
}

// settle calls until the item has an outcome or the time for retries ends.
func (s *submission) settle(ctx context.Context, retryFor time.Duration) (Outcome, error) {
	err := Persist(ctx, retryFor, func() error { return s.call(ctx) })
	var answer *messages.Error
	switch {
	case err == nil:
		return Outcome{ID: s.result.ID, Duplicate: s.result.Duplicate}, nil
	case errors.As(err, &answer) && !passing(answer.Code):
		return Outcome{Refused: answer}, nil
	default:
		return Outcome{}, err
	}
}

// Persist makes a call again, with growing pauses, while its error says that the
// same call may do better later: the node is overloaded, moving, away or unsure. The
// call must carry a request id if it changes anything. Persist returns the last
// error once the time for retries is over, and any other error at once.
func Persist(ctx context.Context, retryFor time.Duration, call func() error) error {
	until := time.Now().Add(retryFor)
	for wait := pauseMin; ; wait = min(2*wait, pauseMax) {
		err := call()
		var answer *messages.Error
		if !errors.As(err, &answer) || !passing(answer.Code) {
			return err
		}
		if time.Now().Add(wait).After(until) {
			return fmt.Errorf("no outcome within %s: %w", retryFor, err)
		}
		if err := pause(ctx, max(wait, retryAfter(answer))); err != nil {
			return err
		}
	}
}

// The pause before an item is tried again doubles from the one to the other.
const (
	pauseMin = 10 * time.Millisecond
	pauseMax = time.Second
)

// passing reports whether the code says that the same call may do better later.
func passing(code messages.Code) bool {
	switch code {
	case messages.CodeOverloaded, messages.CodeCircuitOpen, messages.CodeUnavailable, messages.CodeOutcomeUnknown:
		return true
	default:
		return false
	}
}

// retryAfter is how long the node asked to be left alone, at most pauseMax.
func retryAfter(answer *messages.Error) time.Duration {
	var ms int64
	switch n := answer.Data["retry_after_ms"].(type) {
	case int64:
		ms = n
	case uint64:
		ms = int64(min(n, uint64(pauseMax/time.Millisecond)))
	case int:
		ms = int64(n)
	}
	return min(time.Duration(ms)*time.Millisecond, pauseMax)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
