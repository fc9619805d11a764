package executor

import (
	"context"
	"sync"
	"time"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/actors/treasury/readmodel"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/actors/treasury/stats"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision/breaker"
)

// Chain is an outside chain. Its methods may be called from several goroutines.
type Chain interface {
	// Ask puts questions about intents, at least one, and returns with the answers in
	// bounded time: in the order of the questions, one at least. Questions at the end
	// that it leaves without an answer are certainly not put. What is not certain is
	// payout.Unclear.
	Ask(ctx context.Context, questions []payout.Question) []payout.Answer
	// Transfer looks up a transaction of anybody's. An error says that it could not.
	Transfer(ctx context.Context, tx disbursement.Hash) (payout.Transfer, error)
	// NextNonce is the account's lowest nonce that is not confirmed yet.
	NextNonce(ctx context.Context) (uint64, error)
}

// Outside pays on an outside chain instead of in the cluster's own accounts.
type Outside struct {
	Chain  Chain
	Signer *payout.Signer
	// ChainID, if not nil, names the chain; "" while its node has not told.
	ChainID func() string
	// Start, if not nil, asks in place of Chain.Ask and returns at once: answer is called
	// once, from any goroutine. It is for who has no goroutine to ask on.
	Start func(ctx context.Context, questions []payout.Question, answer func([]payout.Answer))
}

// start asks on a goroutine of its own, or as Start says.
func (o *Outside) start(ctx context.Context, questions []payout.Question, answer func([]payout.Answer)) {
	if o.Start != nil {
		o.Start(ctx, questions, answer)
		return
	}
	go func() { answer(o.Chain.Ask(ctx, questions)) }()
}

// outside is the executor's side of an outside chain; nil is the embedded ledger.
//
// A payment has three commits instead of one. Staging writes the intent and takes the
// funds out of the balance; then the bytes are sent, many in one call, but one call
// at a time (another asks meanwhile what is final); then the outcome is recorded and the intent dropped. What is sent and what an answer
// means is the window's to say.
//
// The window is a copy of what the log holds, and must not go on from a copy that a
// late commit could overtake: bytes that the log has given up must not be sent again.
// So a line is drawn in the log before the window is filled from it. Every Txn speaks
// for the line it was proposed under, and whatever was proposed before and has not
// committed yet is refused from then on.
type outside struct {
	Outside
	window payout.Window
	// line is the newest line, if drawn; drawing says that one is on its way.
	line           int64
	drawn, drawing bool
	recording      int // outcomes on their way through the log
	staged         map[messages.DisbursementID]*payment
	confirming     confirming
	again          uint64 // the nonce from which on bytes are still to be sent again; 0 if none
	call           *call  // nil while the chain is asked nothing
	calls          sync.WaitGroup
	timer          durable.Timer // wakes the executor when there is something to ask again
}

// call is a round of questions on its way. To the breaker it is one call, which ends as
// its first question does: that one is judged as if it had been put alone.
type call struct {
	questions []payout.Question
	token     breaker.Token
	cancel    context.CancelFunc
}

// answered brings the answers to a call.
type answered struct {
	call    *call
	answers []payout.Answer
}

func newOutside(o *Outside) *outside {
	if o == nil {
		return nil
	}
	return &outside{Outside: *o, staged: make(map[messages.DisbursementID]*payment)}
}

// holds reports whether a disbursement's intent is in flight.
func (s *outside) holds(id messages.DisbursementID) bool { return s != nil && s.staged[id] != nil }

// forget lets go of the window: another incarnation, or another owner, fills its own.
// What is on its way through the log is still waited for.
func (s *outside) forget(x *executor) {
	if s == nil {
		return
	}
	if s.call != nil {
		s.call.cancel()
		x.breaker.Cancel(s.call.token)
		s.call = nil
	}
	if c := s.confirming.call; c != nil {
		c.cancel()
	}
	s.window.Clear()
	clear(s.staged)
	s.confirming, s.again = confirming{}, 0
	s.drawn = false
}

