package node_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/the-block/bursar/cluster/clustertest"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

const (
	simClientsMax   = 4
	simCallDeadline = 2 * time.Second
	simThinkMax     = 150 * time.Millisecond
	simRetryMax     = 100 * time.Millisecond
	// simReplay is the share of calls that are sent once more although they were answered.
	simReplay = 0.1
)

// simClients call all nodes and note what they are told.
type simClients struct {
	w       *simWorld
	stopped chan struct{} // closed when no call is begun any more
	over    chan struct{} // closed when no answer is waited for any more
	done    sync.WaitGroup
	waiting atomic.Int64
	clock   atomic.Int64 // orders the history: what one has ended before another began

	mu    sync.Mutex
	calls []*simCall
	known []messages.DisbursementID // that were acknowledged
	seen  map[string]int            // how many calls have ended how
}

// simCall is one thing that a client wants, with what it was told in the end.
type simCall struct {
	id     string // its request id
	what   string
	about  messages.DisbursementID
	amount messages.Amount
	method string
	params messages.Params
	result messages.Result

	begun, ended int64
	unknown      bool // an attempt may have come true
	tries        int
	err          *messages.Error // the last word, if it was a no
	finished     bool
}

func (c *simCall) String() string { return fmt.Sprintf("%s %s about %d", c.what, c.id, c.about) }

func newSimClients(w *simWorld) *simClients {
	return &simClients{w: w, stopped: make(chan struct{}), over: make(chan struct{}), seen: make(map[string]int)}
}

// start has clients call until stop.
func (s *simClients) start(count int) {
	for i := range count {
		c := &simClient{
			all: s, number: i, rng: rand.New(rand.NewPCG(s.w.seed, 100+uint64(i))),
			host: s.w.net.Host(fmt.Sprintf("127.0.2.%d", i+1)),
		}
		s.done.Go(c.run)
	}
}

// simClient is one of them. It speaks to one node at a time.
type simClient struct {
	all    *simClients
	number int
	rng    *rand.Rand
	host   *clustertest.Host
	line   *wire.Client // nil for none
	calls  int
}

func (c *simClient) run() {
	defer c.hangUp()
	for {
		select {
		case <-c.all.stopped:
			return
		case <-time.After(time.Duration(c.rng.Int64N(int64(simThinkMax)))):
		}
		if c.rng.IntN(10) == 0 {
			c.hangUp() // it asks another node
		}
		call := c.draw()
		if call == nil {
			continue
		}
		c.all.waiting.Add(1)
		c.carryOut(call)
		c.all.waiting.Add(-1)
	}
}

func (c *simClient) hangUp() {
	if c.line != nil {
		_ = c.line.Close()
		c.line = nil
	}
}

// carryOut calls until the outcome is known. A read that is not answered is given up.
func (c *simClient) carryOut(call *simCall) {
	s := c.all
	call.begun = s.clock.Add(1)
	reads := call.id == ""
	for {
		call.tries++
		err := c.try(call)
		call.err = nil
		if err != nil && !errors.As(err, &call.err) {
			call.err = messages.Errorf(messages.CodeOutcomeUnknown, "%v", err)
		}
		if call.err == nil || !simTransient(call.err) || reads {
			break
		}
		call.unknown = call.unknown || call.err.Code == messages.CodeOutcomeUnknown
		c.hangUp()
		select {
		case <-c.all.over:
			return
		case <-time.After(time.Duration(c.rng.Int64N(int64(simRetryMax)))):
		}
	}
	if !reads && call.err == nil && c.rng.Float64() < simReplay {
		replay := *call
		replay.result = nil
		_ = c.try(&replay)
	}
	call.ended, call.finished = s.clock.Add(1), true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
	if call.err != nil {
		s.seen[call.what+" "+call.err.Code.String()]++
		return
	}
	s.seen[call.what]++
	if result, ok := call.result.(*messages.SubmitDisbursementResult); ok {
		call.about = result.ID
		s.known = append(s.known, result.ID)
	}
}

