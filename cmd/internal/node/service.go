package node

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
	"github.com/the-block/bursar/persistence"
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
func (s *service) Serve(calls []*wire.Call) { s.take(calls, false) }

// take sorts a burst by what it takes to answer. routed says that another node sent it
// here.
func (s *service) take(calls []*wire.Call, routed bool) {
	if !s.enter() {
		failAll(calls, s.node.unavailable())
		return
	}
	defer s.running.Done()
	if !routed {
		calls = s.entitled(calls)
	}
	var atOnce, reads []*wire.Call
	var attempts []*attempt
	for _, c := range calls {
		a := s.answer(c)
		switch {
		case a.Split != nil && s.split(a, c):
		case a.Any || isLocal(c):
			atOnce = append(atOnce, c)
		case a.Read == nil || a.Shard != nil:
			one := s.attempt(c)
			one.routed = routed
			attempts = append(attempts, one)
		case a.Walks:
			work(s, []*wire.Call{c}, s.answerAtIndex)
		default:
			reads = append(reads, c)
		}
	}
	work(s, atOnce, s.answerAll)
	work(s, reads, s.answerAtIndex)
	s.send(attempts)
}

// split makes several calls of one that several nodes carry out, and reports whether that
// was so.
func (s *service) split(a *answer, c *wire.Call) bool {
	parts, join := a.Split(c.Params, func(shard messages.ShardID) messages.NodeID {
		owner, _ := s.node.routes.owner(shard)
		return owner
	})
	if len(parts) == 0 {
		return false
	}
	var mu sync.Mutex
	answers, left := make([]durable.Answer, len(parts)), len(parts)
	calls := make([]*wire.Call, len(parts))
	for i, part := range parts {
		calls[i] = wire.Own(c.Method, part, c.Deadline, func(result messages.Result, err *messages.Error) {
			mu.Lock()
			answers[i] = durable.Answer{Result: result, Err: err}
			left--
			last := left == 0
			mu.Unlock()
			if last {
				c.Reply(join(answers))
			}
		})
	}
	s.take(calls, false)
	return true
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

// send gives each attempt to who carries it out: this node's actors, or another node.
// What nobody can take now is tried again. Whoever calls it has entered.
func (s *service) send(attempts []*attempt) {
	var bursts []burst
	var orders []*attempt
	for _, a := range attempts {
		here := s.answer(a.call)
		switch owner, known := s.owner(here, a.call); {
		case !known:
			a.Fail(s.node.unavailable())
		case owner != s.node.cfg.Name && a.routed:
			a.Fail(moved(owner))
		case owner != s.node.cfg.Name:
			a.ask(owner)
		case here.Create != nil:
			if err := s.admit(a); err != nil {
				a.Fail(overloaded(err))
				continue
			}
			bursts = gather(bursts, here.Into, here.Create(a.request(), a.call.Params))
		case here.Unconfirmed:
			if err := s.admit(a); err != nil {
				a.Fail(overloaded(err))
				continue
			}
			here.Order(a.request(), a.call.Params)
		case here.deliver != nil:
			here.deliver(a)
		default:
			orders = append(orders, a)
		}
	}
	for _, b := range bursts {
		b.into.Take(b.list)
	}
	work(s, orders, s.orderAtIndex)
}

// burst is what one domain is given of a burst at once.
type burst struct {
	into durable.Intake
	list []durable.Creation
}

func gather(bursts []burst, into durable.Intake, one durable.Creation) []burst {
	for i := range bursts {
		if bursts[i].into == into {
			bursts[i].list = append(bursts[i].list, one)
			return bursts
		}
	}
	return append(bursts, burst{into, []durable.Creation{one}})
}

// admit asks the journal whether it takes one more. Only the first try of a call has
// waited in this node's own queues.
func (s *service) admit(a *attempt) error {
	received := a.call.Received
	if a.pause > 0 {
		received = time.Time{}
	}
	return s.node.journal.Admit(received, a.call.Deadline)
}

// overloaded tells a caller, before anything is done for it, that the log is too busy.
func overloaded(err error) *messages.Error {
	retry := uint64(retryBusy)
	if e := new(persistence.OverloadError); errors.As(err, &e) {
		retry = uint64(max(e.RetryAfter.Milliseconds(), 1))
	}
	return messages.Errorf(messages.CodeOverloaded, "not done: the log is too busy; try again").With("retry_after_ms", retry)
}

// owner names the node that carries out a call; known is false while there is none.
func (s *service) owner(a *answer, c *wire.Call) (owner messages.NodeID, known bool) {
	switch {
	case a.Leader:
		return s.node.consensus.Leader()
	case a.Shard == nil:
		return s.node.cfg.Name, true
	}
	return s.node.routes.owner(a.Shard(c.RequestID, c.Params))
}

// moved tells another node that somebody else is to be asked.
func moved(owner messages.NodeID) *messages.Error {
	return messages.Errorf(messages.CodeUnavailable, "not done: %s is asked now", owner)
}

// orderAtIndex carries out attempts once Store and read model have applied all that
// their callers can know of.
func (s *service) orderAtIndex(attempts []*attempt) {
	for _, a := range inTime(s, attempts, s.reach) {
		a.confirmed = true
		switch here := s.answer(a.call); {
		case here.Order != nil:
			here.Order(a.request(), a.call.Params)
		case here.Work != nil:
			work(s, []*attempt{a}, s.workOn)
		default:
			here.read(a.call, a.call.Params)
		}
	}
}

// workOn carries out a change that waits for something: on a worker of its own, so that
// no other waits with it.
func (s *service) workOn(attempts []*attempt) {
	for _, a := range attempts {
		ctx, cancel := context.WithDeadline(context.Background(), a.call.Deadline)
		s.answer(a.call).Work(ctx, a.request(), a.call.Params)
		cancel()
	}
}

func (s *service) answer(c *wire.Call) *answer { return &s.answers[c.Method.Index()] }

// asked is a call, an attempt at one, or an actor's question.
type asked interface {
	*wire.Call | *attempt | *confirmation
	Fail(err *messages.Error)
}

// deadlineOf is when its caller stops waiting.
func deadlineOf[T asked](one T) time.Time {
	switch one := any(one).(type) {
	case *wire.Call:
		return one.Deadline
	case *attempt:
		return one.call.Deadline
	case *confirmation:
		return one.deadline
	}
	return time.Time{}
}

// confirmation is an actor's question whether the Store is behind.
type confirmation struct {
	deadline time.Time
	then     func(*messages.Error)
}

// Fail implements asked.
func (c *confirmation) Fail(err *messages.Error) { c.then(err) }

// confirm is durable.Host's Confirm.
func (s *service) confirm(deadline time.Time, then func(*messages.Error)) {
	c := &confirmation{deadline, then}
	if !s.enter() {
		c.Fail(s.node.unavailable())
		return
	}
	defer s.running.Done()
	work(s, []*confirmation{c}, func(list []*confirmation) {
		for _, c := range inTime(s, list, s.reach) {
			c.then(nil)
		}
	})
}

// work has a worker do it, if one is free. Whoever calls it has entered.
func work[T asked](s *service, list []T, do func([]T)) {
	if len(list) == 0 {
		return
	}
	select {
	case s.workers <- struct{}{}:
	default:
		failAll(list, messages.Errorf(messages.CodeOverloaded, "%d calls are being answered; try again", workersMax).
			With("retry_after_ms", retryBusy))
		return
	}
	s.running.Go(func() {
		defer func() { <-s.workers }()
		defer survive(s, list)
		do(list)
	})
}

// attend has a worker answer what another node asks.
func (s *service) attend(c *wire.Call, do func([]*wire.Call)) {
	if !s.enter() {
		c.Fail(s.node.unavailable())
		return
	}
	defer s.running.Done()
	work(s, []*wire.Call{c}, do)
}

// survive answers what a worker has left unanswered by a panic. Workers change
// nothing themselves, so that the node may go on.
func survive[T asked](s *service, list []T) {
	cause := recover()
	if cause == nil {
		return
	}
	s.log.Error("answering a call failed", "err", cause, "stack", string(debug.Stack()))
	failAll(list, messages.Errorf(messages.CodeInternal, "answering this call failed; the node's log says why"))
}

// answerAtIndex answers calls once Store and read model have applied all that their
// callers can know of.
func (s *service) answerAtIndex(calls []*wire.Call) {
	s.answerAll(inTime(s, calls, s.reach))
}

func (s *service) answerAll(calls []*wire.Call) {
	for _, c := range calls {
		if a := s.answer(c); a.Walks {
			s.walk(a, c)
		} else {
			a.read(c, c.Params)
		}
	}
}

// walk answers a call that must wait for its turn, and gives the turn back even where
// answering panics.
func (s *service) walk(a *answer, c *wire.Call) {
	if len(inTime(s, []*wire.Call{c}, s.takeTurn)) == 0 {
		return
	}
	defer func() { <-s.walks }()
	a.read(c, c.Params)
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

// inTime waits with a list and returns those that have time left. The others have
// been told that nothing was done: each by its own deadline, or all when the wait
// fails.
func inTime[T asked](s *service, list []T, wait func(context.Context) error) []T {
	for len(list) > 0 {
		ctx, cancel := context.WithDeadline(context.Background(), soonest(list))
		err := wait(ctx)
		cancel()
		switch {
		case err == nil:
			return list
		case !errors.Is(err, context.DeadlineExceeded):
			failAll(list, s.node.unavailable())
			return nil
		}
		list = failLate(s, list)
	}
	return nil
}

// failLate returns those whose deadline has not passed, and fails the others.
func failLate[T asked](s *service, list []T) (rest []T) {
	now := time.Now()
	for _, one := range list {
		if now.Before(deadlineOf(one)) {
			rest = append(rest, one)
		} else {
			one.Fail(s.node.unavailable())
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

// soonest is the first deadline of a list.
func soonest[T asked](list []T) time.Time {
	t := deadlineOf(list[0])
	for _, one := range list[1:] {
		if d := deadlineOf(one); d.Before(t) {
			t = d
		}
	}
	return t
}

func failAll[T asked](list []T, err *messages.Error) {
	for _, one := range list {
		one.Fail(err)
	}
}
