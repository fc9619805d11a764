package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/messages"
)

const (
	// tryTimeout is how long one node is waited for before another is asked. Lowered,
	// a node that stands still costs less; raised, one that waits out a failover or works
	// on a slow machine is asked fewer times.
	tryTimeout = time.Second
	// roamPause is the pause before the next node is asked, at most.
	roamPause = 100 * time.Millisecond
	// roamFor is how long a call roams until its caller hears why it has no answer.
	roamFor = 10 * time.Second
)

// roamer calls the nodes of a cluster: one, as long as it answers, then another. A call
// goes on elsewhere with the same request id, so that nothing is done twice. It
// implements batch.Client.
type roamer struct {
	links   []*link
	ledger  *ledger
	at      atomic.Uint64 // counts the moves; the link in use is at modulo their number
	retried atomic.Uint64 // calls that were made again
}

// newRoamer calls the nodes at the given addresses, the first one first.
func newRoamer(addrs []string, l *ledger) *roamer {
	r := &roamer{ledger: l}
	for _, addr := range addrs {
		r.links = append(r.links, (&target{addr: addr}).link())
	}
	return r
}

// Call makes a call at whichever node answers it. The error is the last node's.
func (r *roamer) Call(ctx context.Context, method string, params messages.Params, result messages.Result) error {
	for until := time.Now().Add(roamFor); ; r.retried.Add(1) {
		at := r.at.Load()
		err := r.try(ctx, r.links[at%uint64(len(r.links))], method, params, result)
		if err == nil {
			r.ledger.note(params, result)
			return nil
		}
		if ctx.Err() != nil || !elsewhere(err) || time.Now().After(until) {
			return err
		}
		r.at.CompareAndSwap(at, at+1) // unless another call has moved on already
		if !wait(ctx, roamPause/2+rand.N(roamPause/2)) {
			return err
		}
	}
}

func (r *roamer) try(ctx context.Context, l *link, method string, params messages.Params, result messages.Result) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	err := l.Call(ctx, method, params, result)
	if errors.Is(err, context.DeadlineExceeded) {
		return messages.Errorf(messages.CodeOutcomeUnknown, "no answer from %s within %s", l.addr, tryTimeout)
	}
	return err
}

// elsewhere reports whether another node may answer what this one did not.
func elsewhere(err error) bool {
	var answer *messages.Error
	return errors.As(err, &answer) &&
		(answer.Code == messages.CodeUnavailable || answer.Code == messages.CodeOutcomeUnknown)
}

// Close ends the connections.
func (r *roamer) Close() {
	for _, l := range r.links {
		l.Close()
	}
}