// room is how many more payments may be staged now.
func (s *outside) room(x *executor) int {
	_, _, paused := s.window.Paused()
	if paused || !s.drawn || !x.breaker.Passes() {
		return 0
	}
	return payout.InFlightMax - s.window.Len() - len(x.paying)
}

// resume draws a line once nothing is on its way any more. The window is filled when
// it is drawn.
func (s *outside) resume(x *executor, ctx durable.Context) error {
	if len(x.paying) > 0 || s.recording > 0 || s.drawing || s.call != nil || s.confirming.call != nil {
		return nil
	}
	s.drawn = false
	line, err := x.Store.Counter(rows.CounterLine)
	if err != nil {
		return err
	}
	txn := &persistence.Txn{
		Fences: []persistence.ShardFence{x.Held()},
		Adds:   []persistence.Add{{Counter: rows.CounterLine, Delta: 1, Min: line + 1, Max: line + 1}},
	}
	if err := x.Propose(persistence.Proposal{Txn: txn}, &drawing{line: line + 1}); err != nil {
		x.rest.BackOff(ctx, x.Chance())
		return nil
	}
	s.drawing = true
	return nil
}

// drawing is a line on its way through the log.
type drawing struct{ line int64 }

func (d *drawing) fail(*executor) {}

func (d *drawing) conclude(x *executor, ctx durable.Context, o persistence.Outcome) error {
	s := x.outside
	s.drawing = false
	switch {
	case !x.Active() || !x.Current():
		return nil // another owner's to draw, or to be drawn under the new fence
	case o.Err != nil || o.Result.Status != persistence.Committed || x.Store.Applied() < o.Result.Index:
		x.rest.BackOff(ctx, x.Chance()) // and draw another
		return nil
	}
	s.line = d.line
	err := s.fill(x)
	x.stats.Recovered(err)
	return err
}

// fill takes the intents in flight from the Store. Each may have been sent before.
func (s *outside) fill(x *executor) error {
	x.binding.version = 0 // compared again before the next payment
	if err := x.readNonce(); err != nil {
		return err
	}
	intents, err := rows.Intents(x.Store)
	if err != nil {
		return err
	}
	s.window.Clear()
	clear(s.staged)
	for _, i := range intents {
		s.window.Add(i, false)
		if i.Kind != payout.Fill {
			s.staged[i.ID] = &payment{Payable: readmodel.Payable{ID: i.ID, Since: x.Steady()}}
			x.callers.proposed(i.ID)
		}
	}
	if err := s.confirming.fill(x.Store, intents, x.nonce); err != nil {
		return err
	}
	s.drawn = true
	x.rest.Reset()
	return nil
}

// condition holds while the line is the newest one.
func (s *outside) condition() persistence.Condition {
	return persistence.CounterBelow(rows.CounterLine, s.line+1)
}

// ask puts the next questions to the chain, if there are any and the breaker lets them
// through.
func (s *outside) ask(x *executor, ctx durable.Context) error {
	if s == nil || !s.drawn || x.broken || !x.Active() || x.binding.mismatch != "" {
		return nil
	}
	now := x.Steady()
	if err := s.askConfirmed(x, ctx, now); err != nil {
		return err
	}
	if s.call != nil {
		return nil
	}
	if err := s.sendAgain(x); err != nil {
		return err
	}
	c, wait := s.next(x, now)
	if c == nil {
		if left := s.confirming.left(now); wait == 0 || left > 0 && left < wait {
			wait = left
		}
		s.wake(ctx, wait)
		return nil
	}
	s.call = c
	s.begin(ctx, c)
	return nil
}

// begin puts a call's questions to the chain.
func (s *outside) begin(ctx durable.Context, c *call) {
	asking, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	self := ctx.Self()
	s.calls.Add(1)
	s.start(asking, c.questions, func(answers []payout.Answer) {
		defer s.calls.Done()
		cancel()
		_ = self.TellInternal(answered{c, answers})
	})
}

