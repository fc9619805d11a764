package node_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// BenchmarkSibling is F15 on a node: votes on one disbursement, one after the other
// and each on disk, while another of the same shard is left alone, or panics on every
// message that its breaker lets through and is asked without a pause. Compare p99.
func BenchmarkSibling(b *testing.B) {
	for name, c := range map[string]struct {
		poison bool
		force  bool // closed, so that the breaker spares nobody
	}{"alone": {}, "poisoned": {poison: true}, "poisoned-unguarded": {poison: true, force: true}} {
		b.Run(name, func(b *testing.B) {
			cfg := config(b.TempDir())
			cfg.FaultInjection = true
			m, err := launch(cfg)
			mustDo(b, err)
			defer func() { mustDo(b, m.stop()) }()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			sibling, poisoned := twoOfOneShard(ctx, b, m)
			if c.poison {
				path := fmt.Sprintf("/treasury/shard-%02d/disbursement-%d", poisoned%64, poisoned)
				m.tell(ctx, b, messages.MethodInject, &messages.InjectParams{Path: path, Mode: "panic", Times: 1_000_000})
				if c.force {
					m.tell(ctx, b, messages.MethodForceClose, &messages.ForceParams{PathParams: messages.PathParams{Path: path}, Reason: "a benchmark"})
				}
				hammered := make(chan struct{})
				go func() { defer close(hammered); m.hammer(ctx, poisoned) }()
				defer func() { cancel(); <-hammered }()
			}
			client := m.client(ctx, b)
			defer client.Close()
			took := make([]time.Duration, 0, b.N)
			b.ResetTimer()
			for i := range b.N {
				began := time.Now()
				mustDo(b, client.Call(ctx, messages.MethodVote, ballot(sibling, i), new(messages.VoteResult)))
				took = append(took, time.Since(began))
			}
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
		})
	}
}

func mustDo(b testing.TB, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (m *member) client(ctx context.Context, b *testing.B) *wire.Client {
	b.Helper()
	c, err := wire.Dial(ctx, m.cfg.Address(node.PortRPC))
	mustDo(b, err)
	return c
}

// tell makes one call whose result says nothing new.
func (m *member) tell(ctx context.Context, b *testing.B, method string, p messages.Params) {
	b.Helper()
	c := m.client(ctx, b)
	defer c.Close()
	mustDo(b, c.Call(ctx, method, p, messages.MethodByName(method).NewResult()))
}

// ballot is one voter's: voters are few, so that the record stays small.
func ballot(id messages.DisbursementID, i int) *messages.VoteParams {
	return &messages.VoteParams{
		ID: id, House: messages.Operators, Voter: fmt.Sprint("v", i%10), WeightPPM: 1 + messages.PPM(i/10%2), Approve: true,
	}
}

// twoOfOneShard submits proposals until two fall to the same shard, and opens the vote
// on both.
func twoOfOneShard(ctx context.Context, b *testing.B, m *member) (first, last messages.DisbursementID) {
	b.Helper()
	c := m.client(ctx, b)
	defer c.Close()
	p := &messages.SubmitDisbursementParams{Payload: messages.Payload{
		Proposal: &messages.Proposal{
			Title: "t", Summary: "s", Quorum: messages.Quorum{OperatorsPPM: 500_000, BuildersPPM: 500_000},
			VoteWindowEpochs: 4, TimelockEpochs: 2, RollbackWindowEpochs: 1,
		},
		Disbursement: messages.Disbursement{Destination: "tb1a", Amount: 1, ScheduledEpoch: 1},
	}}
	for i := range 65 {
		var r messages.SubmitDisbursementResult
		mustDo(b, c.Call(ctx, messages.MethodSubmitDisbursement, p, &r))
		if i == 0 {
			first = r.ID
		}
		last = r.ID
	}
	for _, id := range []messages.DisbursementID{first, last} {
		m.tell(ctx, b, messages.MethodQueueDisbursement, &messages.IDParams{ID: id})
	}
	return first, last
}

// hammer votes on one disbursement without a pause until ctx ends.
func (m *member) hammer(ctx context.Context, id messages.DisbursementID) {
	c, err := wire.Dial(ctx, m.cfg.Address(node.PortRPC))
	if err != nil {
		return
	}
	defer c.Close()
	for i := 0; ctx.Err() == nil; i++ {
		err := c.Call(ctx, messages.MethodVote, ballot(id, i), new(messages.VoteResult))
		var refusal *messages.Error
		if !errors.As(err, &refusal) && ctx.Err() == nil {
			panic(fmt.Sprintf("the poisoned disbursement answered %v", err))
		}
	}
}
