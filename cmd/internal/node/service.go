package node

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

const (
	// workersMax bounds the goroutines that answer calls and wait for indexes; a
	// burst beyond it is answered overloaded.
	workersMax = 2048
	// walksMax bounds the calls that walk the graph or search the Store at a time;
	// the others wait for their turn until their deadline.
	walksMax = 8
	// retryBusy is the advice, in milliseconds, that goes with overloaded.
	retryBusy = 50
	// retryRead is the longest a read waits before it asks for an index again.
	retryRead = 50 * time.Millisecond
)

// service takes calls off the wire and sees to it that each is answered by its
// deadline: what creates something goes straight to the shards, all else is done by
// a worker, which first waits for an index no caller can be ahead of.
type service struct {
	node    *Node
	log     *slog.Logger
	answers []answer // by Method.Index
	workers chan struct{}
	walks   chan struct{}

	mu      sync.Mutex
	closed  bool // no call is taken any more
	running sync.WaitGroup
}

func newService(n *Node) (*service, error) {
	answers, err := bind(n)
	if err != nil {
		return nil, err
	}
	return &service{
		node: n, log: n.log.With("component", "calls"), answers: answers,
		workers: make(chan struct{}, workersMax), walks: make(chan struct{}, walksMax),
	}, nil
}

// Serve implements wire.Handler.
func (s *service) Serve(calls []*wire.Call) {
	if !s.enter() {
		failAll(calls, s.node.unavailable())
		return
	}
	defer s.running.Done()
	var atOnce, owned []*wire.Call
	for _, c := range calls {
		if s.answer(c).needs == nothing || isLocal(c) {
			atOnce = append(atOnce, c)
		} else {
			owned = append(owned, c)
		}
	}
	s.work(atOnce, s.answerAll)
	if s.node.serving.passable() {
		s.serve(owned)
	} else {
		s.work(owned, func(calls []*wire.Call) { s.serve(s.inTime(calls, s.node.serving.wait)) })
	}
}

// enter begins something that drain waits for, until running.Done. It returns false
// after drain.
func (s *service) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Add(1)
	return true
}

// serve sorts a burst by what it takes to answer. The node's actors own their shards.
func (s *service) serve(calls []*wire.Call) {
	var burst []treasury.Appendable
	var rest []*wire.Call
	for _, c := range calls {
		switch a := s.answer(c); {
		case a.appends != nil:
			burst = append(burst, a.appends(c))
		case a.walks:
			s.work([]*wire.Call{c}, s.answerAtIndex)
		default:
			rest = append(rest, c)
		}
	}
	if len(burst) > 0 {
		s.node.treasury.Append(burst)
	}
	s.work(rest, s.answerAtIndex)
}

func (s *service) answer(c *wire.Call) *answer { return &s.answers[c.Method.Index()] }

// work has a worker do it, if one is free. Whoever calls it has entered.
func (s *service) work(calls []*wire.Call, do func([]*wire.Call)) {
	if len(calls) == 0 {
		return
	}
	select {
	case s.workers <- struct{}{}:
	default:
		failAll(calls, messages.Errorf(messages.CodeOverloaded, "%d calls are being answered; try again", workersMax).
			With("retry_after_ms", retryBusy))
		return
	}
	s.running.Go(func() {
		defer func() { <-s.workers }()
		defer s.survive(calls)
		do(calls)
	})
}

// survive answers what a worker has left unanswered by a panic. Workers change
// nothing themselves, so that the node may go on.
func (s *service) survive(calls []*wire.Call) {
	cause := recover()
	if cause == nil {
		return
	}
	s.log.Error("answering a call failed", "err", cause, "stack", string(debug.Stack()))
	failAll(calls, messages.Errorf(messages.CodeInternal, "answering this call failed; the node's log says why"))
}

// answerAtIndex answers calls once Store and read model have applied all that their
// callers can know of.
func (s *service) answerAtIndex(calls []*wire.Call) {
	s.answerAll(s.inTime(calls, s.reach))
}

func (s *service) answerAll(calls []*wire.Call) {
	for _, c := range calls {
		if a := s.answer(c); a.walks {
			s.walk(a, c)
		} else {
			a.do(c)
		}
	}
}

// walk answers a call that must wait for its turn, and gives the turn back even where
// answering panics.
func (s *service) walk(a *answer, c *wire.Call) {
	if len(s.inTime([]*wire.Call{c}, s.takeTurn)) == 0 {
		return
	}
	defer func() { <-s.walks }()
	a.do(c)
}

// takeTurn waits until one more call may walk.
func (s *service) takeTurn(ctx context.Context) error {
	select {
	case s.walks <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reach waits until Store and read model have applied an index that was confirmed
// after the calls arrived. While nobody confirms one, it asks again, unless the node
// stops.
func (s *service) reach(ctx context.Context) error {
	for {
		_, changed := s.node.consensus.Watch()
		index, err := s.node.consensus.ReadIndex(ctx)
		if err == nil {
			return s.node.follow(ctx, index)
		}
		if s.node.stopping.Load() {
			return err
		}
		select {
		case <-changed:
		case <-time.After(retryRead):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// inTime waits with calls and returns those that have time left. The others have
// been told that nothing was done: each by its own deadline, or all when the wait
// fails.
func (s *service) inTime(calls []*wire.Call, wait func(context.Context) error) []*wire.Call {
	for len(calls) > 0 {
		ctx, cancel := context.WithDeadline(context.Background(), soonest(calls))
		err := wait(ctx)
		cancel()
		switch {
		case err == nil:
			return calls
		case !errors.Is(err, context.DeadlineExceeded):
			failAll(calls, s.node.unavailable())
			return nil
		}
		calls = s.failLate(calls)
	}
	return nil
}

// failLate returns the calls whose deadline has not passed, and fails the others.
func (s *service) failLate(calls []*wire.Call) (rest []*wire.Call) {
	now := time.Now()
	for _, c := range calls {
		if now.Before(c.Deadline) {
			rest = append(rest, c)
		} else {
			c.Fail(s.node.unavailable())
		}
	}
	return rest
}

// drain refuses new calls, and returns when those taken are answered or with the
// treasury.
func (s *service) drain(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func isLocal(c *wire.Call) bool {
	return !c.Method.Mutates && c.Params.Shared().Consistency == messages.Local
}

// soonest is the first deadline of calls.
func soonest(calls []*wire.Call) time.Time {
	t := calls[0].Deadline
	for _, c := range calls[1:] {
		if c.Deadline.Before(t) {
			t = c.Deadline
		}
	}
	return t
}

func failAll(calls []*wire.Call, err *messages.Error) {
	for _, c := range calls {
		c.Fail(err)
	}
}