// next gives the call to make now; nil if there is nothing to ask or the breaker does not
// let it pass, and then when to look again. A breaker that is not closed learns from one
// question at a time.
func (s *outside) next(x *executor, now time.Time) (c *call, wait time.Duration) {
	most := 1
	if state := x.breaker.State(); state == breaker.Closed || state == breaker.ForcedClosed {
		most = payout.RoundMax
	}
	questions, wait := s.window.Next(now, most)
	if len(questions) == 0 {
		return nil, wait
	}
	token, ok := x.breaker.Admit()
	if !ok {
		return nil, min(x.breaker.RetryAfter(now), holdMax)
	}
	return &call{questions: questions, token: token}, 0
}

// wake makes the executor look again after d, or only when something happens.
func (s *outside) wake(ctx durable.Context, d time.Duration) {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if d > 0 {
		s.timer = ctx.After(d, durable.Wake{})
	}
}

// answered takes the answers to a call. Those to a call that was cancelled say nothing.
func (s *outside) answered(x *executor, ctx durable.Context, msg answered) error {
	switch {
	case s == nil:
		return nil
	case s.confirming.call == msg.call:
		return s.confirm(x, ctx, msg.answers, x.Steady())
	case s.call != msg.call:
		return nil
	}
	return s.decide(x, ctx, msg.answers, x.Steady(), x.Chance())
}

// decide lets the window decide about the answers to the call, and carries out what it
// decided.
func (s *outside) decide(x *executor, ctx durable.Context, answers []payout.Answer, now time.Time, chance float64) error {
	c := s.call
	s.call = nil
	if clear := answers[0].Verdict != payout.Unclear; clear {
		ctx.Outcome(c.token, true)
		x.stats.Executor().BreakerSuccesses.Add(1)
		x.paid = true
	} else {
		ctx.Outcome(c.token, false)
		x.stats.Executor().BreakerFailures.Add(1)
		x.stats.ExecutionError(messages.Errorf(messages.CodeUnavailable, "%s", answers[0].Reason), now)
	}
	for _, d := range s.window.Answer(c.questions, answers, now, chance) {
		if d.Note {
			if err := s.note(x, d.Intent); err != nil {
				return err
			}
		}
		if err := s.carry(x, ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// note keeps an intent's tries in the log. Should that fail, a restart knows of one try
// less; should it come late, the intent has another version by then.
func (s *outside) note(x *executor, i payout.Intent) error {
	txn, err := s.rewrite(x, &i)
	if txn == nil || err != nil {
		return err
	}
	_ = x.Propose(persistence.Proposal{Txn: txn}, noted{})
	return nil
}

// rewrite writes an intent that the Store still has under its nonce; nil if it has not.
func (s *outside) rewrite(x *executor, i *payout.Intent) (*persistence.Txn, error) {
	value, ok, err := x.Store.Get(rows.IntentKey(i.Nonce))
	if err != nil || !ok {
		return nil, err
	}
	stored, err := payout.DecodeIntent(i.Nonce, value.Data)
	if err != nil || stored.Hash != i.Hash {
		return nil, err
	}
	txn := s.txn(x, &recording{Decision: payout.Decision{Intent: *i}})
	txn.Conditions = append(txn.Conditions, persistence.VersionIs(rows.IntentKey(i.Nonce), value.Version))
	txn.Writes = append(txn.Writes, rows.IntentWrite(i))
	return txn, nil
}

// noted is a note on its way through the log.
type noted struct{}

func (noted) fail(*executor) {}

func (noted) conclude(*executor, durable.Context, persistence.Outcome) error { return nil }

// report tells readers where the window has paused.
func (s *outside) report(x *executor) {
	if s == nil {
		return
	}
	x.stats.SetChain(&stats.Chain{Confirmed: s.confirming.confirmed, Lost: s.confirming.lost})
	if i, reason, ok := s.window.Paused(); ok {
		x.stats.SetPaused(&stats.Pause{ID: i.ID, Reason: reason})
		return
	}
	x.stats.SetPaused(nil)
}

// stop waits for the call that was cancelled.
func (s *outside) stop() {
	if s != nil {
		s.calls.Wait()
	}
}
