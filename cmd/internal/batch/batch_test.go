package batch_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/messages"
)

// books is a node as the batch sees it: it remembers request ids, and lets a script
// answer before it does.
type books struct {
	mu     sync.Mutex
	ids    map[string]messages.DisbursementID
	busy   int // calls under way
	most   int // the most there ever were
	calls  int
	before func(call int, params *messages.SubmitDisbursementParams) error
	after  func(call int) error
}

func (b *books) Call(_ context.Context, _ string, p messages.Params, r messages.Result) error {
	params, result := p.(*messages.SubmitDisbursementParams), r.(*messages.SubmitDisbursementResult)
	b.enter()
	time.Sleep(time.Millisecond) // virtual
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy--
	if b.before != nil {
		if err := b.before(b.calls, params); err != nil {
			return err
		}
	}
	id, known := b.ids[params.RequestID]
	if !known {
		id = messages.DisbursementID(len(b.ids) + 1)
		b.ids[params.RequestID] = id
	}
	if b.after != nil {
		if err := b.after(b.calls); err != nil {
			return err
		}
	}
	*result = messages.SubmitDisbursementResult{ID: id, Duplicate: known}
	return nil
}

func (b *books) enter() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	b.busy++
	b.most = max(b.most, b.busy)
}

func items(n int) []batch.Item {
	list := make([]batch.Item, n)
	for i := range list {
		list[i].RequestID = fmt.Sprintf("r-%d", i)
	}
	return list
}

func TestEveryItemHasOneOutcomeAndNoMoreAreInFlightThanAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &books{ids: make(map[string]messages.DisbursementID)}
		seen := make(map[int]int)
		cfg := batch.Config{InFlight: 7, RetryFor: time.Second}
		err := batch.Submit(t.Context(), node, items(100), cfg, func(i int, o batch.Outcome) {
			seen[i]++
			if o.ID == 0 || o.Duplicate || o.Refused != nil {
				t.Errorf("outcome %+v", o)
			}
		})
		if err != nil || len(seen) != 100 {
			t.Fatalf("%d outcomes, error %v", len(seen), err)
		}
		if node.most != 7 {
			t.Errorf("%d were in flight, want 7", node.most)
		}
	})
}

// starting is books with a connection on which calls are sent one after the other.
type starting struct {
	*books
	sent []string
}

func (s *starting) Start(ctx context.Context, method string, p messages.Params, r messages.Result) func() error {
	s.sent = append(s.sent, p.Shared().RequestID)
	return func() error { return s.Call(ctx, method, p, r) }
}

// Ids follow the order in which a node reads submissions.
func TestItemsAreSentInTheirOrderWhereTheClientCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &starting{books: &books{ids: make(map[string]messages.DisbursementID)}}
		node.before = func(call int, _ *messages.SubmitDisbursementParams) error {
			if call%10 == 0 {
				return messages.Errorf(messages.CodeOverloaded, "queue full")
			}
			return nil
		}
		list := items(500)
		outcomes := 0
		err := batch.Submit(t.Context(), node, list, batch.DefaultConfig(), func(int, batch.Outcome) { outcomes++ })
		if err != nil || outcomes != len(list) || node.most > batch.DefaultConfig().InFlight {
			t.Fatalf("%d outcomes, %d in flight, error %v", outcomes, node.most, err)
		}
		for i, id := range node.sent {
			if id != list[i].RequestID {
				t.Fatalf("%s was sent at place %d", id, i)
			}
		}
	})
}

func TestAnOpenOutcomeIsAskedForAgainUnderTheSameRequestID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &books{ids: make(map[string]messages.DisbursementID)}
		node.before = func(call int, _ *messages.SubmitDisbursementParams) error {
			if call == 1 {
				return messages.Errorf(messages.CodeOverloaded, "queue full").With("retry_after_ms", uint64(400))
			}
			return nil
		}
		node.after = func(call int) error {
			if call == 2 { // committed, and the answer lost
				return messages.Errorf(messages.CodeOutcomeUnknown, "leader changed")
			}
			return nil
		}
		start := time.Now()
		var got batch.Outcome
		err := batch.Submit(t.Context(), node, items(1), batch.DefaultConfig(), func(_ int, o batch.Outcome) { got = o })
		if err != nil || got.ID != 1 || !got.Duplicate {
			t.Errorf("outcome %+v, error %v", got, err)
		}
		if len(node.ids) != 1 || node.calls != 3 {
			t.Errorf("%d disbursements after %d calls, want 1 after 3", len(node.ids), node.calls)
		}
		if waited := time.Since(start); waited < 400*time.Millisecond {
			t.Errorf("came back after %s, the node had asked for 400ms", waited)
		}
	})
}

func TestARefusalIsAnOutcomeAndTheOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &books{ids: make(map[string]messages.DisbursementID)}
		node.before = func(_ int, params *messages.SubmitDisbursementParams) error {
			if params.RequestID == "r-3" {
				return messages.Errorf(messages.CodeMissingDependency, "9 does not exist")
			}
			return nil
		}
		var submitted, refused int
		err := batch.Submit(t.Context(), node, items(10), batch.DefaultConfig(), func(i int, o batch.Outcome) {
			if o.Refused == nil {
				submitted++
				return
			}
			refused++
			if i != 3 || o.Refused.Code != messages.CodeMissingDependency {
				t.Errorf("item %d was refused with %v", i, o.Refused)
			}
		})
		if err != nil || submitted != 9 || refused != 1 {
			t.Errorf("%d submitted, %d refused, error %v", submitted, refused, err)
		}
	})
}

func TestRetriesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &books{ids: make(map[string]messages.DisbursementID)}
		node.before = func(int, *messages.SubmitDisbursementParams) error {
			return messages.Errorf(messages.CodeUnavailable, "no quorum since 12 s")
		}
		cfg := batch.Config{InFlight: 1, RetryFor: 5 * time.Second}
		start := time.Now()
		err := batch.Submit(t.Context(), node, items(2), cfg, func(int, batch.Outcome) { t.Error("an outcome") })
		if err == nil || !strings.Contains(err.Error(), "no quorum since 12 s") {
			t.Errorf("error %v does not tell why", err)
		}
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("gave up after %s", took)
		}
	})
}

func TestABrokenConnectionEndsTheBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("connection reset")
		node := &books{ids: make(map[string]messages.DisbursementID)}
		node.before = func(call int, _ *messages.SubmitDisbursementParams) error {
			if call == 5 {
				return broken
			}
			return nil
		}
		cfg := batch.Config{InFlight: 1, RetryFor: time.Second}
		var outcomes int
		err := batch.Submit(t.Context(), node, items(1000), cfg, func(int, batch.Outcome) { outcomes++ })
		if !errors.Is(err, broken) || outcomes > 5 { // one more may have been under way
			t.Errorf("%d outcomes, error %v", outcomes, err)
		}
	})
}

func TestACancelledBatchSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		node := &books{ids: make(map[string]messages.DisbursementID)}
		cfg := batch.Config{InFlight: 1, RetryFor: time.Second}
		err := batch.Submit(ctx, node, items(10), cfg, func(i int, _ batch.Outcome) {
			if i == 4 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want %v", err, context.Canceled)
		}
	})
}
