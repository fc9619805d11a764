package chaos_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/the-block/bursar/cmd/internal/check"
	"github.com/the-block/bursar/messages"
)

// payment is what a caller was told is done.
type payment struct {
	requestID   string
	destination string
	amount      messages.Amount
}

// load is many clients of all nodes.
type load struct {
	fleet *fleet
	begun time.Time
	over  chan struct{}
	all   sync.WaitGroup
	// calls counts what ended, by number of attempts.
	done    atomic.Int64
	ballots [ballotCount]atomic.Pointer[ballot]

	ledger check.Ledger // of acknowledged submissions

	mu       sync.Mutex
	asked    map[string]bool // request ids of payments, acknowledged or not
	history  []porcupine.Operation
	attempts map[int]int
	slowest  time.Duration
}

// ballot is a proposal that one voter votes on again and again.
type ballot struct {
	id     messages.DisbursementID
	weight atomic.Int64 // of the next vote
	used   atomic.Int64
}

const (
	ballotCount = 4
	ballotCalls = 200                   // after which one is rolled back and another submitted
	payers      = 6                     // clients that submit payments
	watchers    = 6                     // clients whose calls are the history
	payPause    = 4 * time.Millisecond  // so that the machine has room for three nodes
	lookPause   = 40 * time.Millisecond // the longest pause of a watcher
	accrual     = messages.Amount(1e6)  // far above all payments together between two looks
	firstIncome = messages.Amount(1e12) // enough for all of them
	farAway     = messages.Epoch(1 << 40)
)

// startLoad funds the treasury and starts the clients.
func (f *fleet) startLoad() *load {
	f.Helper()
	l := &load{
		fleet: f, begun: time.Now(), over: make(chan struct{}),
		asked: make(map[string]bool), attempts: make(map[int]int),
	}
	c := newCaller(f, f.nodes...)
	defer c.close()
	f.load = l
	l.accrue(c, 0, firstIncome)
	for i := range l.ballots {
		l.openBallot(c, i)
	}
	for i := range payers {
		l.all.Go(func() { l.pay(i) })
	}
	for i := range watchers {
		l.all.Go(func() { l.watch(payers + i) })
	}
	return l
}

// stop ends the clients once the calls they are at have an outcome.
func (l *load) stop() {
	l.fleet.Helper()
	l.fleet.load = nil
	close(l.over)
	l.all.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fleet.say("the clients: %d submissions acknowledged, %d calls in the history, calls by attempts %v, the slowest call %s",
		l.ledger.Len(), len(l.history), l.attempts, l.slowest.Round(time.Millisecond))
}

// abandon ends the clients of a scenario that has failed.
func (l *load) abandon() {
	close(l.over)
	l.all.Wait()
}

// fault fails the test.
func (l *load) fault(format string, args ...any) {
	if !l.fleet.over.Load() {
		l.fleet.Errorf(format, args...)
	}
}

// pause returns false when the load is over.
func (l *load) pause(d time.Duration) bool {
	select {
	case <-l.over:
		return false
	case <-time.After(d):
		return true
	}
}

// call makes a call to its end and counts it.
func (l *load) call(c *caller, method string, params messages.Params, result messages.Result) error {
	begun := time.Now()
	attempts, err := c.call(method, params, result)
	took := time.Since(begun)
	l.done.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts[attempts]++
	l.slowest = max(l.slowest, took)
	return err
}

// forget begins to count attempts anew.
func (l *load) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.attempts)
	l.slowest = 0
}

// mustTake holds the calls since forget to a number of attempts.
func (l *load) mustTake(attempts int, during string) {
	l.fleet.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fleet.say("%s: calls by attempts %v, the slowest took %s", during, l.attempts, l.slowest.Round(time.Millisecond))
	for n, calls := range l.attempts {
		if n > attempts {
			l.fault("%s: %d calls took %d attempts, the bar is %d", during, calls, n, attempts)
		}
	}
}

// pay submits payments that are due at once.
func (l *load) pay(client int) {
	c := newCaller(l.fleet, l.fleet.nodes...)
	defer c.close()
	c.next = client
	for n := 1; l.pause(payPause); n++ {
		p := payment{
			requestID: fmt.Sprintf("pay-%d-%d", client, n), destination: fmt.Sprintf("tb1payee%d", n%5),
			amount: messages.Amount(1 + n%9),
		}
		err := l.submit(p, func(params messages.Params, result messages.Result) error {
			return l.call(c, messages.MethodSubmitDisbursement, params, result)
		})
		if err != nil {
			l.fault("%s: %v", p.requestID, err)
		}
	}
}

// submit submits a payment as call does it, and notes what came of it. The memo tells
// afterwards whose record it is.
func (l *load) submit(p payment, call func(messages.Params, messages.Result) error) error {
	l.mu.Lock()
	l.asked[p.requestID] = true
	l.mu.Unlock()
	params := &messages.SubmitDisbursementParams{Payload: messages.Payload{Disbursement: messages.Disbursement{
		Destination: p.destination, Amount: p.amount, Memo: p.requestID, ScheduledEpoch: 1,
	}}}
	params.RequestID = p.requestID
	var result messages.SubmitDisbursementResult
	if err := call(params, &result); err != nil {
		return err
	}
	l.ledger.Note(params, &result)
	return nil
}