func simTransient(err *messages.Error) bool {
	return slices.Contains([]messages.Code{
		messages.CodeUnavailable, messages.CodeOverloaded, messages.CodeOutcomeUnknown, messages.CodeCircuitOpen,
	}, err.Code)
}

// try makes one attempt, at the node it is connected to or any other.
func (c *simClient) try(call *simCall) error {
	ctx, cancel := context.WithTimeout(context.Background(), simCallDeadline)
	defer cancel()
	if c.line == nil {
		m := c.all.w.members[c.rng.IntN(len(c.all.w.members))]
		nc, err := c.host.Dial(ctx, m.cfg.Address(node.PortRPC))
		if err != nil {
			return messages.Errorf(messages.CodeUnavailable, "%v", err)
		}
		c.line = wire.NewClient(nc)
	}
	return c.line.Call(ctx, call.method, call.params, call.result)
}

// draw makes up a call.
func (c *simClient) draw() *simCall {
	c.calls++
	id := fmt.Sprintf("c%d-%d", c.number, c.calls)
	about := c.someID()
	switch pick := c.rng.IntN(100); {
	case pick < 30:
		return &simCall{id: id, what: "submit", method: messages.MethodSubmitDisbursement,
			params: &messages.SubmitDisbursementParams{Options: messages.Options{RequestID: id}, Payload: c.payload(id)},
			result: new(messages.SubmitDisbursementResult)}
	case pick < 45:
		amount := messages.Amount(50 + c.rng.IntN(200))
		return &simCall{id: id, what: "accrue", amount: amount, method: messages.MethodAccrue,
			params: &messages.AccrueParams{Options: messages.Options{RequestID: id}, Amount: amount, Source: id},
			result: new(messages.AccrueResult)}
	case pick < 55:
		return &simCall{what: "history", method: messages.MethodBalanceHistory,
			params: &messages.PageParams{Page: messages.Page{Limit: messages.LimitMax}},
			result: new(messages.BalanceHistoryResult)}
	case about == 0:
		return nil
	case pick < 75:
		return &simCall{what: "get", about: about, method: messages.MethodGetDisbursement,
			params: &messages.IDParams{ID: about}, result: new(messages.GetDisbursementResult)}
	case pick < 85:
		return &simCall{id: id, what: "vote", about: about, method: messages.MethodVote,
			params: &messages.VoteParams{Options: messages.Options{RequestID: id}, ID: about, House: messages.Operators,
				Voter: id, WeightPPM: simWeight, Approve: true},
			result: new(messages.VoteResult)}
	case pick < 92:
		return &simCall{id: id, what: "rollback", about: about, method: messages.MethodRollbackDisbursement,
			params: &messages.RollbackParams{Options: messages.Options{RequestID: id}, ID: about, Reason: id},
			result: new(messages.TransitionResult)}
	case pick < 96:
		return &simCall{id: id, what: "execute", about: about, method: messages.MethodExecuteDisbursement,
			params: &messages.IDParams{Options: messages.Options{RequestID: id}, ID: about},
			result: new(messages.TransitionResult)}
	}
	return &simCall{id: id, what: "advance", method: messages.MethodEpochAdvance,
		params: &messages.NoParams{Options: messages.Options{RequestID: id}}, result: new(messages.EpochResult)}
}

// simWeight is what each vote weighs.
const simWeight = 50_000

// someID is one that was acknowledged, the newest more often than the old; 0 if there
// is none.
func (c *simClient) someID() messages.DisbursementID {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	known := c.all.known
	if len(known) == 0 {
		return 0
	}
	return known[len(known)-1-min(c.rng.IntN(len(known)), c.rng.IntN(len(known)))]
}

