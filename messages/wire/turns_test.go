package wire_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// scatter answers every call on a goroutine of its own, the sooner the later it came,
// and notes in which order votes were decided.
type scatter struct {
	mu      sync.Mutex
	decided map[messages.DisbursementID][]string
	wait    chan struct{} // closed when calls may be decided
}

func (s *scatter) Serve(calls []*wire.Call) {
	for _, c := range calls {
		go func() {
			<-s.wait
			vote := c.Params.(*messages.VoteParams)
			s.mu.Lock()
			s.decided[vote.ID] = append(s.decided[vote.ID], vote.Voter)
			s.mu.Unlock()
			c.Reply(&messages.VoteResult{ID: vote.ID})
		}()
	}
}

func TestChangesOfOneRecordAreDecidedInTheOrderTheyCame(t *testing.T) {
	const records, votes = 5, 200
	s := &scatter{decided: map[messages.DisbursementID][]string{}, wait: make(chan struct{})}
	_, _, addr := serve(t, wire.DefaultConfig(), s)
	c := dial(t, addr)
	var all sync.WaitGroup
	var want []string
	for i := range votes {
		want = append(want, fmt.Sprint(i))
		for id := range records {
			all.Add(1)
			c.Go(messages.MethodVote, &messages.VoteParams{ID: messages.DisbursementID(id), House: messages.Builders,
				Voter: fmt.Sprint(i), WeightPPM: 1}, func(r wire.Reply) {
				if r.Err != nil {
					t.Error(r.Err)
				}
				all.Done()
			})
		}
	}
	close(s.wait)
	all.Wait()
	for id := range records {
		if got := s.decided[messages.DisbursementID(id)]; strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("record %d: %v", id, got)
		}
	}
}

func TestAChangeThatWaitsForAnotherEndsAtItsDeadline(t *testing.T) {
	h := newHolder()
	_, _, addr := serve(t, wire.DefaultConfig(), h)
	c := dial(t, addr)
	vote := func(voter string, deadline uint64) chan error {
		done := make(chan error, 1)
		c.Go(messages.MethodVote, &messages.VoteParams{Options: messages.Options{DeadlineMS: deadline}, ID: 1,
			House: messages.Builders, Voter: voter, WeightPPM: 1}, func(r wire.Reply) { done <- r.Err })
		return done
	}
	first, second, third := vote("first", 60_000), vote("second", 1), vote("third", 60_000)
	var refusal *messages.Error
	if err := <-second; !errors.As(err, &refusal) || refusal.Code != messages.CodeUnavailable {
		t.Errorf("second: %v", err)
	}
	held := <-h.calls
	held.Reply(&messages.VoteResult{})
	last := <-h.calls
	if voter := last.Params.(*messages.VoteParams).Voter; voter != "third" {
		t.Errorf("after the first came the %s", voter)
	}
	last.Reply(&messages.VoteResult{})
	for name, done := range map[string]chan error{"first": first, "third": third} {
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A refusal at once must not make the next call one level deeper.
func TestALongLineIsRefusedWithoutDepth(t *testing.T) {
	cfg := wire.DefaultConfig()
	h := newHolder()
	refuses := false
	_, _, addr := serve(t, cfg, handlerFunc(func(calls []*wire.Call) {
		for _, c := range calls {
			if refuses {
				c.Fail(messages.Errorf(messages.CodeOverloaded, "full"))
				continue
			}
			refuses = true
			h.calls <- c
		}
	}))
	c := dial(t, addr)
	var all sync.WaitGroup
	for range cfg.InFlightMax {
		all.Add(1)
		c.Go(messages.MethodQueueDisbursement, &messages.IDParams{ID: 1}, func(wire.Reply) { all.Done() })
	}
	first := <-h.calls
	first.Reply(&messages.TransitionResult{State: messages.Draft})
	all.Wait()
}

type handlerFunc func([]*wire.Call)

func (f handlerFunc) Serve(calls []*wire.Call) { f(calls) }

func TestABatchKeepsTheOrderOfItsChanges(t *testing.T) {
	s := &scatter{decided: map[messages.DisbursementID][]string{}, wait: make(chan struct{})}
	close(s.wait)
	server, _, _ := serve(t, wire.DefaultConfig(), s)
	var body, want []string
	for i := range 100 {
		body = append(body, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"gov.treasury.vote","params":`+
			`{"id":1,"house":"builders","voter":"%d","weight_ppm":1,"approve":true}}`, i, i))
		want = append(want, fmt.Sprint(i))
	}
	r := post(t, server, "["+strings.Join(body, ",")+"]")
	if r.StatusCode != http.StatusOK || strings.Contains(text(t, r), "error") {
		t.Fatal(r.Status)
	}
	if got := s.decided[1]; strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %v", got)
	}
}