// watch makes the calls of the history.
func (l *load) watch(client int) {
	c := newCaller(l.fleet, l.fleet.nodes...)
	defer c.close()
	c.next = client
	for n := 1; l.pause(rand.N(lookPause)); n++ {
		switch which := rand.IntN(10); {
		case which < 1:
			l.accrue(c, client, accrual)
		case which < 4:
			l.balance(c, client)
		case which < 7:
			l.vote(c, client)
		default:
			l.look(c, client)
		}
	}
}

// note adds a call to the history.
func (l *load) note(client int, begun time.Time, input, output any) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.history = append(l.history, porcupine.Operation{
		ClientId: client, Call: begun.Sub(l.begun).Nanoseconds(), Return: now.Sub(l.begun).Nanoseconds(),
		Input: input, Output: output,
	})
}

func (l *load) accrue(c *caller, client int, amount messages.Amount) {
	params, begun := &messages.AccrueParams{Amount: amount}, time.Now()
	params.RequestID = l.requestID("accrue", client)
	var result messages.AccrueResult
	if err := l.call(c, messages.MethodAccrue, params, &result); err != nil {
		l.fault("%s: %v", params.RequestID, err)
		return
	}
	l.note(client, begun, moneyAccrue{int64(amount)}, l.moneyIs(result.Balance))
}

// requestID is one that no other call has.
func (l *load) requestID(what string, client int) string {
	return what + "-" + strconv.Itoa(client) + "-" + strconv.FormatInt(time.Since(l.begun).Nanoseconds(), 36)
}

func (l *load) balance(c *caller, client int) {
	begun := time.Now()
	var result messages.BalanceResult
	if err := l.call(c, messages.MethodBalance, nil, &result); err != nil {
		l.fault("balance: %v", err)
		return
	}
	l.note(client, begun, moneyLook{}, l.moneyIs(result.Balance))
}

func (l *load) moneyIs(balance messages.Amount) moneyIs {
	return moneyIs{balance: int64(balance), fees: l.fleet.market}
}

// openBallot puts a new proposal to the vote.
func (l *load) openBallot(c *caller, i int) {
	params := &messages.SubmitDisbursementParams{Payload: messages.Payload{
		Proposal: &messages.Proposal{
			Title: "a ballot", Summary: "voted on again and again", Quorum: messages.Quorum{OperatorsPPM: 1_000_000},
			VoteWindowEpochs: farAway, TimelockEpochs: 2, RollbackWindowEpochs: 1,
		},
		Disbursement: messages.Disbursement{Destination: "tb1ballot", Amount: 1, ScheduledEpoch: 1},
	}}
	params.RequestID = l.requestID("ballot", i)
	var result messages.SubmitDisbursementResult
	if err := l.call(c, messages.MethodSubmitDisbursement, params, &result); err != nil {
		l.fault("%s: %v", params.RequestID, err)
		return
	}
	l.ledger.Note(params, &result)
	queue := &messages.IDParams{ID: result.ID}
	queue.RequestID = l.requestID("queue", i)
	err := l.call(c, messages.MethodQueueDisbursement, queue, new(messages.TransitionResult))
	if err != nil && !errors.Is(err, &messages.Error{Code: messages.CodeInvalidTransition}) { // an epoch was quicker
		l.fault("%s: %v", queue.RequestID, err)
		return
	}
	l.ballots[i].Store(&ballot{id: result.ID})
}

// vote votes on one of the ballots, or ends it after ballotCalls.
func (l *load) vote(c *caller, client int) {
	i := rand.IntN(ballotCount)
	b := l.ballots[i].Load()
	begun, key := time.Now(), strconv.FormatUint(uint64(b.id), 10)
	if b.used.Add(1) == ballotCalls {
		params := &messages.RollbackParams{ID: b.id, Reason: "it has been voted on enough"}
		params.RequestID = l.requestID("end", client)
		if err := l.call(c, messages.MethodRollbackDisbursement, params, new(messages.TransitionResult)); err != nil {
			l.fault("%s of %s: %v", params.RequestID, key, err)
			return
		}
		l.note(client, begun, ballotEnd{key}, ballotIs{ended: true})
		l.openBallot(c, i)
		return
	}
	weight := b.weight.Add(1)
	params := &messages.VoteParams{ID: b.id, House: messages.Operators, Voter: "v", WeightPPM: messages.PPM(weight), Approve: true}
	params.RequestID = l.requestID("vote", client)
	var result messages.VoteResult
	err := l.call(c, messages.MethodVote, params, &result)
	switch {
	case err == nil:
		l.note(client, begun, ballotVote{key, weight}, ballotIs{weight: int64(result.OperatorsPPM)})
	case errors.Is(err, &messages.Error{Code: messages.CodeInvalidTransition}):
		l.note(client, begun, ballotVote{key, weight}, ballotIs{ended: true})
	default:
		l.fault("%s on %s: %v", params.RequestID, key, err)
	}
}

// look reads a ballot.
func (l *load) look(c *caller, client int) {
	b := l.ballots[rand.IntN(ballotCount)].Load()
	begun, key := time.Now(), strconv.FormatUint(uint64(b.id), 10)
	var result messages.GetDisbursementResult
	if err := l.call(c, messages.MethodGetDisbursement, &messages.IDParams{ID: b.id}, &result); err != nil {
		l.fault("look at %s: %v", key, err)
		return
	}
	status := result.Disbursement.Status
	l.note(client, begun, ballotLook{key},
		ballotIs{ended: status.State == messages.RolledBack, weight: int64(status.OperatorsPPM)})
}