// payload makes up a disbursement that bears the call's id as its memo.
func (c *simClient) payload(id string) messages.Payload {
	p := messages.Payload{Disbursement: messages.Disbursement{
		Destination: fmt.Sprintf("tb1payee%d", c.rng.IntN(4)), Amount: messages.Amount(1 + c.rng.IntN(40)),
		ScheduledEpoch: messages.Epoch(1 + c.rng.IntN(8)), Memo: id,
	}}
	var deps []messages.DisbursementID
	for c.rng.IntN(4) == 0 && len(deps) < 3 {
		if dep := c.someID(); dep != 0 {
			deps = append(deps, dep)
		}
	}
	if c.rng.IntN(2) == 0 && len(deps) == 0 {
		return p
	}
	slices.Sort(deps)
	p.Proposal = &messages.Proposal{
		Title: id, Summary: "simulated", Deps: slices.Compact(deps),
		Quorum:           messages.Quorum{OperatorsPPM: simWeight},
		VoteWindowEpochs: 2, TimelockEpochs: messages.Epoch(1 + c.rng.IntN(2)), RollbackWindowEpochs: messages.Epoch(1 + c.rng.IntN(2)),
	}
	return p
}

// linearizable holds the history against two small models: what was accrued is a
// counter, and a disbursement goes through its states in order.
func (s *simClients) linearizable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var accruals []porcupine.Operation
	lives := make(map[messages.DisbursementID][]porcupine.Operation)
	for _, c := range s.calls {
		op := porcupine.Operation{Input: c, Call: c.begun, Return: c.ended}
		if c.err != nil {
			if c.id == "" || !c.unknown {
				continue // it did nothing and says nothing
			}
			op.Return = math.MaxInt64 // it may have come true
		}
		switch c.what {
		case "accrue", "history":
			accruals = append(accruals, op)
		case "submit", "get", "vote", "rollback":
			if c.about != 0 {
				lives[c.about] = append(lives[c.about], op)
			}
		}
	}
	if !porcupine.CheckOperations(simAccruals, accruals) {
		return errors.New("the history of accruals and balances is not linearizable")
	}
	for id, life := range lives {
		if slices.ContainsFunc(life, func(op porcupine.Operation) bool { return op.Return == math.MaxInt64 }) {
			continue // the model does not guess what came true
		}
		if !porcupine.CheckOperations(simLife, life) {
			return fmt.Errorf("the history of disbursement %d is not linearizable:\n%s", id, describeLife(life))
		}
	}
	return nil
}

func describeLife(life []porcupine.Operation) (text string) {
	for _, op := range life {
		c := op.Input.(*simCall)
		text += fmt.Sprintf("  [%d, %d] %s: %+v %v\n", op.Call, op.Return, c, c.result, c.err)
	}
	return text
}

// simAccruals is a counter: accruals add to it, the balance history shows it.
var simAccruals = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, input, _ any) (bool, any) {
		c, sum := input.(*simCall), state.(int64)
		if c.what == "accrue" {
			return true, sum + int64(c.amount)
		}
		var accrued int64
		for _, row := range c.result.(*messages.BalanceHistoryResult).Snapshots {
			if row.DisbursementID == nil {
				accrued += row.Delta
			}
		}
		return accrued == sum, sum
	},
}

// simStage is how far a disbursement is known to have come at least.
type simStage struct {
	state messages.State // 0 before it is submitted
	ppm   messages.PPM   // what has been approved
}

// to moves on, if that is a way that lives go.
func (s simStage) to(state messages.State) (bool, any) {
	if s.state == 0 || state < s.state || s.state == messages.Finalized && state != messages.Finalized {
		return false, s
	}
	s.state = state
	return true, s
}

// simLife is a disbursement: it moves on by itself, by votes and by rollbacks.
var simLife = porcupine.Model{
	Init: func() any { return simStage{} },
	Step: func(state, input, _ any) (bool, any) {
		c, s := input.(*simCall), state.(simStage)
		switch c.what {
		case "submit":
			return s.state == 0, simStage{state: messages.Draft}
		case "get":
			status := c.result.(*messages.GetDisbursementResult).Disbursement.Status
			if status.State == messages.Voting && status.OperatorsPPM != s.ppm {
				return false, s
			}
			return s.to(status.State)
		case "vote":
			s.ppm += simWeight
			if s.ppm != c.result.(*messages.VoteResult).OperatorsPPM {
				return false, s
			}
			return s.to(messages.Voting)
		}
		return s.to(messages.RolledBack)
	},
}
